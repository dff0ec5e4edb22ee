"""What every container host promises about secrets: files in memory for as long as it runs, and nothing of them elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drivers.world import World, read_logs, scenario
from spinney.domain.container import LABEL_DEPLOYMENT, LABEL_KEEPER, ContainerState, SecretFile
from spinney.domain.host import HelperMode
from spinney.drivers.helper.image import container_name as helper_name
from spinney.errors import ContainerGone

if TYPE_CHECKING:
    from drivers.docker_contract import DockerWorld

DIRECTORIES = ("/run/secrets", "/srv/app")
FILES = (
    SecretFile("/run/secrets/password", b"s3cret"),
    SecretFile("/run/secrets/tls/key", b"k3y", mode=0o400, uid=1000, gid=1000),
    SecretFile("/srv/app/token", b"t0ken"),
)


class SecretPromises:
    @scenario
    async def test_files_are_there_while_it_runs_and_no_longer(self, world: World) -> None:
        made = await world.host.create(world.request(secret_directories=DIRECTORIES))
        await world.host.start(made.id, FILES)
        for one in FILES:
            assert await world.read_file(made.id, one.path) == one.content
        await world.host.stop(made.id, 5)
        await world.host.start(made.id)
        assert await world.read_file(made.id, FILES[0].path) is None

    @scenario
    @pytest.mark.parametrize("running", [True, False])
    async def test_a_restart_brings_them_anew(self, world: World, running: bool) -> None:
        made = await world.host.create(world.request(secret_directories=DIRECTORIES))
        if running:
            await world.host.start(made.id, FILES)
        anew = (SecretFile(FILES[0].path, b"n3w"),)
        await world.host.restart(made.id, 5, anew)
        assert await world.read_file(made.id, FILES[0].path) == b"n3w"
        assert await world.read_file(made.id, FILES[2].path) is None

    @scenario
    async def test_starting_what_runs_renews_them(self, world: World) -> None:
        made = await world.host.create(world.request(secret_directories=DIRECTORIES))
        await world.host.start(made.id, FILES)
        began = (await world.present(made.id)).started_at
        await world.host.start(made.id, (SecretFile(FILES[0].path, b"n3w"),))
        assert await world.read_file(made.id, FILES[0].path) == b"n3w"
        assert (await world.present(made.id)).started_at == began

    @scenario
    async def test_nothing_else_of_ours_stays_on_the_host(self, world: World) -> None:
        made = await world.host.create(world.request(secret_directories=DIRECTORIES))
        await world.host.start(made.id, FILES)
        assert [one.id for one in await world.host.containers({LABEL_DEPLOYMENT: world.deployment})] == [made.id]

    @scenario
    async def test_a_container_that_is_gone_is_told(self, world: World) -> None:
        with pytest.raises(ContainerGone):
            await world.host.start("f" * 64, FILES)
        assert await world.host.containers({LABEL_DEPLOYMENT: world.deployment}) == []

    @scenario
    async def test_a_secret_variable_is_in_the_environment(self, world: World) -> None:
        request = world.request(
            ("sh", "-c", "echo $PLAIN $PASSWORD"), environment={"PLAIN": "p"}, secret_environment={"PASSWORD": "s3cret"}
        )
        assert "s3cret" not in repr(request)
        container = await world.started(request)
        seen = await world.until(container, lambda one: one.state is ContainerState.EXITED)
        assert (await read_logs(world, container))["stdout"] == "p s3cret\n"
        assert "s3cret" not in repr(seen)


class RealSecretPromises:
    """On a real Docker engine: what the kernel and the disk say."""

    @scenario
    @pytest.mark.parametrize("read_only", [True, False])
    async def test_the_command_finds_them_with_their_owners(self, world: DockerWorld, read_only: bool) -> None:
        script = (
            "cat /run/secrets/password /run/secrets/tls/key /srv/app/token; "
            "stat -c ' %a %u %g' /run/secrets/tls/key; grep ' /run/secrets ' /proc/mounts"
        )
        request = world.request(
            ("sh", "-c", script),
            secret_directories=DIRECTORIES,
            user="1000:1000",
            read_only=read_only,
            cap_drop=("ALL",),
        )
        made = await world.host.create(request)
        await world.host.start(made.id, FILES)
        seen = await world.until(made.id, lambda one: one.exit_code is not None)
        said = (await read_logs(world, made.id))["stdout"]
        assert seen.exit_code == 0 and said.startswith("s3cretk3yt0ken 400 1000 1000\n"), said
        assert all(word in said for word in (" tmpfs ", "nosuid", "nodev", "noexec"))

    @scenario
    async def test_volumes_go_with_the_container(self, world: DockerWorld) -> None:
        before = await world.raw("GET", "/volumes")
        made = await world.host.create(world.request(secret_directories=DIRECTORIES))
        await world.host.start(made.id, FILES)
        assert len((await world.raw("GET", "/volumes"))["Volumes"]) == len(before["Volumes"] or ()) + 2
        await world.host.remove(made.id)
        assert (await world.raw("GET", "/volumes"))["Volumes"] == before["Volumes"]

    @scenario
    async def test_a_keeper_left_behind_is_replaced_and_takes_the_volumes_along(self, world: DockerWorld) -> None:
        """As after a death between the two starts, and with the container removed before its keeper."""
        before = await world.raw("GET", "/volumes")
        made = await world.host.create(world.request(secret_directories=DIRECTORIES))
        body = {
            "Image": world.image,
            "Cmd": ["sleep", "600"],
            "HostConfig": {"VolumesFrom": [made.id], "NetworkMode": "none"},
        }
        body["Labels"] = world.labels()
        name = f"spinney-keeper.{made.id[:24]}"
        left = await world.raw("POST", "/containers/create", body, name=name)
        await world.raw("POST", f"/containers/{left['Id']}/start")
        await world.host.start(made.id, FILES)
        assert await world.read_file(made.id, FILES[0].path) == b"s3cret"
        assert await world.host.inspect(name) is None
        left = await world.raw("POST", "/containers/create", body, name=name)
        await world.raw("POST", f"/containers/{left['Id']}/start")
        await world.host.remove(made.id)
        await world.host.remove(left["Id"])
        assert (await world.raw("GET", "/volumes"))["Volumes"] == before["Volumes"]

    @scenario
    async def test_removing_the_helper_leaves_keepers(self, world: DockerWorld) -> None:
        await world.host.ensure_helper(world.deployment, HelperMode.PLAIN)
        made = await world.host.create(world.request(secret_directories=DIRECTORIES))
        image = (await world.raw("GET", f"/containers/{helper_name(world.deployment)}/json"))["Image"]
        body = {"Image": image, "OpenStdin": True, "HostConfig": {"VolumesFrom": [made.id], "NetworkMode": "none"}}
        body["Labels"] = world.labels() | {LABEL_KEEPER: "x"}
        keeper = await world.raw("POST", "/containers/create", body, name=f"spinney-keeper.{made.id[:24]}")
        await world.host.remove_helper(world.deployment)
        assert (await world.present(keeper["Id"])).labels[LABEL_KEEPER] == "x"
        await world.host.remove(keeper["Id"])

    @scenario
    async def test_a_failed_start_leaves_no_keeper(self, world: DockerWorld) -> None:
        made = await world.host.create(world.request(("/no/such/program",), init=False, secret_directories=DIRECTORIES))
        with pytest.raises(Exception, match="no/such/program"):
            await world.host.start(made.id, FILES)
        assert [one.id for one in await world.host.containers({LABEL_DEPLOYMENT: world.deployment})] == [made.id]
