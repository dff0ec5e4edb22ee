"""`spinney autoscale backtest`, on a table and a specification of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer
from typer.testing import CliRunner

from cli.stub import Stub
from spinney.cli.backtest import command
from spinney.cli.faults import CliError

EXAMPLES = Path(__file__).parents[2] / "examples" / "autoscaling"
POLICY, DAY = str(EXAMPLES / "policy.yaml"), str(EXAMPLES / "day.csv")

app = typer.Typer()
app.command()(command)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, CliError), result.output
    return str(result.exception)


def test_the_example_day_is_followed_and_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "day.svg"
    shown = run("--spec-file", POLICY, "--metrics", DAY, "--svg", str(picture))
    assert "load: cpu" in shown and "0 of them undone" in shown and "•" in shown
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_a_load_is_named_as_the_policy_names_it(tmp_path: Path) -> None:
    spec, load = tmp_path / "policy.json", tmp_path / "load.csv"
    properties = {"max": 9, "targets": [{"metric": "requests", "target": 50}]}
    spec.write_text(json.dumps({"type": "spinney.policy.autoscaling", "version": "1.0", "properties": properties}))
    load.write_text("time,requests\n0,90\n60,90\n")
    assert "load: requests, of all members" in run("--spec-file", str(spec), "--metrics", str(load))


def test_machines_get_every_evaluation_with_its_reason() -> None:
    told = json.loads(run("--spec-file", POLICY, "--metrics", DAY, "-o", "json"))
    assert told["evaluations"] == len(told["points"]) == 2879
    assert told["flaps"] == 0 and told["changes"] == sum(point["acted"] for point in told["points"])
    assert all(point["sentence"] for point in told["points"])


@pytest.mark.parametrize(
    "table, said",
    [
        ("cpu\n1\n", "has to name the columns"),
        ("time,memory\n0,1\n", "the policy looks at cpu"),
        ("time,cpu\n0,much\n", "line 2, column cpu: 'much' is no load"),
        ("time,cpu\n0,-1\n", "'-1' is no load"),
        ("time,cpu\nnoon,1\n", "line 2: time 'noon' is neither"),
        ("time,cpu\n", "has no rows under its first line"),
        ("time,cpu\n0,1e308\n60,1\n", "line 2, column cpu: '1e308' is no load: write a number from 0 to 1e+15"),
        ("time,cpu\n0,nan\n", "line 2, column cpu: 'nan' is no load"),
        ("time,cpu\n0,1\ninf,1\n", "line 3: time 'inf' is no moment"),
        ("time,cpu\n60,1\n0,1\n", "line 3: time '0' is not later than '60'"),
        ("time,cpu\n0,1\n\n0,1\n", "line 4: time '0' is not later than '0'"),
        ("time,cpu\n0,1\n2026-01-31T12:00:00Z,1\n", "line 3: time '2026-01-31T12:00:00Z' is written otherwise"),
        ("time,cpu,cpu\n0,1,2\n", "line 1: two columns are named 'cpu'"),
        ("time,cpu\n0,1\n60\n", "line 3: it has 1 fields, and the first line names 2"),
        ("time,cpu\n0,1,2\n", "line 2: it has 3 fields"),
        ("time,cpu\n0,\n60,\n", "nothing to run over"),
        ("time,cpu\n0,1\n", "has one moment alone: at least two are needed"),
        ("time,cpu\n0,1\n99999999999,1\n", "at most"),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_where(tmp_path: Path, table: str, said: str) -> None:
    file = tmp_path / "load.csv"
    file.write_text(table)
    assert said in refused("--spec-file", POLICY, "--metrics", str(file))


def test_a_cluster_of_which_nothing_is_recorded_has_no_columns(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters/web/metrics", {"metrics": []})
    result = spinney("autoscale", "backtest", "--spec-file", POLICY, "--cluster", "web")
    assert result.exit_code == 1 and "nothing has been recorded of cluster web yet" in result.stderr


def test_times_may_be_written_out_and_gaps_are_unknown(tmp_path: Path) -> None:
    file = tmp_path / "load.csv"
    file.write_text("time,cpu\n2026-01-31T12:00:00Z,100\n2026-01-31T12:01:00Z,\n2026-01-31T12:02:00Z,100\n")
    points = json.loads(run("--spec-file", POLICY, "--metrics", str(file), "-o", "json"))["points"]
    assert points[0]["at"] == "2026-01-31T12:00:00Z"
    assert [point["loads"]["cpu"] for point in points] == [100.0, 100.0, None, None, 100.0]


def test_what_is_asked_for_must_be_clear(tmp_path: Path) -> None:
    assert "give either --policy" in refused("--metrics", DAY)
    assert "give either --cluster" in refused("--spec-file", POLICY)
    other = tmp_path / "other.yaml"
    other.write_text("type: senlin.policy.batch\nversion: '1.0'\nproperties: {}\n")
    assert "scales nothing by itself" in refused("--spec-file", str(other), "--metrics", DAY)
