"""What only a real Docker engine shows, beside the contract: that the hardening is really in force, and its peculiarities.

A test module derives a class from ``DockerSuite``, or from ``DockerEssentials``, and gives it a ``world`` made by
``docker_world``: whichever way leads to the Docker engine, ``raw`` goes through its unix socket, behind the driver's back.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket as sockets
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

import docker_engine
from drivers.contract import ContractSuite, Essentials
from drivers.probe_contract import ProberPromises
from drivers.secret_contract import RealSecretPromises
from drivers.world import World, read_logs, scenario
from spinney.domain.container import ContainerLimits, ImageRequest, LogQuery, PullPolicy, Ulimit
from spinney.drivers.base import ContainerHost, HostAddress
from spinney.drivers.docker import DockerConnector
from spinney.drivers.helper.image import helper_image
from spinney.errors import ContainerRefused, ImageNotFound


class DockerWorld(World):
    absent_image = "127.0.0.1:9/spinney-absent:none"

    def __init__(self, connect: Callable[[], ContainerHost], runner: asyncio.Runner, socket: str) -> None:
        super().__init__(connect(), runner, docker_engine.IMAGE)
        self.connect = connect
        self.socket = socket
        self._foreign: set[str] = set()

    async def raw(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """What the Docker engine says, without the driver between."""
        status, answer = await asyncio.to_thread(docker_engine.call, self.socket, method, path, body, query=query)
        assert status < 300, answer
        return answer

    async def make_foreign(self, name: str) -> str:
        made = await self.raw("POST", "/containers/create", {"Image": self.image}, name=name)
        self._foreign.add(made["Id"])
        return str(made["Id"])

    async def remove_foreign(self, container_id: str) -> None:
        await self.raw("DELETE", f"/containers/{container_id}", force="1")
        self._foreign.discard(container_id)

    async def clean_up(self) -> None:
        for container_id in tuple(self._foreign):
            await self.remove_foreign(container_id)
        await super().clean_up()

    async def read_file(self, container_id: str, path: str) -> bytes | None:
        """As the container sees it: the Docker engine looks at it from outside, where its mounts need not be."""
        asked = {"Cmd": ["cat", path], "AttachStdout": True}
        made = await self.raw("POST", f"/containers/{container_id}/exec", asked)
        said = await self.raw("POST", f"/exec/{made['Id']}/start", {"Detach": False, "Tty": True})
        done = await self.raw("GET", f"/exec/{made['Id']}/json")
        return str(said).encode() if done["ExitCode"] == 0 else None

    def another(self) -> ContainerHost:
        return self.connect()

    async def make_helper_without_rights(self, name: str, labels: Mapping[str, str]) -> None:
        body = {"Image": helper_image("amd64").reference, "Labels": labels, "OpenStdin": True, "User": "65534:65534"}
        await self.raw("POST", "/containers/create", body, name=name)

    def free_port(self) -> int:
        with sockets.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])


@contextlib.contextmanager
def docker_world(connector: DockerConnector, address: HostAddress, socket: str) -> Iterator[DockerWorld]:
    with asyncio.Runner() as runner:
        world = DockerWorld(lambda: connector.connect(address), runner, socket)
        try:
            yield world
        finally:
            runner.run(world.clean_up())
            runner.run(world.host.close())


class HardeningPromises:
    @scenario
    async def test_every_container_is_confined_the_same_way(self, world: DockerWorld) -> None:
        made = await world.host.create(world.request(cap_add=("NET_RAW",), cap_drop=("CAP_KILL", "chown")))
        config = (await world.raw("GET", f"/containers/{made.id}/json"))["HostConfig"]
        assert config["Privileged"] is False
        assert config["CapDrop"] == ["ALL"]
        added = {name.removeprefix("CAP_") for name in config["CapAdd"]}
        assert added == {"DAC_OVERRIDE", "FOWNER", "FSETID", "NET_BIND_SERVICE", "NET_RAW", "SETGID", "SETUID"}
        assert config["SecurityOpt"] == ["no-new-privileges:true"]
        assert (config["IpcMode"], config["PidMode"], config["UTSMode"]) == ("private", "", "")
        assert (config["NetworkMode"], config["Binds"], config["Devices"]) == ("none", None, None)
        assert config["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}
        assert (config["Init"], config["PidsLimit"]) == (True, 512)

    @scenario
    async def test_the_kernel_agrees(self, world: DockerWorld) -> None:
        script = (
            "grep -e CapEff -e NoNewPrivs /proc/self/status; ulimit -n; touch /new || echo read-only; touch /tmp/new"
        )
        request = world.request(
            ("sh", "-c", script),
            cap_drop=("ALL",),
            read_only=True,
            tmpfs={"/tmp": "size=1m"},
            ulimits=(Ulimit("nofile", 123, 123),),
        )
        container = await world.started(request)
        await world.until(container, lambda one: one.exit_code is not None)
        said = (await read_logs(world, container))["stdout"].split()
        assert said == ["CapEff:", "0000000000000000", "NoNewPrivs:", "1", "123", "read-only"]

    @scenario
    async def test_limits_reach_the_docker_engine(self, world: DockerWorld) -> None:
        limits = {"cpu_limit": 0.5, "cpu_reservation": 0.25, "memory_limit": 64 << 20, "memory_reservation": 32 << 20}
        made = await world.host.create(world.request(pids_limit=20, restart_on_failure=3, **limits))
        config = (await world.raw("GET", f"/containers/{made.id}/json"))["HostConfig"]
        assert (config["NanoCpus"], config["CpuShares"]) == (500_000_000, 256)
        assert (config["Memory"], config["MemorySwap"], config["MemoryReservation"]) == (64 << 20, 64 << 20, 32 << 20)
        assert config["PidsLimit"] == 20
        assert config["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}

    @scenario
    async def test_changed_limits_reach_it_too(self, world: DockerWorld) -> None:
        container = await world.started(world.request(memory_limit=64 << 20, restart_on_failure=3))
        await world.host.update(container, ContainerLimits(0.25, 0.5, 96 << 20, 48 << 20, 30))
        config = (await world.raw("GET", f"/containers/{container}/json"))["HostConfig"]
        assert (config["NanoCpus"], config["CpuShares"]) == (250_000_000, 512)
        assert (config["Memory"], config["MemorySwap"], config["MemoryReservation"]) == (96 << 20, 96 << 20, 48 << 20)
        assert config["PidsLimit"] == 30
        assert config["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}

    @scenario
    async def test_too_much_memory_is_told_as_such(self, world: DockerWorld) -> None:
        eat = ("sh", "-c", "x=x; while :; do x=$x$x; done")
        container = await world.started(world.request(eat, memory_limit=16 << 20))
        seen = await world.until(container, lambda one: one.exit_code is not None)
        assert seen.oom_killed


class PeculiarPromises:
    @scenario
    async def test_init_hides_a_missing_program_until_it_exits(self, world: DockerWorld) -> None:
        container = await world.started(world.request(("/no/such/program",), init=True))
        seen = await world.until(container, lambda one: one.exit_code is not None)
        assert seen.exit_code == 127

    @scenario
    async def test_a_log_driver_that_cannot_be_read_is_named(self, world: DockerWorld) -> None:
        container = await world.started(world.request(log_driver="none"))
        with pytest.raises(ContainerRefused, match="log driver"):
            await read_logs(world, container)
        container = await world.started(world.request(world.printing("kept"), log_driver="local"))
        await world.until(container, lambda one: one.exit_code is not None)
        assert (await read_logs(world, container))["stdout"] == "kept\n"

    @scenario
    async def test_long_output_arrives_whole_and_in_order(self, world: DockerWorld) -> None:
        container = await world.started(world.request(("sh", "-c", "seq 1 20000")))
        await world.until(container, lambda one: one.exit_code is not None)
        assert (await read_logs(world, container))["stdout"].split() == [str(n) for n in range(1, 20001)]

    @scenario
    async def test_open_streams_do_not_keep_calls_waiting(self, world: DockerWorld) -> None:
        container = await world.started(world.request(world.printing("x", then_sleep=True)))
        streams = [world.host.logs(container, LogQuery(follow=True)) for _ in range(120)]
        await asyncio.gather(*(anext(stream) for stream in streams))
        async with asyncio.timeout(10):
            assert await world.host.inspect(container) is not None
        await world.host.remove(container)
        for stream in streams:
            assert [chunk async for chunk in stream] == []

    @scenario
    async def test_an_image_for_another_platform_does_not_count(self, world: DockerWorld) -> None:
        image = ImageRequest(world.image, PullPolicy.NEVER, platform="linux/s390x")
        with pytest.raises(ImageNotFound, match="linux/s390x"):
            await world.host.ensure_image(image)
        with pytest.raises(ImageNotFound, match="linux/s390x"):
            await world.host.create(world.request(image=image))


class DockerEssentials(Essentials, HardeningPromises, RealSecretPromises, PeculiarPromises):
    """What a Docker engine has to do for us, but for what takes long."""


class DockerSuite(DockerEssentials, ContractSuite, ProberPromises):
    """Everything a Docker engine has to do for us. Derive a ``Test…`` class from it and give it a ``world`` fixture."""
