"""Whether the tests of what decides would notice: 300 random faults put into ``domain`` and ``policies``, one at a time.

The faults are those of cosmic-ray (an operator, a comparison, a constant, a ``not`` exchanged; a decorator or a loop left out).
Which tests run for one is known from a run with coverage: those that enter the changed lines, no others. A fault that no test
enters, or after which all of those pass, has survived and is printed. Faults in annotations and in docstrings change nothing
and are not counted. One seed gives the same faults for the same source.

Only the first tier's tests without an engine are run (``tests/unit``), because what decides is to be tested by values alone.
Nothing of the work tree is changed: all of it happens in a copy.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cosmic_ray.ast as parsing
from cosmic_ray import mutating, plugins

ROOT = Path(__file__).parents[2]
PLACES = ("domain", "policies")
_TESTS_AT_MOST = 60
#: Tells coverage which test is at work, and how long each took.
_ENTERING = """
import json
import coverage

took = {}

def pytest_runtest_setup(item):
    coverage.Coverage.current().switch_context(item.nodeid)

def pytest_runtest_logreport(report):
    took[report.nodeid] = took.get(report.nodeid, 0.0) + report.duration

def pytest_sessionfinish():
    with open("took.json", "w") as file:
        json.dump(took, file)
"""
#: The smallest input that shows a fault is not asked for, only whether there is one.
_BRIEFLY = """
from hypothesis import HealthCheck, Phase, settings

phases = [Phase.explicit, Phase.generate]
settings.register_profile("briefly", deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=phases, database=None)
settings.load_profile("briefly")
"""
#: What tests of values alone can do without: most of the time would go into loading it.
_BARE = ("-p", "no:cacheprovider", "--noconftest")
#: Those of the pages look at the whole tree and decide nothing.
_TESTS = ("tests/unit", "--ignore=tests/unit/test_docs.py")


@dataclass(frozen=True, slots=True)
class Mutant:
    path: str  # below the root
    operator: str
    occurrence: int
    before: str
    after: str

    @property
    def lines(self) -> list[int]:
        """Those of the original that differ."""
        pieces = difflib.SequenceMatcher(None, self.before.splitlines(), self.after.splitlines(), autojunk=False)
        found = [range(i + 1, max(j, i + 1) + 1) for tag, i, j, _, _ in pieces.get_opcodes() if tag != "equal"]
        return [line for piece in found for line in piece]

    def __str__(self) -> str:
        changed = difflib.unified_diff(self.before.splitlines(), self.after.splitlines(), lineterm="", n=0)
        told = [line for line in changed if line[:1] in "+-" and line[:3] not in ("+++", "---")]
        return "\n".join([f"{self.path}:{self.lines[0]} {self.operator}", *(f"    {line}" for line in told)])


class _Meaning(ast.NodeTransformer):
    """A module without what has no effect on what it does."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        # The annotations of pydantic's models are evaluated; those of functions and values are not.
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(node.arg)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        return node

    visit_FunctionDef = _function
    visit_AsyncFunctionDef = _function


