"""Labels and label selectors: parsing, matching, and the object form of selectors.

Two forms mean the same: the text of the `labelSelector` query parameter (`a=b,c in (d,e),!f`) and the LabelSelector
object. Both become a `Selector`, a tuple of requirements that must all hold. Specified in "Labels and Selectors".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tiphys.machinery import names

_TOKEN = re.compile(r"\s*(?:(?P<op>==|!=|=|!|<|>|\(|\)|,)|(?P<word>[^\s=!<>(),]+))")


@dataclass(frozen=True, slots=True)
class Requirement:
    """`operator` is one of In NotIn Exists DoesNotExist Gt Lt; `values` is sorted and empty for the existence tests."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        if self.operator == "In":
            return value is not None and value in self.values
        if self.operator == "NotIn":
            return value is None or value not in self.values
        if self.operator == "Exists":
            return value is not None
        if self.operator == "DoesNotExist":
            return value is None
        return self._compares(value)

    def _compares(self, value: str | None) -> bool:
        try:
            left, right = int(value or ""), int(self.values[0])
        except ValueError:
            return False
        return left > right if self.operator == "Gt" else left < right

    def __str__(self) -> str:
        joined = ",".join(self.values)
        if self.operator == "In":
            return f"{self.key}={joined}" if len(self.values) == 1 else f"{self.key} in ({joined})"
        if self.operator == "NotIn":
            return f"{self.key}!={joined}" if len(self.values) == 1 else f"{self.key} notin ({joined})"
        if self.operator == "Exists":
            return self.key
        if self.operator == "DoesNotExist":
            return f"!{self.key}"
        return f"{self.key}{'>' if self.operator == 'Gt' else '<'}{joined}"


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements must hold; none at all selects everything. `nothing` selects no object whatever."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        if self.nothing:
            return False
        labels = labels or {}
        return all(requirement.matches(labels) for requirement in self.requirements)

    @property
    def empty(self) -> bool:
        return not self.requirements and not self.nothing

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)


class _Expression(Protocol):
    key: str
    operator: str
    values: Any


class _SelectorObject(Protocol):
    matchLabels: Any
    matchExpressions: Any


def from_set(labels: Mapping[str, str] | None) -> Selector:
    """The selector of `spec.selector` maps of Services and ReplicationControllers: every pair must be there."""
    return Selector(tuple(Requirement(k, "In", (v,)) for k, v in sorted((labels or {}).items())))


def from_object(selector: _SelectorObject | None) -> Selector:
    """A LabelSelector object (meta/v1). None selects nothing, an empty one everything. ValueError for a bad
    operator."""
    if selector is None:
        return NOTHING
    requirements = list(from_set(selector.matchLabels).requirements)
    for expression in selector.matchExpressions or ():
        if expression.operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            raise ValueError(f'"{expression.operator}" is not a valid label selector operator')
        requirements.append(Requirement(expression.key, expression.operator, tuple(sorted(expression.values or ()))))
    return Selector(tuple(requirements))


_WORDS = {"In": "{0} in ({1})", "NotIn": "{0} notin ({1})", "Exists": "{0}", "DoesNotExist": "!{0}"}


def text_of(selector: _SelectorObject | None) -> str:
    """A LabelSelector object as clients are shown it, by key: a pair as `a=b`, an expression as `a in (b)` even if it
    has one value. "" for one that selects nothing, or everything. ValueError for a bad operator."""
    from_object(selector)
    if selector is None:
        return ""
    parts = [(key, f"{key}={value}") for key, value in (selector.matchLabels or {}).items()]
    for expression in selector.matchExpressions or ():
        values = ",".join(sorted(expression.values or ()))
        parts.append((expression.key, _WORDS[expression.operator].format(expression.key, values)))
    return ",".join(text for _, text in sorted(parts, key=lambda part: part[0]))


def _checked(requirement: Requirement) -> Requirement:
    """ValueError for a key or a value that no label can have."""
    found = [f'<nil>: Invalid value: "{requirement.key}": {text}' for text in names.qualified_name(requirement.key)]
    for position, value in enumerate(requirement.values):
        place = f"values[{position}][{requirement.key}]"
        found += [f'{place}: Invalid value: "{value}": {text}' for text in names.label_value(value)]
    if found:
        raise ValueError(found[0] if len(found) == 1 else f"[{', '.join(found)}]")
    return requirement


def parse(text: str) -> Selector:
    """The selector of a `labelSelector` query parameter. ValueError with the reason when it cannot be read."""
    return Selector(tuple(_Parser(text).requirements()))


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None:
                raise ValueError(f"unexpected character at {position} in {text!r}")
            kind = match.lastgroup or ""
            self.tokens.append((kind, match.group(kind)))
            position = match.end()
        self.position = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.position] if self.position < len(self.tokens) else ("end", "")

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.position += 1
        return token

    def requirements(self) -> Sequence[Requirement]:
        found: list[Requirement] = []
        while self.peek()[0] != "end":
            kind, text = self.peek()
            if kind != "word" and text != "!":
                raise ValueError(f"found '{text}', expected: !, identifier, or 'end of string'")
            try:
                found.append(_checked(self.requirement()))
            except ValueError as error:
                raise ValueError(f"unable to parse requirement: {error}") from error
            kind, text = self.take()
            if kind == "end":
                break
            if text != ",":
                raise ValueError(f"found '{text}', expected: ',' or 'end of string'")
            kind, text = self.peek()
            if kind != "word" and text != "!":
                raise ValueError(f"found '{text}', expected: identifier after ','")
        return found

    def key(self) -> str:
        kind, text = self.take()
        if kind != "word":
            raise ValueError(f"found '{text}', expected: identifier")
        return text

    def requirement(self) -> Requirement:
        if self.peek() == ("op", "!"):
            self.take()
            return Requirement(self.key(), "DoesNotExist")
        key = self.key()
        kind, text = self.peek()
        if kind == "end" or text == ",":
            return Requirement(key, "Exists")
        self.take()
        if text in ("=", "=="):
            return Requirement(key, "In", (self.value(),))
        if text == "!=":
            return Requirement(key, "NotIn", (self.value(),))
        if text in ("<", ">"):
            return self.comparison(key, text)
        if text in ("in", "notin"):
            return Requirement(key, "In" if text == "in" else "NotIn", self.values())
        raise ValueError(f"found '{text}', expected: in, notin, =, ==, !=, gt, lt")

    def comparison(self, key: str, text: str) -> Requirement:
        value = self.value()
        if not re.fullmatch(r"[-+]?\d+", value):
            detail = "for 'Gt', 'Lt' operators, the value must be an integer"
            raise ValueError(f'values[0]: Invalid value: "{value}": {detail}')
        return Requirement(key, "Gt" if text == ">" else "Lt", (value,))

    def value(self) -> str:
        kind, text = self.peek()
        if kind == "end" or text in (",", ")"):
            return ""
        if kind != "word":
            raise ValueError(f"found '{text}', expected: identifier")
        return self.take()[1]

    def values(self) -> tuple[str, ...]:
        if self.take() != ("op", "("):
            raise ValueError("found '' expected: '('")
        found: set[str] = set()
        while True:
            found.add(self.value())
            kind, text = self.take()
            if text == ")" and kind == "op":
                return tuple(sorted(found))
            if text != ",":
                raise ValueError(f"found '{text}', expected: ',' or ')'")
