"""The composition root: the one place that knows which database, driver, doorbell and authentication are used."""

from __future__ import annotations

from spinney.wiring.apis import api_deps
from spinney.wiring.engines import engine_context, engine_key_file
from spinney.wiring.parts import api_key_file, open_store
from spinney.wiring.processes import run_api, run_engine, run_standalone, settle_memory

__all__ = [
    "api_deps",
    "api_key_file",
    "engine_context",
    "engine_key_file",
    "open_store",
    "run_api",
    "run_engine",
    "run_standalone",
    "settle_memory",
]
