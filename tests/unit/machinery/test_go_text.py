"""Values as Go prints them."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.machinery import go_text


@pytest.mark.parametrize(
    ("value", "plain", "literal", "type_name"),
    [
        (None, "<nil>", "interface {}(nil)", "<nil>"),
        (True, "true", "true", "bool"),
        ('a"b', 'a"b', '"a\\"b"', "string"),
        (-7, "-7", "-7", "int64"),
        (1 << 63, "9.223372036854776e+18", "9.223372036854776e+18", "float64"),
        ([1, "x", None], "[1 x <nil>]", '[]interface {}{1, "x", interface {}(nil)}', "[]interface {}"),
        (
            {"b": [], "a": {"c": True}},
            "map[a:map[c:true] b:[]]",
            'map[string]interface {}{"a":map[string]interface {}{"c":true}, "b":[]interface {}{}}',
            "map[string]interface {}",
        ),
    ],
)
def test_values(value: Any, plain: str, literal: str, type_name: str) -> None:
    assert (go_text.plain(value), go_text.literal(value), go_text.type_name(value)) == (plain, literal, type_name)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.5, "1.5"),
        (2.0, "2"),
        (100000.0, "100000"),
        (1000000.0, "1e+06"),
        (123456789.0, "1.23456789e+08"),
        (999999.5, "999999.5"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (-2.5e300, "-2.5e+300"),
        (0.0, "0"),
        (-0.0, "-0"),
    ],
)
def test_numbers_have_the_fewest_digits(number: float, text: str) -> None:
    assert go_text.plain(number) == text
