"""Where a text stops being JSON, in the words of Go's reader. Asked only of what was refused.

The text is looked at byte by byte: what is within strings need not be UTF-8 to be found good here.
"""

from __future__ import annotations

import re

TRUNCATED = "unexpected end of JSON input"
_SPACE = re.compile(rb"[ \t\r\n]*")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_HEXADECIMAL = re.compile(rb"[0-9a-fA-F]{0,4}")
_DIGITS = re.compile(rb"[0-9]*")
_LITERALS = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
_BEGIN_VALUE = "looking for beginning of value"
_BEGIN_KEY = "looking for beginning of object key string"


class _Fault(Exception):
    """The text is no JSON; says why."""


def find(data: bytes) -> str:
    """What is wrong first; "" when nothing is."""
    try:
        _check(data)
    except _Fault as fault:
        return str(fault)
    return ""


def _wrong(data: bytes, at: int, where: str) -> _Fault:
    if at >= len(data):
        return _Fault(TRUNCATED)
    mark = chr(data[at])
    shown = "\\'" if mark == "'" else mark if mark.isprintable() else f"\\x{ord(mark):02x}"
    return _Fault(f"invalid character '{shown}' {where}")


def _check(data: bytes) -> None:
    """One value and nothing after it. `open_ends` are the brackets that are not closed yet."""
    open_ends: list[int] = []
    at = _value(data, _spaces(data, 0), open_ends)
    while open_ends:
        at = _spaces(data, at)
        is_object = open_ends[-1] == ord("{")
        if data[at : at + 1] == (b"}" if is_object else b"]"):
            open_ends.pop()
            at += 1
            continue
        if data[at : at + 1] != b",":
            raise _wrong(data, at, "after object key:value pair" if is_object else "after array element")
        at = _spaces(data, at + 1)
        at = _value(data, _key(data, at) if is_object else at, open_ends)
    at = _spaces(data, at)
    if at < len(data):
        raise _wrong(data, at, "after top-level value")


def _spaces(data: bytes, at: int) -> int:
    match = _SPACE.match(data, at)
    return match.end() if match is not None else at


def _value(data: bytes, at: int, open_ends: list[int]) -> int:
    """Behind a scalar, an empty object or list, or the first scalar of what begins here."""
    while True:
        mark = data[at] if at < len(data) else -1
        if mark not in (ord("{"), ord("[")):
            return _scalar(data, at, mark)
        inner = _spaces(data, at + 1)
        if data[inner : inner + 1] == (b"}" if mark == ord("{") else b"]"):
            return inner + 1
        open_ends.append(mark)
        at = _key(data, inner) if mark == ord("{") else inner


def _key(data: bytes, at: int) -> int:
    """Behind a key and its colon, where the value begins."""
    if data[at : at + 1] != b'"':
        raise _wrong(data, at, _BEGIN_KEY)
    at = _spaces(data, _string(data, at))
    if data[at : at + 1] != b":":
        raise _wrong(data, at, "after object key")
    return _spaces(data, at + 1)


def _scalar(data: bytes, at: int, mark: int) -> int:
    if mark == ord('"'):
        return _string(data, at)
    if mark in _LITERALS:
        word = _LITERALS[mark]
        for position, letter in enumerate(word):
            if data[at + position : at + position + 1] != word[position : position + 1]:
                where = f"in literal {word.decode()} (expecting '{chr(letter)}')"
                raise _wrong(data, at + position, where)
        return at + len(word)
    if mark == ord("-") or ord("0") <= mark <= ord("9"):
        return _number(data, at)
    raise _wrong(data, at, _BEGIN_VALUE)


def _string(data: bytes, at: int) -> int:
    at += 1
    while True:
        match = _PLAIN.match(data, at)
        at = match.end() if match is not None else at
        mark = data[at : at + 1]
        if mark == b'"':
            return at + 1
        if mark != b"\\":
            raise _wrong(data, at, "in string literal")
        at += 1
        if data[at : at + 1] == b"u":
            match = _HEXADECIMAL.match(data, at + 1)
            at = match.end() if match is not None else at
            if match is None or len(match.group()) < 4:
                raise _wrong(data, at, "in \\u hexadecimal character escape")
        elif at < len(data) and data[at] in b'"\\/bfnrt':
            at += 1
        else:
            raise _wrong(data, at, "in string escape code")


def _number(data: bytes, at: int) -> int:
    if data[at : at + 1] == b"-":
        at += 1
    at = at + 1 if data[at : at + 1] == b"0" else _some_digits(data, at, "in numeric literal")
    if data[at : at + 1] == b".":
        at = _some_digits(data, at + 1, "after decimal point in numeric literal")
    if data[at : at + 1] in (b"e", b"E"):
        signed = data[at + 1 : at + 2] in (b"+", b"-")
        at = _some_digits(data, at + 2 if signed else at + 1, "in exponent of numeric literal")
    return at


def _some_digits(data: bytes, at: int, where: str) -> int:
    match = _DIGITS.match(data, at)
    end = match.end() if match is not None else at
    if end == at:
        raise _wrong(data, at, where)
    return end
