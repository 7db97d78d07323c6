"""Cells that the printer columns of many kinds share: names, ages, labels, images, selectors.

Cells are what `kubectl get` prints; objects and `now` (seconds since the epoch) in, plain values out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tiphys.kinds.strategy import Column
from tiphys.machinery import labels
from tiphys.machinery.duration import age

NONE, UNSET, UNKNOWN = "<none>", "<unset>", "<unknown>"


def name_column() -> Column[Any]:
    return Column(
        name="Name",
        type="string",
        format="name",
        description="Name must be unique within a namespace.",
        cell=lambda thing, _: thing.metadata.name or "",
    )


def age_column(kind: str = "string") -> Column[Any]:
    return Column(name="Age", type=kind, cell=created, description="How long ago the object was created.")


def created(thing: Any, now: float) -> str:
    return age(thing.metadata.creationTimestamp, now)


def text(name: str, cell: Callable[[Any], Any], *, wide: bool = False) -> Column[Any]:
    """A column of words; `wide`: only with -o wide."""
    return Column(name=name, cell=lambda thing, _: cell(thing), priority=1 if wide else 0)


def number(name: str, cell: Callable[[Any], int | None], *, wide: bool = False) -> Column[Any]:
    """A column of whole numbers; unset counts as 0."""
    return Column(name=name, type="integer", cell=lambda thing, _: cell(thing) or 0, priority=1 if wide else 0)


def count(name: str, cell: Callable[[Any], int | None], *, wide: bool = False) -> Column[Any]:
    """A column of whole numbers that clients are told is text; unset counts as 0."""
    return Column(name=name, cell=lambda thing, _: cell(thing) or 0, priority=1 if wide else 0)


def created_at_column() -> Column[Any]:
    return Column(name="Created At", type="date", cell=lambda thing, _: thing.metadata.creationTimestamp or UNKNOWN)


def since(name: str, moment: Callable[[Any], str | None]) -> Column[Any]:
    """A column that says how long ago something was."""
    return Column(name=name, cell=lambda thing, now: age(moment(thing), now))


def container_columns(template: Callable[[Any], Any]) -> list[Column[Any]]:
    """The wide columns Containers and Images of a pod template."""

    def joined(field: str) -> Callable[[Any], str]:
        def cell(thing: Any) -> str:
            found = template(thing)
            return ",".join(getattr(c, field) or "" for c in found.spec.containers) if found else ""

        return cell

    return [text("Containers", joined("name"), wide=True), text("Images", joined("image"), wide=True)]


def selector_text(selector: Any) -> str:
    """A LabelSelector object in words."""
    try:
        return labels.text_of(selector) or NONE
    except ValueError:
        return "<error>"


def pairs_text(pairs: Mapping[str, str] | None) -> str:
    """`a=b,c=d`, sorted."""
    return ",".join(f"{key}={value}" for key, value in sorted((pairs or {}).items())) or NONE


def list_text(values: Sequence[str] | None, *, empty: str = NONE) -> str:
    return ",".join(values or ()) or empty
