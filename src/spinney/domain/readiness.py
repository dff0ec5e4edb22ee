"""Whether a container may be given work, and whether it has to be started again: decided from the answers to its probes.

*started* comes first: until it has passed, the other two are not asked, and if it does not pass in time the container is
ailing. *ready* says whether the container may be given work and nothing else. *alive* failing makes it ailing. Docker's own
health check counts as well where there is one. Guaranteed: an answer ``unknown`` changes neither what is known nor what is
counted; between two answers that count lies an interval. Until a probe has passed for the first time it is also asked in
between, so that a quick start is noticed at once; failures then do not count. Not guaranteed: that a probe is asked on time
while its host is busy; what is late is asked once, not made up for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from spinney.domain.container import Container, ContainerState
from spinney.domain.probe_spec import Answer, ExecCheck, Probe, Probes, Role, Said

#: Seconds between two questions at first; a command costs its host far more than a connection. Then this share of the time
#: that has passed, so that what takes long is noticed little later, until it is the interval.
_PACE, _PACE_OF_COMMANDS, _SHARE = 0.1, 0.5, 0.125
#: A probe that could not be asked for so many intervals, and for so many seconds, is told of.
_UNKNOWN_INTERVALS, _UNKNOWN_SECONDS = 3, 30.0
_LATER: tuple[Role, ...] = (Role.READY, Role.ALIVE)


@dataclass(frozen=True, slots=True)
class Track:
    """What is known of one probe of one container. Moments are in seconds, on any one clock."""

    #: When to ask next.
    due: float
    #: None: it has not passed yet.
    passing: bool | None = None
    #: In a row.
    passes: int = 0
    failures: int = 0
    #: The latest failure that counted; before the first, the beginning.
    counted_at: float = 0.0
    #: When its turn came.
    begun: float = 0.0
    #: The latest failure.
    text: str = ""
    #: Since when it could not be asked, and why.
    unknown_since: float | None = None
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """What is known of one container since its start: the probes whose turn it is."""

    tracks: Mapping[Role, Track] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    ready: bool
    #: Why it is not ready; of one that is, what is not known.
    reason: str = ""
    #: Why it has to be started again; empty: it has not.
    ailment: str = ""


def begin(probes: Probes, now: float, *, ready: bool = False, spread: float = 0.0) -> State:
    """A container that has just started; ``ready``: one that is known to have started long ago, and to be ready.

    ``spread`` (0 to 1) puts such containers' probes at different places of their interval.
    """
    if not ready:
        return _begin_started(probes, now) if probes.started is not None else _begin_others(probes, now)
    tracks = {
        role: Track(now + spread * probe.interval, passing=True)
        for role in _LATER
        if (probe := probes.of(role)) is not None
    }
    return State(tracks)


def _begin_started(probes: Probes, now: float) -> State:
    assert probes.started is not None
    return State({Role.STARTED: _first(probes.started, now)})


def _begin_others(probes: Probes, now: float) -> State:
    tracks: dict[Role, Track] = {}
    if probes.ready is not None:
        tracks[Role.READY] = _first(probes.ready, now)
    if probes.alive is not None:
        # It has just started, or was just seen to have: alive until the contrary is proven.
        tracks[Role.ALIVE] = Track(now + probes.alive.delay + probes.alive.interval, passing=True)
    return State(tracks)


def _first(probe: Probe, now: float) -> Track:
    first = now + probe.delay
    return Track(first, counted_at=first, begun=first)


def next_ask(state: State) -> tuple[float, Role] | None:
    """None: nothing is to be asked."""
    return min(((track.due, role) for role, track in state.tracks.items()), default=None)


def answered(probes: Probes, state: State, role: Role, answer: Answer, asked: float, now: float) -> State:
    """``asked``: when the question was put. An answer for which the container does not wait any more changes nothing."""
    probe, track = probes.of(role), state.tracks.get(role)
    if probe is None or track is None:
        return state
    after = _after(probe, track, answer, asked, now)
    state = State({**state.tracks, role: after})
    if role is Role.STARTED and after.passing:
        return _begin_others(probes, now)
    return state


def _after(probe: Probe, track: Track, answer: Answer, asked: float, now: float) -> Track:
    if answer.said is Said.UNKNOWN:
        since = asked if track.unknown_since is None else track.unknown_since
        return replace(track, due=_again(probe, track, asked, now), unknown_since=since, unknown=answer.text)
    track = replace(track, unknown_since=None, unknown="")
    if answer.said is Said.PASSED:
        passes = track.passes + 1
        passing = True if passes >= probe.successes else track.passing
        return replace(
            track, due=max(asked + probe.interval, now), passing=passing, passes=passes, failures=0, counted_at=asked
        )
    counts = track.passing is not None or asked >= track.counted_at + probe.interval
    failures = track.failures + counts
    passing = False if track.passing and failures >= probe.failures else track.passing
    track = replace(
        track,
        passing=passing,
        passes=0,
        failures=failures,
        counted_at=asked if counts else track.counted_at,
        text=answer.text,
    )
    return replace(track, due=_again(probe, track, asked, now))


def _again(probe: Probe, track: Track, asked: float, now: float) -> float:
    """When to ask after what was no pass."""
    if track.passing is not None:
        return max(asked + probe.interval, now)
    pace = _PACE_OF_COMMANDS if isinstance(probe.check, ExecCheck) else _PACE
    due = asked + min(max(pace, _SHARE * (asked - track.begun)), probe.interval)
    counting = track.counted_at + probe.interval
    return max(min(due, counting) if counting > asked else due, now)


def verdict(probes: Probes, state: State, container: Container, now: float) -> Verdict:
    """Of the container as its Docker engine has it now."""
    stopped = _not_running(container)
    if stopped:
        return Verdict(False, stopped)
    if container.health == "unhealthy":
        return Verdict(False, "its health check reports unhealthy")
    started, alive, ready = (state.tracks.get(role) for role in (Role.STARTED, Role.ALIVE, Role.READY))
    if started is not None:
        assert probes.started is not None
        if started.failures < probes.started.failures:
            return Verdict(False, _why(Role.STARTED, started))
        late = f"its started probe did not pass in time: {started.text}"
        return Verdict(False, late, late)
    if alive is not None and not alive.passing:
        failed = _failed(Role.ALIVE, alive)
        return Verdict(False, failed, failed)
    if container.health == "starting":
        return Verdict(False, "its health check has not passed yet")
    if ready is not None and not ready.passing:
        return Verdict(False, _why(Role.READY, ready))
    return Verdict(True, _unknown(probes, state, now))


def of_new(probes: Probes, container: Container) -> Verdict:
    """Of one that was started just now."""
    return verdict(probes, begin(probes, 0.0), container, 0.0)


def as_columns(ready: bool, reason: str, now: float) -> dict[str, Any]:
    """What a node's row says of it from now on."""
    return {"ready": ready, "ready_at": now, "ready_reason": reason}


def _not_running(container: Container) -> str:
    if container.state is ContainerState.RUNNING:
        return ""
    if container.state is ContainerState.RESTARTING:
        return "its Docker engine is about to start it again"
    return f"its container does not run: it is {container.state.value}"


def _why(role: Role, track: Track) -> str:
    if track.passing is False:
        return _failed(role, track)
    told = track.unknown or track.text
    return f"its {role.value} probe has not passed yet" + (f": {told}" if told else "")


def _failed(role: Role, track: Track) -> str:
    return f"its {role.value} probe failed: {track.text}"


def _unknown(probes: Probes, state: State, now: float) -> str:
    """A probe that nobody could ask for a while."""
    for role, track in state.tracks.items():
        probe = probes.of(role)
        if probe is None or track.unknown_since is None:
            continue
        if now - track.unknown_since >= max(_UNKNOWN_INTERVALS * probe.interval, _UNKNOWN_SECONDS):
            return f"its {role.value} probe could not be asked for a while: {track.unknown}"
    return ""
