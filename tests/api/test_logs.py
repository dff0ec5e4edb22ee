"""Reading what containers write and use."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from api.world import OURS, World, run
from spinney.api.logs import LineCutter
from spinney.domain.container import LogChunk
from spinney.errors import HostBroken, HostUnreachable


def get(world: World, path: str, who: str = "member", **query: Any) -> Any:
    return run(lambda: world.client.as_user(who).at(OURS).get(f"/v1/{path}", **query))


def boxes(world: World, *names: str, answers: bool = True) -> list[Any]:
    """Containers in the cluster ``c1``."""
    profile = world.profile()
    cluster = world.cluster(profile)
    host = world.host(answers=answers)
    return [
        world.container(profile, host, name, cluster_id=cluster.id, index=index + 1) for index, name in enumerate(names)
    ]


class TestOneNode:
    def test_plain_text_as_it_was_written(self, world: World) -> None:
        (box,) = boxes(world, "box")
        world.access.written[box.physical_id] = [LogChunk("stdout", b"one\nt"), LogChunk("stderr", b"wo\n\xff")]
        answer = get(world, "nodes/box/logs")
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.body == b"one\ntwo\n\xff"
        assert world.access.open_logs == 0

    def test_nothing_written(self, world: World) -> None:
        boxes(world, "box")
        assert get(world, "nodes/box/logs").body == b""

    def test_what_is_asked_of_the_host(self, world: World) -> None:
        boxes(world, "box")
        get(world, "nodes/box/logs", tail=5, since="2026-01-01T00:00:00Z", until="1800000000", timestamps="yes")
        query = world.access.queries[-1]
        assert (query.tail, query.since, query.until, query.timestamps) == (5, 1767225600.0, 1800000000.0, True)
        assert (query.stdout, query.stderr, query.follow) == (True, True, False)
        for given, streams in (
            ({"stdout": "true"}, (True, False)),
            ({"stderr": "true"}, (False, True)),
            ({"stdout": "false"}, (False, True)),
            ({"stdout": "true", "stderr": "true"}, (True, True)),
        ):
            get(world, "nodes/box/logs", **given)
            assert (world.access.queries[-1].stdout, world.access.queries[-1].stderr) == streams
        get(world, "nodes/box/logs", since="10m", tail="all")
        assert (world.access.queries[-1].since, world.access.queries[-1].tail) == (world.clock.now() - 600, None)

    @pytest.mark.parametrize(
        "query", [{"tail": "-1"}, {"tail": "x"}, {"since": "soon"}, {"follow": "perhaps"}, {"bogus": 1}]
    )
    def test_queries_that_are_refused(self, world: World, query: Any) -> None:
        boxes(world, "box")
        assert get(world, "nodes/box/logs", **query).error[:2] == (400, "HTTPBadRequest")

    def test_a_host_that_does_not_answer(self, world: World) -> None:
        boxes(world, "box", answers=False)
        assert get(world, "nodes/box/logs").error[:2] == (503, "HostUnreachable")
        assert get(world, "nodes/box/stats").error[:2] == (503, "HostUnreachable")

    def test_a_log_that_breaks_says_so_in_its_last_line(self, world: World) -> None:
        (box,) = boxes(world, "box")
        world.access.written[box.physical_id] = [LogChunk("stdout", b"one\n"), HostBroken("the engine fell over")]
        answer = get(world, "nodes/box/logs")
        assert answer.body.startswith(b"one\n") and b"the engine fell over" in answer.body
        assert world.access.open_logs == 0

    def test_nodes_without_a_container(self, world: World) -> None:
        world.host()
        world.node(world.profile(), "unmade")
        for name in ("metal", "unmade"):
            for what in ("logs", "stats"):
                assert get(world, f"nodes/{name}/{what}").error[:2] == (409, "Conflict")
        assert get(world, "nodes/nope/logs").error[0] == 404

    def test_a_reader_who_goes_leaves_nothing_open(self, world: World) -> None:
        (box,) = boxes(world, "box")
        world.access.written[box.physical_id] = [LogChunk("stdout", b"one\n")]

        async def body(path: str) -> None:
            seen = asyncio.Event()
            sent = [{"type": "http.request", "body": b"", "more_body": False}]

            async def receive() -> dict[str, Any]:
                if sent:
                    return sent.pop()
                await seen.wait()
                return {"type": "http.disconnect"}

            async def send(message: dict[str, Any]) -> None:
                if b"one" in message.get("body", b""):
                    assert world.access.open_logs == 1
                    seen.set()

            scope = {
                "type": "http",
                "asgi": {"spec_version": "2.3"},
                "method": "GET",
                "path": path,
                "query_string": b"follow=1",
                "headers": [
                    (b"authorization", world.client.authorization.encode()),
                    (b"openstack-api-version", OURS.encode()),
                ],
            }
            await asyncio.wait_for(world.client.app(scope, receive, send), 5)
            assert world.access.open_logs == 0

        for path in ("/v1/nodes/box/logs", "/v1/clusters/c1/logs"):
            asyncio.run(body(path))


class TestCluster:
    def lines(self, world: World, **query: Any) -> list[Any]:
        answer = get(world, "clusters/c1/logs", **query)
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        return [orjson.loads(line) for line in answer.body.splitlines()]

    def test_whole_lines_with_their_times(self, world: World) -> None:
        one, two = boxes(world, "one", "two")
        stamp = b"2026-11-22T08:00:00.123456789Z "
        world.access.written[one.physical_id] = [
            LogChunk("stdout", stamp + b"hel"),
            LogChunk("stdout", b"lo\n" + stamp),
        ]
        world.access.written[two.physical_id] = [LogChunk("stderr", stamp + b"bad \xff\r\n")]
        found = self.lines(world)
        assert {
            "node_id": one.id,
            "node_name": "one",
            "stream": "stdout",
            "time": stamp.decode().strip(),
            "line": "hello",
        } in found
        assert [line["line"] for line in found if line["node_name"] == "two"] == ["bad \ufffd"]
        assert world.access.queries[-1].timestamps

    def test_one_that_cannot_be_read_does_not_stop_the_others(self, world: World) -> None:
        good, bad = boxes(world, "good", "bad")
        world.node(world.profile(), "unmade", cluster_id=good.cluster_id, index=3)
        world.access.written[good.physical_id] = [LogChunk("stdout", b"fine\n")] * 3
        world.access.written[bad.physical_id] = [LogChunk("stdout", b"x\n"), HostUnreachable("gone")]
        found = self.lines(world)
        assert sum(line.get("line") == "fine" for line in found) == 3
        assert {"node_id": bad.id, "node_name": "bad", "error": "gone"} in found
        assert any("no container" in line.get("error", "") for line in found)

    def test_nobody_there(self, world: World) -> None:
        world.cluster(world.profile())
        assert self.lines(world) == []
        assert get(world, "clusters/nope/logs").error[0] == 404

    def test_more_lines_than_are_held_at_once(self, world: World) -> None:
        one, two = boxes(world, "one", "two")
        for box in (one, two):
            world.access.written[box.physical_id] = [LogChunk("stdout", b"x\n" * 1500)]
        assert len(self.lines(world)) == 3000


def test_lines_are_never_longer_than_their_bound() -> None:
    cutter = LineCutter()
    found = [line for _ in range(5) for line in cutter.feed(b"x" * 10000)] + cutter.feed(b"\ny")
    assert b"".join(found) == b"x" * 50000
    assert max(map(len, found)) <= 16384
    assert cutter.rest() == [b"y"] and cutter.rest() == []


def test_stats(world: World) -> None:
    one, _ = boxes(world, "one", "two")
    sample = get(world, "nodes/one/stats").json["stats"]
    assert (sample["node_id"], sample["cpu"], sample["memory"]) == (one.id, 0.5, 1024)
    assert sample["pids"] is None and sample["sampled_at"].endswith("Z")
    world.node(world.profile(), "unmade", cluster_id=one.cluster_id, index=3)
    everyone = get(world, "clusters/c1/stats").json["stats"]
    assert [item["node_name"] for item in everyone] == ["one", "two", "unmade"]
    assert everyone[2]["cpu"] is None and "no container" in everyone[2]["error"]
