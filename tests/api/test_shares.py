"""Host clusters shared between projects: what a grantee may do with them, and what it sees of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from api.client import Client
from api.world import HOST_TYPE, OURS, World, run
from spinney.domain.cluster import Cluster
from spinney.domain.host import Host
from spinney.domain.placement.answers import Placed
from spinney.domain.placement.model import PlacementRequest, Surroundings
from spinney.domain.placement.rules import NO_RULES, PlacementRules
from spinney.domain.placement.scheduler import Fleet
from spinney.store import hosts as store_hosts
from spinney.store import shares, tables
from spinney.store.rows import ACTIONS
from spinney.store.tables import pin

SECRETS = (b"metal", b"10.9.8.7", b"racks-secret", b"ENGINE")


@pytest.fixture
def racks(world: World) -> Cluster:
    """Two hosts of project ``ours``, with the indices 1 and 3."""
    cluster = world.cluster(world.profile("racks", HOST_TYPE), "racks")
    for index, zone in ((1, "z1"), (3, "z2")):
        host = world.host(f"metal-{index}", cluster_id=cluster.id, zone=zone, labels={"racks-secret": "1"})
        world.change(tables.node, host.node_id, index=index)
    return cluster


def hosts(world: World, cluster: Cluster) -> list[str]:
    rows = world.store.run(
        lambda c: c.execute(tables.node.select().where(tables.node.c.cluster_id == cluster.id)).all()
    )
    return [row.id for row in sorted(rows, key=lambda row: row.index)]


def as_user(world: World, name: str) -> Client:
    return world.client.as_user(name).at(OURS)


def share(world: World, cluster: Cluster, project: str = "theirs", who: str = "manager") -> Any:
    body = {"share": {"project_id": project}}
    return run(lambda: as_user(world, who).post(f"/v1/clusters/{cluster.id}/shares", body))


def unshare(world: World, cluster: Cluster, project: str = "theirs", who: str = "manager") -> Any:
    return run(lambda: as_user(world, who).delete(f"/v1/clusters/{cluster.id}/shares/{project}"))


def name_in_profile(world: World, who: str = "stranger", **pins: str) -> Any:
    spec = {"type": "container.dockerinc.docker", "version": "1.0", "properties": {"image": "web", **pins}}
    return run(lambda: as_user(world, who).post("/v1/profiles", {"profile": {"name": "web", "spec": spec}}))


def pinned(world: World, profile_id: str) -> dict[str, str]:
    rows = world.store.run(lambda c: c.execute(pin.select().where(pin.c.profile_id == profile_id)).all())
    return {row.kind: row.target_id for row in rows}


class TestKeeping:
    def test_shares_come_and_go(self, world: World, racks: Cluster) -> None:
        assert share(world, racks).status == 201
        again = share(world, racks)
        assert again.status == 201 and again.json["share"]["project_id"] == "theirs"
        assert share(world, racks, "*").status == 201
        shown = run(lambda: as_user(world, "reader").get("/v1/clusters/racks/shares"))
        assert [one["project_id"] for one in shown.json["shares"]] == ["*", "theirs"]
        one = run(lambda: as_user(world, "reader").get("/v1/clusters/racks/shares/theirs"))
        assert one.json["share"] == again.json["share"]
        assert unshare(world, racks).status == 204
        assert unshare(world, racks).error[:2] == (404, "ResourceNotFound")
        assert world.rung == 4

    def test_only_owners_and_operators_keep_them(self, world: World, racks: Cluster) -> None:
        share(world, racks)
        assert share(world, racks, "third", "stranger").error[:2] == (404, "ResourceNotFound")
        assert unshare(world, racks, "theirs", "stranger").error[:2] == (404, "ResourceNotFound")
        assert share(world, racks, "third", "other-admin").status == 201

    @pytest.mark.parametrize("project", ["", " x", "x" * 65, 5, None])
    def test_what_is_no_project(self, world: World, racks: Cluster, project: Any) -> None:
        assert share(world, racks, project).error[:2] == (400, "HTTPBadRequest")

    def test_what_needs_no_share_or_cannot_be_shared(self, world: World, racks: Cluster) -> None:
        assert "own project" in share(world, racks, "ours").error[2]
        web = world.cluster(world.profile("web"), "web")
        assert "only host clusters" in share(world, web).error[2]


class TestNaming:
    def test_a_host_cluster_of_others_needs_a_share(self, world: World, racks: Cluster) -> None:
        before = name_in_profile(world, host_cluster=racks.id)
        absent = name_in_profile(world, host_cluster=world.ids.new())
        assert before.status == absent.status == 400
        assert before.error[2].split("'")[::2] == absent.error[2].split("'")[::2]
        share(world, racks)
        for word in (racks.id, "racks"):
            made = name_in_profile(world, host_cluster=word)
            assert made.status == 201, made.body
            assert pinned(world, made.json["profile"]["id"]) == {"host_cluster": racks.id}
        unshare(world, racks)
        assert name_in_profile(world, host_cluster=racks.id).status == 400

    def test_all_projects(self, world: World, racks: Cluster) -> None:
        share(world, racks, "*")
        assert name_in_profile(world, host_cluster="racks").status == 201

    def test_ones_own_cluster_goes_first(self, world: World, racks: Cluster) -> None:
        share(world, racks)
        own = world.cluster(world.profile("mine", HOST_TYPE, project="theirs"), "racks", project="theirs")
        made = name_in_profile(world, host_cluster="racks").json["profile"]["id"]
        assert pinned(world, made) == {"host_cluster": own.id}

    def test_a_host_of_it_by_alias_or_id_never_by_name(self, world: World, racks: Cluster) -> None:
        _, third = hosts(world, racks)
        share(world, racks)
        for word in ("host-3", third):
            made = name_in_profile(world, host_cluster="racks", host_node=word)
            assert made.status == 201, made.body
            assert pinned(world, made.json["profile"]["id"]) == {"host_cluster": racks.id, "host_node": third}
        assert name_in_profile(world, host_node=third).status == 201
        for word in ("metal-3", "host-2", "host-0"):
            assert name_in_profile(world, host_cluster="racks", host_node=word).status == 400

    def test_a_foreign_host_without_a_share_is_absent(self, world: World, racks: Cluster) -> None:
        third = hosts(world, racks)[1]
        before, absent = name_in_profile(world, host_node=third), name_in_profile(world, host_node=world.ids.new())
        assert before.error[:2] == absent.error[:2]
        assert before.error[2].split("'")[::2] == absent.error[2].split("'")[::2]


class TestUsing:
    def test_a_profile_whose_share_is_gone_makes_nothing(self, world: World, racks: Cluster) -> None:
        share(world, racks)
        profile = name_in_profile(world, host_cluster="racks").json["profile"]["id"]
        stranger = as_user(world, "stranger")
        node, cluster = {"name": "n", "profile_id": profile}, {"name": "c", "profile_id": profile}
        assert run(lambda: stranger.post("/v1/nodes", {"node": node})).status == 202
        assert run(lambda: stranger.post("/v1/clusters", {"cluster": cluster})).status == 202
        unshare(world, racks)
        for path, body in (("/v1/nodes", {"node": node}), ("/v1/clusters", {"cluster": cluster})):
            answer = run(lambda path=path, body=body: stranger.post(path, body))
            assert answer.status == 400 and "not shared with your project any more" in answer.error[2]

    def test_who_is_barred_is_decided_by_project_and_by_what_is_pinned(self, world: World, racks: Cluster) -> None:
        first = hosts(world, racks)[0]
        profiles = {
            "cluster": world.profile("a", project="theirs", pins={"host_cluster": racks.id}).id,
            "node": world.profile("b", project="theirs", pins={"host_node": first}).id,
            "own": world.profile("c", pins={"host_cluster": racks.id, "host_node": first}).id,
            "none": world.profile("d", project="theirs").id,
        }

        def barred() -> set[str]:
            wanted = {("theirs", profiles[name]) for name in ("cluster", "node", "none")} | {("ours", profiles["own"])}
            found = {profile_id for _, profile_id in world.store.run(shares.barred, wanted)}
            return {name for name, profile_id in profiles.items() if profile_id in found}

        assert barred() == {"cluster", "node"}
        share(world, racks, "third")
        assert barred() == {"cluster", "node"}
        share(world, racks)
        assert barred() == set()
        world.change(tables.node, first, cluster_id="")
        assert barred() == {"node"}

    def test_residents_of_a_revoked_share_are_found(self, world: World, racks: Cluster) -> None:
        first = Host(node_id=hosts(world, racks)[0], endpoint="", name="", cluster_id=racks.id, project="ours")
        mine = world.container(world.profile("mine"), first, "mine")
        box = world.container(world.profile("web", project="theirs"), first, "box", project="theirs")
        assert mine.id != box.id
        share(world, racks)
        assert world.store.run(shares.revoked_residents) == []
        unshare(world, racks)
        share(world, racks, "third")
        assert [a.target for a in world.store.run(ACTIONS.all, tables.action.c.action == "NODE_EVICT")] == [box.id]
        (found,) = world.store.run(shares.revoked_residents)
        assert (found.node_id, found.host_id, found.project) == (box.id, first.node_id, "theirs")
        assert world.store.run(shares.revoked_residents, racks.id) == [found]
        assert world.store.run(shares.revoked_residents, world.ids.new()) == []
        share(world, racks, "*")
        assert world.store.run(shares.revoked_residents) == []


class TestSeeing:
    def test_a_grantee_sees_zones_and_aliases(self, world: World, racks: Cluster) -> None:
        share(world, racks)
        shown = run(lambda: as_user(world, "stranger").get("/v1/clusters/racks"))
        assert shown.json["cluster"] == {
            "hosts": [
                {"name": "host-1", "region": None, "state": "ready", "zone": "z1"},
                {"name": "host-3", "region": None, "state": "ready", "zone": "z2"},
            ],
            "id": racks.id,
            "name": "racks",
            "shared": True,
            "status": "ACTIVE",
            "zones": ["z1", "z2"],
        }
        listed = run(lambda: as_user(world, "stranger").get("/v1/shared-clusters"))
        assert listed.json == {"clusters": [shown.json["cluster"]]}
        assert not any(secret in answer.body for answer in (shown, listed) for secret in SECRETS)
        assert run(lambda: as_user(world, "member").get("/v1/shared-clusters")).json == {"clusters": []}
        assert "hosts" not in run(lambda: as_user(world, "member").get("/v1/clusters/racks")).json["cluster"]

    def test_without_a_share_or_our_version_there_is_nothing(self, world: World, racks: Cluster) -> None:
        assert run(lambda: as_user(world, "stranger").get(f"/v1/clusters/{racks.id}")).status == 404
        share(world, racks)
        assert run(lambda: world.client.as_user("stranger").get(f"/v1/clusters/{racks.id}")).status == 404
        assert run(lambda: as_user(world, "stranger").get("/v1/clusters")).json == {"clusters": []}
        assert run(lambda: as_user(world, "stranger").get("/v1/nodes")).json == {"nodes": []}

    def test_a_host_of_others_is_an_alias_in_ones_own_nodes(self, world: World, racks: Cluster) -> None:
        third = hosts(world, racks)[1]
        host = Host(node_id=third, endpoint="", name="", cluster_id=racks.id, project="ours")
        share(world, racks)
        box = world.container(world.profile("web", project="theirs"), host, "box", project="theirs")
        for path in ("/v1/nodes/box", "/v1/nodes/box?show_details=true", "/v1/nodes"):
            answer = run(lambda path=path: as_user(world, "stranger").get(path))
            assert answer.status == 200 and third.encode() not in answer.body
            assert not any(secret in answer.body for secret in SECRETS), answer.body
        data = run(lambda: as_user(world, "stranger").get("/v1/nodes/box")).json["node"]["data"]["placement"]
        assert (data["host_id"], data["host_name"]) == ("host-3", "host-3")
        data = run(lambda: as_user(world, "other-admin").get(f"/v1/nodes/{box.id}")).json["node"]["data"]["placement"]
        assert (data["host_id"], data["host_name"]) == (third, "metal-3")

    def test_deleting_what_others_use_tells_only_that(self, world: World, racks: Cluster) -> None:
        share(world, racks)
        profile = name_in_profile(world, host_cluster="racks").json["profile"]["id"]
        status, _, message = run(lambda: as_user(world, "member").delete("/v1/clusters/racks")).error
        assert status == 409 and "in use by others" in message and profile not in message


def test_why_a_node_is_where_it_is_names_no_host_of_others(world: World, racks: Cluster) -> None:
    share(world, racks)
    known = world.store.run(store_hosts.find, tables.node.c.cluster_id == racks.id)
    tight = [replace(host, cpu=1.0, reserved_cpu=0.75) for host in known]
    profile = world.profile("web", project="theirs", pins={"host_cluster": racks.id})
    elsewhere = PlacementRules(hosts=("no-such",))
    for name, cpu, rules in (("placed", 0.25, NO_RULES), ("waits", 0.5, NO_RULES), ("bound", 0.1, elsewhere)):
        node = world.node(profile, name, project="theirs")
        request = PlacementRequest(node.id, cpu, 1, host_cluster=racks.id, project="theirs", rules=rules)
        (answer,) = Fleet(tight, Surroundings()).place([request])
        decision = {"id": world.ids.new(), "decided_at": 1.0, "body": answer.decision.body()}
        world.store.run(lambda c, row=decision: c.execute(tables.decision.insert(), row))
        home = {"host_id": answer.host_id} if isinstance(answer, Placed) else {}
        world.change(tables.node, node.id, decision_id=decision["id"], decision_step=answer.step, **home)

    def why(who: str, word: str) -> Any:
        return run(lambda: as_user(world, who).get(f"/v1/nodes/{word}/placement"))

    placed = why("stranger", "placed").json["placement"]
    assert placed["host"] == placed["host_id"] and placed["host"] in ("host-1", "host-3")
    assert placed["host"] in placed["summary"]
    waits = why("stranger", "waits").json["placement"]
    assert {one["host"] for one in waits["hosts"]} == {"host-1", "host-3"}
    assert {reason["available"] for one in waits["hosts"] for reason in one["reasons"]} == {None}
    assert waits["nearest_miss"]["host"] in waits["nearest_miss"]["text"]
    assert "reserved share" not in placed["summary"] and "0.25" not in str(waits), "how full hosts of others are"
    assert waits["nearest_miss"]["change"] == {"cpu": 1} and "1 core more" in waits["nearest_miss"]["text"]
    ids = [host.node_id.encode() for host in known]
    bound = why("stranger", "bound").json["placement"]["nearest_miss"]
    assert bound["change"] == {"hosts": ["no-such", bound["host"]]}
    for answer in (why("stranger", word) for word in ("placed", "waits", "bound")):
        assert not any(secret in answer.body for secret in (*SECRETS, *ids)), answer.body
    named = sa.select(tables.node.c.id).where(tables.node.c.name == "waits")
    told = why("other-admin", world.store.run(lambda c: str(c.execute(named).scalar_one())))
    assert b"metal-1" in told.body and ids[0] in told.body and b"by 0.25 cores" in told.body
