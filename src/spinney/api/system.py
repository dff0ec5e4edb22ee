"""The service about itself: build, processes, and the description of this API."""

from __future__ import annotations

from sqlalchemy import Connection

from spinney.api import views
from spinney.api.wire import Call, Reply, json_reply
from spinney.store import database, engines
from spinney.store.engines import EngineRow


async def build_info(call: Call) -> Reply:
    revision = {"revision": call.deps.revision}
    return json_reply({"build_info": {"api": revision, "engine": revision}})


async def services(call: Call) -> Reply:
    now, found = await call.deps.store.read(_engines)
    return json_reply(
        {
            "services": [
                {
                    "binary": "spinney-engine",
                    "disabled_reason": None,
                    "host": engine.hostname,
                    "id": engine.id,
                    "state": "up" if engine.expires_at > now else "down",
                    "status": "enabled",
                    "topic": "spinney-engine",
                    "updated_at": views.when(engine.seen_at),
                }
                for engine in found
            ]
        }
    )


def _engines(connection: Connection) -> tuple[float, list[EngineRow]]:
    return database.now(connection), engines.everyone(connection)
