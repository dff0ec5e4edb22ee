"""What schemathesis is told beside the description of the API: words that lead to something, for one request in two.

Loaded by it through SCHEMATHESIS_HOOKS. What it generates by itself is kept for the other half.
"""

from __future__ import annotations

import json
import os
from typing import Any

import schemathesis
from hypothesis import strategies as st

#: By variable of a path: what is there, as ``clients.seeded`` has made it.
WORDS: dict[str, list[str]] = json.loads(os.environ["SPINNEY_WORDS"])


@schemathesis.hook
def before_generate_path_parameters(context: Any, strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    variables = [parameter.name for parameter in context.operation.path_parameters]
    if context.operation.method.upper() == "DELETE" or not all(name in WORDS for name in variables):
        return strategy  # what is deleted would be missing to all later requests; links lead to enough else
    return st.one_of(strategy, st.fixed_dictionaries({name: st.sampled_from(WORDS[name]) for name in variables}))


@schemathesis.hook
def before_generate_body(context: Any, strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    content = context.operation.definition.raw.get("requestBody", {}).get("content", {})
    example = content.get("application/json", {}).get("example")
    return strategy if example is None else st.one_of(strategy, st.just(example))


@schemathesis.hook
def map_query(context: Any, query: Any) -> Any:
    """A log that is followed has no end."""
    return {key: value for key, value in query.items() if key != "follow"} if query else query


@schemathesis.check
def tells_no_inner_things(context: Any, response: Any, case: Any) -> None:
    """No answer holds a stack trace or a statement of the database."""
    for word in (b"Traceback (most recent call last)", b"sqlalchemy", b"sqlite3", b'File "/'):
        assert word not in response.content, f"{word!r} is in the answer"


@schemathesis.check
def no_fault_of_ours(context: Any, response: Any, case: Any) -> None:
    """Of server errors only those that the API's contract wants or that say who does not answer."""
    if response.status_code >= 500:
        found = response.json()["error"]["type"]
        assert response.status_code == 503 or found == "ProfileOperationFailed", response.content[:500]
