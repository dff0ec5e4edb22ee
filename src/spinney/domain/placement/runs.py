"""The requests of one kind within a batch, placed one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from spinney.domain.placement.answers import Placed, Waiting
from spinney.domain.placement.decision import Decision
from spinney.domain.placement.kinds import Kind, Verdict
from spinney.domain.placement.model import PlacementRequest
from spinney.domain.placement.room import Census, Room
from spinney.domain.placement.sentence import placed


class Run:
    """``begin`` once the kind's verdicts are right; then ``place`` or ``wait`` until nothing is left."""

    def __init__(self, kind: Kind, requests: Sequence[PlacementRequest], census: Census) -> None:
        self.kind = kind
        self.requests = requests
        #: How many members the workload is to have in all.
        self.members = 0
        self.answers: list[Placed | Waiting] = []
        self._census = census
        self._decision: Decision | None = None

    def begin(self) -> None:
        self._decision = Decision(self.kind, self._census)

    def left(self) -> int:
        return len(self.requests) - len(self.answers)

    def best(self) -> Verdict | None:
        return self.kind.select(self.requests[len(self.answers)].node_id)

    def place(self, verdict: Verdict) -> None:
        """The next request, on that host."""
        kind, decision, room = self.kind, self._decision, verdict.room
        request = self.requests[len(self.answers)]
        assert verdict.rank is not None and decision is not None
        rank = verdict.group.full_rank(verdict.rank)
        summary = placed(kind.demand, room.name, rank, kind.fitting(), len(kind.verdicts))
        room.take(request.cpu, request.memory, request.ports, request.workload, kind.demand.project)
        self._census.note(room, request.workload, 1)
        step = decision.places(verdict, rank, summary, *kind.taken(room, self._census))
        self.answers.append(Placed(request.node_id, room.id, summary, decision, step))

    def wait(self) -> None:
        """All that are left, because no host fits."""
        assert self._decision is not None
        for request in self.requests[len(self.answers) :]:
            step, summary, miss = self._decision.waits()
            self.answers.append(Waiting(request.node_id, summary, self._decision, step, miss))

    def hear(self, room: Room) -> None:
        """Another run took room there."""
        assert self._decision is not None
        verdict = self.kind.mend(room, self._census)
        if verdict is not None:
            self._decision.hears(verdict)
