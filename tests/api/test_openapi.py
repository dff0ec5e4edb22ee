"""The description of the API agrees with the API."""

from __future__ import annotations

from api.world import OURS, World, run
from spinney.api.openapi import document
from spinney.api.routes import ROUTES


def test_every_route_is_described(world: World) -> None:
    described = run(lambda: world.client.at(OURS).get("/v1/openapi.json")).json
    found = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert found == {(route.method, f"/v1/{route.path}") for route in ROUTES}
    identifiers = [
        operation["operationId"] for methods in described["paths"].values() for operation in methods.values()
    ]
    assert len(set(identifiers)) == len(identifiers)


def test_references_lead_somewhere() -> None:
    described = document(ROUTES)

    def references(value: object) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own | {found for item in value.values() for found in references(item)}
        return {found for item in value for found in references(item)} if isinstance(value, list) else set()

    schemas = described["components"]["schemas"]
    for reference in references(described):
        assert reference.removeprefix("#/components/schemas/") in schemas
    assert set(schemas["ClusterCreate"]["required"]) == {"name", "profile_id"}
    assert schemas["ClusterCreate"]["additionalProperties"] is False
