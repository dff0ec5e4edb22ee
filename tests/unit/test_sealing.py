"""Sealed boxes, and the file in which the key to them is."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from spinney.sealing import PublicKey, SecretKeys, WrongKey, drop, open_keys, read_keys, rotate


@pytest.fixture
def key(tmp_path: Path) -> SecretKeys:
    return open_keys(tmp_path / "secret.key")


def test_what_is_sealed_with_the_public_key_opens_with_the_private_one(key: SecretKeys) -> None:
    public = PublicKey(key.public.raw)
    first, second = public.seal(b"s3cret", "a"), public.seal(b"s3cret", "a")
    assert first != second and b"s3cret" not in first
    assert key.unseal(first, "a") == key.unseal(second, "a") == b"s3cret"


def test_it_opens_under_its_own_context_and_unchanged_alone(key: SecretKeys) -> None:
    box = key.public.seal(b"s3cret", "a")
    with pytest.raises(WrongKey, match="belongs to another"):
        key.unseal(box, "b")
    for position in (15, 45, len(box) - 1):
        changed = bytes(byte ^ (index == position) for index, byte in enumerate(box))
        with pytest.raises(WrongKey):
            key.unseal(changed, "a")


def test_another_key_is_told_as_such(key: SecretKeys, tmp_path: Path) -> None:
    other = open_keys(tmp_path / "other.key")
    with pytest.raises(WrongKey, match=f"sealed for key {key.public.id}, and .*other.key holds key {other.public.id}"):
        other.unseal(key.public.seal(b"x", "a"), "a")


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    made = open_keys(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_keys(path).public == made.public
    assert [one.name for one in tmp_path.iterdir()] == ["secret.key"]
    assert "Private" not in repr(made)


def test_several_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    found: list[SecretKeys] = []
    threads = [threading.Thread(target=lambda: found.append(open_keys(tmp_path / "key"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({key.public for key in found}) == 1 and len(found) == 8


def test_keys_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    open_keys(path)
    path.chmod(0o604)
    with pytest.raises(WrongKey, match="chmod 600"):
        open_keys(path)
    with pytest.raises(WrongKey, match="cannot be used"):
        open_keys(tmp_path / "no" / "folder")
    with pytest.raises(WrongKey, match="no private key"):
        read_keys(b"garbage", "k")
    with pytest.raises(WrongKey, match="no private key"):
        read_keys(b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n", "k")
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(WrongKey, match="another kind"):
        read_keys(other, "k")


class TestRotating:
    def test_the_new_key_is_sealed_for_and_both_open(self, key: SecretKeys, tmp_path: Path) -> None:
        old = key.public.seal(b"old", "a")
        rotated = rotate(tmp_path / "secret.key")
        assert rotated.ids[1:] == key.ids and rotated.public != key.public
        assert rotated.unseal(old, "a") == b"old"
        assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600

    def test_who_runs_reads_the_file_again_when_it_meets_a_key_it_lacks(self, key: SecretKeys, tmp_path: Path) -> None:
        rotated = rotate(tmp_path / "secret.key")
        assert key.unseal(rotated.public.seal(b"new", "a"), "a") == b"new"
        assert key.public == rotated.public

    def test_an_old_key_is_dropped_and_the_first_one_never(self, key: SecretKeys, tmp_path: Path) -> None:
        path = tmp_path / "secret.key"
        rotated = rotate(path)
        assert drop(path, rotated.ids).ids == rotated.ids[:1]
        with pytest.raises(WrongKey, match=f"sealed for key {key.public.id}"):
            open_keys(path).unseal(key.public.seal(b"old", "a"), "a")

    def test_a_file_that_was_spoilt_leaves_the_keys_of_before(self, key: SecretKeys, tmp_path: Path) -> None:
        box = key.public.seal(b"x", "a")
        (tmp_path / "secret.key").write_text("gone")
        with pytest.raises(WrongKey):
            key.refresh()
        assert key.unseal(box, "a") == b"x"
