"""The host helper itself: its program on made-up machines, what becomes of its answers, and its image."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from spinney.domain.container import LABEL_DEPLOYMENT, LABEL_HELPER, LABEL_HELPER_MODE
from spinney.domain.host import HelperMode
from spinney.drivers.docker.helper_request import helper_body, prober_body
from spinney.drivers.helper import answers
from spinney.drivers.helper.hearing import Hearing, Listing
from spinney.drivers.helper.image import (
    ARCHITECTURES,
    PROGRAM,
    VERSION,
    container_name,
    helper_image,
    known_architecture,
    packed,
)
from spinney.errors import ContainerRefused, HostBroken

FOLDER = Path(str(files("spinney.drivers.helper")))
NATIVE = {"x86_64": "x86_64", "aarch64": "aarch64"}.get(platform.machine())
A, B = "a" * 64, "0123456789abcdef" * 4

PROC = {
    "sys/kernel/random/boot_id": "f2a28559-f8a1-4a08-9cb9-3dc4b88a4f10\n",
    "stat": "cpu  1000 50 300 90000 20 10 30 5 400 0\ncpu0 1 2 3\ncpu1 1 2 3\nintr 7 7 7\nctxt 9\nbtime 5\n",
    "meminfo": "MemTotal:       8000 kB\nMemFree:        1 kB\nMemAvailable:   6000 kB\n",
    "loadavg": "0.25 0.51 1.12 3/114 30704\n",
    "pressure/cpu": "some avg10=4.97 avg60=1.66 avg300=3.33 total=29\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
}
UNIFIED = {
    "cpu.stat": "usage_usec 1500000\nuser_usec 1\nsystem_usec 2\nnr_periods 0\nthrottled_usec 250000\n",
    "memory.current": "5000\n",
    "memory.stat": "anon 1\ninactive_anon 3\ninactive_file 2000\n",
    "memory.max": "max\n",
    "memory.events": "low 0\noom 1\noom_kill 2\n",
    "pids.current": "3\n",
    "io.stat": "8:0 rbytes=100 wbytes=20 rios=1\n8:16 rbytes=11 wbytes=2 rios=1\n",
}
SEPARATE = {
    "cpuacct": {"cpuacct.usage": "1500000000\n"},
    "cpu": {"cpu.stat": "nr_periods 5\nnr_throttled 1\nthrottled_time 250000000\n"},
    "memory": {
        "memory.usage_in_bytes": "5000\n",
        "memory.stat": "inactive_file 1\ntotal_inactive_file 2000\n",
        "memory.limit_in_bytes": "9223372036854771712\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    },
    "pids": {"pids.current": "3\n"},
    "blkio": {
        "blkio.throttle.io_service_bytes_recursive": "8:0 Read 100\n8:0 Write 20\n8:0 Total 120\n8:16 Read 11\n"
        "8:16 Write 2\n8:16 Total 13\nTotal 133\n"
    },
}


def write(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def unified(folder: Path, *groups: str) -> None:
    write(folder, {"cgroup.controllers": "cpu io memory pids\n"})
    for group in groups:
        write(folder / group, UNIFIED)


def separate(folder: Path, *groups: str) -> None:
    for controller, texts in SEPARATE.items():
        for group in groups:
            write(folder / controller / group, texts)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    write(tmp_path / "proc", PROC)
    (tmp_path / "cgroup").mkdir()
    return tmp_path


def ask(program: Path, machine: Path, *questions: str) -> list[list[str]]:
    """The answers of the program, each checked to be framed by the tag of its question."""
    said = subprocess.run(
        [program, machine / "proc", machine / "cgroup"],
        input="".join(f"{question} t{number}\n" for number, question in enumerate(questions)).encode(),
        capture_output=True,
        check=True,
        timeout=20,
    )
    found = [Listing() for _ in questions]
    hearing = Hearing()
    for number, listing in enumerate(found):
        hearing.expect(f"t{number}", listing)
    hearing.feed(said.stdout)
    assert said.stderr == b"" and all(listing.done for listing in found), said.stdout
    return [listing.lines for listing in found]


@pytest.fixture(scope="session")
def program() -> Path:
    """What is shipped for this machine, made executable."""
    if NATIVE is None:
        pytest.skip(f"there is no host helper for {platform.machine()}")
    return FOLDER / NATIVE


def _compiler(architecture: str) -> str | None:
    return shutil.which("gcc" if architecture == NATIVE else f"{architecture}-linux-gnu-gcc")


@pytest.fixture(scope="session", params=ARCHITECTURES.values())
def compiled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The program compiled now, for each architecture that there is a compiler for."""
    if _compiler(request.param) is None:
        pytest.skip(
            f"no gcc for {request.param} (apt-get install gcc, or gcc-{request.param.replace('_', '-')}-linux-gnu)"
        )
    folder = tmp_path_factory.mktemp("helper")
    others = {f"CC_{one}": "none" for one in ARCHITECTURES.values() if one != request.param}
    subprocess.run([FOLDER / "build", folder], check=True, capture_output=True, env={"PATH": "/usr/bin:/bin", **others})
    return request.param, folder


