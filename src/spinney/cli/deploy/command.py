"""``spinney deploy``: make what is there into what a Compose file asks for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import typer

from spinney.cli import output
from spinney.cli.batch import say_requested
from spinney.cli.command import Use, standing_alone
from spinney.cli.compose.checking import steps_of
from spinney.cli.compose.places import Faults, Spot
from spinney.cli.compose.whole import Deployment, OwnPolicy, Unusable, Wanted
from spinney.cli.deploy import deciding, marks, present, reading, view
from spinney.cli.deploy.asking import Asking
from spinney.cli.deploy.carrying import Run
from spinney.cli.deploy.deciding import Kind, Plan, ServicePlan, Step
from spinney.cli.faults import CliError, Refused
from spinney.cli.looking import unwrapped
from spinney.cli.output import Format

_UPDATES = (Kind.CREATE, Kind.IN_PLACE, Kind.REPLACE)

File = Annotated[
    str | None,
    typer.Option(
        "-f", "--file", metavar="FILE", help=f"The Compose file; - is standard input (default: {reading.USUAL[0]})."
    ),
]
Project = Annotated[
    str | None, typer.Option("--project-name", metavar="NAME", help="Instead of the file's name, or its folder's.")
]
HostCluster = Annotated[
    str | None, typer.Option("--host-cluster", metavar="NAME", help="Where services run that name no hosts themselves.")
]
EnvFiles = Annotated[
    list[str] | None, typer.Option("--env-file", metavar="FILE", help="Variables, instead of .env; may be repeated.")
]
Profiles = Annotated[
    list[str] | None, typer.Option("--profile", metavar="NAME", help="Switch on a Compose profile; may be repeated.")
]


def _deploy(
    use: Use,
    file: File = None,
    project_name: Project = None,
    host_cluster: HostCluster = None,
    env_file: EnvFiles = None,
    profile: Profiles = None,
    prune: Annotated[bool, typer.Option("--prune", help="Also remove services that are gone from the file.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the whole deployment instead.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Carry the plan out without asking.")] = False,
) -> None:
    """Make what a Compose file asks for: a profile and a cluster for each service. Shows its plan, and asks first.

    Another run changes what is not as the file has it, and says so when all is. Later steps wait for those they need.
    """
    if dry_run and (use.wait or yes):
        given = "--wait" if use.wait else "--yes"
        raise CliError(f"--dry-run and {given} are both given: a dry run changes nothing; leave one out")
    if remove and prune:
        raise CliError("--remove and --prune are both given: --remove takes everything away already; leave one out")
    asked = Asked(use, dry_run, yes)
    try:
        if remove:
            _remove(asked, file, project_name, env_file or ())
        else:
            wanted = reading.read(
                file, project=project_name, host_cluster=host_cluster, env_files=env_file or (), profiles=profile or ()
            )
            _update(asked, wanted, prune)
    except Unusable as unusable:
        raise CliError("\n  ".join(["this cannot be deployed as it is:", *unusable.lines])) from unusable


deploy = standing_alone(_deploy, waits=True)


class Asked:
    """How to go about it."""

    def __init__(self, use: Use, dry_run: bool, yes: bool) -> None:
        self.use, self.dry_run, self.yes = use, dry_run, yes

    @property
    def interactive(self) -> bool:
        return not self.yes and not self.dry_run and self.use.form is Format.TABLE and sys.stdin.isatty()

    def confirm(self) -> None:
        """Raises: CliError, unless it is to be done."""
        if self.yes:
            return
        if not self.interactive:
            raise CliError(
                "nothing was changed: nobody can be asked here; add --yes to carry the plan out without asking"
            )
        if not typer.confirm("Carry this out?", err=True):
            raise CliError("nothing was changed")


def _update(asked: Asked, wanted: Deployment, prune: bool) -> None:
    use = asked.use
    for said in wanted.notes:
        output.note(said)
    found = present.look(use.service, wanted.project, wanted)
    plan = deciding.decide(wanted, found)
    _require_idle(plan)
    _ask_service(use, plan, found)
    going = [deciding.leaving(one) for one in plan.orphans] if prune else []
    steps = [step for one in (*going, *plan.services) for step in one.steps]
    if steps or asked.dry_run:
        _show(asked, steps, [told for one in plan.services if (told := _foresee(use, one)) is not None])
    output.note(f"{wanted.project}: {view.summary(plan, len(going))}")
    if plan.orphans and not prune:
        output.note(view.left_alone(plan.orphans))
        if asked.interactive and typer.confirm("Remove what is gone from the file, too?", err=True):
            going = [deciding.leaving(one) for one in plan.orphans]
            steps = [step for one in (*going, *plan.services) for step in one.steps]
    if asked.dry_run:
        return
    run = Run(use, Asking(use.service, found))
    if steps:
        asked.confirm()
        run.remove(going)
        run.carry_out(plan, wanted)
    if steps or prune:
        run.tidy(plan, thoroughly=prune)
    _report(use, run)


def _remove(asked: Asked, file: str | None, project_name: str | None, env_files: Sequence[str]) -> None:
    use, order = asked.use, list[str]()
    if project_name is None:
        wanted = reading.read(file, project=None, host_cluster="-", env_files=env_files, profiles=("*",))
        project_name, order = wanted.project, [one.service for one in wanted.services]
    elif file is not None:
        raise CliError("--project-name and -f are both given: --remove needs one of them, to know what to remove")
    found = present.look(use.service, project_name, None)
    plan = deciding.removal(found, order)
    if plan.steps or asked.dry_run:
        _show(asked, plan.steps, ())
    if not plan.steps:
        output.note(f"{project_name}: nothing to do, no cluster bears its mark")
    run = Run(use, Asking(use.service, found))
    if asked.dry_run:
        return
    if plan.steps:
        asked.confirm()
        run.remove(plan.services)
    run.forget_all()
    _report(use, run)


def _require_idle(plan: Plan) -> None:
    busy = [one for one in plan.services if one.busy and one.steps]
    if busy:
        told = ", ".join(f"{one.cluster} is {one.running.status}" for one in busy if one.running is not None)
        raise CliError(f"{told}: wait until that has ended, and run this again (`spinney wait {busy[0].cluster}`)")


#: Where in the file stands what the service speaks of, and the rest of its words.
Origin = Callable[[str], tuple[Spot, str]]


def _ask_service(use: Use, plan: Plan, found: present.Present) -> None:
    """Whether it would take what has to be made. Raises: Unusable."""
    faults = Faults()
    for one in plan.services:
        if one.wanted is None:
            continue
        if one.profile_id is None and any(step.kind in _UPDATES for step in one.steps):
            asked = {"profile": {"spec": dict(one.wanted.spec)}}
            _valid(use, "profiles", asked, partial(_origin, one.wanted), faults)
        made = [step.policy for step in one.steps if step.policy is not None and step.policy_id is None]
        for policy in (*made, *(one.wanted.own_policies if one.running is None else ())):
            asked = {"policy": {"spec": marks.described(found.project, one.service, policy.spec)}}
            _valid(use, "policies", asked, partial(_whole_policy, policy), faults)
    if faults.found:
        raise Unusable(faults.lines())


def _whole_policy(policy: OwnPolicy, message: str) -> tuple[Spot, str]:
    return policy.at, message


def _valid(use: Use, path: str, asked: dict[str, Any], origin: Origin, faults: Faults) -> None:
    try:
        use.service.post(path, "validate", body=asked)
    except Refused as error:
        if error.status not in (400, 403, 404, 409):
            raise
        at, says = origin(error.message)
        faults.add(at, says)


def _origin(wanted: Wanted, message: str) -> tuple[Spot, str]:
    """The place of the property that the service speaks of."""
    path, colon, says = message.partition(": ")
    if colon and path.startswith("properties"):
        return wanted.origin(steps_of(path)[1:]), says
    return wanted.at, message


def _foresee(use: Use, one: ServicePlan) -> Any:
    """What the service says would come of a step, where it can tell; None: it cannot."""
    if one.running is None:
        return None
    question: dict[str, Any] | None = None
    for step in one.steps:
        if step.kind in (Kind.IN_PLACE, Kind.REPLACE) and one.profile_id is not None:
            question = {"update": {"profile_id": one.profile_id}}
        elif step.kind is Kind.SCALE and set(step.sizes) == {"desired_capacity"} and len(one.steps) == 1:
            number = step.sizes["desired_capacity"]
            question = {"resize": {"adjustment_type": "EXACT_CAPACITY", "number": number, "strict": True}}
    if question is None:
        return None
    return unwrapped(use.service.post("clusters", one.running.id, "plan", body=question)[0])


def _show(asked: Asked, steps: Sequence[Step], foreseen: Sequence[Any]) -> None:
    """Programs are shown the plan of a dry run alone, else what came of it."""
    if asked.dry_run or asked.use.form is Format.TABLE:
        view.show(asked.use, steps, foreseen)


def _report(use: Use, run: Run) -> None:
    if use.form is Format.TABLE:
        for one in run.unseen:
            say_requested(one.step.cluster, one.step.kind.value, one.action)
    elif use.form is Format.NAME:
        for one in run.last.values():
            output.emit(one.step.cluster)
    else:
        told = [
            {"service": name, "cluster": one.cluster_id, "step": one.step.kind.value, "action": one.action}
            for name, one in run.last.items()
        ]
        output.dump(told, use.form)
