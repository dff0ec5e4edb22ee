"""Requests that cannot be done, at once or ever: refused in a sentence that names the field, the value and the remedy."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from system.running import Service, fresh

#: Ends only when it is made to, a second after it was asked.
STUBBORN = ("sh", "-c", "trap '' TERM; sleep 600 & wait; wait")


@pytest.mark.parametrize("name", ["two words", "semi;colon", "slash/ed", "über", "", "a" * 256, "new\nline", "nul\0"])
def test_a_name_with_odd_characters(service: Service, name: str) -> None:
    profile = service.profile()
    reply = service.api.call("POST", "/clusters", {"cluster": {"name": name, "profile_id": profile}})
    assert reply.status == 400
    assert "name" in reply.fault
    assert "1 to 255 letters, digits" in reply.fault


def test_a_name_of_unusual_but_permitted_characters_finds_its_object_percent_encoded(service: Service) -> None:
    name = f"森林.{fresh('x')}_~-"
    made = service.api.create("cluster", name=name, profile_id=service.profile(), desired_capacity=1)["id"]
    service.until_cluster_is("ACTIVE", made)
    encoded = "".join(f"%{byte:02x}" for byte in name.encode())
    assert service.api.get(f"/clusters/{encoded}")["id"] == made
    assert service.api.get(f"/clusters?name={encoded}")[0]["id"] == made
    (container,) = service.docker.ours()
    assert container["State"] == "running"


@pytest.mark.parametrize("word", ["..%2f..%2fetc", "%00", "%ff%fe", "a%2Fb", "%25", "%27%20OR%201=1", "x" * 3000])
def test_path_words_that_name_nothing(service: Service, word: str) -> None:
    for path in (f"/clusters/{word}", f"/nodes/{word}", f"/nodes/{word}/logs", f"/profiles/{word}"):
        reply = service.api.call("GET", path)
        assert reply.status in (400, 404), (path, reply.body)
        assert reply.fault


def test_a_body_of_two_mebibytes(service: Service) -> None:
    profile = {"name": "huge", "spec": {"type": "x" * 2 * 2**20}}
    reply = service.api.call("POST", "/profiles", {"profile": profile})
    assert reply.status in (400, 413)
    assert "1048576" in reply.fault
    assert service.api.get("/build-info")


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"text"', b"\xff\xfe", b'{"cluster": 3}', b"{}", b"[" * 100_000, b'{"cluster": NaN}']
)
def test_a_body_that_is_no_such_json(service: Service, body: bytes) -> None:
    reply = service.api.call("POST", "/clusters", body)
    assert reply.status == 400
    assert len(reply.fault) > 20


def test_a_wrong_property_is_named_with_its_value_and_what_is_allowed(service: Service) -> None:
    good = {"image": "web:1", "host_cluster": "local"}
    for wrong, parts in (
        ({"privileged": True}, ("privileged",)),
        ({"network": "host"}, ("network", "host", "bridge or none")),
        ({"memory": {"limit": "lots"}}, ("memory.limit", "lots")),
        ({"ports": ["70000:80"]}, ("ports[0]", "70000", "65535")),
    ):
        spec = {"type": "container.dockerinc.docker", "version": "1.0", "properties": {**good, **wrong}}
        reply = service.api.call(
            "POST", "/profiles", {"profile": {"name": "wrong", "spec": json.loads(json.dumps(spec))}}
        )
        assert reply.status == 400, reply.body
        assert all(part in reply.fault for part in parts), reply.fault


def test_of_two_deletes_at_once_the_second_is_refused_and_so_is_scaling_meanwhile(service: Service) -> None:
    cluster = service.active_cluster(service.profile(*STUBBORN, stop_timeout=3))
    path = f"/clusters/{cluster}"
    with ThreadPoolExecutor(2) as pool:
        replies = list(pool.map(lambda _: service.api.call("DELETE", path), range(2)))
    assert sorted(reply.status for reply in replies) == [202, 409]
    refusals = [next(reply for reply in replies if reply.status == 409)]
    refusals += [service.api.call("POST", f"{path}/actions", verb) for verb in ({"scale_out": {}}, {"scale_in": {}})]
    refusals.append(service.api.call("PATCH", path, {"cluster": {"name": "other"}}))
    for refusal in refusals:
        assert refusal.status == 409, refusal.body
        assert "delet" in refusal.fault.lower()
    service.until(lambda: service.api.call("GET", path).status, lambda status: status == 404)
    assert service.docker.ours() == []


def test_deleting_while_members_are_made_leaves_none(service: Service) -> None:
    cluster = service.cluster(service.profile(), 4)
    service.until(service.docker.ours)
    reply = service.api.call("DELETE", f"/clusters/{cluster}")
    assert reply.status == 409
    assert "CREATING" in reply.fault or "create" in reply.fault.lower()
    service.delete("cluster", cluster, force=True)
    assert service.docker.ours() == []


def test_a_node_deleted_at_any_moment_of_its_creation_leaves_nothing(service: Service) -> None:
    profile = service.profile()
    for moment in (lambda: True, service.docker.networks, service.docker.ours):
        node = service.node(profile)
        service.until(moment)
        service.delete("node", node, force=True)
        service.expect_nothing_left()


def test_a_profile_in_use_and_a_pinned_host_are_kept(service: Service) -> None:
    profile = service.profile()
    cluster = service.active_cluster(profile)
    reply = service.api.call("DELETE", f"/profiles/{profile}")
    assert reply.status == 409
    host = service.api.get("/hosts/local")["id"]
    reply = service.api.call("DELETE", f"/nodes/{host}")
    assert reply.status == 409
    assert service.members(cluster)[0]["name"] in reply.fault, reply.fault
