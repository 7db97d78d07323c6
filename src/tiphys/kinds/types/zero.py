"""Go's zero values for required fields of the generated types.

They are functions and not plain defaults so that the encoder does not leave the field out.
"""

from typing import Any

from msgspec import Raw

from tiphys.machinery.quantity import ZERO, Quantity

# What an unset field of raw JSON holds; the encoder leaves it out by its identity.
NO_RAW = Raw(b"")


def zero_str() -> str:
    return ""


def zero_int() -> int:
    return 0


def zero_float() -> float:
    return 0.0


def zero_bool() -> bool:
    return False


def zero_bytes() -> bytes:
    return b""


def zero_list() -> list[Any]:
    return []


def zero_dict() -> dict[str, Any]:
    return {}


def zero_quantity() -> Quantity:
    return ZERO
