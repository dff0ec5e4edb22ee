"""The simulated Docker engine as a state machine: what holds whatever is asked of it, in whatever order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from spinney.domain.container import (
    ContainerRequest,
    ContainerState,
    Healthcheck,
    ImageRequest,
    NetworkRequest,
    PublishedPort,
)
from spinney.drivers.simulated.core import EngineCore
from spinney.drivers.simulated.values import EngineSettings, Refusal
from spinney.errors import (
    AddressPoolOverlap,
    CommandNotFound,
    ContainerRefused,
    ImageNotFound,
    ImagePullFailed,
    NameTaken,
    PortTaken,
)

NETWORK = NetworkRequest("net", "10.1.2.0/24", {})
ALL_NAMES = ("web-1", "web-2", "web-3", "web-4")  # no prefix of any id
NAMES = st.sampled_from(ALL_NAMES)
COMMANDS = st.sampled_from(
    [
        None,
        ("sleep", "5"),
        ("sh", "-c", "exit 3"),
        ("sh", "-c", "trap '' TERM; sleep 100"),
        ("sh", "-c", "while true; do echo x; sleep 1; done"),
        ("/no/such/program",),
    ]
)
PORTS = st.lists(
    st.builds(
        PublishedPort,
        st.integers(1, 3),
        st.none() | st.integers(8000, 8002),
        st.sampled_from(["tcp", "udp"]),
        st.sampled_from(["0.0.0.0", "127.0.0.1"]),
    ),
    max_size=2,
)


def request(name: str = "web", command: tuple[str, ...] | None = ("sleep", "600"), **more: Any) -> ContainerRequest:
    return ContainerRequest(name, {"of": name}, ImageRequest("busybox"), command=command, **more)


def new_core(**settings: Any) -> EngineCore:
    core = EngineCore(EngineSettings("test", **settings))
    core.create_network(NETWORK, 0.0)
    return core


class AnyOrder(RuleBasedStateMachine):
    """Two cores are asked the same; a model knows which names exist."""

    def __init__(self) -> None:
        super().__init__()
        self.cores = [new_core(), new_core()]
        self.now = 100.0
        self.names: set[str] = set()

    def ask(self, act: str, *args: object) -> Refusal | None:
        outcomes: list[Refusal | None] = []
        for core in self.cores:
            try:
                getattr(core, act)(*args, self.now)
                outcomes.append(None)
            except Refusal as refusal:
                outcomes.append(refusal)
        assert str(outcomes[0]) == str(outcomes[1])
        return outcomes[0]

    @rule(name=NAMES, command=COMMANDS, ports=PORTS, retries=st.none() | st.integers(1, 3), networked=st.booleans())
    def create(
        self,
        name: str,
        command: tuple[str, ...] | None,
        ports: list[PublishedPort],
        retries: int | None,
        networked: bool,
    ) -> None:
        network = NETWORK if networked else None
        wanted = request(name, command, ports=tuple(ports), restart_on_failure=retries, network=network)
        refused = self.ask("create", wanted)
        assert (refused is not None) == (name in self.names)
        assert refused is None or refused.meaning is NameTaken
        self.names.add(name)

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        assert (self.ask("remove", name) is None) == (name in self.names)
        self.names.discard(name)

    @rule(name=NAMES, act=st.sampled_from(["start", "pause", "unpause"]))
    def act(self, name: str, act: str) -> None:
        refused = self.ask(act, name)
        assert name in self.names or refused is not None

    @rule(name=NAMES, act=st.sampled_from(["stop", "restart"]), timeout=st.sampled_from([0, 2]))
    def end(self, name: str, act: str, timeout: int) -> None:
        self.ask(act, name, timeout)

    @rule(name=NAMES, signal=st.sampled_from(["KILL", "SIGTERM", "HUP", "WINCH"]))
    def kill(self, name: str, signal: str) -> None:
        self.ask("kill", name, signal)

    @rule(seconds=st.sampled_from([0.1, 1.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for core in self.cores:
            core.advance(self.now)

    @rule()
    def reboot(self) -> None:
        for core in self.cores:
            core.reboot(self.now)

    @invariant()
    def the_list_is_the_truth(self) -> None:
        for name in ALL_NAMES:
            listed = self.cores[0].containers({"of": name}, self.now)
            assert [one.name for one in listed] == [name] * (name in self.names)
        assert {one.name for one in self.cores[0].containers({}, self.now)} == self.names

    @invariant()
    def what_is_held_is_held_once_and_only_by_what_is_up(self) -> None:
        records = list(self.cores[0])
        held = Counter((p.protocol, p.host_port) for r in records for p in r.ports if p.host_ip == "0.0.0.0")
        others = {(p.protocol, p.host_port) for r in records for p in r.ports if p.host_ip != "0.0.0.0"}
        assert all(count == 1 for count in held.values())
        assert not others & set(held)
        addresses = [record.address.addr for record in records if record.address]
        assert len(set(addresses)) == len(addresses)
        for record in records:
            if record.state not in (ContainerState.RUNNING, ContainerState.PAUSED):
                assert (record.ports, record.address) == ((), None)

    @invariant()
    def the_same_calls_make_the_same_world(self) -> None:
        first, second = ([core.inspect(record.id, self.now) for record in core] for core in self.cores)
        assert first == second
        assert list(self.cores[0].events) == list(self.cores[1].events)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def refusal(act: Callable[..., object], *args: object) -> Refusal:
    with pytest.raises(Refusal) as caught:
        act(*args)
    return caught.value


def test_a_failed_start_leaves_the_container_created_with_docker_s_exit_codes() -> None:
    core = new_core()
    lost = core.create(request(command=("/no/such/program",)), 1.0)
    assert refusal(core.start, lost.id, 2.0).meaning is CommandNotFound
    assert (lost.state, lost.exit_code) == (ContainerState.CREATED, 127)
    port = (PublishedPort(80, 8080),)
    first, second = (core.create(request(name, network=NETWORK, ports=port), 1.0) for name in ("first", "second"))
    core.start(first.id, 2.0)
    assert refusal(core.start, second.id, 2.0).meaning is PortTaken
    assert (second.state, second.exit_code, second.address) == (ContainerState.CREATED, 128, None)


def test_a_program_that_ignores_the_stop_signal_is_killed_when_its_time_is_up() -> None:
    core = new_core()
    stubborn = core.create(request(command=("sh", "-c", "trap '' TERM; sleep 600")), 1.0)
    core.start(stubborn.id, 1.0)
    assert core.stop(stubborn.id, 10, 2.0) == 10
    core.advance(11.9)
    assert stubborn.state is ContainerState.RUNNING
    core.advance(12.0)
    assert (stubborn.state, stubborn.exit_code, stubborn.finished_at) == (ContainerState.EXITED, 137, 12.0)


def test_restart_on_failure_counts_and_gives_up() -> None:
    core = new_core()
    failing = core.create(request(command=("sh", "-c", "sleep 1; exit 3"), restart_on_failure=2), 0.0)
    core.start(failing.id, 0.0)
    core.advance(1.0)
    assert failing.state is ContainerState.RESTARTING
    core.advance(60.0)
    assert (failing.state, failing.exit_code, failing.restart_count) == (ContainerState.EXITED, 3, 2)


def test_what_was_stopped_on_purpose_is_not_restarted() -> None:
    core = new_core()
    record = core.create(request(restart_on_failure=5), 0.0)
    core.start(record.id, 0.0)
    core.kill(record.id, "KILL", 1.0)
    core.advance(1000.0)
    assert (record.state, record.restart_count) == (ContainerState.EXITED, 0)


def test_a_reboot_ends_everything_and_forgets_older_events() -> None:
    core = new_core()
    record = core.create(request(restart_on_failure=5), 0.0)
    core.start(record.id, 0.0)
    core.reboot(5.0)
    assert (record.state, record.exit_code) == (ContainerState.EXITED, 137)
    assert [event.action for event in core.events] == ["die"]


def test_only_the_last_256_events_are_kept() -> None:
    core = new_core()
    for index in range(300):
        core.create(request(f"c{index}"), float(index))
    assert len(core.events) == 256
    assert core.events[0].name == "c44"


def test_paused_programs_wait() -> None:
    core = new_core()
    record = core.create(request(command=("sh", "-c", "sleep 5; echo done")), 0.0)
    core.start(record.id, 0.0)
    core.pause(record.id, 1.0)
    core.advance(60.0)
    assert record.state is ContainerState.PAUSED
    core.unpause(record.id, 61.0)
    assert (record.state, [line.data for line in record.logs or ()]) == (ContainerState.EXITED, [b"done\n"])


@pytest.mark.parametrize(
    ("test", "health"), [(("CMD", "true"), "healthy"), (("CMD-SHELL", "exit 1"), "unhealthy"), (("NONE",), None)]
)
def test_health_follows_the_check(test: tuple[str, ...], health: str | None) -> None:
    core = new_core()
    record = core.create(request(healthcheck=Healthcheck(test, interval=5.0, retries=2)), 0.0)
    core.start(record.id, 0.0)
    assert record.health == (None if health is None else "starting")
    core.advance(10.0)
    assert record.health == health


def test_out_of_memory_is_told() -> None:
    core = new_core()
    record = core.create(request(command=("tail", "/dev/zero")), 0.0)
    core.start(record.id, 0.0)
    assert (record.state, record.exit_code, record.oom_killed) == (ContainerState.EXITED, 137, True)
    assert [event.action for event in core.events][-2:] == ["oom", "die"]


@pytest.mark.parametrize(
    ("reference", "meaning"),
    [
        ("team/no-such-app:1", ImageNotFound),
        ("web-absent:2", ImageNotFound),
        ("unreachable.example/web:1", ImagePullFailed),
        ("127.0.0.1:1/web:1", ImagePullFailed),
        ("UPPER", ImageNotFound),
    ],
)
def test_image_names_decide_how_their_pull_ends(reference: str, meaning: type) -> None:
    core = new_core()
    assert refusal(core.pull, reference, 0.0).meaning is meaning
    assert core.find_image(reference, 0.0) is None


def test_one_image_has_several_spellings() -> None:
    core = new_core()
    core.pull("docker.io/library/nginx", 0.0)
    assert core.find_image("nginx:latest", 0.0) == core.find_image("nginx", 0.0) is not None
    assert core.find_image("nginx:1.25", 0.0) is None


def test_subnets_never_overlap() -> None:
    core = new_core()
    assert refusal(core.create_network, NetworkRequest("n2", "10.1.0.0/16", {}), 0.0).meaning is AddressPoolOverlap
    for index in range(30):
        core.create_network(NetworkRequest(f"auto{index}", "", {}), 0.0)
    assert refusal(core.create_network, NetworkRequest("one-more", "", {}), 0.0).meaning is AddressPoolOverlap


@pytest.mark.parametrize(("api", "allowed"), [("1.43", True), ("1.44", False)])
def test_older_engines_let_two_networks_bear_one_name(api: str, allowed: bool) -> None:
    core = new_core(api_version=api)
    again = NetworkRequest(NETWORK.name, "10.9.9.0/24", {})
    if allowed:
        core.create_network(again, 0.0)
    else:
        assert refusal(core.create_network, again, 0.0).status == 409


@pytest.mark.parametrize(
    "more", [{"cpu_limit": 99.0}, {"memory_limit": 1024}, {"gpus": 1}], ids=["cpu", "memory", "gpu"]
)
def test_what_the_machine_has_not_is_refused(more: dict[str, Any]) -> None:
    core = new_core()

    def run() -> None:
        core.start(core.create(request(**more), 0.0).id, 0.0)

    assert refusal(run).meaning is ContainerRefused


def test_timers_of_removed_containers_do_not_pile_up() -> None:
    core = new_core()
    for index in range(2000):
        record = core.create(request(f"c{index}", ("sleep", "3600")), 0.0)
        core.start(record.id, 0.0)
        core.remove(record.id, 0.0)
    assert len(core.dues) < 100