class TestCompiling:
    def test_the_same_compiler_makes_the_same_bytes(self, compiled: tuple[str, Path]) -> None:
        architecture, folder = compiled
        made = (folder / architecture).read_bytes()
        with_what = (folder / "built-with").read_text()
        if with_what not in (FOLDER / "built-with").read_text():
            pytest.skip(f"what is shipped was not compiled with {with_what}")
        assert made == (FOLDER / architecture).read_bytes(), (
            "helper.c was changed: run src/spinney/drivers/helper/build"
        )

    def test_what_is_compiled_anew_says_what_is_shipped_says(
        self, compiled: tuple[str, Path], program: Path, machine: Path
    ) -> None:
        architecture, folder = compiled
        runner = None if architecture == NATIVE else shutil.which(f"qemu-{architecture}-static")
        if architecture != NATIVE and runner is None:
            pytest.skip(f"no qemu-{architecture}-static to run it (apt-get install qemu-user-static)")
        made = folder / architecture
        if runner is not None:
            made = folder / "run"
            made.write_text(f'#!/bin/sh\nexec {runner} {folder / architecture} "$@"\n')
            made.chmod(0o755)
        separate(machine / "cgroup", f"docker/{A}", f"docker/{B}")
        questions = ("version", "host", "containers", "nonsense")
        ours, shipped = (
            [
                [line for line in lines if not line.startswith(("time ", "disk "))]
                for lines in ask(one, machine, *questions)
            ]
            for one in (made, program)
        )
        assert ours == shipped and len(ours[2]) == 2

    def test_it_is_small_and_needs_nothing(self, program: Path) -> None:
        for architecture in ARCHITECTURES.values():
            binary = (FOLDER / architecture).read_bytes()
            assert binary.startswith(b"\x7fELF") and len(binary) < 10_000
            assert b"/lib" not in binary


