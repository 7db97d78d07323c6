"""YAML that would end or fill the process is refused before it is loaded."""

from __future__ import annotations

import pytest
import yaml

from tiphys.apiserver import encoding, strictness, yaml_bounds
from tiphys.kinds.types import core_v1
from tiphys.machinery.errors import ApiError

BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % ((code, code) + (code - 1,) * 9) for code in range(98, 107)
)


@pytest.mark.parametrize(
    "text",
    [b"[" * 100_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000, b"- " * 3000 + b"x", b"? " * 3000 + b"x"],
    ids=["sequences", "mappings", "compact", "keys"],
)
def test_deep_nesting(text: bytes) -> None:
    with pytest.raises((ValueError, yaml.YAMLError)):
        yaml_bounds.check(text)
    with pytest.raises(ApiError) as refused:
        encoding.read_yaml(text)
    assert refused.value.code == 400


@pytest.mark.parametrize(
    ("text", "words"),
    [(BOMB, "excessive aliasing"), (b"&a [*a]", "contains itself"), (b"[*a]", "unknown")],
)
def test_aliases_that_cannot_be_followed(text: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        yaml_bounds.check(text)


def test_aliases_and_long_lines_are_fine() -> None:
    text = b"a: &x {k: v}\nb: *x\nc: &s word\nd: [*s, *s]\ne: " + b"long" * 1000
    yaml_bounds.check(text)
    found = encoding.read_yaml(text)
    assert (found["b"], found["d"]) == ({"k": "v"}, ["word", "word"])


@pytest.mark.parametrize("media", ["application/json", "application/yaml"])
def test_text_that_is_not_utf8(media: str) -> None:
    body = b'{"metadata":{"name":"u"},"data":{"a":"\xff\xfe"}}'
    with pytest.raises(ApiError) as refused:
        encoding.decode_body(body, media, core_v1.ConfigMap, "v1", "ConfigMap")
    assert (refused.value.code, refused.value.reason) == (400, "BadRequest")
    with pytest.raises(ApiError) as refused:
        encoding.plain_body(body, media, "patch")
    assert refused.value.code == 400
    assert strictness.repeated(body) is None
    with pytest.raises(ApiError) as refused:
        encoding.json_or_yaml(body)
    assert refused.value.code == 400
