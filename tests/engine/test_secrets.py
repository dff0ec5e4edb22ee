"""What containers are to know: brought when they are made and started, as it is then, and told to nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection

from engine.world import KEYS, OWNER, World
from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.container import ContainerState
from spinney.domain.identity import Owner
from spinney.domain.secret import Secret, SecretType, conceal
from spinney.drivers.simulated.faults import Operation
from spinney.drivers.simulated.values import ContainerRecord
from spinney.engine.carrying.secrets import Secrets
from spinney.engine.resealing import EVERY
from spinney.errors import ContainerRefused, SecretUnavailable, SecretUnusable
from spinney.sealing import open_keys, rotate
from spinney.store import credentials, sealed, secrets
from spinney.store.rows import CLUSTERS, NODES
from virtual_time import run_virtually

REFERENCE = "https://keys.example/v1/secrets/7c5cc2a8-0d3a-4a7e-9a37-4d8a2a3b1c11"
PARTS: list[dict[str, Any]] = [
    {"secret": "db", "key": "password", "env": "PASSWORD"},
    {"secret": "db", "key": "tls.key", "path": "/run/secrets/tls.key", "mode": "0400"},
]


def keep(world: World, name: str = "db", reference: str | None = None, **data: str) -> Secret:
    secret_id = world.ids.new()
    made = Secret(
        id=secret_id,
        name=name,
        type=SecretType.OPAQUE,
        sealed=None if reference else KEYS.public.seal(orjson.dumps(data), secret_id),
        reference=reference,
        facts={"keys": sorted(data)},
        version=1,
        domain=None,
        created_at=world.clock.now(),
        **OWNER,
    )
    world.store.run(secrets.insert, made)
    return made


def replace(world: World, secret: Secret, **data: str) -> None:
    sealed = KEYS.public.seal(orjson.dumps(data), secret.id)
    world.store.run(
        lambda c: secrets.replace_value(c, secret.id, sealed=sealed, reference=None, facts={}, now=world.clock.now())
    )


def knowing(world: World, *used: Secret, **properties: Any) -> str:
    """A profile that names them."""
    profile_id = world.profile(**{"secrets": PARTS, **properties})
    world.store.run(lambda c: secrets.use(c, profile_id, [one.id for one in used]))
    return profile_id


def record(world: World) -> ContainerRecord:
    (found,) = list(world.host_engine(0).core)
    return found


def held(world: World) -> tuple[str | None, bytes | None]:
    """The variable and the file as the container has them now."""
    one = record(world)
    core = world.host_engine(0).core
    return one.request.secret_environment.get("PASSWORD"), core.read_file(one.id, "/run/secrets/tls.key")


def texts(world: World) -> str:
    """All that anybody could be shown."""
    rows = [world.actions(), world.events(), world.store.run(NODES.all), world.store.run(CLUSTERS.all)]
    return repr(rows)


def test_a_container_knows_what_its_profile_names() -> None:
    async def story() -> None:
        world = World(host_count=1)
        secret = keep(world, password="s3cret", **{"tls.key": "k3y-material"})
        async with world.engine():
            world.create(1, profile_id=knowing(world, secret))
            await world.settle()
            assert held(world) == ("s3cret", b"k3y-material")
            assert [one.state for one in world.containers()] == [ContainerState.RUNNING]
        assert "s3cret" not in texts(world) and "k3y-material" not in texts(world)

    run_virtually(story())


@pytest.mark.parametrize("operation", ["restart", "stop", "reboot", "recreate", "healing", "host"])
def test_what_replaces_a_secret_is_used_at_the_next_start(operation: str) -> None:
    async def story() -> None:
        world = World(host_count=1)
        secret = keep(world, password="s3cret", **{"tls.key": "k3y-material"})
        async with world.engine():
            cluster_id = world.create(1, profile_id=knowing(world, secret))
            await world.settle()
            (node,) = world.members(cluster_id)
            replace(world, secret, password="n3w", **{"tls.key": "n3w-material"})
            assert held(world) == ("s3cret", b"k3y-material")
            if operation in ("restart", "stop"):
                world.submit(ActionKind.NODE_OPERATION, node.id, {"operation": operation, "params": {}})
                await world.settle()
                if operation == "stop":
                    assert held(world)[1] is None
                    world.submit(ActionKind.NODE_OPERATION, node.id, {"operation": "start", "params": {}})
            elif operation in ("reboot", "recreate"):
                world.submit(ActionKind.NODE_RECOVER, node.id, {"operation": operation.upper()})
            elif operation == "healing":
                world.host_engine(0).core.kill(record(world).id, "SIGKILL", world.clock.now())
            else:
                world.host_engine(0).reboot()
            await world.clock.sleep(10.0)
            await world.settle()
            # A variable is the container's for life, files are brought at each start.
            password = "n3w" if operation == "recreate" else "s3cret"
            assert held(world) == (password, b"n3w-material")

    run_virtually(story())


@pytest.mark.parametrize("failing", [Operation.CREATE, Operation.START])
def test_what_a_docker_engine_says_of_a_secret_is_not_repeated(failing: Operation) -> None:
    async def story() -> None:
        world = World(host_count=1)
        secret = keep(world, password="s3cret-word", **{"tls.key": "k3y-material"})

        def fail(operation: Operation, host: str) -> None:
            if operation is failing:
                raise ContainerRefused("invalid: PASSWORD=s3cret-word and k3y-material")

        world.hooks.before = fail
        async with world.engine():
            cluster_id = world.create(1, profile_id=knowing(world, secret))
            await world.settle()
        said = texts(world)
        assert "PASSWORD=(secret) and (secret)" in said
        assert "s3cret-word" not in said and "k3y-material" not in said
        assert world.members(cluster_id)

    run_virtually(story())


def test_last_words_do_not_repeat_it() -> None:
    async def story() -> None:
        world = World(host_count=1)
        secret = keep(world, password="s3cret-word", **{"tls.key": "k3y-material"})
        command = "sh -c 'echo started with $PASSWORD; exit 3'"
        async with world.engine():
            profile_id = knowing(world, secret, command=command, restart_policy="none")
            world.create(1, profile_id=profile_id)
            await world.settle()
        assert "started with (secret)" in texts(world) and "s3cret-word" not in texts(world)

    run_virtually(story())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"other": "x"}, "secret 'db' has no key 'password'; it has other"),
        ({"password": "a\0b", "tls.key": "x"}, "no environment variable can"),
    ],
)
def test_a_secret_that_does_not_fit_any_more_fails_the_creation_with_the_reason(data: Any, words: str) -> None:
    async def story() -> None:
        world = World(host_count=1)
        secret = keep(world, **data)
        async with world.engine():
            world.create(1, profile_id=knowing(world, secret))
            await world.settle()
        assert words in texts(world)
        assert ActionStatus.FAILED in {one.status for one in world.actions()}
        assert world.containers() == []

    run_virtually(story())


class Elsewhere:
    """Barbican as the engine sees it."""

    def __init__(self) -> None:
        self.silent = 0
        self.asked: list[tuple[str, Owner]] = []

    async def read(self, reference: str, owner: Owner) -> str:
        self.asked.append((reference, owner))
        if self.silent:
            self.silent -= 1
            raise SecretUnavailable("Barbican does not answer")
        return "from-elsewhere"


def test_a_secret_kept_elsewhere_is_fetched_when_it_is_used_and_waited_for() -> None:
    async def story() -> None:
        world, elsewhere = World(host_count=1), Elsewhere()
        elsewhere.silent = 1
        secret = keep(world, reference=REFERENCE)
        async with world.engine(references=elsewhere):
            world.create(1, profile_id=knowing(world, secret, secrets=[{"secret": "db", "env": "PASSWORD"}]))
            await world.settle()
            assert held(world)[0] == "from-elsewhere"
        assert elsewhere.asked == [(REFERENCE, Owner("u", "p", None))] * 2

    run_virtually(story())


class TestOpening:
    def test_by_its_id(self) -> None:
        world = World(host_count=0)
        held = Secrets(world.store, KEYS)
        secret = keep(world, signing="k3y")
        assert asyncio.run(held.open_secret(secret.id)) == {"signing": "k3y"}
        with pytest.raises(SecretUnusable, match="does not exist any more"):
            asyncio.run(held.open_secret(world.ids.new()))

    def test_one_sealed_for_another_is_told(self) -> None:
        world = World(host_count=0)
        secret = keep(world, signing="k3y")
        other = keep(world, "other", signing="x")
        sealed = KEYS.public.seal(b"{}", other.id)
        world.store.run(lambda c: secrets.replace_value(c, secret.id, sealed=sealed, reference=None, facts={}, now=1.0))
        with pytest.raises(SecretUnusable, match="belongs to another object"):
            asyncio.run(Secrets(world.store, KEYS).open_secret(secret.id))

    def test_without_barbican_what_is_kept_there_cannot_be_had(self) -> None:
        world = World(host_count=0)
        secret = keep(world, reference=REFERENCE)
        with pytest.raises(SecretUnusable, match=r"configure \[barbican\]"):
            asyncio.run(Secrets(world.store, KEYS).open_secret(secret.id))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("it is hunter22!", "it is (secret)!"),
        ("aHVudGVyMjI= or aHVudGVyMjI", "(secret) or (secret)"),
        ("68756e7465723232", "(secret)"),
        ("line one of a key", "(secret) of a key"),
        ('"a\\nb c\\"d"', '"(secret)"'),
        ("cut at the end: a very long on…", "cut at the end: (secret)…"),
        ("nothing here, not even ab", "nothing here, not even ab"),
    ],
)
def test_values_are_found_in_all_their_spellings(text: str, told: str) -> None:
    assert conceal(text, ["hunter22", "line one\nx", 'a\nb c"d', "a very long one", "ab"]) == told


class TestSealingAnew:
    """After the key file got a new key in front."""

    def test_everything_is_sealed_for_the_new_key_and_stays_what_it_was(self, tmp_path: Path) -> None:
        async def story() -> None:
            world = World(host_count=0)
            path = tmp_path / "secret.key"
            keys = open_keys(path)
            kept = [keep(world, f"s{number:03}", number=str(number)) for number in range(130)]
            world.store.run(_reseal, keys.public.seal)
            world.store.run(credentials.register_key, keys)
            held = Secrets(world.store, keys)
            async with world.engine(keys=keys):
                await world.clock.sleep(1.0)
                rotated = rotate(path)
                await world.clock.sleep(2 * EVERY)
                assert world.store.run(sealed.by_key) == {rotated.public.id: 130}
                assert world.store.run(credentials.sealing_key) == rotated.public
                opened = [dict(await held.open_secret(one.id)) for one in kept]
            assert opened == [{"number": str(number)} for number in range(130)]

        run_virtually(story())

    def test_what_no_key_opens_stands_in_nobodys_way(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        async def story() -> None:
            world = World(host_count=0)
            path = tmp_path / "secret.key"
            keys = open_keys(path)
            lost = keep(world, "lost", a="x")  # for the key of the tests, which this engine does not have
            mine = keep(world, "mine", a="x")
            sealed_for_us = keys.public.seal(b'{"a":"x"}', mine.id)
            world.store.run(
                lambda c: secrets.replace_value(c, mine.id, sealed=sealed_for_us, reference=None, facts={}, now=1.0)
            )
            world.store.run(credentials.register_key, keys)
            rotated = rotate(path)
            async with world.engine(keys=keys):
                await world.clock.sleep(3 * EVERY)
                assert world.store.run(sealed.by_key) == {rotated.public.id: 1, KEYS.public.id: 1}
            assert caplog.text.count(f"secret {lost.id} stays as it is") == 1

        run_virtually(story())


def _reseal(connection: Connection, seal: Callable[[bytes, str], bytes]) -> None:
    for box in sealed.for_others(connection, "00" * 8, ("", ""), 1000):
        sealed.replace(connection, [(box, seal(KEYS.unseal(box.content, box.id), box.id))])
