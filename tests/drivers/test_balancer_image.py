"""The image of load balancers: the same bytes each time, and what is in it."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from spinney.drivers.balancer.image import File, archive, reference_in

FILES = {"bin/one": File(b"1", 0o555), "lib/two": File(b"2")}
LINKS = {"bin/sh": "one"}


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as found:
        return {one.name: one for one in found.getmembers()}


def read(data: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as found:
        member = found.extractfile(name)
        assert member is not None
        return member.read()


def test_the_same_files_make_the_same_bytes_and_other_files_another_name(tmp_path: Path) -> None:
    made = archive(FILES, LINKS, "amd64", "haproxy 1")
    assert made == archive(dict(reversed(FILES.items())), LINKS, "amd64", "haproxy 1")
    file = tmp_path / "image.tar"
    file.write_bytes(made)
    name = reference_in(file)
    file.write_bytes(archive({**FILES, "bin/one": File(b"!", 0o555)}, LINKS, "amd64", "haproxy 1"))
    assert name.startswith("spinney-balancer:") and reference_in(file) != name


def test_it_runs_as_nobody_in_a_folder_of_its_own() -> None:
    made = archive(FILES, LINKS, "amd64", "haproxy 1")
    (entry,) = json.loads(read(made, "manifest.json"))
    config = json.loads(read(made, entry["Config"]))
    assert config["config"]["User"] == "65534:65534" and config["config"]["Labels"] == {
        "io.spinney.balancer": "haproxy 1"
    }
    layer = members(read(made, entry["Layers"][0]))
    assert (layer["var/lib/balancer"].uid, layer["var/lib/balancer"].mode) == (65534, 0o700)
    assert layer["bin/sh"].linkname == "one" and layer["bin/one"].mode == 0o555
    assert all(one.mtime == 0 for one in layer.values()) and next(iter(layer)) == "bin"


@pytest.mark.parametrize("content", [None, b"", b"no archive", archive({}, {}, "amd64", "")[:700]])
def test_what_is_no_such_archive_is_told(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "image.tar"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=r"image\.tar (cannot be read|is no archive of one image)"):
        reference_in(file)
