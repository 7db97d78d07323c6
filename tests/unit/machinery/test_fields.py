import pytest

from tiphys.machinery import fields
from tiphys.machinery.fields import FieldRequirement, FieldSelector


def test_parse_orders_by_field_and_unescapes():
    selector = fields.parse("spec.nodeName!=a,metadata.name==b\\,c\\=d\\\\,,status.phase=")
    assert selector == FieldSelector(
        (
            FieldRequirement("metadata.name", "=", "b,c=d\\"),
            FieldRequirement("spec.nodeName", "!=", "a"),
            FieldRequirement("status.phase", "=", ""),
        )
    )
    assert str(selector) == "metadata.name=b\\,c\\=d\\\\,spec.nodeName!=a,status.phase="
    assert fields.parse(str(selector)) == selector
    assert fields.parse("") == fields.EVERYTHING
    assert fields.EVERYTHING.empty


def test_matching_takes_missing_fields_as_empty():
    selector = fields.parse("metadata.name=a,spec.nodeName!=n")
    assert selector.matches({"metadata.name": "a"})
    assert not selector.matches({"metadata.name": "a", "spec.nodeName": "n"})
    assert not selector.matches({"spec.nodeName": "m"})
    assert fields.parse("spec.nodeName=").matches({})


def test_exact_match():
    selector = fields.parse("metadata.name=a,spec.nodeName!=n")
    assert selector.exact_match("metadata.name") == "a"
    assert selector.exact_match("spec.nodeName") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "invalid selector: 'a'; can't understand 'a'"),
        ("a=b,c", "invalid selector: 'a=b,c'; can't understand 'c'"),
        ("a=b=c", "invalid field selector: unescaped character in value: ="),
        ("a=\\x", "invalid field selector: invalid escape sequence: \\x"),
        ("a=\\", "invalid field selector: invalid escape sequence: \\"),
    ],
)
def test_bad_selectors(text, message):
    with pytest.raises(ValueError) as raised:
        fields.parse(text)
    assert str(raised.value) == message
