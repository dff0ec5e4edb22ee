"""Waiting until a container that is no node's yet may be given work: before it takes the place of another one.

Guaranteed: what is waited for is what makes a node ready: the container runs, its started and ready probes pass, and Docker's
health check is content. A container that ends, ails or is not ready in time is refused with what it was asked, what was got
and what was wanted.
"""

from __future__ import annotations

from spinney.clock import Clock
from spinney.domain.container import Container
from spinney.domain.health import diagnose
from spinney.domain.node import Node, PowerState
from spinney.domain.readiness import State, answered, begin, next_ask, verdict
from spinney.drivers.base import ContainerHost
from spinney.engine.carrying.questions import ask
from spinney.engine.catalog import ContainerProfile
from spinney.errors import ContainerRefused

#: Seconds between looks at the container while there is nothing to ask it.
_PAUSE = 0.5


async def until_ready(
    clock: Clock, docker: ContainerHost, node: Node, profile: ContainerProfile, container: Container, within: float
) -> Container:
    """The container of the profile, made for the node just now, once it is ready. One whose user wants it stopped or paused
    is ready when it is that.

    Raises: ContainerRefused after ``within`` seconds, or as soon as it is clear; HostError.
    """
    begun = clock.monotonic()
    state = begin(profile.probes, begun)
    while True:
        fit(node, container)
        if node.power is not PowerState.RUNNING:
            return container
        now = clock.monotonic()
        found = verdict(profile.probes, state, container, now)
        if found.ready:
            return container
        if found.ailment:
            raise ContainerRefused(f"the new container is not fit to take over: {found.ailment}")
        if now >= begun + within:
            raise ContainerRefused(f"the new container was not ready within {within:g} s: {found.reason}")
        state = await _advance(clock, docker, profile, container.id, state, until=min(now + _PAUSE, begun + within))
        looked = await docker.inspect(container.id)
        if looked is None:
            raise ContainerRefused("the new container is not fit to take over: it vanished")
        container = looked


def fit(node: Node, container: Container) -> Container:
    """The container, in which nothing is seen to be wrong. Raises: ContainerRefused."""
    sick = diagnose(node, container)
    if sick is not None:
        raise ContainerRefused(f"the new container is not fit to take over: {sick.text}")
    return container


async def _advance(
    clock: Clock, docker: ContainerHost, profile: ContainerProfile, container_id: str, state: State, until: float
) -> State:
    """Ask what is to be asked until then, or wait."""
    due = next_ask(state)
    moment = until if due is None else min(due[0], until)
    if moment > clock.monotonic():
        await clock.sleep(moment - clock.monotonic())
    if due is None or clock.monotonic() < due[0]:
        return state
    asked, role = clock.monotonic(), due[1]
    probe = profile.probes.of(role)
    assert probe is not None
    answer = await ask(docker, container_id, probe, secretive=bool(profile.properties.secrets))
    return answered(profile.probes, state, role, answer, asked, clock.monotonic())
