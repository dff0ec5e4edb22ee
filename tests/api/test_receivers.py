"""Receivers: making, showing, changing and deleting them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from api.world import OURS, World, run
from spinney.api.receivers import STARTABLE
from spinney.api.webhooks import _OTHERS, _VERBS
from spinney.config import WebhookSettings
from spinney.domain.receiver import alarm_url
from spinney.store import quotas
from spinney.store.receivers import RECEIVERS

SENLINS = {
    "id", "name", "type", "user", "project", "domain", "cluster_id", "action", "actor", "params", "channel", "created_at",
    "updated_at",
}  # fmt: skip


def asked(**values: Any) -> dict[str, Any]:
    base = {"name": "grow", "type": "webhook", "cluster_id": "c1", "action": "CLUSTER_SCALE_OUT"}
    return {"receiver": {key: value for key, value in {**base, **values}.items() if value is not ...}}


def test_what_a_senlin_client_gets(world: World) -> None:
    cluster = world.cluster(world.profile(), members=1)

    async def body() -> None:
        answer = await world.client.at("clustering 1.0").post("/v1/receivers", asked(params={"count": "2", "b": "ü"}))
        assert answer.status == 201
        made = answer.json["receiver"]
        assert set(made) == SENLINS
        assert (made["cluster_id"], made["actor"], made["updated_at"]) == (cluster.id, {}, None)
        assert set(made["channel"]) == {"alarm_url"}
        url = urlsplit(made["channel"]["alarm_url"])
        assert (url.scheme, url.netloc) == ("http", "api.example:8777")
        assert url.path == f"/v1/webhooks/{made['id']}/trigger"
        query = parse_qs(url.query)
        assert list(query) == ["V", "b", "count", "secret"] and query["b"] == ["ü"] and len(query["secret"][0]) == 43
        shown = (await world.client.get("/v1/receivers/grow")).json["receiver"]
        assert shown["channel"] == {"alarm_url": made["channel"]["alarm_url"].partition("&secret=")[0]}
        assert {**shown, "channel": 0} == {**made, "channel": 0}
        assert (await world.client.get("/v1/receivers")).json["receivers"] == [shown]

    run(body)


def test_with_our_version_the_secret_stands_beside_and_the_limits_show(world: World) -> None:
    world.cluster(world.profile())

    async def body() -> None:
        client = world.client.at(OURS)
        given = asked(expires_at="2030-01-01T00:00:00Z", rate_limit=3, enabled=False)
        made = (await client.post("/v1/receivers", given)).json["receiver"]
        assert made["channel"]["alarm_url"].endswith("&secret=" + made["channel"]["secret"])
        assert made["expires_at"] == "2030-01-01T00:00:00Z"
        assert (made["rate_limit"], made["enabled"], made["open"]) == (3, False, False)
        shown = (await client.get("/v1/receivers/grow")).json["receiver"]
        assert "secret" not in shown["channel"] and "secret" not in shown["channel"]["alarm_url"]
        changed = await client.patch("/v1/receivers/grow", {"receiver": {"expires_at": "never", "enabled": "true"}})
        assert (changed.json["receiver"]["expires_at"], changed.json["receiver"]["enabled"]) == (None, True)
        other = (await client.post("/v1/receivers/grow/rotate")).json["receiver"]
        assert other["channel"]["secret"] != made["channel"]["secret"]
        assert (await world.client.post("/v1/receivers/grow/rotate")).status == 404

    run(body)


def test_nothing_that_is_kept_tells_the_secret(world: World) -> None:
    world.cluster(world.profile())

    async def body() -> str:
        made = (await world.client.at(OURS).post("/v1/receivers", asked())).json["receiver"]
        return str(made["channel"]["secret"])

    secret = run(body)
    (kept,) = world.store.run(RECEIVERS.all)
    assert secret not in repr(RECEIVERS.row(kept))
    assert kept.secret_hash and kept.signing_key and secret.encode() not in kept.signing_key
    for file in Path(str(world.store.url.database)).parent.glob("test.db*"):
        assert secret.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("given", "status", "word"),
    [
        ({"type": "message", "cluster_id": ..., "action": ...}, 400, "no queue service"),
        ({"type": "pigeon"}, 400, "receiver.type"),
        ({"type": ...}, 400, "receiver.type"),
        ({"name": ...}, 400, "receiver.name"),
        ({"cluster_id": ...}, 400, "receiver.cluster_id"),
        ({"cluster_id": "c9"}, 400, "referenced cluster 'c9'"),
        ({"action": None}, 400, "receiver.action"),
        ({"action": "CLUSTER_CREATE"}, 400, "receiver.action"),
        ({"action": "NODE_DELETE"}, 400, "receiver.action"),
        ({"action": "dance"}, 400, "receiver.action"),
        ({"params": [1]}, 400, "receiver.params"),
        ({"colour": "red"}, 400, "colour"),
        ({"open": True}, 400, "operator has not permitted"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, 400, "2001-01-01T00:00:00Z has passed"),
        ({"expires_at": "tomorrow"}, 400, "2030-12-31T23:59:59Z"),
        ({"rate_limit": 0}, 400, "receiver.rate_limit"),
    ],
)
def test_refusals_name_the_field(world: World, given: dict[str, Any], status: int, word: str) -> None:
    world.cluster(world.profile())
    answer = run(lambda: world.client.post("/v1/receivers", asked(**given)))
    assert answer.error[0] == status and word in answer.error[2], answer.error


def test_a_cluster_of_another_user_is_for_admins(world: World) -> None:
    world.cluster(world.profile(), user="somebody")

    async def body() -> None:
        refused = await world.client.as_user("member").post("/v1/receivers", asked())
        assert refused.error[:2] == (403, "Forbidden")
        foreign = await world.client.as_user("stranger").post("/v1/receivers", asked())
        assert foreign.error[:2] == (400, "BadRequest")
        assert (await world.client.as_user("admin").post("/v1/receivers", asked())).status == 201

    run(body)


def test_a_project_has_no_more_than_its_quota(world: World) -> None:
    world.cluster(world.profile())
    world.store.run(quotas.put, "ours", {"receivers": 1})

    async def body() -> None:
        assert (await world.client.post("/v1/receivers", asked())).status == 201
        refused = await world.client.post("/v1/receivers", asked(name="another"))
        assert refused.error[:2] == (403, "OverQuota") and "receivers" in refused.error[2]

    run(body)


def test_changing(world: World) -> None:
    receiver = world.receiver(world.cluster(world.profile()), params={"count": 1})

    async def body() -> None:
        at = f"/v1/receivers/{receiver.id}"
        same = {"receiver": {"name": "grow", "params": {"count": 1}, "action": None}}
        assert (await world.client.patch(at, same)).error[:2] == (400, "BadRequest")
        assert (await world.client.patch(at, {"receiver": {"type": "message"}})).error[0] == 400
        assert (await world.client.patch(at, {"receiver": {"action": "CLUSTER_CREATE"}})).error[0] == 400
        changed = (await world.client.patch(at, {"receiver": {"action": "CLUSTER_CHECK", "params": {}}})).json[
            "receiver"
        ]
        assert (changed["action"], changed["params"], changed["channel"]) == ("CLUSTER_CHECK", {}, receiver.channel)
        assert changed["updated_at"] is not None
        assert (await world.client.post(f"{at}/notify")).error[:2] == (400, "BadRequest")
        assert (await world.client.delete(at)).status == 204
        assert (await world.client.get(at)).error[:2] == (404, "ResourceNotFound")

    run(body)


def test_lists_filter_and_sort(world: World) -> None:
    profile = world.profile()
    one, two = world.cluster(profile, "one"), world.cluster(profile, "two")
    world.receiver(one, name="b")
    world.receiver(one, "CLUSTER_SCALE_IN", name="a")
    world.receiver(two, name="c", user="somebody")

    async def names(version: str = "clustering 1.14", **query: Any) -> list[str]:
        answer = await world.client.at(version).get("/v1/receivers", **query)
        return [row["name"] for row in answer.json["receivers"]]

    async def body() -> None:
        assert await names() == ["a", "b", "c"]
        assert await names(sort="created_at:desc") == ["c", "a", "b"]
        assert await names(cluster_id=one.id) == ["a", "b"]
        assert await names(action="CLUSTER_SCALE_OUT") == ["b", "c"]
        assert await names(user="somebody") == ["c"]
        assert await names("clustering 1.3", user="somebody") == ["a", "b", "c"]
        assert await names(type="message") == []

    run(body)


def test_the_configured_root_comes_first(tmp_path: Any) -> None:
    world = World(tmp_path, webhook=WebhookSettings(base_url="https://out.example/cluster/", allow_open_urls=True))
    world.cluster(world.profile())

    async def body() -> None:
        made = (await world.client.at(OURS).post("/v1/receivers", asked())).json["receiver"]
        assert made["open"] is True
        assert made["channel"]["alarm_url"] == f"https://out.example/cluster/v1/webhooks/{made['id']}/trigger?V=2"

    run(body)
    world.store.close()


def test_every_action_that_a_receiver_may_name_can_be_started() -> None:
    assert set(STARTABLE) == set(_VERBS) | set(_OTHERS)


def test_params_cannot_pass_for_a_secret() -> None:
    assert (
        alarm_url("http://h", "i", {"secret": "x", "V": 1, "a": "1&2"}) == "http://h/v1/webhooks/i/trigger?V=2&a=1%262"
    )
