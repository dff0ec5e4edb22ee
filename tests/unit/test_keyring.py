"""Keys that API processes share: what they seal, how they are kept and how they are exchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from spinney.keyring import NoSuchKey, open_ring, rotate


def test_a_ring_is_made_at_the_first_start_and_found_at_the_next(tmp_path: Path) -> None:
    sealed = open_ring(tmp_path / "keys").seal(b"content", "test")
    assert b"content" not in sealed
    assert open_ring(tmp_path / "keys").unseal(sealed, "test") == b"content"
    assert (tmp_path / "keys").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]


def test_what_is_sealed_for_one_purpose_opens_for_no_other(tmp_path: Path) -> None:
    ring = open_ring(tmp_path / "keys")
    with pytest.raises(NoSuchKey, match="sealed as exec, not as answer"):
        ring.unseal(ring.seal(b"content", "exec"), "answer")


def test_old_keys_open_after_a_rotation_until_they_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    sealed = open_ring(path).seal(b"content", "test")
    assert rotate(path, keep=1) == 2
    assert open_ring(path).unseal(sealed, "test") == b"content"
    rotate(path, keep=1)
    with pytest.raises(NoSuchKey, match="put the key back"):
        open_ring(path).unseal(sealed, "test")


def test_unfit_files_are_told_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("nonsense\n")
    path.chmod(0o600)
    with pytest.raises(NoSuchKey, match="must hold Fernet keys"):
        open_ring(path)
    path.write_text("# only a comment\n")
    with pytest.raises(NoSuchKey, match="holds no key"):
        open_ring(path)
    path.chmod(0o604)
    with pytest.raises(NoSuchKey, match=f"chmod 600 {path}"):
        open_ring(path)


def test_where_no_key_can_be_kept_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NoSuchKey, match=r"cannot be used: .*api\.key_file"):
        open_ring(tmp_path / "file" / "keys")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
