"""What is answered of quotas, image rules and grants."""

from __future__ import annotations

from spinney.api.answers.base import Answer


class Amounts(Answer):
    clusters: int
    nodes: int
    #: Cores.
    cpu: float | int
    #: Bytes.
    memory: int
    receivers: int
    secrets: int
    volumes: int


class Quota(Amounts):
    """Limits, -1: none; and what counts against them."""

    project: str
    used: Amounts


class SetRule(Answer):
    allow: list[str] | None = None
    require_digest: bool | None = None
    pin: bool | None = None


class ImageRule(Answer):
    """What is in force, and what of it was set for the project itself."""

    project: str
    allow: list[str] | None
    require_digest: bool
    pin: bool
    set: SetRule


class GrantedDevice(Answer):
    container_path: str
    permissions: str
    path: str | None = None


class GrantedPath(Answer):
    container_path: str
    path: str | None = None


class Given(Answer):
    """Exactly one of them; ``path``, where it is on the host, is for operators alone."""

    device: GrantedDevice | None = None
    capability: str | None = None
    host_path: GrantedPath | None = None


class Grant(Answer):
    name: str
    description: str
    gives: Given
    #: For operators alone.
    roles: list[str] | None = None
    projects: list[str] | None = None
    host_labels: dict[str, str] | None = None
