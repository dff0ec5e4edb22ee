"""Reading Compose files: YAML with places, variables, files of variables, and the whole with its services in order."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from spinney.cli.compose import tree, variables
from spinney.cli.compose.places import Faults, Part, Spot, Unfit, plain
from unit.compose_files import HEAD, faults, one, properties, read, service


def parsed(text: str, **given: str) -> tuple[Part, Faults]:
    found = Faults()
    part = tree.parse(text, "c.yaml", variables.substitution(given, found), found)
    assert part is not None
    return part, found


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"), ("on", "on"), ("22:22", "22:22"), ("2026-01-01", "2026-01-01"), ("1_000", "1_000"),
        ("true", True), ("~", None), ("", None), ("10", 10), ("-3", -3), ("0440", 0o440), ("0o17", 15), ("0x1f", 31),
        ("089", 89), ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("'10'", "10"), ('"a\\tb"', "a\tb"), ("!!str 10", "10"),
    ],
)  # fmt: skip
def test_scalars_are_read_as_yaml_1_2_has_them(written: str, value: object) -> None:
    part, found = parsed(f"a: {written}")
    assert plain(part) == {"a": value} and type(plain(part)["a"]) is type(value) and not found.found


def test_anchors_and_merge_keys_stand_for_what_they_name_and_keep_its_lines() -> None:
    part, _ = parsed("x: &x {a: 1, b: 2}\ny: &y\n  c: 3\nz:\n  <<: [*x, *y]\n  b: 4\nl: [*y]\n")
    assert plain(part)["z"] == {"a": 1, "c": 3, "b": 4} and plain(part)["l"] == [{"c": 3}]
    _, found = parsed("x: &x\n  a: !no 1\nz:\n  <<: *x\n")
    assert found.lines() == [
        "c.yaml:2: x.a: the tag !no is not known here: leave it out",
        "c.yaml:2: z.a: the tag !no is not known here: leave it out",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [1", "c.yaml:1: this is not valid YAML"),
        ("a: 1\nb: {c: 2\nd: 3}: 4", "c.yaml:"),
        ("a: &a [*a]", "c.yaml:1: a[0]: this contains itself"),
        ("a: !!int x", "c.yaml:1: a: the tag !!int does not go with 'x'"),
        ("a: !!binary x", "c.yaml:1: a: the tag !!binary is not known here"),
        ("a: {<<: 3}", "c.yaml:1: a.<<: a merge key takes"),
        ("? [a]\n: 1", "c.yaml:1: a key here is no text"),
        ("a: 1\n---\nb: 2", "c.yaml:2: this is not valid YAML"),
        ("a: \x00", "c.yaml:1: this is not valid YAML"),
                ("a: " + "[" * 50 + "]" * 50, "c.yaml:1: a[0][0]"),
    ],
)  # fmt: skip
def test_what_is_no_tree_is_refused_where_it_stands(text: str, says: str) -> None:
    told = faults(text)
    assert told and told[0].startswith(says), told


def test_aliases_that_blow_up_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MOST", 1000)
    text = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n"
    text += "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 4))
    (told,) = faults(text)
    assert "more than 1000 parts" in told


def test_a_key_that_stands_twice_is_a_fault_with_both_lines() -> None:
    _, found = parsed("a:\n  b: 1\n  c: 2\n  b: 3\n")
    assert found.lines() == ["c.yaml:4: a.b: this key stands in line 2 already: leave one out"]


VARIABLES = {"SET": "x", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$SET ${SET} $$SET $${SET}", "x x $SET ${SET}"),
        ("${SET:-d}${EMPTY:-d}${NONE:-d}", "xdd"),
        ("${SET-d}${EMPTY-d}${NONE-d}", "xd"),
        ("${SET:+d}${EMPTY:+d}${NONE:+d}", "d"),
        ("${SET+d}${EMPTY+d}${NONE+d}", "dd"),
        ("${SET:?no}${SET?no}${EMPTY?no}", "xx"),
        ("${NONE:-${OTHER:-${SET}}}", "x"),
        ("${SET:-${NONE:?never looked at}}", "x"),
        ("${NONE:-a:b-c?d}", "a:b-c?d"),
        ("a$SET.b", "ax.b"),
    ],
)
def test_variables_are_put_in(text: str, expected: str) -> None:
    found = Faults()
    assert variables.substitution(VARIABLES, found)(text, Spot("c.yaml", 1, "a")) == expected
    assert not found.notes


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("${NONE:?set it to a tag}", "the variable NONE is needed: set it to a tag"),
        ("${EMPTY:?}", "the variable EMPTY is needed: set it"),
        ("${SET", "${SET}, or one of :-"),
        ("${SET:-x", "without its }"),
        ("${1}", "without the name of a variable"),
        ("${SET/a/b}", "comes }, or one of"),
        ("5$ each", "a $ that begins no variable"),
    ],
)
def test_variables_that_cannot_be_put_in(text: str, says: str) -> None:
    with pytest.raises(Unfit) as refused:
        variables.substitution(VARIABLES, Faults())(text, Spot("c.yaml", 1, "a"))
    assert says.replace("${SET}, or", "comes }, or") in refused.value.says


def test_a_variable_that_is_not_set_is_empty_and_noted_once() -> None:
    found = Faults()
    assert variables.substitution({}, found)("a$X$X", Spot("c.yaml", 3, "b")) == "a"
    assert found.noted() == ["c.yaml:3: b: the variable X is not set and has no default: it is taken as empty"]


def test_a_file_of_variables() -> None:
    text = """
