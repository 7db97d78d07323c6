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


def keep_spec_and_labels(new: Any, old: Any) -> None:
    keep_spec(new, old)
    new.metadata.labels = old.metadata.labels


def keep_spec_and_metadata(new: Any, old: Any) -> None:
    """Some kinds let nothing but their status through; who manages which field is recorded all the same."""
    keep_spec(new, old)
    for field in ("labels", "annotations", "finalizers", "ownerReferences"):
        setattr(new.metadata, field, getattr(old.metadata, field))
