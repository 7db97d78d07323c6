"""What a kind decides about its own objects: the hooks that the generic REST verbs call, one `Strategy` a kind.

A strategy is data plus pure functions; it is declared once, as `STRATEGY`, in the kind's own file
(`kinds/<group>/<kind>.py`). Objects are Structs (or `Unstructured` for custom resources) and are changed in place by
`default`, `prepare_*` and `finish_create`; everything else only reads. Order on create: prepare_for_create, default,
(admission), finish_create, validate.
On update: default, prepare_for_update, (admission), validate + validate_update; /status has its own pair.
Specified in the API conventions and in "API concepts".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tiphys.machinery.field_errors import FieldError

T = TypeVar("T")

# The propagation of kinds that own nothing: their objects go at once, whatever is said about dependents.
NO_DEPENDENTS = "None"


def nothing(*_: Any) -> None:
    """A hook that does nothing."""


def no_findings(*_: Any) -> list[FieldError]:
    """A validation without findings."""
    return []


def no_words(*_: Any) -> list[str]:
    return []


def no_fields(_: Any) -> dict[str, str]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[T]):
    """A printer column: `cell(object, now)` is a str, int, float, bool or None; `priority` > 0 shows in wide output."""

    name: str
    cell: Callable[[T, float], Any]
    type: str = "string"
    format: str = ""
    priority: int = 0
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling(Generic[T]):
    """How /scale reads and writes objects of a kind: replica counts (None where there is none), the selector as text,
    and a new object with another count. `validates`: the kind's own validation looks at the count. `missing` is what to
    say of an object without one, where it cannot be shown."""

    replicas: Callable[[T], int | None]
    status_replicas: Callable[[T], int | None]
    selector: Callable[[T], str]
    with_replicas: Callable[[T, int], T]
    validates: bool = False
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy(Generic[T]):
    """The hooks of one kind. `None` in `columns` means Name and Age alone.

    `fields` gives the values that field selectors can name besides metadata.name and metadata.namespace; its keys are
    always the same, whatever the object. `has_generation`: metadata.generation is 1 at first and counts changes of
    anything but metadata and status.
    `has_status`: there is a /status subresource, so spec writes keep the stored status and status writes change nothing
    but status (and what `prepare_for_status_update` lets through); `begins_with_status`: a new object brings its own
    along. `grace_seconds(object, requested)` is the grace period of a delete (0: remove at once). `scaling`: where
    /scale finds its numbers (None: spec.replicas and the like). `deletion_finalizers` are added when a deletion begins;
    `qualified_finalizers`: finalizers other than the standard ones need a domain. `validate_changed(new, old)` takes
    the place of `validate` on updates, for kinds that tolerate what was wrong before. `name_findings(name, prefix)`:
    messages on a bad metadata.name. `warnings(new, old)`: advice on a valid object that was created (`old` None) or
    changed; not asked for at subresources. `allow_unconditional_update`: an update need not say which revision it is
    of. What apply made goes through `default_applied` (None: `default`) instead, and once it is valid through
    `settle_applied`, for kinds that look at more in it than they keep.
    """

    default: Callable[[T], None] = nothing
    default_applied: Callable[[T], None] | None = None
    settle_applied: Callable[[T], None] = nothing
    prepare_for_create: Callable[[T], None] = nothing
    prepare_for_update: Callable[[T, T], None] = nothing
    prepare_for_status_update: Callable[[T, T], None] = nothing
    finish_create: Callable[[T], None] = nothing
    validate: Callable[[T], list[FieldError]] = no_findings
    validate_update: Callable[[T, T], list[FieldError]] = no_findings
    validate_status_update: Callable[[T, T], list[FieldError]] = no_findings
    warnings: Callable[[T, T | None], list[str]] = no_words
    name_findings: Callable[[str, bool], list[str]] | None = None
    columns: Sequence[Column[T]] | None = None
    fields: Callable[[T], Mapping[str, str]] = no_fields
    has_generation: bool = True
    has_status: bool = True
    begins_with_status: bool = False
    grace_seconds: Callable[[T, int | None], int] | None = None
    allow_create_on_update: bool = False
    allow_unconditional_update: bool = True
    qualified_finalizers: bool = True
    default_propagation: str = "Background"
    scaling: Scaling[T] | None = None
    deletion_finalizers: tuple[str, ...] = ()
    validate_changed: Callable[[T, T], list[FieldError]] | None = None
    subresource_validators: Mapping[str, Callable[[T, T], list[FieldError]]] = field(default_factory=dict)


DEFAULT: Strategy[Any] = Strategy()
