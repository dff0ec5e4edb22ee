"""What ``[link]`` of the configuration may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from spinney.config import Settings, load

FILES = "tls_ca = a\ntls_certificate = b\ntls_key = c\n"


def read(folder: Path, text: str) -> Settings:
    file = folder / "spinney.conf"
    file.write_text(f"[link]\n{text}")
    return load(folder, [file])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("address = 10.0.0.5:8779\n" + FILES, ("10.0.0.5", 8779)),
        ("address = [fd00::5]:8779\n" + FILES, ("fd00::5", 8779)),
        ("address = engine-1.example.org:1\n" + FILES, ("engine-1.example.org", 1)),
        (FILES, ("", 0)),
        ("", ("", 0)),
    ],
)
def test_what_may_be_said(tmp_path: Path, text: str, place: tuple[str, int]) -> None:
    assert read(tmp_path, text).link.place == place


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("address = 10.0.0.5:8779\n", "mutual TLS alone"),
        ("tls_ca = a\n", "tls_certificate: it is empty"),
        *(
            (f"address = {one}\n{FILES}", "no HOST:PORT")
            for one in ("10.0.0.5", "fd00::5:1", ":1", "a:0", "a:65536", "a:x")
        ),
    ],
)
def test_what_may_not(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=rf"\[link\].*{says}"):
        read(tmp_path, text)
