"""Rows and columns of a Table: what `kubectl get` prints. The columns are the kind's own (`Strategy.columns`)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import msgspec

from tiphys.kinds.resource import Resource
from tiphys.kinds.strategy import Column
from tiphys.machinery import timestamps

_encode = msgspec.json.Encoder(enc_hook=str).encode


def _name(obj: Any, _: float) -> str:
    return obj.metadata.name or ""


def _age(obj: Any, now: float) -> str:
    created = obj.metadata.creationTimestamp
    return human_duration(now - timestamps.seconds(created)) if created else "<unknown>"


NAME = Column(
    name="Name", cell=_name, format="name", description="The object's name, unique among its kind in a namespace."
)
AGE = Column(name="Age", cell=_age, description="How long ago the object was created.")
_DEFAULT: Sequence[Column[Any]] = (NAME, AGE)


def human_duration(seconds: float) -> str:
    """A duration in the two units that matter, as kubectl prints ages (`3d4h`, `5m10s`, `42s`)."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 120:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        return f"{minutes}m{whole % 60}s" if whole % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 192:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if hours < 24 * 365 * 2:
        return f"{days}d"
    years = hours // 24 // 365
    if hours < 24 * 365 * 8:
        rest = days % 365
        return f"{years}y{rest}d" if rest else f"{years}y"
    return f"{years}y"


def columns_of(resource: Resource) -> Sequence[Column[Any]]:
    columns = resource.strategy.columns
    return _DEFAULT if columns is None else columns


@functools.lru_cache(maxsize=4096)
def column_definitions(resource: Resource) -> bytes:
    """The `columnDefinitions` of a Table as JSON."""
    return _encode(
        [
            {"name": c.name, "type": c.type, "format": c.format, "description": c.description, "priority": c.priority}
            for c in columns_of(resource)
        ]
    )


def cells(resource: Resource, obj: Any, now: float) -> bytes:
    """The `cells` of one row as JSON."""
    return _encode([column.cell(obj, now) for column in columns_of(resource)])
