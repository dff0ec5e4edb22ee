"""Names of images, patterns of them, and rules made of those."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.image_rule import ImageRule, merged, parse, pattern

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("nginx", "docker.io/library/nginx"),
        ("nginx:1.27", "docker.io/library/nginx"),
        (f"nginx:1@{DIGEST}", "docker.io/library/nginx"),
        ("docker.io/nginx", "docker.io/library/nginx"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx"),
        ("Docker.IO/nginx", "docker.io/library/nginx"),
        ("docker.io:443/nginx", "docker.io:443/nginx"),
        ("team/app", "docker.io/team/app"),
        ("Team/app", "team/app"),  # a Docker engine takes capitals for a registry
        ("localhost/app", "localhost/app"),
        ("localhost:5000/app", "localhost:5000/app"),
        ("Registry.Example.ORG/team/app", "registry.example.org/team/app"),
        ("registry.example.org:443/team/app", "registry.example.org/team/app"),
        ("registry.example.org:0443/team/app", "registry.example.org/team/app"),
        ("registry.example.org:5000/team/app:1", "registry.example.org:5000/team/app"),
        ("[2001:DB8:0:0::1]:5000/app", "[2001:db8::1]:5000/app"),
        ("xn--rgistry-bya.example/app", "xn--rgistry-bya.example/app"),
    ],
)
def test_one_repository_has_one_name(image: str, name: str) -> None:
    found = parse(image)
    assert found is not None and found.name == name


@pytest.mark.parametrize(
    "image",
    [
        "",
        "/",
        "registry.example.org/",
        "registry.example.org//app",
        "a b",
        "*",
        "[::/app",
        "[zz]/app",
        "x:/app",
        "nginx@",
    ],
)
def test_what_cannot_be_read_fits_nothing(image: str) -> None:
    assert ImageRule(allow=("**",)).fault(image) is not None


@pytest.mark.parametrize(
    ("text", "fits", "fits_not"),
    [
        ("nginx", ["nginx", "docker.io/library/nginx:1"], ["team/nginx", "evil.org/library/nginx", "nginx2"]),
        ("library/*", ["nginx"], ["team/app", "library/a/b"]),
        (
            "registry.example.org/team/*",
            ["registry.example.org/team/app", "REGISTRY.example.org:443/team/app"],
            [
                "registry.example.org/team/app/deep",
                "registry.example.org/team2/app",
                "registry.example.org:5000/team/app",
                "registry.example.org.evil.org/team/app",
                "evil.org/registry.example.org/team/app",
                "xregistry.example.org/team/app",
            ],
        ),
        ("registry.example.org/**", ["registry.example.org/a", "registry.example.org/a/b/c"], ["registry.example/a"]),
        ("*.example.org/**", ["a.example.org/x"], ["example.org/x", "a.b.example.org/x", "a.example.org:5000/x"]),
        ("*.example.org:*/**", ["a.example.org/x", "a.example.org:5000/x"], ["example.org:5000/x"]),
        ("*/app", ["localhost:5000/app", "[::1]:5000/app"], ["app", "localhost:5000/team/app"]),
        ("[2001:db8::1]:5000/*", ["[2001:0DB8::0001]:5000/app"], ["[2001:db8::2]:5000/app", "[2001:db8::1]/app"]),
        ("RÉGISTRY.example/**", ["xn--rgistry-bya.example/app"], ["registry.example/app"]),
        ("team/app-*-x", ["team/app-1-x", "team/app--x"], ["team/app-x", "team/app-1-xy"]),
        ("**", ["nginx", "[::1]:5000/a/b"], []),
    ],
)
def test_patterns(text: str, fits: list[str], fits_not: list[str]) -> None:
    rule = ImageRule(allow=(text,))
    assert [image for image in fits if rule.fault(image)] == []
    assert [image for image in fits_not if not rule.fault(image)] == []


@pytest.mark.parametrize(
    "text", ["", "a//b", "nginx:1", "nginx@sha256:0", "**/a", "a/**b", "a/../b c", "[x]/a", "host.org/"]
)
def test_what_is_no_pattern_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|leave that out"):
        pattern(text)


@given(st.text(max_size=60))
def test_any_text_is_a_name_or_none_and_a_pattern_or_none(text: str) -> None:
    found = parse(text)
    if found is not None and found.digest is None and found.tag is None:
        assert pattern(found.name).fits(found)


def test_a_long_pattern_takes_no_longer_than_its_text() -> None:
    assert ImageRule(allow=("team/" + "a*" * 5000 + "b",)).fault("team/" + "a" * 20000) is not None


def test_rules_of_a_project_stand_in_for_what_they_name() -> None:
    deployment = ImageRule(allow=("docker.io/library/*",), pin=True)
    rule = merged(deployment, {"require_digest": True}, {"allow": ["team/*"], "pin": None})
    assert rule == ImageRule(allow=("team/*",), require_digest=True, pin=True)
    assert merged(rule, {"pin": False, "allow": []}) == ImageRule(allow=(), require_digest=True)


def test_a_fault_names_the_image_and_what_to_do() -> None:
    rule = ImageRule(allow=("registry.example.org/**",), require_digest=True)
    told = rule.fault("evil.org/app")
    assert told is not None and "evil.org/app" in told and "registry.example.org/**" in told
    told = rule.fault("registry.example.org/app:1")
    assert told is not None and "registry.example.org/app:1@sha256:" in told
    assert rule.fault(f"registry.example.org/app:1@{DIGEST}") is None
    told = ImageRule(allow=()).fault("nginx")
    assert told is not None and "none" in told
