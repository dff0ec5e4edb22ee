"""What a secret may hold, which key of it is meant, and that its values are in no text that is shown."""

from __future__ import annotations

from typing import Any

import pytest

from spinney.domain.credential import Unusable
from spinney.domain.secret import SecretType, chosen, conceal, examine, reference_id

OPAQUE, REGISTRY = SecretType.OPAQUE, SecretType.REGISTRY
LOGIN = {"username": "u", "password": "p"}
ID = "0f9b4c1e-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (OPAQUE, {}, "data: it is empty"),
        (OPAQUE, {f"k{n}": "" for n in range(65)}, "data: 65 keys are too many; 64 are allowed"),
        (OPAQUE, {"k": "x" * 262_144}, "data: 262145 bytes are too many; 262144 are allowed"),
        (OPAQUE, {"k": "é" * 131_072}, "data: 262145 bytes are too many"),
        (OPAQUE, {".k": "x"}, "data.'.k': it is no name of a key"),
        (OPAQUE, {"k": 1}, "data.k: it must be text"),
        (OPAQUE, {"k": "\ud800"}, "data.k: it holds half a character"),
        (REGISTRY, {**LOGIN, "projects": ["p"]}, "data.projects: a secret belongs to its own project"),
        (REGISTRY, {"username": "u"}, "data.password: a credential of type registry needs it"),
    ],
)
def test_what_is_refused(kind: SecretType, data: dict[str, Any], words: str) -> None:
    with pytest.raises(Unusable) as refused:
        examine(kind, data)
    assert words in str(refused.value)


def test_only_names_are_shown() -> None:
    assert examine(OPAQUE, {"k": "x" * 262_142, "a": ""}) == {"keys": ["a", "k"]}
    assert examine(OPAQUE, {f"k{n}": "" for n in range(64)})["keys"][0] == "k0"
    assert examine(REGISTRY, LOGIN) == {"keys": ["password", "username"], "registry": "docker.io"}


def test_the_key_that_is_meant() -> None:
    assert chosen("s", ["a"], None) == chosen("s", ["a", "b"], "a") == "a"
    for keys, key, words in (
        (["b", "a"], None, r"several keys \(a, b\)"),
        (["b", "a"], "c", "no key 'c'; it has a, b"),
    ):
        with pytest.raises(Unusable, match=words):
            chosen("s", keys, key)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("login with hunter2-hunter2 failed", "login with (secret) failed"),
        ("aHVudGVyMi1odW50ZXIy and 68756e746572322d68756e74657232", "(secret) and (secret)"),
        ("cut within it: hunter2-hun…", "cut within it: (secret)…"),
        ("cut too early to tell: hunter2…", "cut too early to tell: hunter2…"),
        ("not at its end: hunter2-hun", "not at its end: hunter2-hun"),
        ("abc", "abc"),
    ],
)
def test_values_are_taken_out_of_texts(text: str, shown: str) -> None:
    assert conceal(text, ["hunter2-hunter2", "abc"]) == shown


def test_references() -> None:
    assert reference_id(f"https://keys.example:9311/v1/secrets/{ID}") == ID
    assert reference_id(f"https://keys.example:9311/v1/secrets/{ID}/payload") is None
    assert reference_id("https://" + "a" * 255 + f"/{'b' * 64}" * 4 + f"/secrets/{ID}") is None