def _meaning(source: str) -> str:
    return ast.dump(_Meaning().visit(ast.parse(source)))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fault can be put in."""

    file: Path
    operator: str
    occurrence: int


def places_of(file: Path) -> list[Place]:
    tree = parsing.get_ast(file.read_text())
    nodes = list(_walk(tree))
    found: list[Place] = []
    for name, operator in _operators().items():
        count = sum(1 for node in nodes for _ in operator.mutation_positions(node))
        found += [Place(file, name, occurrence) for occurrence in range(count)]
    return found


def _operators() -> dict[str, Any]:
    """Those that need no further word from us."""
    every = {name: plugins.get_operator(name) for name in sorted(plugins.operator_names())}
    return {name: kind() for name, kind in every.items() if "Variable" not in name}


def _walk(tree: Any) -> Iterator[Any]:
    yield tree
    for child in getattr(tree, "children", ()):
        yield from _walk(child)


def mutant_at(place: Place) -> Mutant | None:
    """None: the fault is none, because it changes nothing."""
    before = place.file.read_text()
    visitor = mutating.MutationVisitor(place.occurrence, _operators()[place.operator])
    after = visitor.walk(parsing.get_ast(before)).get_code()
    try:
        if _meaning(after) == _meaning(before):
            return None
    except SyntaxError:
        return None
    return Mutant(str(place.file.relative_to(ROOT)), place.operator, place.occurrence, before, after)


def chosen_of(files: Sequence[Path], count: int, seed: int) -> tuple[int, list[Mutant]]:
    """How many places there are, and faults at some of them."""
    every = [place for file in files for place in places_of(file)]
    chosen: list[Mutant] = []
    for place in random.Random(seed).sample(every, len(every)):
        if len(chosen) == count:
            break
        mutant = mutant_at(place)
        if mutant is not None:
            chosen.append(mutant)
    return len(every), chosen


@dataclass(frozen=True, slots=True)
class Entered:
    """For each file and line the tests that enter it, and how many seconds each of them takes."""

    lines: Mapping[str, Mapping[int, Sequence[str]]]
    took: Mapping[str, float]

    def by(self, mutant: Mutant, number: int) -> list[str]:
        lines = self.lines.get(mutant.path, {})
        tests = sorted({test for line in mutant.lines for test in lines.get(line, ())})
        # A constant of a module is entered at its import, by no test: then those of the whole file are asked.
        if not tests:
            tests = sorted({test for found in lines.values() for test in found})
        random.Random(number).shuffle(tests)
        return tests

    def quickest_first(self, tests: Sequence[str]) -> list[str]:
        return sorted(tests, key=lambda test: self.took.get(test, 0.0))

    def patience(self, tests: Sequence[str]) -> float:
        """A loop without end is given up some time."""
        return 30 + 10 * sum(self.took.get(test, 0.0) for test in tests)


def covering(copy: Path) -> Entered:
    """Raises CalledProcessError when a test fails without any fault: it would seem to notice every one."""
    settings = copy / "coverage.ini"
    places = "".join(f"\n    {copy}/src/spinney/{place}" for place in PLACES)
    settings.write_text(f"[run]\nsource ={places}\n")
    (copy / "src/entering.py").write_text(_ENTERING)
    (copy / "src/briefly.py").write_text(_BRIEFLY)
    coverage = [sys.executable, "-m", "coverage"]
    run = [
        *coverage,
        "run",
        f"--rcfile={settings}",
        "-m",
        "pytest",
        "-q",
        "-p",
        "entering",
        *_BARE,
        *_TESTS,
    ]
    subprocess.run(run, cwd=copy, env=_environment(copy), check=True)
    tell = [*coverage, "json", "--show-contexts", "-q", f"--rcfile={settings}", "-o", "told.json"]
    subprocess.run(tell, cwd=copy, check=True)
    told = json.loads((copy / "told.json").read_text())["files"]
    lines = {
        str((copy / name).resolve().relative_to(copy)): {
            int(line): [one for one in contexts if one] for line, contexts in file["contexts"].items()
        }
        for name, file in told.items()
    }
    return Entered(lines, json.loads((copy / "took.json").read_text()))


def _environment(copy: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(copy / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": "briefly",
    }


def verdict(copy: Path, mutant: Mutant, tests: Sequence[str], patience: float) -> str:
    """killed, survived or slow (it ran on and on, which a test run would not have let pass either)."""
    if not tests:
        return "survived"
    file = copy / mutant.path
    file.write_text(mutant.after)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", *_BARE, *tests]
    try:
        done = subprocess.run(command, cwd=copy, env=_environment(copy), capture_output=True, timeout=patience)
    except subprocess.TimeoutExpired:
        return "slow"
    finally:
        file.write_text(mutant.before)
    return "survived" if done.returncode == 0 else "killed"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="only files whose path contains this")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder).resolve()
        for name in ("src", "tests", "docs", "deploy", "examples"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "run"):
            shutil.copy(ROOT / name, copy / name)
        print("Which tests enter which lines …", flush=True)
        entered = covering(copy)
        files = sorted(
            f for place in PLACES for f in (ROOT / "src/spinney" / place).rglob("*.py") if given.only in str(f)
        )
        places, chosen = chosen_of(files, given.count, given.seed)
        print(f"{places} places in {len(files)} files; {len(chosen)} faults with seed {given.seed}", flush=True)
        results: Counter[str] = Counter()
        for number, mutant in enumerate(chosen, 1):
            tests = entered.by(mutant, number)
            asked = entered.quickest_first(tests[:_TESTS_AT_MOST])
            result = verdict(copy, mutant, asked, entered.patience(asked))
            results[result] += 1
            if result == "survived":
                print(f"\nsurvived {len(tests)} tests: {mutant}", flush=True)
            if number % 25 == 0:
                print(f"-- {number} of {len(chosen)}: {dict(results)}", flush=True)
    noticed = results["killed"] + results["slow"]
    print(f"\n{noticed} of {len(chosen)} noticed, {results['survived']} not; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
