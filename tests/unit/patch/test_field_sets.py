"""Sets of fields: their text, their algebra, and how messages name their members."""

from __future__ import annotations

import pytest

from tiphys.machinery.patch.apply import field_set


def test_text_is_read_and_written_in_one_form() -> None:
    text = b'{"f:b":{},"f:a":{"k:{ \\"protocol\\":\\"TCP\\",\\"port\\":80}":{".":{},"f:port":{}},"v:1":{}}}'
    found = field_set.parse(text)
    assert found == {
        "f:b": {},
        "f:a": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}, "v:1": {}},
    }
    assert field_set.serialise(found) == (
        b'{"f:a":{"k:{\\"port\\":80,\\"protocol\\":\\"TCP\\"}":{".":{},"f:port":{}},"v:1":{}},"f:b":{}}'
    )


def test_elements_of_later_versions_are_passed_over() -> None:
    assert field_set.parse(b'{"f:a":{},"z:new":{}}') == {"f:a": {}}


@pytest.mark.parametrize("text", [b"[]", b'{"a":{}}', b'{"f:a":1}', b'{"k:[]":{}}', b'{"i:x":{}}', b'{"v:{":{}}'])
def test_what_is_no_set_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        field_set.parse(text)


def test_a_member_with_members_below_it_is_not_the_way_to_them() -> None:
    way = {"f:a": {"f:b": {}}}
    both = field_set.union(way, {"f:a": {}})
    assert both == {"f:a": {".": {}, "f:b": {}}}
    assert field_set.difference(both, {"f:a": {}}) == way
    assert field_set.difference(both, way) == {"f:a": {}}
    assert field_set.intersection(both, {"f:a": {}}) == {"f:a": {}}
    assert field_set.intersection(way, {"f:a": {}}) == {}
    assert field_set.recursive_difference(both, {"f:a": {}}) == {}
    assert field_set.recursive_difference(both, way) == {"f:a": {}}


def test_paths_are_named_as_clients_see_them() -> None:
    fields = {
        "f:spec": {
            "f:ports": {'k:{"port":443,"protocol":"TCP"}': {".": {}}, 'k:{"port":80,"protocol":"TCP"}': {"f:name": {}}}
        },
        "f:metadata": {"f:finalizers": {'v:"a/b"': {}}, "f:x": {"i:3": {}}},
    }
    assert [field_set.path_text(path) for path in field_set.paths(fields)] == [
        '.metadata.finalizers[="a/b"]',
        ".metadata.x[3]",
        '.spec.ports[port=443,protocol="TCP"]',
        '.spec.ports[port=80,protocol="TCP"].name',
    ]
