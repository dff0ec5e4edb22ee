"""Does the time of an answer tell a foreign object from an absent one?

One ``spinney standalone`` with two users in two projects (htpasswd). One makes a profile and a policy;
the other asks for their ids and for ids that nobody has, in random order on one connection. The median of one over that of
the other is 1 if time tells nothing; beside it stands the same ratio between two halves of the absent, which is noise.
"""

from __future__ import annotations

import asyncio
import base64
import random
import statistics
import time
import uuid
from pathlib import Path
from typing import Any

import bcrypt
from common import READY, Aim, Connection, Table, options, report, scratch, server, spinney

_ROUNDS = 1500
_VERSIONS = "clustering 1.14, spinney 1.0"
_PASSWORD = "correct horse"
_CONFIGURATION = """
[auth]
htpasswd_file = {folder}/htpasswd
users_file = {folder}/users.yaml

[limits]
rate = 0
shared_rate = 0
concurrent = 0
"""
_SPECS = {
    "profiles": {
        "profile": {
            "name": "p",
            "spec": {"type": "host.docker", "version": "1.0", "properties": {"endpoint": "unix:///m1"}},
        }
    },
    "policies": {
        "policy": {"name": "p", "spec": {"type": "senlin.policy.deletion", "version": "1.0", "properties": {}}}
    },
}


def headers(user: str) -> dict[str, str]:
    pair = base64.b64encode(f"{user}:{_PASSWORD}".encode()).decode()
    return {"Authorization": f"Basic {pair}", "OpenStack-API-Version": _VERSIONS}


def prepare(folder: Path) -> Path:
    hashed = bcrypt.hashpw(_PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (folder / "htpasswd").write_text("".join(f"{user}:{hashed}\n" for user in ("ann", "bob")))
    (folder / "users.yaml").write_text("ann: {project: one, roles: [admin]}\nbob: {project: two, roles: [manager]}\n")
    (folder / "spinney.conf").write_text(_CONFIGURATION.format(folder=folder))
    return folder / "spinney.conf"


async def make(url: str) -> dict[str, str]:
    """By noun, the id of what ann has."""
    made = {}
    ann = await Connection.open(url, headers("ann"))
    for noun, body in _SPECS.items():
        (found,) = (await ann.expect(201, "POST", f"/v1/{noun}", body)).values()
        made[noun] = found["id"]
    ann.close()
    return made


async def measure(url: str, noun: str, foreign: str, chance: random.Random) -> tuple[float, float]:
    """Foreign over absent, and one half of the absent over the other."""
    bob = await Connection.open(url, headers("bob"))
    order = [True, False, False] * _ROUNDS
    chance.shuffle(order)
    times: dict[bool, list[float]] = {True: [], False: []}
    for is_foreign in order:
        word = foreign if is_foreign else str(uuid.UUID(int=chance.getrandbits(128), version=4))
        begun = time.perf_counter()
        answer = await bob.call("GET", f"/v1/{noun}/{word}")
        times[is_foreign].append(time.perf_counter() - begun)
        assert answer.status == 404, answer.status
    bob.close()
    half = statistics.median(times[False][::2]) / statistics.median(times[False][1::2])
    return statistics.median(times[True]) / statistics.median(times[False]), half


async def run(url: str) -> list[tuple[str, float, float]]:
    chance = random.Random(1)
    return [(noun, *await measure(url, noun, found, chance)) for noun, found in (await make(url)).items()]


def main() -> None:
    given: Any = options(__doc__).parse_args()
    with scratch() as folder:
        command = spinney(
            "standalone", "--state-dir", str(folder / "state"), "--config-file", str(prepare(folder)), "--port", "0",
            "--no-local-host",
        )  # fmt: skip
        with server(command, READY) as running:
            found = asyncio.run(run(running.url))
    rows = [(noun, round(ratio, 3), round(noise, 3)) for noun, ratio, noise in found]
    table = Table("Median time of a 404", ("noun", "foreign / absent", "absent / absent"), rows)
    aims = [Aim(f"{noun}: foreign / absent", ratio, 1.05) for noun, ratio, _ in found]
    report(given.json, [table], aims)


if __name__ == "__main__":
    main()
