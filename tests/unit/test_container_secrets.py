"""What a container profile may say of secrets, and what becomes of it in a request."""

from __future__ import annotations

from typing import Any

import pytest

from spinney.domain.container import SecretFile
from spinney.errors import InvalidSpec
from spinney.profiles.container import CONTAINER, ContainerProperties
from spinney.profiles.container_secrets import MOST_SECRETS, directories
from spinney.profiles.registry import validate_spec


def validated(*parts: Any, **properties: Any) -> ContainerProperties:
    given = {"image": "web", "host_cluster": "h", "secrets": list(parts), **properties}
    spec = {"type": "container.dockerinc.docker", "version": "1.0", "properties": given}
    found = validate_spec(spec).properties
    assert isinstance(found, ContainerProperties)
    return found


def test_a_file_has_the_mode_and_owners_asked_for() -> None:
    plain, own = validated(
        {"secret": "db", "path": "/run/secrets/a"},
        {"secret": "db", "key": "k", "path": "/run/secrets/b", "mode": "0400", "uid": 1000, "gid": 1000},
    ).secrets
    assert plain.file("v") == SecretFile("/run/secrets/a", b"v", 0o444, 0, 0)
    assert own.file("v") == SecretFile("/run/secrets/b", b"v", 0o400, 1000, 1000)
    assert "v" not in repr(plain.file("value"))


def test_directories_within_others_are_not_mounted_themselves() -> None:
    paths = ("/run/secrets/a", "/run/secrets/tls/key", "/srv/app/x", "/run/secretsx/a")
    parts = [{"secret": "s", "path": path} for path in paths]
    assert directories(validated(*parts).secrets) == ("/run/secrets", "/run/secretsx", "/srv/app")


@pytest.mark.parametrize(
    ("parts", "more", "words"),
    [
        ([{"secret": "s"}], {}, "properties.secrets[0]: give either env"),
        ([{"secret": "s", "env": "A", "path": "/a/b/c"}], {}, "not both"),
        ([{"env": "A"}], {}, "properties.secrets[0].secret"),
        ([{"secret": "s", "env": "A", "mode": "0400"}], {}, "mode goes with path"),
        ([{"secret": "s", "env": "1A"}], {}, "properties.secrets[0].env"),
        ([{"secret": "s", "env": "A", "value": "x"}], {}, "value"),
        ([{"secret": "s", "env": "A"}] * 2, {}, "secrets[0] gives A already"),
        ([{"secret": "s", "env": "A"}], {"environment": {"A": "x"}}, "environment has A too"),
        ([{"secret": "s", "path": "/a/b/c"}] * 2, {}, "secrets[0] gives /a/b/c already"),
        (
            [{"secret": "s", "path": "/a/b/c"}, {"secret": "s", "path": "/a/b/c/d"}],
            {},
            "one cannot lie within the other",
        ),
        (
            [{"secret": "s", "path": "/a/b/c/d"}, {"secret": "s", "path": "/a/b/c"}],
            {},
            "one cannot lie within the other",
        ),
        ([{"secret": "s", "path": "/a/b/c"}], {"tmpfs": ["/a/b"]}, "/a/b lies in /a/b"),
        ([{"secret": "s", "path": "/a/b/c"}], {"tmpfs": ["/a/b/x"]}, "/a/b/x lies in /a/b"),
        (
            [{"secret": "s", "path": "/a/b/c"}],
            {"restart_policy": "on-failure"},
            "properties.restart_policy: on-failure",
        ),
        ([{"secret": "s", "env": f"A{n}"} for n in range(MOST_SECRETS + 1)], {}, "at most 64"),
    ],
)
def test_what_does_not_go_together_is_refused(parts: list[Any], more: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpec) as raised:
        validated(*parts, **more)
    assert words in raised.value.message


@pytest.mark.parametrize(
    "path",
    ["relative/a/b", "/a", "/etc/passwd", "/proc/self/x", "/sys/a/b", "/dev/shm/x/y", "/a/../b/c", "/a//b/c", "/a/b/"],
)
def test_where_no_file_can_be(path: str) -> None:
    with pytest.raises(InvalidSpec, match=r"properties\.secrets\[0\]\.path"):
        validated({"secret": "s", "path": path})


def test_a_file_in_a_tmpfs_of_the_container_is_fine() -> None:
    validated({"secret": "s", "path": "/run/secrets/a"}, tmpfs=["/run"])
    validated({"secret": "s", "env": "A"}, restart_policy="on-failure")


def test_other_secrets_take_another_container() -> None:
    before, after = validated({"secret": "s", "env": "A"}), validated({"secret": "s", "env": "B"})
    assert CONTAINER.compare(before, after).recreate == {"secrets"}
