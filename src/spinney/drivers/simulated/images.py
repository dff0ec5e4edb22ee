"""Which images a simulated Docker engine has, can pull, or cannot get.

An image reference decides how its pull ends, so that a specification alone can ask for any outcome:

* a last path component with the word ``no-such``, ``absent`` or ``missing`` (``team/no-such-app``, ``web-absent``) does
  not exist in its registry;
* a registry host that begins with ``unreachable``, or a port 1 on the loopback address, cannot be reached;
* a registry host that begins with ``private`` refuses every credential;
* everything else is pulled after ``Catalogue.pull_seconds`` or the delay told by ``Catalogue.remote``.

Guaranteed: ``busybox``, ``busybox:latest`` and ``docker.io/library/busybox:latest`` are one image. Not guaranteed: platforms,
or layers that images share; an image is a name with an id and a size.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from functools import lru_cache
from typing import Any

from spinney.drivers.simulated.digests import digest_of
from spinney.drivers.simulated.values import Refusal
from spinney.errors import DiskFull, HostRefused, ImageNotFound, ImagePullFailed

_ABSENT = re.compile(r"(?:^|[/._-])(?:no-such|absent|missing)(?:[._-][^/]*)?$")
_UNREACHABLE = re.compile(r"^(?:unreachable[^/]*|(?:127\.0\.0\.1|localhost):1)/")
_PRIVATE = re.compile(r"^private[^/]*/")
_REFERENCE = re.compile(r"^[a-z0-9]+(?:[._:/-]+[a-zA-Z0-9_]+)*(?:@sha256:[0-9a-f]{64})?$")
_ID = re.compile(r"^(?:sha256:)?[0-9a-f]{12,64}$")


#: Bytes of an image whose size nobody has set.
IMAGE_SIZE = 100 * 1024**2


@lru_cache(maxsize=4096)
def normalised(reference: str) -> str:
    """The reference in its shortest unambiguous spelling: no default registry, always a tag or digest."""
    short = reference.removeprefix("docker.io/").removeprefix("index.docker.io/").removeprefix("library/")
    last = short.rpartition("/")[2]
    return short if ":" in last or "@" in last else f"{short}:latest"


@lru_cache(maxsize=4096)
def image_id(reference: str) -> str:
    """An image's id is its digest too."""
    if "@" in reference:
        return reference.partition("@")[2]
    return digest_of(normalised(reference))


class Catalogue:
    """The images of one Docker engine and of the registries it can reach."""

    __slots__ = ("built", "full", "loaded", "local", "published", "pull_seconds", "remote", "sizes")

    def __init__(self, local: tuple[str, ...] = ("busybox:latest", "alpine:latest"), pull_seconds: float = 0.0) -> None:
        self.local: dict[str, str] = {normalised(reference): image_id(reference) for reference in local}
        #: The configuration of images that came in archives, by id.
        self.loaded: dict[str, Any] = {}
        #: Ids of images that came from no registry, and so have no digest.
        self.built: set[str] = set()
        #: Ids of what tags stand for in their registries, where that has changed.
        self.published: dict[str, str] = {}
        self.remote: dict[str, float] = {}
        self.pull_seconds = pull_seconds
        #: Bytes, by reference; the others have IMAGE_SIZE.
        self.sizes: dict[str, int] = {}
        self.full = False

    def find(self, reference: str) -> str | None:
        """The id of a local image, by reference or by (a prefix of) its id."""
        found = self.local.get(normalised(reference))
        if found is None and _ID.match(reference):
            digits = reference.removeprefix("sha256:")
            found = next((i for i in self.local.values() if i.removeprefix("sha256:").startswith(digits)), None)
        if found is None and "@" in reference:
            wanted = normalised(reference)
            found = next((i for one, i in self.local.items() if wanted in self.digests(one, i)), None)
        return found

    def digests(self, reference: str, image: str) -> tuple[str, ...]:
        """The references by digest under which a Docker engine lists it."""
        if "@" in reference:
            return (reference,)
        if image in self.built:
            return ()
        return (f"{reference.rpartition(':')[0]}@{image}",)

    def publish(self, reference: str) -> None:
        """From now on the tag stands for another image in its registry."""
        name = normalised(reference)
        self.published[name] = digest_of(name, f":{self.published.get(name)}")

    def require(self, reference: str) -> str:
        found = self.find(reference)
        if found is None:
            raise Refusal(404, f"No such image: {normalised(reference)}", ImageNotFound)
        return found

    def pull_delay(self, reference: str) -> float:
        """Seconds that pulling takes. Raises Refusal when it cannot succeed."""
        short = normalised(reference)
        if not _REFERENCE.match(short):
            raise Refusal(400, f"invalid reference format: {reference}", ImageNotFound)
        repository = short.partition("@")[0].rpartition(":")[0] or short
        if _UNREACHABLE.match(short):
            registry = short.partition("/")[0]
            text = f'Get "https://{registry}/v2/": dial tcp: connect: connection refused'
            raise Refusal(500, text, ImagePullFailed)
        if _PRIVATE.match(short):
            text = f"Head https://{short.partition('/')[0]}/v2/: unauthorized: authentication required"
            raise Refusal(500, text, HostRefused)
        if _ABSENT.search(repository):
            raise Refusal(404, f"manifest for {short} not found: manifest unknown: manifest unknown", ImageNotFound)
        return self.remote.get(short, self.pull_seconds)

    def pull(self, reference: str) -> str:
        """Have it, from now on. Raises Refusal when the registry does not have it or the disk is full."""
        self.pull_delay(reference)
        if self.full:
            raise disk_full()
        found = self.published.get(normalised(reference))
        if found is None:
            return self.add(reference)
        self.local[normalised(reference)] = found
        return found

    def load(self, archive: bytes) -> str:
        """Have the one image of an archive as ``docker save`` makes it; its id."""
        with tarfile.open(fileobj=io.BytesIO(archive)) as members:

            def read(name: str) -> Any:
                member = members.extractfile(name)
                assert member is not None
                return json.loads(member.read())

            (entry,) = read("manifest.json")
            config = read(entry["Config"])
        found = "sha256:" + str(entry["Config"]).removesuffix(".json")
        self.loaded[found] = config
        for reference in entry["RepoTags"]:
            self.local[normalised(reference)] = found
            self.built.add(found)
        return found

    def discard(self, reference: str) -> None:
        """Absent is as good as removed."""
        self.local.pop(normalised(reference), None)

    def add(self, reference: str) -> str:
        found = image_id(reference)
        self.local[normalised(reference)] = found
        return found


def disk_full() -> Refusal:
    text = "failed to register layer: write /var/lib/docker/tmp/layer: no space left on device"
    return Refusal(500, text, DiskFull)
