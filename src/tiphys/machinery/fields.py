"""Field selectors: the text of the `fieldSelector` query parameter, read and matched.

`a=b,c!=d,e==f`: all requirements must hold. In values `\\`, `,` and `=` are written with a backslash before them. A
field that the object lacks is the empty text, as in Kubernetes. Which fields a kind offers is decided by who calls.
Specified in "Field Selectors".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_TERMS = re.compile(r"(?:\\.|[^\\,])*(?:\\\Z)?", re.DOTALL)
_OPERATOR = re.compile(r".*?(?P<operator>!=|==|=)", re.DOTALL)
_ESCAPED = {"\\\\": "\\", "\\,": ",", "\\=": "="}


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    """`operator` is `=` or `!=`; `value` is the plain text, nothing escaped."""

    field: str
    operator: str
    value: str

    def matches(self, fields: Mapping[str, str]) -> bool:
        same = fields.get(self.field, "") == self.value
        return same if self.operator == "=" else not same

    def __str__(self) -> str:
        return f"{self.field}{self.operator}{escape(self.value)}"


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All requirements must hold; none at all selects everything."""

    requirements: tuple[FieldRequirement, ...] = ()

    def matches(self, fields: Mapping[str, str]) -> bool:
        return all(requirement.matches(fields) for requirement in self.requirements)

    @property
    def empty(self) -> bool:
        return not self.requirements

    def exact_match(self, field: str) -> str | None:
        """The one value that `field` must have (the first asked for), or None when the selector does not say."""
        for requirement in self.requirements:
            if requirement.field == field and requirement.operator == "=":
                return requirement.value
        return None

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING = FieldSelector()


def escape(value: str) -> str:
    """A value as it is written in a selector."""
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


def unescape(text: str) -> str:
    """The value that was written. ValueError for a backslash that escapes nothing or a bare `,` or `=`."""
    parts = []
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\\":
            pair = text[position : position + 2]
            if pair not in _ESCAPED:
                raise ValueError(f"invalid field selector: invalid escape sequence: {pair}")
            parts.append(_ESCAPED[pair])
            position += 2
            continue
        if character in ",=":
            raise ValueError(f"invalid field selector: unescaped character in value: {character}")
        parts.append(character)
        position += 1
    return "".join(parts)


def parse(text: str) -> FieldSelector:
    """The selector of a `fieldSelector` query parameter. ValueError with the reason when it cannot be read."""
    found = []
    position = 0
    while position <= len(text):
        match = _TERMS.match(text, position)
        assert match is not None
        if term := match.group():
            found.append(_requirement(text, term))
        position = match.end() + 1
    return FieldSelector(tuple(sorted(found, key=lambda requirement: requirement.field)))


def _requirement(text: str, term: str) -> FieldRequirement:
    match = _OPERATOR.match(term)
    if match is None:
        raise ValueError(f"invalid selector: '{text}'; can't understand '{term}'")
    field = term[: match.start("operator")]
    operator = "!=" if match.group("operator") == "!=" else "="
    return FieldRequirement(field, operator, unescape(term[match.end("operator") :]))
