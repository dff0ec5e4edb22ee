"""Sealed boxes, and the file in which the key to them is."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from spinney.sealing import PublicKey, SecretKey, WrongKey, open_key, read_key


@pytest.fixture
def key(tmp_path: Path) -> SecretKey:
    return open_key(tmp_path / "secret.key")


def test_what_is_sealed_with_the_public_key_opens_with_the_private_one(key: SecretKey) -> None:
    public = PublicKey(key.public.raw)
    first, second = public.seal(b"s3cret", "a"), public.seal(b"s3cret", "a")
    assert first != second and b"s3cret" not in first
    assert key.unseal(first, "a") == key.unseal(second, "a") == b"s3cret"


def test_it_opens_under_its_own_context_and_unchanged_alone(key: SecretKey) -> None:
    box = key.public.seal(b"s3cret", "a")
    with pytest.raises(WrongKey, match="belongs to another"):
        key.unseal(box, "b")
    for position in (15, 45, len(box) - 1):
        changed = bytes(byte ^ (index == position) for index, byte in enumerate(box))
        with pytest.raises(WrongKey):
            key.unseal(changed, "a")


def test_another_key_is_told_as_such(key: SecretKey, tmp_path: Path) -> None:
    other = open_key(tmp_path / "other.key")
    with pytest.raises(WrongKey, match=f"sealed for key {key.public.id}, and .*other.key holds key {other.public.id}"):
        other.unseal(key.public.seal(b"x", "a"), "a")


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    made = open_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_key(path).public == made.public
    assert [one.name for one in tmp_path.iterdir()] == ["secret.key"]
    assert "Private" not in repr(made)


def test_several_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    found: list[SecretKey] = []
    threads = [threading.Thread(target=lambda: found.append(open_key(tmp_path / "key"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({key.public for key in found}) == 1 and len(found) == 8


def test_keys_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    open_key(path)
    path.chmod(0o604)
    with pytest.raises(WrongKey, match="chmod 600"):
        open_key(path)
    with pytest.raises(WrongKey, match="cannot be used"):
        open_key(tmp_path / "no" / "folder")
    with pytest.raises(WrongKey, match="no private key"):
        read_key(b"garbage", "k")
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(WrongKey, match="another kind"):
        read_key(other, "k")
