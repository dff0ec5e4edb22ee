"""Whatever a Compose file holds: a deployment or its faults, each with its place, and never anything else."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from spinney.cli.compose.keys import Keys
from spinney.cli.compose.service import SERVICE
from unit.compose_files import HEAD, all_keys, faults, read

_WORDS = [
    "80:80",
    "a=b",
    "always",
    "1g",
    "90s",
    "${X}",
    "$",
    "${X:-1}",
    "on-failure:2",
    "0440",
    "host",
    "all",
    "node.labels.a==b",
    "x",
    "",
]
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 70000),
    st.floats(allow_nan=False),
    st.sampled_from(_WORDS),
    st.text(max_size=8),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_PLACED = re.compile(r"c\.yaml:[0-9]+: \S")


def service_of(keys: Keys) -> st.SearchStrategy[Any]:
    """A map with some of the keys there are, known and refused, and anything in them or maps as they should be."""
    inner = {one.of.rpartition(".")[2].removesuffix("[]"): one for one in keys.inner}

    def value(name: str) -> st.SearchStrategy[Any]:
        deeper = service_of(inner[name]) if name in inner else _VALUES
        return st.one_of(_VALUES, deeper, st.lists(deeper, max_size=2))

    names = [*keys.known, *keys.refused, "nonsense"]
    return st.dictionaries(st.sampled_from(names), st.none(), max_size=4).flatmap(
        lambda chosen: st.fixed_dictionaries({name: value(name) for name in chosen})
    )


@settings(max_examples=40, deadline=None)
@given(
    service_of(SERVICE), st.dictionaries(st.sampled_from(["name", "secrets", "version", "x-y"]), _VALUES, max_size=2)
)
def test_any_service_is_read_or_told_what_is_wrong_with_it(service: Any, top: Any) -> None:
    text = json.dumps({**top, "x-spinney-host-cluster": "metal", "services": {"web": {"image": "nginx", **service}}})
    told = faults(text, variables={"X": "1"})
    assert all(_PLACED.match(line) for line in told), told
    if not told:
        assert read(text, variables={"X": "1"}).services


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="abc:-[]{}&*<!?|>'\"#%@,$ \n\t0", max_size=40))
def test_any_text_is_yaml_or_not(text: str) -> None:
    assert all(_PLACED.match(line) for line in faults(HEAD + text))


def test_every_key_of_compose_has_an_answer() -> None:
    """No key is both taken and refused, and none of ours is refused."""
    for keys in all_keys():
        assert not keys.known.keys() & keys.refused.keys()
        assert not any(name.startswith("x-") for name in keys.refused)
