"""Removing images that nobody needs from a host whose disk fills up.

Guaranteed: only what Spinney pulled there itself, by reference and without force, so that a Docker engine refuses what any
container uses; never ``prune``. A host whose disk use is not measured, or was not measured lately, keeps all of its images.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from spinney.domain import event as events
from spinney.domain.event import Level
from spinney.domain.host import Host
from spinney.domain.identity import Owner
from spinney.domain.images import Disk, HostImage, choose, familiar
from spinney.engine.catalog import ContainerProfile
from spinney.engine.context import EngineContext
from spinney.engine.worker import Session
from spinney.store import hosts, image_rules, images
from spinney.store.rows import EVENTS, NODES
from spinney.store.tables import host as host_table
from spinney.store.tables import node as node_table

log = logging.getLogger(__name__)

#: Seconds after which a measurement says nothing about the disk as it is.
_FRESH = 300.0
#: Seconds by which the moment of an image's last use may be behind: it is written no more often.
_ROUGHLY = 600.0


@dataclass(frozen=True, slots=True)
class _Look:
    """A host as stored, what Spinney pulled there with its last use, and what the containers placed there are made of."""

    host: Host
    ours: dict[str, float]
    placed: frozenset[str]


class Tidier:
    """For one host; ``run`` until cancelled."""

    def __init__(self, session: Session, host: Host) -> None:
        self._session = session
        self._context = session.context
        self._host = host
        self._told = False
        #: When images were last removed: older measurements do not know of it.
        self._removed_at = 0.0

    async def run(self) -> None:
        while self._context.hosts.image_high_watermark > 0:
            await self._context.clock.sleep(self._context.hosts.image_interval)
            look = await self._context.store.read(_look, self._context, self._host.node_id)
            if look is not None and look.ours:
                await self._note_use(look)
                disk = self._disk(look.host)
                if disk is not None and disk.full:
                    await self._tidy(look, disk)

    async def _note_use(self, look: _Look) -> None:
        now = self._context.clock.now()
        stale = [one for one in look.placed if look.ours.get(one, now) < now - _ROUGHLY]
        if stale:
            await self._context.store.transact(images.used, look.host.node_id, stale, now)

    def _disk(self, host: Host) -> Disk | None:
        """None: how full it is is not known."""
        settings = self._context.hosts
        measured = host.sampled_at is not None and host.sampled_at > self._context.clock.now() - _FRESH
        if not measured or not host.disk or host.used_disk is None:
            if not self._told:
                self._told = True
                log.info("host %s: its disk is not measured, so no images are removed from it", host.name)
            return None
        if host.sampled_at is not None and host.sampled_at <= self._removed_at:
            return None
        return Disk(host.used_disk, host.disk, settings.image_high_watermark, settings.image_low_watermark)

    async def _tidy(self, look: _Look, disk: Disk) -> None:
        docker = self._session.pool.get(look.host).docker
        present = await docker.images()
        used = {container.image for container in await docker.containers({})}
        # Read last: what was placed here while the host was asked is then known.
        needed = await self._context.store.read(_needed, self._context, look.host)
        gone: list[HostImage] = []
        for image in choose(disk, look.ours, present, used, needed):
            self._session.lease.require()
            if all([await docker.remove_image(reference) for reference in image.removable_by]):
                gone.append(image)
        self._removed_at = self._context.clock.now()
        if gone:
            told = _sentence(gone, disk)
            log.info("host %s: %s", look.host.name, told)
            await self._context.store.transact(_record, self._context, look.host.node_id, gone, told)


def _look(connection: Connection, context: EngineContext, host_id: str) -> _Look | None:
    found = hosts.find(connection, host_table.c.node_id == host_id)
    if not found:
        return None
    ours = images.of_host(connection, host_id)
    placed = _references(connection, context, images.profiles_there(connection, host_id)) if ours else frozenset()
    return _Look(found[0], ours, placed)


def _needed(connection: Connection, context: EngineContext, host: Host) -> frozenset[str]:
    there = images.profiles_there(connection, host.node_id)
    return _references(connection, context, there | images.profiles_meant(connection, host.node_id, host.cluster_id))


def _references(connection: Connection, context: EngineContext, profile_ids: Collection[str]) -> frozenset[str]:
    found = context.rules.catalog.load(connection, profile_ids).values()
    named = {familiar(one.properties.image) for one in found if isinstance(one, ContainerProfile)}
    return frozenset(named | image_rules.digests_of(connection, profile_ids))


def _sentence(gone: Iterable[HostImage], disk: Disk) -> str:
    names = ", ".join(reference for image in gone for reference in image.removable_by)
    size = sum(image.size for image in gone) / 1e9
    return f"the disk was {disk.used / disk.size:.0%} full: images nobody needs were removed ({size:.1f} GB at most): {names}"


def _record(connection: Connection, context: EngineContext, host_id: str, gone: list[HostImage], told: str) -> None:
    references = [reference for image in gone for reference in image.removable_by]
    images.forget(connection, host_id, references)
    node = NODES.one(connection, node_table.c.id == host_id)
    if node is not None:
        event = events.of_node(
            Owner(node.user, node.project, node.domain),
            node_id=node.id,
            node_name=node.name,
            cluster_id=node.cluster_id,
            kind="IMAGES_REMOVED",
            level=Level.INFO,
            reason=told,
            event_id=context.ids.new(),
            now=context.clock.now(),
            data={"images": references},
        )
        EVENTS.insert(connection, [event])
