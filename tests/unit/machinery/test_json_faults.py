"""Where a text stops being JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.machinery import json_faults

KEY, VALUE = "looking for beginning of object key string", "looking for beginning of value"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "unexpected end of JSON input"),
        (b'{"a":', "unexpected end of JSON input"),
        (b'{"a":"x', "unexpected end of JSON input"),
        (b'{"a":1,}', f"invalid character '}}' {KEY}"),
        (b"{'a':1}", f"invalid character '\\'' {KEY}"),
        (b"{a:1}", f"invalid character 'a' {KEY}"),
        (b"[1,]", f"invalid character ']' {VALUE}"),
        (b"{}{}", "invalid character '{' after top-level value"),
        (b'{"a":01}', "invalid character '1' after object key:value pair"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":1.}', "invalid character '}' after decimal point in numeric literal"),
        (b'{"a":-}', "invalid character '}' in numeric literal"),
        (b"[1e]", "invalid character ']' in exponent of numeric literal"),
        (b'{"a":NaN}', f"invalid character 'N' {VALUE}"),
        (b'{"a":"\x01"}', "invalid character '\\x01' in string literal"),
        (b'{"a":"\\x"}', "invalid character 'x' in string escape code"),
        (b'{"a":"\\u12"}', "invalid character '\"' in \\u hexadecimal character escape"),
        (b'{"a":tru}', "invalid character '}' in literal true (expecting 'e')"),
        (b"\xef\xbb\xbf{}", f"invalid character '\xef' {VALUE}"),
        (b"[" * 100_000, "unexpected end of JSON input"),
    ],
)
def test_words(text: bytes, words: str) -> None:
    assert json_faults.find(text) == words


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(values, st.booleans())
def test_what_is_json_has_none(value: object, compact: bool) -> None:
    assert json_faults.find(json.dumps(value, indent=None if compact else 1).encode()) == ""


@given(st.lists(st.sampled_from(list('{}[]",:\\u0123etrulnfasb -+.E'))).map("".join))
def test_faults_are_found_where_others_find_one(text: str) -> None:
    try:
        json.loads(text)
    except ValueError:
        assert json_faults.find(text.encode()) != ""
    else:
        assert json_faults.find(text.encode()) == ""
