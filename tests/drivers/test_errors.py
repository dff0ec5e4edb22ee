"""What Docker engines say when they refuse, and which error it becomes. The texts are those of real ones."""

from __future__ import annotations

import pytest

from spinney.drivers.docker.errors import LONGEST_QUOTE, Operation, docker_error
from spinney.errors import (
    AddressPoolOverlap,
    CommandNotFound,
    ContainerGone,
    ContainerRefused,
    DiskFull,
    HostBroken,
    HostError,
    HostRefused,
    ImageNotFound,
    ImagePullFailed,
    NetworkMissing,
    PortTaken,
)

NO_PROGRAM = (
    "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "
)
CASES: list[tuple[Operation, int, str, type[HostError], str]] = [
    (
        Operation.START,
        400,
        NO_PROGRAM + 'exec: "nosuch": executable file not found in $PATH: unknown',
        CommandNotFound,
        "nosuch",
    ),
    (
        Operation.START,
        400,
        NO_PROGRAM + 'exec: "/x": stat /x: no such file or directory: unknown',
        CommandNotFound,
        "/x",
    ),
    (
        Operation.RESTART,
        500,
        NO_PROGRAM + 'exec: "/x": permission denied: unknown',
        CommandNotFound,
        "permission denied",
    ),
    (Operation.START, 400, NO_PROGRAM + 'exec: \\"/x\\": is a directory: unknown', CommandNotFound, "/x"),
    (
        Operation.START,
        500,
        "driver failed programming external connectivity on endpoint web (1f): "
        "Bind for 0.0.0.0:8080 failed: port is already allocated",
        PortTaken,
        "port 8080",
    ),
    (
        Operation.START,
        500,
        "driver failed programming external connectivity on endpoint web (1f): "
        "Error starting userland proxy: listen tcp4 127.0.0.1:8081: bind: address already in use",
        PortTaken,
        "port 8081",
    ),
    (
        Operation.START,
        500,
        "failed to set up container networking: driver failed programming external connectivity on endpoint web (1f): "
        "failed to bind host port for 0.0.0.0:8082:172.18.0.2:80/tcp: address already in use",
        PortTaken,
        "port 8082",
    ),
    (Operation.START, 404, "network spinney-net not found", NetworkMissing, "made again"),
    (Operation.START, 404, "No such container: web", ContainerGone, "web"),
    (
        Operation.START,
        500,
        "unable to find user nobody: no matching entries in passwd file",
        ContainerRefused,
        "nobody",
    ),
    (Operation.START, 500, "containerd is not running", HostBroken, "containerd"),
    (Operation.CREATE, 404, "No such image: web:1", ImageNotFound, "web:1"),
    (Operation.CREATE, 400, "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs", ContainerRefused, "CPUs"),
    (Operation.CREATE, 500, "write /var/lib/docker/x: no space left on device", DiskFull, "disk space"),
    (Operation.KILL, 409, "Cannot kill container: web: Container web is not running", ContainerRefused, "start it"),
    (Operation.KILL, 400, "Invalid signal: FOO", ContainerRefused, "FOO"),
    (Operation.PAUSE, 409, "Container web is not running", ContainerRefused, "not running"),
    (Operation.LOGS, 501, "configured logging driver does not support reading", ContainerRefused, "json-file"),
    (Operation.PULL, 404, "manifest for web:1 not found: manifest unknown: manifest unknown", ImageNotFound, "web"),
    (
        Operation.PULL,
        404,
        "pull access denied for web, repository does not exist or may require 'docker login': denied",
        ImageNotFound,
        "registry credential",
    ),
    (
        Operation.PULL,
        500,
        "Head https://r.example/v2/web: unauthorized: incorrect username or password",
        HostRefused,
        "credential",
    ),
    (
        Operation.PULL,
        200,
        "no matching manifest for linux/s390x in the manifest list entries",
        ImageNotFound,
        "platform",
    ),
    (Operation.PULL, 400, "invalid reference format: repository name must be lowercase", ImageNotFound, "lower case"),
    (
        Operation.PULL,
        500,
        "Get https://r.example/v2/: dial tcp: connect: connection refused",
        ImagePullFailed,
        "registry",
    ),
    (Operation.PULL, 200, "toomanyrequests: You have reached your pull rate limit", ImagePullFailed, "rate limit"),
    (Operation.PULL, 200, "failed to register layer: no space left on device", DiskFull, "free some"),
    (Operation.NETWORK, 403, "Pool overlaps with other one on this address space", AddressPoolOverlap, "free subnet"),
    (Operation.NETWORK, 500, "Invalid subnet x : invalid CIDR address: x", ContainerRefused, "10.1.2.0/24"),
    (Operation.START, 400, "network x is ambiguous (2 matches found on name)", NetworkMissing, "made again"),
    (Operation.LIST, 400, "invalid filter", HostBroken, "invalid filter"),
    (Operation.INSPECT, 500, "", HostBroken, "status 500"),
    (Operation.STOP, 301, "", HostBroken, "status 301"),
    (Operation.STATS, 403, "authorization denied by plugin", HostRefused, "plugin"),
]


@pytest.mark.parametrize(("operation", "status", "text", "kind", "says"), CASES)
def test_a_refusal_becomes_the_error_it_means(
    operation: Operation, status: int, text: str, kind: type[HostError], says: str
) -> None:
    error = docker_error(operation, "web", status, text)
    assert type(error) is kind
    assert says in error.message


def test_messages_are_bounded_and_hold_no_address_of_the_host() -> None:
    error = docker_error(Operation.INSPECT, "web", 500, "dial 10.20.30.40:2376\n[fe80::1%eth0]:53 " + "x" * 10_000)
    assert "10.20.30.40" not in error.message
    assert "fe80" not in error.message
    assert "\n" not in error.message
    assert len(error.message) < LONGEST_QUOTE + 100


def test_a_container_is_named_by_the_short_form_of_its_id() -> None:
    error = docker_error(Operation.START, "ab" * 32, 404, "No such container: " + "ab" * 32)
    assert error.message == "container abababababab does not exist on the host"
