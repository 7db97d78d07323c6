"""PriorityClasses: names for how important pods are. Their value never changes."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.object_meta import immutable
from tiphys.kinds.strategy import Column, Strategy
from tiphys.kinds.types.scheduling_v1 import PriorityClass
from tiphys.machinery.field_errors import FieldError, Path, forbidden, not_supported

HIGHEST_USER_VALUE = 1_000_000_000
SYSTEM_CLASSES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
POLICIES = ("PreemptLowerPriority", "Never")


def default(priority_class: PriorityClass) -> None:
    if priority_class.value is None:  # it is always shown
        priority_class.value = 0
    if priority_class.preemptionPolicy is None:
        priority_class.preemptionPolicy = "PreemptLowerPriority"


def validate(priority_class: PriorityClass) -> list[FieldError]:
    found: list[FieldError] = []
    name = priority_class.metadata.name or ""
    if name.startswith("system-"):
        if SYSTEM_CLASSES.get(name) != priority_class.value:
            problem = f"{name} is not a known system priority class"
            if name in SYSTEM_CLASSES:
                problem = f"value of {name} PriorityClass must be {SYSTEM_CLASSES[name]}"
            reserved = "priority class names with 'system-' prefix are reserved for system use only."
            found.append(forbidden(Path("metadata.name"), f"{reserved} error: {problem}"))
    elif (priority_class.value or 0) > HIGHEST_USER_VALUE:
        detail = f"maximum allowed value of a user defined priority is {HIGHEST_USER_VALUE}"
        found.append(forbidden(Path("value"), detail))
    if priority_class.preemptionPolicy is not None and priority_class.preemptionPolicy not in POLICIES:
        found.append(not_supported(Path("preemptionPolicy"), priority_class.preemptionPolicy, POLICIES))
    return found


def validate_update(new: PriorityClass, old: PriorityClass) -> list[FieldError]:
    found: list[FieldError] = []
    if (new.value or 0) != (old.value or 0):
        found.append(forbidden(Path("value"), "may not be changed in an update."))
    return found + immutable(new.preemptionPolicy, old.preemptionPolicy, Path("preemptionPolicy"))


def prepare_for_create(priority_class: PriorityClass) -> None:
    """There is one generation: what may change of a class does not count."""
    priority_class.metadata.generation = 1


STRATEGY: Strategy[PriorityClass] = Strategy(
    default=default,
    prepare_for_create=prepare_for_create,
    validate=validate,
    validate_update=validate_update,
    columns=(
        cells.name_column(),
        cells.number("Value", lambda priority_class: priority_class.value),
        Column(name="Global-Default", type="boolean", cell=lambda thing, _: bool(thing.globalDefault)),
        cells.age_column(),
        cells.text("PreemptionPolicy", lambda priority_class: priority_class.preemptionPolicy or ""),
    ),
    has_generation=False,
    has_status=False,
)
