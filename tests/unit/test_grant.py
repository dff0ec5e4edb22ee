"""Reading grants: what is taken, and above all what is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.grant import BadGrants, Device, Grant, HostPath, load
from spinney.domain.identity import Caller, Owner


def one(**body: Any) -> Grant:
    (found,) = load({"grants": {"extra": {"roles": ["member"], **body}}}).values()
    return found


def test_a_grant_gives_exactly_what_it_says() -> None:
    device = one(device={"path": "/dev/ttyUSB0", "permissions": "r"}, host_labels={"serial": "yes"})
    assert device.device == Device("/dev/ttyUSB0", "/dev/ttyUSB0", "r")
    assert device.host_labels == {"serial": "yes"}
    assert one(capability="cap_net_admin").capability == "NET_ADMIN"
    path = one(host_path={"path": "/srv/models", "container_path": "/models"}, projects=["p1"])
    assert path.host_path == HostPath("/srv/models", "/models")
    assert (path.device, path.capability) == (None, None)


def test_who_has_it() -> None:
    grant = one(capability="NET_ADMIN", projects=["p1"])

    def caller(project: str, *roles: str) -> Caller:
        return Caller(Owner("u", project), frozenset(roles))

    assert grant.given_to(caller("p1", "member", "reader"))
    assert not grant.given_to(caller("p1", "reader"))
    assert not grant.given_to(caller("p2", "member"))
    assert one(capability="NET_ADMIN").given_to(caller("p2", "member"))


@pytest.mark.parametrize(
    "path",
    [
        "/", "/etc", "/etc/ssl/certs", "/proc", "/proc/1/root", "/sys", "/dev", "/dev/sda", "/var", "/var/run",
        "/var/run/docker.sock", "/run", "/run/docker.sock", "/run/user/1000/docker.sock", "/srv/docker.sock", "/root",
        "/var/lib", "/var/lib/docker", "/var/lib/docker/volumes", "/boot", "/home", "/home/alice", "/usr", "/usr/bin",
        "/srv/..", "/srv/../etc", "//etc", "/srv/", "/./etc", "srv/models", "/srv/a b", "/srv/\n", "/srv/$HOME", "",
        None, 7, ["/srv"], "/srv//x", "/proc/../etc",
    ],
)  # fmt: skip
def test_paths_that_are_never_granted(path: Any) -> None:
    with pytest.raises(BadGrants, match=r"grants\.extra\.host_path\.path"):
        one(host_path={"path": path})


@pytest.mark.parametrize(
    "path",
    [
        "/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg", "/dev/sda", "/dev/sda1", "/dev/nvme0n1", "/dev/vda", "/dev/dm-0",
        "/dev/mapper/root", "/dev/disk/by-id/x", "/dev/loop0", "/dev/console", "/dev/tty", "/dev/tty0", "/dev/ttyS0",
        "/dev/ptmx", "/dev/pts/0", "/dev/input/event0", "/dev/uinput", "/dev/vfio/vfio", "/dev/cpu/0/msr", "/dev", "/dev/",
        "/etc/passwd", "/dev/../etc/shadow", "/dev/xvdb", "/dev/md0", "/dev/mmcblk0p1", "/dev/fd/0",
    ],
)  # fmt: skip
def test_devices_that_are_never_granted(path: str) -> None:
    with pytest.raises(BadGrants, match=r"grants\.extra\.device\.path"):
        one(device={"path": path})


@pytest.mark.parametrize("path", ["/dev/null", "/dev/fuse", "/dev/kvm", "/dev/net/tun", "/dev/ttyUSB0", "/dev/snd/pcm"])
def test_other_devices_are(path: str) -> None:
    found = one(device={"path": path}).device
    assert found is not None and found.permissions == "rw"


@pytest.mark.parametrize(
    "name", ["ALL", "all", "CAP_SYS_ADMIN", "sys_module", "DAC_READ_SEARCH", "NO_SUCH", "", 3, None]
)
def test_capabilities_that_are_never_granted(name: Any) -> None:
    with pytest.raises(BadGrants, match=r"grants\.extra\.capability"):
        one(capability=name)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "exactly one of"),
        ({"capability": "NET_ADMIN", "device": {"path": "/dev/null"}}, "split it up"),
        ({"capability": "NET_ADMIN", "roles": []}, "at least one role"),
        ({"capability": "NET_ADMIN", "roles": "member"}, "list of words"),
        ({"capability": "NET_ADMIN", "privileged": True}, "no such key"),
        ({"device": {"path": "/dev/null", "permissions": "rwm"}}, "never granted"),
        ({"device": {"path": "/dev/null", "container_path": "/etc/x"}}, "below /dev"),
        ({"device": {"path": "/dev/null", "cgroup": "x"}}, "no such key"),
        ({"host_path": {"path": "/srv/x", "read_only": False}}, "no such key"),
        ({"host_path": {"path": "/srv/x", "container_path": "/proc/x"}}, "outside /proc"),
        ({"host_path": "/srv/x"}, "a map is needed"),
        ({"capability": "NET_ADMIN", "host_labels": {"gpu": True}}, "text is needed"),
        ({"capability": "NET_ADMIN", "description": 3}, "description"),
    ],
)
def test_faults_say_where_and_what(body: dict[str, Any], said: str) -> None:
    with pytest.raises(BadGrants, match=said) as raised:
        one(**body)
    assert str(raised.value).startswith("grants.extra")


@pytest.mark.parametrize("document", [[], {"grant": {}}, {"grants": []}, "x", {"grants": {}, "more": 1}])
def test_the_file_has_one_key(document: Any) -> None:
    with pytest.raises(BadGrants, match="one key"):
        load(document)


@pytest.mark.parametrize("name", ["", "A", "a b", "-a", "x" * 65, 3, None])
def test_names(name: Any) -> None:
    with pytest.raises(BadGrants, match="a name has"):
        load({"grants": {name: {"roles": ["member"], "capability": "NET_ADMIN"}}})


SCALARS = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_anything_is_read_or_refused_with_words(document: Any) -> None:
    try:
        load(document)
        load({"grants": {"x": document}})
    except BadGrants as error:
        assert str(error)
