"""Whatever is sent, nothing is a fault of ours."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.cases import CASES
from api.world import OURS, World, run
from spinney.api.routes import ROUTES
from spinney.api.wire import Route

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["c1", "web", "metal", "true", "3", "-1", "RECREATE", "EXACT_CAPACITY", "2026-11-22", "", "\x00"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
WORDS = st.sampled_from(["c1", "web", "metal", "box", "container.dockerinc.docker-1.0", "%00", "%F0%9F", "a%2Fb", "*"])


def bodies(route: Route) -> st.SearchStrategy[Any]:
    """Bodies with the keys that the route knows, and any values."""
    if route.body is None:
        return st.none()
    if route.body.model is None:
        verbs = {name: st.dictionaries(st.sampled_from(keys), VALUES, max_size=4) for name, keys in CASES.items()}
        return st.sampled_from(sorted(verbs)).flatmap(lambda name: st.fixed_dictionaries({name: verbs[name]})) | VALUES
    fields = st.dictionaries(st.sampled_from(sorted(route.body.model.model_fields)), VALUES, max_size=6)
    return (
        fields
        if route.body.envelope is None
        else st.fixed_dictionaries({route.body.envelope: fields | VALUES}) | VALUES
    )


def queries(route: Route) -> st.SearchStrategy[dict[str, Any]]:
    names = [*route.parameters, *(route.list.filters if route.list is not None else ()), "limit", "marker", "sort"]
    return st.dictionaries(st.sampled_from(names), st.text(max_size=8) | st.integers().map(str), max_size=3)


@st.composite
def requests(draw: st.DrawFn) -> tuple[Route, str, Any, dict[str, Any]]:
    route = draw(st.sampled_from([route for route in ROUTES if route.path != "nodes/{node}/logs"]))
    path = "/".join(draw(WORDS) if segment.startswith("{") else segment for segment in route.segments)
    return route, f"/v1/{path}", draw(bodies(route)), draw(queries(route))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(request=requests())
def test_no_request_is_a_fault_of_ours(world: World, request: Any) -> None:
    route, path, body, query = request
    if not world.access.containers:
        profile = world.profile()
        world.cluster(profile, members=1)
        world.container(profile, world.host())
    query = {key: value for key, value in query.items() if key != "follow"}
    raw = None if body is None else json.dumps(body).encode()  # with integers of any length
    answer = run(lambda: world.client.at(OURS).request(route.method, path, raw, query=query))
    assert answer.status < 500 or answer.status == 503, (answer.body, world.clock.now())
    assert "x-openstack-request-id" in answer.headers
    if answer.status >= 400:
        assert answer.error[2]
