"""The simulated Octavia keeps the promises of the real one."""

from __future__ import annotations

import asyncio

from drivers.octavia_contract import Case, OctaviaPromises, Story
from simulated_octavia import SimulatedOctavia, serving
from spinney.clock import SystemClock


class TestSimulated(OctaviaPromises):
    def tell(self, story: Story) -> None:
        async def body() -> None:
            async with serving(SimulatedOctavia(SystemClock(), takes=0.01)) as url:
                await story(Case(url))

        asyncio.run(body())