class TestProgram:
    def test_the_machine(self, program: Path, machine: Path) -> None:
        (lines,) = ask(program, machine, "host")
        found = answers.host(lines)
        assert (found.boot, found.cores) == ("f2a28559-f8a1-4a08-9cb9-3dc4b88a4f10", 2)
        assert found.busy == pytest.approx((1000 + 50 + 300 + 10 + 30 + 5) / 100)
        assert (found.memory_total, found.memory_available) == (8000 * 1024, 6000 * 1024)
        assert (found.load, dict(found.pressure)) == (0.25, {"cpu": pytest.approx(0.0497)})
        usage = shutil.disk_usage("/")
        assert found.disk_total == usage.total and found.disk_free is not None and found.disk_free <= usage.total
        assert found.at > 0

    @pytest.mark.parametrize(
        ("make", "group"),
        [
            (unified, "docker/{}"),
            (unified, "system.slice/docker-{}.scope"),
            (unified, "user.slice/user-1000.slice/user@1000.service/user.slice/docker-{}.scope"),
            (unified, "machine.slice/libpod-{}.scope"),
            (separate, "docker/{}"),
            (separate, "system.slice/docker-{}.scope"),
            (separate, "outer.slice/inner/docker/{}"),
        ],
    )
    def test_containers_are_found_wherever_the_cgroup_driver_puts_them(
        self, program: Path, machine: Path, make: Any, group: str
    ) -> None:
        make(machine / "cgroup", group.format(A), group.format(B))
        (lines,) = ask(program, machine, "containers")
        found = answers.containers(lines)
        assert set(found.containers) == {A, B}
        one = found.containers[A]
        assert (one.cpu, one.throttled) == (1.5, 0.25)
        assert (one.memory, one.memory_limit, one.pids, one.oom_kills) == (3000, None, 3, 2)
        assert (one.read_bytes, one.write_bytes) == (111, 22)

    @pytest.mark.parametrize(
        "group",
        [
            "docker/{}x",
            "docker/" + "a" * 63,
            "system.slice/docker-{}.mount",
            "machine.slice/libpod-conmon-{}.scope",
            "docker",
        ],
    )
    def test_what_only_looks_like_a_container_is_none(self, program: Path, machine: Path, group: str) -> None:
        unified(machine / "cgroup", group.format(A))
        assert answers.containers(ask(program, machine, "containers")[0]).containers == {}

    def test_groups_inside_a_container_are_its_own(self, program: Path, machine: Path) -> None:
        unified(machine / "cgroup", f"docker/{A}", f"docker/{A}/docker/{B}")
        assert set(answers.containers(ask(program, machine, "containers")[0]).containers) == {A}

    def test_what_cannot_be_read_is_unknown(self, program: Path, machine: Path) -> None:
        write(machine / "cgroup" / "cpuacct" / "docker" / A, {"cpuacct.usage": "7000000000\n"})
        (one,) = answers.containers(ask(program, machine, "containers")[0]).containers.values()
        assert one.cpu == 7.0
        assert {one.memory, one.memory_limit, one.pids, one.oom_kills, one.throttled, one.read_bytes} == {None}

    def test_a_thousand_containers_are_one_answer(self, program: Path, machine: Path) -> None:
        ids = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(1000)]
        unified(machine / "cgroup", *(f"docker/{one}" for one in ids))
        assert set(answers.containers(ask(program, machine, "containers")[0]).containers) == set(ids)

    def test_a_new_container_beside_others_is_seen_at_once(self, program: Path, machine: Path) -> None:
        unified(machine / "cgroup", f"docker/{A}")
        with subprocess.Popen(
            [program, machine / "proc", machine / "cgroup"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin is not None and process.stdout is not None
            for tag, expected in (("1", {A}), ("2", {A, B})):
                process.stdin.write(f"containers {tag}\n".encode())
                process.stdin.flush()
                hearing, listing = Hearing(), Listing()
                hearing.expect(tag, listing)
                while not listing.done:
                    hearing.feed(process.stdout.readline())
                assert set(answers.containers(listing.lines).containers) == expected
                unified(machine / "cgroup", f"docker/{B}")
            process.stdin.close()
            assert process.wait(10) == 0

    def test_without_control_groups_there_are_no_containers(self, program: Path, machine: Path) -> None:
        assert answers.containers(ask(program, machine, "containers")[0]).containers == {}

    def test_a_machine_that_tells_nothing_is_not_understood(self, program: Path, tmp_path: Path) -> None:
        with pytest.raises(HostBroken):
            answers.host(ask(program, tmp_path, "host")[0])

    def test_long_and_strange_questions_end_nothing(self, program: Path, machine: Path) -> None:
        said = subprocess.run(
            [program, machine / "proc"], input=b"x" * 5000 + b"\n\n\x00 \nversion z\n", capture_output=True, check=True
        ).stdout
        assert said.decode(errors="replace").endswith(f"\nbegin z\nversion {VERSION}\nend z\n")


class TestAnswers:
    HOST = ("time 5000000000", "boot b", "cpu  1 2 3 4 5 6 7 8 9 10", "cores 2", "memory 100 50", "disk 1000 400")

    def test_a_plain_answer(self) -> None:
        found = answers.host(list(self.HOST))
        assert (found.at, found.busy, found.cores, found.disk_total, found.disk_free) == (5.0, 0.27, 2, 1000, 400)

    @pytest.mark.parametrize(
        ("number", "line"),
        [
            (0, "time"), (0, "time -"), (0, "time 1e9"), (0, "time " + "9" * 30), (1, "boot"), (1, "boot <script>"),
            (2, "cpu 1 2"), (2, "cpu 1 2 3 4 5 6 7 -8"), (3, "cores 0"), (3, "cores -1"), (3, "cores 70000"),
            (4, "memory 0 0"), (4, "memory 100"), (4, "memory 50 100"), (4, "memory - -"), (5, "disk x y"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_true_is_refused(self, number: int, line: str) -> None:
        lines = list(self.HOST)
        lines[number] = line
        with pytest.raises(HostBroken):
            answers.host(lines)

    @pytest.mark.parametrize(
        "line",
        [
            "",
            A,
            f"{A[:-1]} 1 2 3 4 5 6 7 8 9",
            f"{A} 1 2 3 4 5 6 7 8",
            f"{A} 1 2 3 4 5 6 7 8 x",
            f"{A}  1 2 3 4 5 6 7 8",
        ],
    )
    def test_a_container_that_cannot_be_is_refused(self, line: str) -> None:
        with pytest.raises(HostBroken):
            answers.containers(["time 1", line])

    def test_no_time_is_refused(self) -> None:
        for lines in ([], ["nothing"]):
            with pytest.raises(HostBroken):
                answers.containers(lines)


class TestImage:
    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    def test_it_is_the_same_each_time(self, architecture: str) -> None:
        program = (FOLDER / ARCHITECTURES[architecture]).read_bytes()
        assert packed(program, architecture) == packed(program, architecture) == helper_image(architecture)
        assert packed(program + b"x", architecture).reference != helper_image(architecture).reference

    def test_what_is_in_it(self) -> None:
        image = helper_image("amd64")
        with tarfile.open(fileobj=io.BytesIO(image.archive)) as archive:
            (entry,) = json.loads(_content(archive, "manifest.json"))
            config, layer = _content(archive, entry["Config"]), _content(archive, entry["Layers"][0])
        assert entry["RepoTags"] == [image.reference]
        assert entry["Config"] == hashlib.sha256(config).hexdigest() + ".json"
        described = json.loads(config)
        assert (described["architecture"], described["config"]["Entrypoint"]) == ("amd64", [PROGRAM])
        assert described["rootfs"]["diff_ids"] == [image.layer] == ["sha256:" + hashlib.sha256(layer).hexdigest()]
        with tarfile.open(fileobj=io.BytesIO(layer)) as content:
            (member,) = content.getmembers()
            assert (member.name, member.mode, member.uid, member.mtime) == ("host-helper", 0o555, 0, 0)
            assert _content(content, member.name) == (FOLDER / "x86_64").read_bytes()

    def test_machines_it_is_not_made_for_are_named(self) -> None:
        assert (known_architecture("x86_64"), known_architecture("arm64")) == ("amd64", "arm64")
        with pytest.raises(ContainerRefused, match="'s390x', only for amd64, arm64"):
            known_architecture("s390x")

    def test_two_deployments_have_two_names(self) -> None:
        assert container_name("11111111-1111-4") != container_name("11111111-2222-4")


class TestContainer:
    def body(self, mode: HelperMode) -> Any:
        return helper_body("sha256:1", helper_image("amd64").labels("d", mode))

    @pytest.mark.parametrize("mode", [HelperMode.PLAIN, HelperMode.FULL])
    def test_it_is_confined(self, mode: HelperMode) -> None:
        body = self.body(mode)
        host = body["HostConfig"]
        assert body["Labels"] == {
            LABEL_DEPLOYMENT: "d",
            LABEL_HELPER: helper_image("amd64").version,
            LABEL_HELPER_MODE: mode.value,
        }
        assert (body["OpenStdin"], body["StdinOnce"]) == (True, False)
        assert (host["Privileged"], host["CapDrop"], host["NetworkMode"]) == (False, ["ALL"], "none")
        assert (host["SecurityOpt"], host["ReadonlyRootfs"]) == (["no-new-privileges:true"], True)
        assert host["RestartPolicy"]["Name"] == "no" and host["LogConfig"]["Type"] == "none"
        assert 0 < host["PidsLimit"] < 100 and 0 < host["Memory"] == host["MemorySwap"] <= 64 << 20
        assert not {"Binds", "Devices", "VolumesFrom", "AutoRemove"} & set(host)

    @pytest.mark.parametrize("mode", [HelperMode.PLAIN, HelperMode.FULL])
    def test_it_may_nothing_but_where_it_enters_namespaces(self, mode: HelperMode) -> None:
        body = helper_body("sha256:1", helper_image("amd64").labels("d", mode), confined=True)
        assert body["User"] == "65534:65534" and not {"CapAdd", "PidMode"} & set(body["HostConfig"])
        body = self.body(mode)
        if mode is HelperMode.PLAIN:
            assert body == helper_body("sha256:1", helper_image("amd64").labels("d", mode), confined=True)
        else:
            assert (body["User"], body["HostConfig"]["PidMode"]) == ("0:0", "host")
            assert body["HostConfig"]["CapAdd"] == ["SYS_ADMIN", "SYS_PTRACE"]

    def test_a_prober_may_nothing_and_ends_with_its_line(self) -> None:
        body = prober_body("sha256:1", {"a": "b"}, A, 300)
        host = body["HostConfig"]
        assert (host["NetworkMode"], host["AutoRemove"], body["StdinOnce"]) == (f"container:{A}", True, True)
        assert (body["Cmd"], body["User"], host["CapDrop"]) == (["idle=300"], "65534:65534", ["ALL"])
        assert not {"CapAdd", "PidMode", "Mounts"} & set(host)

    @pytest.mark.parametrize("confined", [False, True])
    def test_only_the_full_one_sees_control_groups_and_only_to_read(self, confined: bool) -> None:
        assert "Mounts" not in self.body(HelperMode.PLAIN)["HostConfig"]
        full = helper_body("sha256:1", helper_image("amd64").labels("d", HelperMode.FULL), confined=confined)
        (mount,) = full["HostConfig"]["Mounts"]
        assert (mount["Type"], mount["Source"], mount["ReadOnly"]) == ("bind", "/sys/fs/cgroup", True)
        assert mount["BindOptions"] == {"Propagation": "rprivate"}


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None, f"{name} is no file"
    return file.read()
