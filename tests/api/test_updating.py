"""Revisions of clusters, going back to them, and what is said to updates while they are under way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from api.client import Answer
from api.world import CONTAINER_TYPE, OURS, World, run
from api.world import world as make_world
from spinney.domain.action import Action, ActionStatus
from spinney.domain.cluster import Cluster, ClusterStatus
from spinney.domain.profile import Profile
from spinney.store import image_rules, profiles, revisions, tables


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with make_world(tmp_path) as made:
        yield made


def web(world: World, name: str, image: str = "") -> Profile:
    properties = {"image": image or f"registry.example/{name}:1"}
    return world.profile(name, spec={"type": CONTAINER_TYPE[:-4], "version": "1.0", "properties": properties})


@pytest.fixture
def cluster(world: World) -> Cluster:
    """At revision 1, with two members."""
    made = world.cluster(web(world, "v1"), "site", members=2)
    world.store.run(revisions.first, made.id, made.profile_id, world.clock.now())
    return made


def patch(world: World, version: str = OURS, **changes: Any) -> Answer:
    return run(lambda: world.client.at(version).patch("/v1/clusters/site", {"cluster": changes}))


def act(world: World, verb: str, version: str = OURS, **given: Any) -> Answer:
    return run(lambda: world.client.at(version).post("/v1/clusters/site/actions", {verb: given}))


def listed(world: World) -> list[dict[str, Any]]:
    answer = run(lambda: world.client.at(OURS).get("/v1/clusters/site/revisions"))
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json["revisions"]
    return found


def shown(world: World, version: str = OURS) -> dict[str, Any]:
    found: dict[str, Any] = run(lambda: world.client.at(version).get("/v1/clusters/site")).json["cluster"]
    return found


def end(world: World, action_id: str, status: ActionStatus = ActionStatus.SUCCEEDED, members: bool = True) -> Action:
    """As an engine would; ``members``: all of them have the new profile."""
    action = world.action(action_id)
    profile_id = action.inputs["new_profile_id"]

    def settle(connection: Connection) -> None:
        revisions.end(connection, action, status, "2 of 2 members failed.", world.clock.now())
        if status is ActionStatus.SUCCEEDED:
            cluster = tables.cluster
            connection.execute(cluster.update().where(cluster.c.id == action.target).values(profile_id=profile_id))
        if members:
            node = tables.node
            connection.execute(node.update().where(node.c.cluster_id == action.target).values(profile_id=profile_id))

    world.store.run(settle)
    world.end(action_id, status.value)
    return action


def updated(world: World, profile: Profile, **given: Any) -> Action:
    return end(world, patch(world, profile_id=profile.id, **given).action)


class TestRevisions:
    def test_each_update_that_was_reached_is_one_and_failed_ones_say_why(self, world: World, cluster: Cluster) -> None:
        second, third = web(world, "v2"), web(world, "v3", "registry.example/web@sha256:" + "b" * 64)
        first = updated(world, second)
        world.store.run(image_rules.resolve, cluster.id, second.id, "registry.example/v2@sha256:" + "a" * 64, 0.0)
        failed = end(world, patch(world, profile_id=third.id).action, ActionStatus.FAILED, members=False)
        assert [one["number"] for one in listed(world)] == [3, 2, 1]
        latest, present, original = listed(world)
        assert (latest["action_id"], latest["reached_at"], latest["current"]) == (failed.id, None, False)
        assert latest["reason"] == "update; not reached: 2 of 2 members failed"
        assert latest["digest"] == "sha256:" + "b" * 64
        assert (present["current"], present["action_id"], present["reason"]) == (True, first.id, "update")
        assert (present["profile_name"], present["image"]) == ("v2", "registry.example/v2:1")
        assert present["digest"] == "sha256:" + "a" * 64 and present["reached_at"] is not None
        assert (original["action_id"], original["reason"], original["digest"]) == (None, "created", None)
        assert shown(world)["revision"] == 2
        assert "revision" not in shown(world, "clustering 1.14")

    def test_a_profile_that_is_gone_is_told_as_such(self, world: World, cluster: Cluster) -> None:
        updated(world, web(world, "v2"))
        world.store.run(profiles.remove, cluster.profile_id)
        gone = listed(world)[-1]
        assert (gone["profile_name"], gone["image"], gone["profile_id"]) == ("Unknown", None, cluster.profile_id)
        status, kind, message = act(world, "rollback", revision=1).error
        assert (status, kind) == (409, "RevisionConflict") and "create a profile" in message

    def test_a_new_cluster_is_at_its_first(self, world: World) -> None:
        spec = {"type": CONTAINER_TYPE[:-4], "version": "1.0"}
        host = world.host("metal")
        properties = {"image": "web", "host_node": host.node_id}
        profile = world.profile("v1", spec={**spec, "properties": properties}, pins={"host_node": host.node_id})
        body = {"cluster": {"name": "site", "profile_id": profile.id}}
        made = run(lambda: world.client.at(OURS).post("/v1/clusters", body))
        assert made.json["cluster"]["revision"] == 1 and listed(world)[0]["current"]

    def test_they_are_not_there_for_who_does_not_speak_our_version(self, world: World, cluster: Cluster) -> None:
        assert run(lambda: world.client.get("/v1/clusters/site/revisions")).status == 404


class TestConditions:
    def test_an_update_meant_for_another_revision_is_refused(self, world: World, cluster: Cluster) -> None:
        second, third = web(world, "v2"), web(world, "v3")
        updated(world, second, base_revision=1)
        status, kind, message = patch(world, profile_id=third.id, base_revision=1).error
        assert (status, kind) == (409, "RevisionConflict")
        assert "is at revision 2" in message and "for revision 1" in message
        status, kind, _ = act(world, "rollback", base_revision=1).error
        assert (status, kind) == (409, "RevisionConflict")
        assert patch(world, name="other", base_revision=2).status == 202

    @pytest.mark.parametrize("key", ["base_revision", "supersede"])
    def test_without_our_version_these_keys_are_unknown(self, world: World, cluster: Cluster, key: str) -> None:
        status, kind, message = patch(world, "clustering 1.14", name="other", **{key: 1}).error
        assert (status, kind) == (400, "HTTPBadRequest") and f"cluster.{key}: there is no such key" in message

    def test_a_second_update_names_the_running_one(self, world: World, cluster: Cluster) -> None:
        first = patch(world, profile_id=web(world, "v2").id).action
        status, _, message = patch(world, profile_id=web(world, "v3").id).error
        assert status == 409 and first[:8] in message
        assert [one["number"] for one in listed(world)] == [2, 1], "what is refused takes no number"

    def test_a_second_update_supersedes_when_asked_to(self, world: World, cluster: Cluster) -> None:
        first = patch(world, profile_id=web(world, "v2").id).action
        second = patch(world, profile_id=web(world, "v3").id, supersede=True).action
        assert world.action(first).cancel_requested and not world.action(second).cancel_requested
        assert world.action(second).inputs["supersede"] is True
        assert [one["number"] for one in listed(world)] == [3, 2, 1]

    def test_nothing_but_an_update_can_supersede(self, world: World, cluster: Cluster) -> None:
        status, _, message = patch(world, name="other", supersede=True).error
        assert status == 400 and message.startswith("supersede:")


class TestRollback:
    def test_it_is_an_update_to_the_profile_before(self, world: World, cluster: Cluster) -> None:
        updated(world, web(world, "v2"))
        action = world.action(act(world, "rollback").action)
        assert action.inputs == {"new_profile_id": cluster.profile_id, "rollback": True, "restores": 1, "revision": 3}
        assert action.name.startswith("cluster_rollback_")
        end(world, action.id)
        latest = listed(world)[0]
        assert (latest["number"], latest["reason"], latest["current"]) == (3, "rollback to 1", True)

    def test_to_any_that_is_kept(self, world: World, cluster: Cluster) -> None:
        second = web(world, "v2")
        updated(world, second)
        updated(world, web(world, "v3"))
        assert world.action(act(world, "rollback", revision=1).action).inputs["new_profile_id"] == cluster.profile_id

    def test_what_a_failed_update_left_goes_back_to_the_present_one(self, world: World, cluster: Cluster) -> None:
        updated(world, web(world, "v2"))
        (present,) = {one["profile_id"] for one in listed(world) if one["current"]}
        end(world, patch(world, profile_id=web(world, "v3").id).action, ActionStatus.FAILED)
        world.change(tables.cluster, cluster.id, status=ClusterStatus.ERROR)  # which no other update is taken in
        inputs = world.action(act(world, "rollback").action).inputs
        assert (inputs["restores"], inputs["new_profile_id"]) == (2, present)

    def test_it_can_supersede_the_update_that_goes_wrong(self, world: World, cluster: Cluster) -> None:
        updated(world, web(world, "v2"))
        wrong = patch(world, profile_id=web(world, "v3").id).action
        assert wrong[:8] in act(world, "rollback").error[2]
        back = world.action(act(world, "rollback", supersede=True).action)
        assert world.action(wrong).cancel_requested and back.inputs["restores"] == 2

    @pytest.mark.parametrize(
        ("given", "status", "words"),
        [
            ({}, 409, "nothing to roll back to"),
            ({"revision": 7}, 404, "no revision 7; there are 1."),
            ({"revision": 1}, 409, "is at revision 1, and all its members"),
            ({"revision": 0}, 400, "rollback.revision: 0"),
            ({"to": 1}, 400, "rollback.to: there is no such key"),
        ],
    )
    def test_what_makes_no_sense(
        self, world: World, cluster: Cluster, given: dict[str, Any], status: int, words: str
    ) -> None:
        answer = act(world, "rollback", **given)
        assert answer.status == status and words in answer.error[2]
        assert len(listed(world)) == 1

    def test_it_is_no_action_without_our_version(self, world: World, cluster: Cluster) -> None:
        assert "'rollback' is no action" in act(world, "rollback", "clustering 1.14").error[2]


class TestWishes:
    def update(self, world: World, **outputs: Any) -> str:
        action_id = patch(world, profile_id=web(world, "v2").id).action
        canary = {"canary": {"count": 1}} if outputs.pop("canary", False) else {}
        world.change(
            tables.action, action_id, outputs=outputs, data={"begun": True, "update": canary}, status="WAITING"
        )
        return action_id

    @pytest.mark.parametrize(
        ("wish", "outputs"),
        [
            ("pause", {"state": "updating"}),
            ("pause", {}),
            ("resume", {"state": "paused"}),
            ("promote", {"state": "canary", "canary": True}),
            ("abort", {"state": "held"}),
        ],
    )
    def test_it_is_written_to_the_update_and_wakes_it(
        self, world: World, cluster: Cluster, wish: str, outputs: dict[str, Any]
    ) -> None:
        action_id = self.update(world, **outputs)
        rung = world.rung
        answer = act(world, wish)
        assert answer.action == answer.json["action"] == action_id
        action = world.action(action_id)
        assert (action.inputs["wish"], action.inputs["wished_at"]) == (wish, world.clock.now())
        assert action.inputs["revision"] == 2 and action.ready_at == 0.0 and world.rung == rung + 1

    @pytest.mark.parametrize(
        ("wish", "outputs", "words"),
        [
            ("resume", {"state": "updating"}, "cannot be resumed: it is not paused: it is updating"),
            ("promote", {"state": "updating"}, "it has no canary"),
            ("promote", {"state": "updating", "canary": True}, "its canary is not what the others wait for"),
            ("abort", {"state": "updating", "rolling_back": True}, "going back already"),
        ],
    )
    def test_what_makes_no_sense_is_refused(
        self, world: World, cluster: Cluster, wish: str, outputs: dict[str, Any], words: str
    ) -> None:
        self.update(world, **outputs)
        status, kind, message = act(world, wish).error
        assert (status, kind) == (409, "FeatureNotSupported") and words in message

    @pytest.mark.parametrize("wish", ["pause", "resume", "promote", "abort"])
    def test_without_an_update_there_is_nobody_to_say_it_to(self, world: World, cluster: Cluster, wish: str) -> None:
        updated(world, web(world, "v2"))
        status, _, message = act(world, wish).error
        assert status == 409 and "no update under way" in message
        assert act(world, wish, now=True).status == 400

    def test_how_to_leave_an_update_that_waits_for_its_promotion(self, world: World, cluster: Cluster) -> None:
        self.update(world, state="canary", canary=True)
        world.change(tables.cluster, cluster.id, status="UPDATING")
        status, _, message = patch(world, profile_id="v1").error
        assert status == 409 and "abort that: `spinney cluster abort site`" in message
        status, _, message = run(lambda: world.client.at(OURS).delete("/v1/clusters/site")).error
        assert status == 409 and "`spinney cluster promote site`" in message and "or delete with force" in message
        assert "`spinney cluster abort site`" in message

    def test_resuming_what_is_about_to_pause(self, world: World, cluster: Cluster) -> None:
        action_id = self.update(world, state="updating")
        act(world, "pause")
        assert act(world, "resume").action == action_id
        assert world.action(action_id).inputs["wish"] == "resume"

    def test_one_that_stops_hears_nothing_any_more(self, world: World, cluster: Cluster) -> None:
        world.change(tables.action, self.update(world, state="updating"), cancel_requested=True)
        assert "asked to stop" in act(world, "pause").error[2]


def test_the_plan_of_an_update_tells_batch_and_manner_of_each_member(world: World) -> None:
    host = world.host("metal")

    def pinned(name: str, **properties: Any) -> Profile:
        given = {"image": "web", "host_node": host.node_id, **properties}
        spec = {"type": CONTAINER_TYPE[:-4], "version": "1.0", "properties": given}
        return world.profile(name, spec=spec, pins={"host_node": host.node_id})

    old = pinned("old")
    cluster = world.cluster(old, "site", desired_capacity=2)
    for name in ("a", "b"):
        world.container(old, host, name, cluster_id=cluster.id, ready=True)

    def planned(profile: Profile) -> dict[str, Any]:
        body = {"update": {"profile_id": profile.id}}
        answer = run(lambda: world.client.at(OURS).post("/v1/clusters/site/plan", body))
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json["plan"]
        return found

    wider = planned(pinned("wider", cpu=0.5))
    assert wider["summary"] == "2 changed in place."
    assert {(step["step"], step["manner"], step["batch"]) for step in wider["steps"]} == {("change", "in-place", 1)}
    other = planned(pinned("other", image="other"))
    assert {(step["step"], step["manner"]) for step in other["steps"]} == {("replace", "start-first")}
    assert {(step["from"], step["to"]) for step in other["steps"]} == {("metal", "metal")}