# a comment
A=1 # another
export B="x\\n$A\\$y"   # and one
C='a $A \\'b\\''
D
E=${A}2
F="two
lines"
G: 3
H=a#b
"""
    found = Faults()
    expected = {"A": "1", "B": "x\n1$y", "C": "a $A 'b'", "D": None, "E": "12", "F": "two\nlines", "G": "3", "H": "a#b"}
    assert variables.read_file(text, ".env", {}, found) == expected and not found.found
    assert variables.read_file("A=1\nB=$A", ".env", {"A": "outside"}, found)["B"] == "outside"


def test_faults_in_a_file_of_variables_have_their_lines() -> None:
    found = Faults()
    variables.read_file('A="x\ny" z\nno line\nB=${C:?needed}\nD="x', ".env", {}, found)
    variables.read_raw_file("A=1\n%\n", "raw.env", found)
    assert [line.split(" ")[0] for line in found.lines()] == [
        ".env:1:",
        ".env:2:",
        ".env:3:",
        ".env:4:",
        ".env:5:",
        "raw.env:2:",
    ]


def test_values_come_from_outside_where_the_file_names_them_alone() -> None:
    found = one("environment: [A, B]\nenv_file: f.env", variables={"A": "1", "C": "3"}, files={"f.env": "C\nE\n"})
    assert found.spec["properties"]["environment"] == {"A": "1", "C": "3"}
    assert "image: web:2" not in str(properties("environment: {X: '${TAG:-2}'}"))
    notes = read(service("environment: [B]")).notes
    assert notes == (
        "c.yaml:5: services.web.environment[0]: B has no value here nor outside of the file: the container does not get it",
    )


def names(text: str, **given: object) -> list[list[str]]:
    return [[one.service for one in level] for level in read(HEAD + text, **given).levels()]


def test_services_come_after_those_they_need() -> None:
    text = (
        "services: {a: {image: i, depends_on: [b, c]}, b: {image: i, depends_on: {c: {condition: service_healthy}}}, "
    )
    text += "c: {image: i}, d: {image: i}}"
    assert names(text) == [["c", "d"], ["b"], ["a"]]
    needs = {one.service: [(need.service, need.healthy) for need in one.needs] for one in read(HEAD + text).services}
    assert needs == {"a": [("b", False), ("c", False)], "b": [("c", True)], "c": [], "d": []}
    (told,) = faults(HEAD + "services: {a: {image: i, depends_on: [b]}, b: {image: i, depends_on: [a]}}")
    assert "a, b need each other in a circle" in told


def test_profiles_switch_services_on() -> None:
    text = "services: {a: {image: i}, b: {image: i, profiles: [debug]}}"
    assert names(text) == [["a"]] and read(HEAD + text).left_out == ("b",)
    assert names(text, profiles=frozenset({"debug"})) == [["a", "b"]]
    assert names(text, profiles=frozenset({"*"})) == [["a", "b"]]
    needing = "services: {a: {image: i, depends_on: {b: {condition: service_started%s}}}, b: {image: i, profiles: [x]}}"
    assert names(needing % ", required: false") == [["a"]]
    (told,) = faults(HEAD + needing % "")
    assert "b is left out by its profiles" in told


@pytest.mark.parametrize(
    ("given", "top", "expected"),
    [
        ({}, "", "shop"),
        ({}, "name: mine", "mine"),
        ({"variables": {"COMPOSE_PROJECT_NAME": "env"}}, "name: mine", "env"),
        ({"project": "option", "variables": {"COMPOSE_PROJECT_NAME": "env"}}, "name: mine", "option"),
        ({"variables": {"X": "x"}}, "name: 'my-${X}'", "my-x"),
    ],
)
def test_the_project_has_a_name(given: Mapping[str, object], top: str, expected: str) -> None:
    assert read(f"{top}\n{service('')}", **given).project == expected
    (told,) = faults(f"name: My Shop\n{service('')}")
    assert told.startswith("c.yaml:1: name: 'My Shop' is no name of a project")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "c.yaml:1: there is nothing in the file"),
        ("# nothing\n", "c.yaml:1: there is nothing in the file"),
        ("[]", "c.yaml:1: a map is needed here"),
        ("name: a", "c.yaml:1: services is missing"),
        ("services: {}", "c.yaml:1: services: there is no service"),
        ("services: {'a b': {image: i}, c: {image: i}}", "c.yaml:1: services.a b: 'a b' is no name of a service"),
        ("services: {a: {}}", "c.yaml:1: services.a: image is missing"),
        ("services:\n  a:", "c.yaml:2: services.a: a map is needed here"),
    ],
)
def test_a_file_without_what_it_needs(text: str, says: str) -> None:
    told = faults(text, host_cluster="metal")
    assert told[0].startswith(says), told


def test_equal_files_give_equal_specifications_however_they_are_written() -> None:
    assert one("mem_limit: 1g\ncpus: '0.50'").spec == one("cpus: 0.5\nmem_limit: 1024mb").spec
