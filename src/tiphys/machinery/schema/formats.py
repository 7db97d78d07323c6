"""The string formats that schemas can ask for. A format that is not listed is not checked.

Specified in "Extend the Kubernetes API with CustomResourceDefinitions", "Validation".
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from urllib.parse import urlsplit

from tiphys.machinery import names
from tiphys.machinery.digits import is_number


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


def _accepts(read: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            read(text)
        except (ValueError, binascii.Error):
            return False
        return True

    return check


_DATE_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_PERIOD = re.compile(r"P(?=.)(?:\d+W|(?:\d+D)?(?:T(?=.)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?)", re.ASCII)
_DURATION_PART = re.compile(r"\d+(?:\.\d+)?\s*([A-Za-zµμ]+)", re.ASCII)
_UNITS = re.compile(
    r"n(?:s|anos?|anoseconds?)|[uµμ]s|micros?|microseconds?|ms|millis?|milliseconds?|s|secs?|seconds?|m|mins?|minutes?"
    r"|h|hrs?|hours?|d|days?|w|wks?|weeks?",
    re.IGNORECASE,
)


def _date_time(text: str) -> bool:
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return False
    try:
        datetime.strptime(f"{found[1]} {found[2]}", "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 (only whether it is one)
    except ValueError:
        return False
    return True


def _duration(text: str) -> bool:
    """`1h30m`, `2 weeks`, `P1DT2H`; a number without a unit is none, but for 0."""
    units = _DURATION_PART.findall(text)
    return text == "0" or _PERIOD.fullmatch(text) is not None or bool(units and all(map(_UNITS.fullmatch, units)))


def _date(text: str) -> bool:
    return len(text) == 10 and _accepts(date.fromisoformat)(text)


def _uri(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme or text.startswith("/")) and " " not in text


# A single label has no hyphen but after its first character; of several labels the last one has letters only.
_HOSTNAME = re.compile(r"[^\W_](?:-?[^\W_]{0,62})?|(?:[^\W_](?:(?:[^\W_]|-){0,61}[^\W_])?\.)+[^\W\d_]{2,63}")


def _hostname(text: str) -> bool:
    return len(text) <= 255 and _HOSTNAME.fullmatch(text) is not None


def _ipv4(text: str) -> bool:
    parts = text.split(".")
    return len(parts) == 4 and all(len(p) <= 3 and is_number(p) and int(p) <= 255 for p in parts)


def _ipv6(text: str) -> bool:
    return "%" not in text and _accepts(ipaddress.IPv6Address)(text)


def _email(text: str) -> bool:
    match = re.fullmatch(r"(?:[^<>]*<)?([^\s<>@]+)@([^\s<>@]+)>?", text)
    return match is not None and ("<" in text) == text.endswith(">")


def _cidr(text: str) -> bool:
    return "/" in text and _accepts(lambda word: ipaddress.ip_network(word, strict=False))(text)


def _isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"\d{9}[\dXx]", digits, re.ASCII):
        return False
    values = [10 if mark in "Xx" else int(mark) for mark in digits]
    return sum((10 - position) * value for position, value in enumerate(values)) % 11 == 0


def _isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"\d{13}", digits, re.ASCII):
        return False
    return sum((3 if position % 2 else 1) * int(mark) for position, mark in enumerate(digits)) % 10 == 0


def _credit_card(text: str) -> bool:
    digits = re.sub(r"[^\d]", "", text)
    if not 13 <= len(digits) <= 19:
        return False
    doubled = [int(mark) * (2 if position % 2 else 1) for position, mark in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _base64(text: str) -> bool:
    return text != "" and _accepts(lambda word: base64.b64decode(word, validate=True))(text)


def _uuid(version: str) -> Callable[[str], bool]:
    variant = "[89abAB]" if version in "45" else "[0-9a-fA-F]"
    return _matches(
        rf"[0-9a-fA-F]{{8}}-?[0-9a-fA-F]{{4}}-?{version}[0-9a-fA-F]{{3}}-?{variant}[0-9a-fA-F]{{3}}-?[0-9a-fA-F]{{12}}"
    )


FORMATS: Mapping[str, Callable[[str], bool]] = {
    "bsonobjectid": _matches(r"[0-9a-fA-F]{24}"),
    "byte": _base64,
    "cidr": _cidr,
    "creditcard": _credit_card,
    "date": _date,
    "date-time": _date_time,
    "datetime": _date_time,
    "duration": _duration,
    "email": _email,
    "hexcolor": _matches(r"#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "hostname": _hostname,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
    "isbn": lambda text: _isbn10(text) or _isbn13(text),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "k8s-long-name": lambda text: not names.dns1123_subdomain(text),
    "k8s-short-name": lambda text: not names.dns1123_label(text),
    "mac": _matches(
        r"[0-9a-fA-F]{2}(?:([:-])[0-9a-fA-F]{2})(?:\1[0-9a-fA-F]{2}){4}|(?:[0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}"
    ),
    "password": lambda text: True,
    "rgbcolor": _matches(r"rgb\((?:\s*(?:[01]?\d?\d|2[0-4]\d|25[0-5])\s*,){2}\s*(?:[01]?\d?\d|2[0-4]\d|25[0-5])\s*\)"),
    "ssn": _matches(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "uri": _uri,
    "uuid": _matches(r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}"),
    "uuid3": _uuid("3"),
    "uuid4": _uuid("4"),
    "uuid5": _uuid("5"),
}  # fmt: skip

# Whole numbers that fit a format: (least, greatest).
INTEGER_RANGES: Mapping[str, tuple[int, int]] = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
GREATEST_FLOAT = 3.4028234663852886e38  # of format float
