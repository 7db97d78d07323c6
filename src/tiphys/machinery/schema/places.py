"""Where in an object a check is: a linked tuple that costs next to nothing to extend and is put in words only for a
finding."""

from __future__ import annotations

from typing import Any, TypeAlias

from tiphys.machinery.field_errors import Path


class Key(str):
    """A key that the schema does not name, of a map with free keys."""

    __slots__ = ()


# (place of the parent, name of a property or position in a list); None is the object itself.
Place: TypeAlias = tuple[Any, str | int] | None


def path_of(place: Place) -> Path:
    """`spec.containers[0].image`."""
    steps: list[str | int] = []
    while place is not None:
        place, step = place
        steps.append(step)
    text = ""
    for step in reversed(steps):
        if isinstance(step, int | Key):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return Path(text)
