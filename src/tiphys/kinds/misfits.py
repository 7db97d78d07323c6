"""Why plain JSON does not fit the type it was sent as, in the words of the server that clients know.

Asked only once a body was refused, so it may take its time: it walks the value along the published schema to the first
part that does not fit. Two readers of the Go server word it differently: that of bodies (`cannot unmarshal`) and that
of strategic patches (`cannot restore`, `unrecognized type`).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from tiphys.kinds import type_schema
from tiphys.kinds.type_schema import Declared
from tiphys.kinds.types.meta_v1 import ObjectMeta
from tiphys.kinds.unstructured import Unstructured
from tiphys.machinery import go_text, quantity, timestamps


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """The part that does not fit. `field` is the path of the field that it is in, without positions and keys, `owner`
    the type that has the field ("" at the root); `wanted` the type and `kind` its sort as Go names them (none for
    types that read themselves). `reason` is said instead by such types."""

    value: Any
    field: tuple[str, ...] = ()
    owner: str = ""
    wanted: str = ""
    kind: str = ""
    reason: str = ""

    def unmarshal_text(self) -> str:
        """As the reader of bodies says it."""
        if self.reason:
            return self.reason
        where = f"Go struct field {self.owner}.{'.'.join(self.field)}" if self.field else "Go value"
        return f"json: cannot unmarshal {_json_name(self.value, self.kind)} into {where} of type {self.wanted}"

    def restore_text(self) -> str:
        """As the reader of strategic patches says it."""
        if self.reason:
            return self.reason
        if not self.kind:
            return replace(self, field=()).unmarshal_text()
        given = _GO_KINDS[type(self.value)]
        if self.kind == "struct":
            return f"cannot restore struct from: {given}"
        if self.kind in ("map", "slice"):
            return f"cannot restore {self.kind} from {given}"
        return f"unrecognized type: {self.kind}"


_GO_KINDS = {str: "string", bool: "bool", int: "int64", float: "float64", dict: "map", list: "slice"}
# What types that read themselves read first, and the values that this goes well with.
_INNER_TYPES = {("string", "date-time"): ("string", (str,)), ("int-or-string", ""): ("int32", (str, int))}
_SCALARS = {
    ("string", ""): ("string", (str,)),
    ("boolean", ""): ("bool", (bool,)),
    ("number", "double"): ("float64", (int, float)),
}
# What can stand at the beginning of base64 text; line breaks count for nothing.
_BASE64 = re.compile(r"(?:(?:[A-Za-z0-9+/][\r\n]*){4})*(?:[A-Za-z0-9+/][\r\n]*){0,3}")
_INTEGER_BITS = {"int32": 32, "int64": 64}


def _json_name(value: Any, kind: str) -> str:
    """A number that is only of the wrong sort or size is shown."""
    name = go_text.json_name(value)
    return f"number {msgspec.json.encode(value).decode()}" if name == "number" and kind in _INTEGER_BITS else name


def first(value: Any, wanted: type[Any]) -> Misfit | None:
    """The first part of plain values that a Struct of `kinds/types` has no place for; None when no part is found."""
    if issubclass(wanted, Unstructured):  # only its head has a type
        if not isinstance(value, dict):
            return None
        for name in ("apiVersion", "kind"):
            if not isinstance(value.get(name) or "", str):
                return Misfit(value=value[name], field=(name,), wanted="string", kind="string")
        value, wanted = value.get("metadata"), ObjectMeta
    declared = type_schema.of_type(wanted)
    return next(_misfits(value, declared, Misfit(value=None)), None) if declared is not None else None


def _misfits(value: Any, declared: Declared, place: Misfit) -> Iterator[Misfit]:
    """`place` says where the value is."""
    if value is None:
        return
    name = declared.ref
    if name:
        declared = type_schema.definition(name)
    text = _go_type(name, declared)
    if declared.properties is not None:
        if not isinstance(value, dict):
            yield replace(place, value=value, wanted=text, kind="struct")
            return
        for key, member in value.items():
            below = declared.properties.get(key)
            if below is not None:
                yield from _misfits(
                    member, below, replace(place, field=(*place.field, key), owner=text.rpartition(".")[2])
                )
    elif declared.items is not None:
        if not isinstance(value, list):
            yield replace(place, value=value, wanted=text, kind="slice")
            return
        for item in value:
            yield from _misfits(item, declared.items, place)
    elif declared.additionalProperties is not None:
        if not isinstance(value, dict):
            yield replace(place, value=value, wanted=text, kind="map")
            return
        for member in value.values():
            yield from _misfits(member, declared.additionalProperties, place)
    else:
        called = "types.UID" if place.field[-1:] == ("uid",) else text
        yield from _scalar_misfits(value, declared, replace(place, value=value, wanted=called, kind=text))


def _scalar_misfits(value: Any, declared: Declared, misfit: Misfit) -> Iterator[Misfit]:
    bits = _INTEGER_BITS.get(declared.format)
    if bits is not None:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not -(1 << bits - 1) <= value < 1 << bits - 1:
            yield misfit
        return
    known = _SCALARS.get((declared.type, declared.format))
    if known is not None:
        if type(value) not in known[1]:
            yield misfit
    else:
        inner = _INNER_TYPES.get((declared.type, declared.format))
        if inner is not None and type(value) not in inner[1]:
            yield replace(misfit, wanted=inner[0], kind="")
        elif reason := _own_reason(value, declared):
            yield replace(misfit, reason=reason)


def _own_reason(value: Any, declared: Declared) -> str:
    """What a type that reads itself says; "" for what it can read."""
    if declared.type == "quantity":
        try:
            quantity.parse(value if isinstance(value, str | int | float) else "")
        except ValueError as error:
            return str(error)
    elif declared.format == "date-time" and isinstance(value, str):
        try:
            timestamps.parse_time(value)
        except ValueError as error:
            return str(error)
    elif declared.format == "byte" and isinstance(value, str):
        return _base64_reason(value)
    return ""


def _base64_reason(text: str) -> str:
    try:
        base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
    except ValueError:
        good = _BASE64.match(text)
        return f"illegal base64 data at input byte {good.end() if good is not None else 0}"
    return ""


def _go_type(name: str, declared: Declared) -> str:
    """How Go calls a type; `name` is its definition's ("" when it has none)."""
    if name:
        *_, package, kind = name.split(".")
        return f"{package}.{kind}"
    if declared.ref:
        return _go_type(declared.ref, declared)
    if declared.items is not None:
        return f"[]{_go_type('', declared.items)}"
    if declared.additionalProperties is not None:
        return f"map[string]{_go_type('', declared.additionalProperties)}"
    if declared.format in _INTEGER_BITS:
        return declared.format
    known = _SCALARS.get((declared.type, declared.format))
    return known[0] if known is not None else declared.type
