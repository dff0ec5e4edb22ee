"""What is answered of quotas, image rules and grants."""

from __future__ import annotations

from pydantic import Field

from spinney.api.answers.base import Answer


class Amounts(Answer):
    clusters: int
    nodes: int
    #: Cores.
    cpu: float | int = Field(description="Cores reserved.")
    #: Bytes.
    memory: int = Field(description="Bytes reserved.")
    receivers: int
    secrets: int
    volumes: int


class Quota(Amounts):
    """Limits, -1: none; and what counts against them."""

    project: str
    used: Amounts = Field(description="What counts against them.")


class SetRule(Answer):
    allow: list[str] | None = None
    require_digest: bool | None = None
    pin: bool | None = None


class ImageRule(Answer):
    """What is in force, and what of it was set for the project itself."""

    project: str
    allow: list[str] | None = Field(description="Patterns; null: any image.")
    require_digest: bool = Field(description="Only images named by digest.")
    pin: bool = Field(description="A tag is resolved once for a whole cluster.")
    set: SetRule = Field(description="What of it was set for the project itself.")


class GrantedDevice(Answer):
    container_path: str
    permissions: str = Field(description="r, w or rw.")
    path: str | None = Field(None, description="On the host; for operators alone.")


class GrantedPath(Answer):
    container_path: str
    path: str | None = Field(None, description="On the host; for operators alone.")


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
    roles: list[str] | None = Field(None, description="For operators alone.")
    projects: list[str] | None = Field(None, description="For operators alone; empty: all.")
    host_labels: dict[str, str] | None = Field(None, description="For operators alone.")
