"""Simulated load balancers keep the promises of real ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from drivers.test_simulated_contract import SimulatedWorld
from engine.balancer_contract import BalancerPromises
from spinney.clock import SystemClock
from spinney.drivers.balancer.image import File, archive
from spinney.drivers.simulated import EngineSettings, SimulatedEngine, SimulatedHost


class TestSimulated(BalancerPromises):
    @pytest.fixture
    def world(self) -> Iterator[SimulatedWorld]:
        engine = SimulatedEngine(EngineSettings("sim"), SystemClock())
        with asyncio.Runner() as runner:
            yield SimulatedWorld(SimulatedHost(engine), runner, engine)

    @pytest.fixture
    def archive(self) -> bytes:
        return archive({"file": File(b"")}, {}, "amd64", "")
