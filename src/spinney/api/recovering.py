"""The parameters of ``recover``, which clusters and nodes share."""

from __future__ import annotations

from typing import Annotated, Any

from spinney.api.values import Bool, Count, Object, Request
from spinney.domain.schema import Kind, NotAllowed, one_of
from spinney.errors import HTTPBadRequest


def _folded(value: Any) -> str:
    if not isinstance(value, str):
        raise NotAllowed("a string")
    return value.upper()


Operation = Annotated[str, Kind("String", _folded), one_of("REBOOT", "REBUILD", "RECREATE")]


class Recover(Request):
    operation: Operation | None = None
    operation_params: Object | None = None
    check: Bool | None = None


class ClusterRecover(Recover):
    check_capacity: Bool | None = None


class NodeRecover(Recover):
    delete_timeout: Count | None = None
    force_recreate: Bool | None = None


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
