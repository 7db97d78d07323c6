"""Keeping spec and status apart: each is written through its own path, and a new object has no status yet."""

from __future__ import annotations

from typing import Any


def clear_status(thing: Any) -> None:
    """A new object has no state yet."""
    thing.status = type(thing.status)()


def keep_status(new: Any, old: Any) -> None:
    """Through the object itself its status cannot be written."""
    new.status = old.status


def keep_spec(new: Any, old: Any) -> None:
    """Through the status subresource the spec cannot be written."""
    new.spec = old.spec
