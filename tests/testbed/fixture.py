"""The bed that integration tests share: four hosts behind mutual TLS and a fifth with an SSH server as well.

Two fixtures, known to every test:

* ``bed`` is a ``testbed.bed.Bed``: all hosts up, reachable and empty when the test begins, whatever the one before did to
  them. Making the bed takes about 5 s, once for a whole run; making it good again 0.3 s, and 10 s after a killed Docker engine
  whose containers ignore SIGTERM.
* ``standing_bed`` is the same bed for a fixture of wider scope, which then clears it itself: ``standing_bed.mend()``.

A module that uses either says ``pytestmark = pytest.mark.integration``: ``./run test-integration`` runs those, ``./run test``
does not.

What a test does with it::

    service = standalone(folder, ..., "[driver]\\ncredentials_dir = " + str(bed.credentials))

    for host in bed.hosts[:4]:
        host.endpoint, bed.TLS         # tcp://10.78.80.11:2376 and the credential's name
    bed.hosts[4].ssh_endpoint, bed.SSH # ssh://root@10.78.80.15
    bed.ROGUE                          # a TLS credential that no host trusts

    host.cut(); host.heal()            # packets vanish: connects and open requests time out
    host.hang(); host.resume()         # connects succeed, nobody answers; containers stand still too
    host.kill(); host.start()          # connection refused, containers run on; those that live then end with 137
    host.stop(); host.start()          # the same after a clean end: containers are stopped first
    host.crash(); host.start()         # power failure: packets vanish, no process is left; containers are "exited" afterwards
    host.exec("pidof", "sleep")        # a command on the host, its output
    host.call("GET", "/containers/json", all="1")   # its Docker engine behind the service's back, cut off or not
    bed.issue_client()                 # rotate the service's certificate
    bed.metrics.url(host)              # http://… for metrics_url: the use of the host's own control group
    bed.metrics.pretend(host, 1.5)     # it tells of so many busy cores besides, until it is 0 again

Every host holds ``docker_engine.IMAGE`` (busybox) and has no registry; ``bed.load(archive)`` brings another image. All hosts
share one kernel and its CPUs: what each uses itself is ``host.group.cpu_seconds()`` and ``host.group.memory()``. Hosts of
other kinds (sizes, labels, another Docker engine) are a bed of one's own: ``with Bed.up(name, [HostSpec(...), ...]) as bed``.

With ``SPINNEY_BED`` in the environment both are the bed of that name, made by hand (``python -m testbed``), and it stays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from testbed.bed import Bed, missing_packages
from testbed.host import HostSpec

SPECS = [HostSpec()] * 4 + [HostSpec(ssh=True)]


def short_name() -> str:
    """One that no other process uses at the same time."""
    return f"t{os.getpid()}"[-8:]


@pytest.fixture(scope="session")
def standing_bed() -> Iterator[Bed]:
    if name := os.environ.get("SPINNEY_BED"):
        yield Bed.open(name)
        return
    if os.geteuid() != 0:
        pytest.fail("integration tests make hosts of their own, which needs root: run them as root", pytrace=False)
    if missing := missing_packages():
        remedy = f"apt-get install --no-install-recommends {' '.join(missing)}"
        pytest.fail(f"integration tests make hosts of their own. Install with: {remedy}", pytrace=False)
    with Bed.up(short_name(), SPECS) as made:
        yield made


@pytest.fixture
def bed(standing_bed: Bed) -> Iterator[Bed]:
    yield standing_bed
    standing_bed.mend()
