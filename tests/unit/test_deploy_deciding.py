"""What a deployment has to do, from what the file wants and what is there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from spinney.cli.compose.whole import Deployment
from spinney.cli.deploy import deciding, marks
from spinney.cli.deploy.deciding import Kind, Plan
from spinney.cli.deploy.present import Kept, Present, Running
from unit.compose_files import HEAD, read

FILE = HEAD + "name: shop\nservices: {web: {<<: {image: 'web:1', scale: 3}, %s}}\n"
BATCH = "deploy: {update_config: {parallelism: 2}}"


def deployment(more: str = "") -> Deployment:
    return read(FILE % more)


def running(of: Deployment, **changes: Any) -> Running:
    """The cluster as a first run of that file would have left it."""
    (wanted,) = of.services
    policies = tuple(f"policy-{own.kind}" for own in wanted.own_policies)
    made = Running(
        service="web", id="c1", name="shop-web", status="ACTIVE", reason="", desired=wanted.replicas or 1,
        min_size=wanted.min_size or 0, max_size=-1 if wanted.max_size is None else wanted.max_size, profile_id="p1",
        spec=wanted.spec, config=wanted.config, metadata={**wanted.labels, **marks.mark("shop", "web")}, policies=policies,
    )  # fmt: skip
    return replace(made, **changes)


def present(*there: Running, of: Deployment | None = None, **more: Any) -> Present:
    kept = [
        Kept("web", f"policy-{own.kind}", marks.policy_name("shop", "web", own), own.spec)
        for wanted in (of.services if of else ())
        for own in wanted.own_policies
    ]
    names = {one.id: one.name for one in kept}
    return Present("shop", {one.service: one for one in there}, **{"policies": tuple(kept), "names": names, **more})


def kinds(plan: Plan) -> list[tuple[str, str]]:
    return [(step.kind.value, step.says) for step in plan.steps]


def test_what_is_not_there_is_created() -> None:
    plan = deciding.decide(deployment(), present())
    assert kinds(plan) == [("create", "3 containers of web:1")] and plan.services[0].profile_id is None
    assert plan.services[0].cluster == "shop-web"


@pytest.mark.parametrize("more", ["", BATCH, "labels: {a: b}", "x-spinney-config: {spinney.priority: 2}"])
def test_a_second_run_has_nothing_to_do(more: str) -> None:
    wanted = deployment(more)
    plan = deciding.decide(wanted, present(running(wanted), of=wanted))
    assert kinds(plan) == [] and plan.services[0].profile_id == "p1"


def test_the_same_said_in_another_way_is_no_change() -> None:
    before, after = (
        deployment("mem_limit: 1g, environment: [A=1]"),
        deployment("mem_limit: 1024mb, environment: {A: 1}"),
    )
    assert kinds(deciding.decide(after, present(running(before)))) == []


CHANGES = [
    ("image: 'web:2'", [("replace", "image: 3 containers by new ones (web:1 → web:2)")]),
    ("environment: [A=2]", [("replace", "environment: 3 containers by new ones")]),
    ("mem_limit: 1g", [("update", "memory: 3 containers changed in place")]),
    ("scale: 5", [("scale", "members 3 → 5")]),
    ("x-spinney-max-size: 9", [("scale", "greatest size ∞ → 9")]),
    ("deploy: {labels: [a=b]}", [("change", "metadata")]),
    ("x-spinney-config: {a: b}", [("change", "config")]),
    ("scale: 2, mem_limit: 1g", [("scale", "members 3 → 2"), ("update", "memory: 2 containers changed in place")]),
    ("scale: 5, mem_limit: 1g", [("update", "memory: 3 containers changed in place"), ("scale", "members 3 → 5")]),
]  # fmt: skip


@pytest.mark.parametrize(("more", "steps"), CHANGES)
def test_changes_of_the_file(more: str, steps: list[tuple[str, str]]) -> None:
    after = deployment(more)
    assert kinds(deciding.decide(after, present(running(deployment())))) == steps


def test_a_size_that_the_file_does_not_say_is_left_alone() -> None:
    text = HEAD + "services: {web: {image: 'web:1'}}"
    wanted = read(text, project="shop")
    assert kinds(deciding.decide(wanted, present(running(wanted, desired=7, min_size=2, max_size=9)))) == []


def test_a_changed_policy_takes_the_place_of_the_one_before_it_and_comes_first() -> None:
    before, after = deployment(BATCH), deployment("mem_limit: 1g, deploy: {update_config: {parallelism: 1}}")
    plan = deciding.decide(after, present(running(before), of=before))
    assert [kind for kind, _ in kinds(plan)] == ["detach", "attach", "update"]
    detached, attached = plan.steps[:2]
    assert detached.policy_id == "policy-batch" and attached.policy_id is None and attached.policy is not None


def test_policies_that_others_attached_are_left_and_those_that_the_file_named_are_taken_off() -> None:
    metadata = marks.mark("shop", "web", ("named",))
    there = running(deployment(), policies=("by-hand", "named"), metadata=metadata)
    plan = deciding.decide(deployment(), present(there, names={"named": "spread"}))
    assert kinds(plan) == [("detach", "policy spread"), ("change", "metadata")]
    wanted = deployment("x-spinney-policies: [spread]")
    assert kinds(deciding.decide(wanted, present(there, named={"spread": "named"}, names={}))) == []


def test_a_profile_of_an_earlier_run_is_used_again() -> None:
    wanted = deployment("mem_limit: 1g")
    old = Kept("web", "p7", "shop-web-x", wanted.services[0].spec)
    other = Kept("db", "p8", "shop-db-x", wanted.services[0].spec)
    found = present(running(deployment()), profiles=(old, other))
    assert deciding.decide(wanted, found).services[0].profile_id == "p7"


def test_what_is_not_well_is_recovered_unless_it_is_changed_anyway() -> None:
    broken = running(deployment(), status="WARNING", reason="2 active nodes")
    assert kinds(deciding.decide(deployment(), present(broken))) == [("recover", "it is WARNING: 2 active nodes")]
    assert [kind for kind, _ in kinds(deciding.decide(deployment("mem_limit: 1g"), present(broken)))] == ["update"]


def test_a_cluster_in_error_is_let_go_below_its_least_size_so_that_it_can_be_updated() -> None:
    text = "x-spinney-min-size: 2"
    broken = running(deployment(text), status="ERROR")
    plan = deciding.decide(deployment(f"{text}, mem_limit: 1g"), present(broken))
    assert [(step.kind.value, dict(step.sizes)) for step in plan.steps] == [
        ("scale", {"min_size": 0}), ("update", {}), ("scale", {"min_size": 2}),
    ]  # fmt: skip


def test_services_gone_from_the_file_are_told_and_those_switched_off_are_not() -> None:
    text = HEAD + "services: {web: {image: 'web:1', scale: 3}, off: {image: i, profiles: [x]}}"
    wanted = read(text, project="shop")
    others = [replace(running(deployment()), service=name, name=f"shop-{name}") for name in ("old", "off")]
    plan = deciding.decide(wanted, present(running(deployment()), *others))
    assert [one.name for one in plan.orphans] == ["shop-old"] and plan.steps == []


def test_everything_is_removed_in_the_opposite_order() -> None:
    there = [replace(running(deployment()), service=name, name=f"shop-{name}") for name in ("db", "web", "odd")]
    plan = deciding.removal(present(*there), ["db", "web"])
    assert [step.service for step in plan.steps] == ["web", "db", "odd"]
    assert {step.kind for step in plan.steps} == {Kind.REMOVE}


def test_marks_are_of_one_deployment_alone() -> None:
    mark = marks.mark("shop", "web")
    assert marks.service_of(mark, "shop") == "web"
    for metadata in (None, {}, {marks.MARK: "shop"}, marks.mark("other", "web")):
        assert marks.service_of(metadata, "shop") is None
    spec = marks.described("shop", "web", {"type": "t", "description": "Careful."})
    assert spec["description"] == "Careful. Made by spinney deploy for shop/web."
    assert marks.made_for(spec, "shop", "web") and not marks.made_for(spec, "shop", "db")
    assert not marks.made_for({}, "shop", "web")
