"""Keys that stand twice in a JSON text: the fast answer against the walk through everything."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.apiserver import strictness

TEXTS = st.sampled_from(['"a"', '"b"', '"a\\"b"', '"\\u0061"', '"a\\\\"', '"a : b"', '"{\\"a\\": 1}"', '"é"', '""'])
SPACES = st.sampled_from(["", " ", "\n\t"])


def _object(members: list[tuple[str, str]], space: str) -> str:
    return "{" + ",".join(f"{space}{key}{space}:{space}{value}" for key, value in members) + space + "}"


texts = st.recursive(
    TEXTS | st.sampled_from(["1", "-2.5e3", "true", "null"]),
    lambda below: st.one_of(
        st.builds(lambda items, space: f"[{space}{','.join(items)}{space}]", st.lists(below, max_size=3), SPACES),
        st.builds(_object, st.lists(st.tuples(TEXTS, below), max_size=4), SPACES),
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(texts)
def test_the_fast_answer_is_that_of_the_walk(text: str) -> None:
    json.loads(text)
    assert strictness.repeated(text.encode()) == strictness.duplicate_fields(text.encode())
