"""Keys that API processes share: what they seal, how they are kept and how they are exchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from spinney.keyring import NoSuchKey, drop, open_ring, rotate


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


class TestWhileRunning:
    def test_a_new_key_seals_at_once_and_others_open_it(self, tmp_path: Path) -> None:
        path = tmp_path / "keys"
        one, other = open_ring(path), open_ring(path)
        before = one.seal(b"content", "test")
        rotate(path, keep=1)
        after = one.seal(b"content", "test")
        assert open_ring(path).sealed_anew(after) is None
        assert other.unseal(after, "test") == other.unseal(before, "test") == b"content"

    def test_what_was_sealed_by_an_old_key_is_sealed_anew_and_the_old_one_dropped(self, tmp_path: Path) -> None:
        path = tmp_path / "keys"
        before = open_ring(path).seal(b"content", "test")
        rotate(path, keep=1)
        anew = open_ring(path).sealed_anew(before)
        assert anew is not None
        drop(path)
        assert open_ring(path).unseal(anew, "test") == b"content"
        with pytest.raises(NoSuchKey):
            open_ring(path).sealed_anew(before)

    def test_a_file_that_was_spoilt_leaves_the_keys_of_before(self, tmp_path: Path) -> None:
        path = tmp_path / "keys"
        ring = open_ring(path)
        sealed = ring.seal(b"content", "test")
        path.write_text("nonsense")
        assert ring.unseal(ring.seal(b"more", "test"), "test") == b"more"
        assert ring.unseal(sealed, "test") == b"content"
