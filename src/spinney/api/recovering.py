"""The parameters of ``recover``, which clusters and nodes share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from spinney.api.values import Bool, Count, Object, Request
from spinney.domain.schema import Kind, NotAllowed, one_of
from spinney.errors import HTTPBadRequest


def _folded(value: Any) -> str:
    if not isinstance(value, str):
        raise NotAllowed("a string")
    return value.upper()


Operation = Annotated[str, Kind("String", _folded), one_of("REBOOT", "REBUILD", "RECREATE")]


class Recover(Request):
    operation: Operation | None = Field(None, description="What to do; given none, what the profile type thinks best.")
    operation_params: Object | None = Field(None, description="For REBOOT: type, SOFT or HARD.")
    check: Bool | None = Field(None, description="Look first, and leave alone what is well.")


class ClusterRecover(Recover):
    check_capacity: Bool | None = Field(None, description="Also make up for members that are missing.")


class NodeRecover(Recover):
    delete_timeout: Count | None = Field(
        None, description="Seconds that the old container gets to stop when it is made anew; 0: what its profile says."
    )
    force_recreate: Bool | None = Field(
        None,
        description="Make it anew even when the old container could not be removed; it is, once its host lets that happen.",
    )


def recover_inputs(data: Recover) -> dict[str, Any]:
    """As the engine takes them. Raises: HTTPBadRequest."""
    inputs = data.given()
    parameters = inputs.get("operation_params")
    if parameters is None:
        return inputs
    if data.operation is None:
        raise HTTPBadRequest(
            "recover.operation_params: it belongs to an operation; give operation too, or leave it out."
        )
    if data.operation == "REBOOT" and parameters.get("type") is not None:
        kind = str(parameters["type"]).upper()
        if kind not in ("SOFT", "HARD"):
            raise HTTPBadRequest(f"recover.operation_params.type: '{kind[:80]}' is not allowed: SOFT or HARD.")
        inputs["operation_params"] = {**parameters, "type": kind}
    return inputs
