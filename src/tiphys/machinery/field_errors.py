"""What is wrong with a field of an object, with its exact path, in the words that clients match on.

Validation returns a list of `FieldError`, all findings at once, and never raises. `Path` builds the texts
`spec.containers[0].image` and `metadata.labels[app]`. Specified in the API conventions, "StatusDetails".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec


class Path(str):
    """A field path; `.child("spec", "x")`, `.index(0)`, `.key("app")` go down from it."""

    __slots__ = ()

    def child(self, *names: str) -> Path:
        return Path(".".join([str(self), *names] if self else names))

    def index(self, position: int) -> Path:  # type: ignore[override]  # nobody looks for text in a field path
        return Path(f"{self}[{position}]")

    def key(self, key: str) -> Path:
        return Path(f"{self}[{key}]")


ROOT = Path("")


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One finding. `reason` is the machine-readable cause (FieldValueInvalid, ...); `message` the full text after the
    path."""

    reason: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def shown(value: Any) -> str:
    """A bad value as error messages show it: strings quoted, the rest as compact JSON."""
    if isinstance(value, str):
        return msgspec.json.encode(str(value)).decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e20:
        return str(int(value))
    return msgspec.json.encode(value, enc_hook=str, order="deterministic").decode()


def required(path: Path, detail: str = "") -> FieldError:
    return FieldError(
        reason="FieldValueRequired", field=path, message=f"Required value: {detail}" if detail else "Required value"
    )


def invalid(path: Path, value: Any, detail: str) -> FieldError:
    return FieldError(reason="FieldValueInvalid", field=path, message=f"Invalid value: {shown(value)}: {detail}")


def contradictory(path: Path, detail: str) -> FieldError:
    """Invalid, where no single value is to blame and so none is shown."""
    return FieldError(reason="FieldValueInvalid", field=path, message=f"Invalid value: {detail}")


def duplicate(path: Path, value: Any) -> FieldError:
    return FieldError(reason="FieldValueDuplicate", field=path, message=f"Duplicate value: {shown(value)}")


def not_supported(path: Path, value: Any, supported: list[str] | tuple[str, ...]) -> FieldError:
    words = ", ".join(shown(word) for word in supported)
    detail = f": supported values: {words}" if supported else ""
    return FieldError(reason="FieldValueNotSupported", field=path, message=f"Unsupported value: {shown(value)}{detail}")


def not_found(path: Path, value: Any, detail: str = "") -> FieldError:
    message = f"Not found: {shown(value)}"
    return FieldError(reason="FieldValueNotFound", field=path, message=f"{message}: {detail}" if detail else message)


def forbidden(path: Path, detail: str) -> FieldError:
    return FieldError(reason="FieldValueForbidden", field=path, message=f"Forbidden: {detail}")


def too_long(path: Path, limit_bytes: int) -> FieldError:
    text = "byte" if limit_bytes == 1 else "bytes"
    message = f"Too long: may not be more than {limit_bytes} {text}"
    return FieldError(reason="FieldValueTooLong", field=path, message=message)


def too_many(path: Path, count: int, limit: int) -> FieldError:
    items = "item" if limit == 1 else "items"
    message = f"Too many: {count}: must have at most {limit} {items}"
    return FieldError(reason="FieldValueTooMany", field=path, message=message)


def type_invalid(path: Path, value: Any, detail: str) -> FieldError:
    return FieldError(reason="FieldValueTypeInvalid", field=path, message=f"Invalid value: {shown(value)}: {detail}")
