"""The least an answer can cost with these parts: thread hop, one SQLAlchemy Core statement, Starlette's JSON response."""

from __future__ import annotations

import asyncio
import socket
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa
import uvicorn
from sqlalchemy import Connection
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from spinney.store.tables import cluster, node, profile

_LISTED = 1000


class Floor:
    def __init__(self, path: str) -> None:
        self._engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30, "check_same_thread": False})
        self._threads = ThreadPoolExecutor(2)
        self._one = sa.select(node).where(node.c.id == sa.bindparam("id"))
        mine = sa.select(node).where(node.c.project == "default")
        self._some = mine.order_by(node.c.init_at, node.c.id).limit(sa.bindparam("limit"))
        self._members = sa.select(node.c.id).where(node.c.cluster_id == sa.bindparam("id"))
        self._all = sa.select(node.c.cluster_id, node.c.id).where(node.c.cluster_id.in_(sa.select(cluster.c.id)))

    async def _answer(self, work: Callable[[Connection], Any], status: int = 200) -> JSONResponse:
        def run() -> Any:
            with self._engine.begin() as connection:
                return work(connection)

        return JSONResponse(await asyncio.get_running_loop().run_in_executor(self._threads, run), status)

    async def get_node(self, request: Request) -> JSONResponse:
        wanted = {"id": request.path_params["id"]}
        return await self._answer(lambda c: {"node": dict(c.execute(self._one, wanted).one()._mapping)})

    async def list_nodes(self, request: Request) -> JSONResponse:
        wanted = {"limit": int(request.query_params.get("limit", _LISTED))}
        return await self._answer(lambda c: {"nodes": [dict(row._mapping) for row in c.execute(self._some, wanted)]})

    async def get_cluster(self, request: Request) -> JSONResponse:
        wanted = {"id": request.path_params["id"]}
        return await self._answer(lambda c: {"cluster": {"nodes": list(c.execute(self._members, wanted).scalars())}})

    async def list_clusters(self, request: Request) -> JSONResponse:
        return await self._answer(lambda c: {"clusters": [list(row) for row in c.execute(self._all)]})

    async def create_profile(self, request: Request) -> JSONResponse:
        given = (await request.json())["profile"]
        row = {"id": str(uuid.uuid4()), "name": given["name"], "type": "floor", "spec": given["spec"], "metadata": {}}
        row |= {"user": "floor", "project": "floor", "domain": None, "created_at": 0.0, "updated_at": None}

        def insert(connection: Connection) -> dict[str, Any]:
            connection.execute(profile.insert(), row)
            return {"profile": row}

        return await self._answer(insert, 201)


def main() -> None:
    floor = Floor(sys.argv[1])
    routes = [
        Route("/v1/nodes/{id}", floor.get_node),
        Route("/v1/nodes", floor.list_nodes),
        Route("/v1/clusters/{id}", floor.get_cluster),
        Route("/v1/clusters", floor.list_clusters),
        Route("/v1/profiles", floor.create_profile, methods=["POST"]),
    ]
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"floor ready: http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(Starlette(routes=routes), lifespan="off", log_config=None, access_log=False, loop="uvloop")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
