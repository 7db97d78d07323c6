"""LimitRanges: the least and most that containers, pods and claims of a namespace may ask for, and their defaults."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.core.resource_defaults import default_amounts
from tiphys.kinds.core.resource_validation import (
    container_resource_name,
    may_overcommit,
    resource_name,
)
from tiphys.kinds.object_meta import label_key_findings
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import LimitRange, LimitRangeItem
from tiphys.machinery.field_errors import FieldError, Path, duplicate, forbidden, invalid, required
from tiphys.machinery.quantity import Quantity

LIMITS = Path("spec.limits")
CONTAINER, POD, CLAIM = "Container", "Pod", "PersistentVolumeClaim"
_SIDES = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def default(limit_range: LimitRange) -> None:
    """A container's maximum is its default limit; a default limit its default request; a minimum as well."""
    for item in limit_range.spec.limits:
        for side in _SIDES:
            default_amounts(getattr(item, side))
        if item.type != CONTAINER:
            continue
        limits = dict(item.default or {})
        for name, amount in (item.max or {}).items():
            limits.setdefault(name, amount)
        requests = dict(item.defaultRequest or {})
        for source in (limits, item.min or {}):
            for name, amount in source.items():
                requests.setdefault(name, amount)
        item.default, item.defaultRequest = limits or None, requests or None


def validate(limit_range: LimitRange) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for position, item in enumerate(limit_range.spec.limits):
        path = LIMITS.index(position)
        wrong = label_key_findings(item.type)
        found += [invalid(path.child("type"), item.type, text) for text in wrong]
        if not wrong and "/" not in item.type and item.type not in (CONTAINER, POD, CLAIM):
            detail = "must be a standard limit type or fully qualified"
            found.append(invalid(path.child("type"), item.type, detail))
        if item.type in seen:
            found.append(duplicate(path.child("type"), item.type))
        seen.add(item.type)
        found += _item_findings(item, path)
    return found


def _item_findings(item: LimitRangeItem, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    names: dict[str, None] = {}
    for side in _SIDES:
        for name in getattr(item, side) or {}:
            names[name] = None
            texts = container_resource_name(name) if item.type in (CONTAINER, POD) else resource_name(name)
            found += [invalid(path.child(side).key(name), name, text) for text in texts]
    if item.type == POD:
        for side in ("default", "defaultRequest"):
            if getattr(item, side):
                found.append(forbidden(path.child(side), "may not be specified when `type` is 'Pod'"))
    if item.type == CLAIM and "storage" not in (item.min or {}) and "storage" not in (item.max or {}):
        found.append(
            required(
                path.child("limits"), "either minimum or maximum storage value is required, but neither was provided"
            )
        )
    for name in names:
        found += _order_findings(item, name, path)
    return found


def _order_findings(item: LimitRangeItem, name: str, path: Path) -> list[FieldError]:
    """min <= defaultRequest <= default <= max, as far as they are given."""

    def given(side: str) -> Quantity | None:
        return (getattr(item, side) or {}).get(name)

    found: list[FieldError] = []
    pairs = (
        ("min", "max"),
        ("defaultRequest", "min"),
        ("defaultRequest", "max"),
        ("default", "min"),
        ("default", "max"),
        ("defaultRequest", "default"),
    )
    words = {"min": "min", "max": "max", "default": "default", "defaultRequest": "default request"}
    for side, limit in pairs:
        value, bound = given(side), given(limit)
        if value is None or bound is None:
            continue
        below = limit == "min"
        if value.amount < bound.amount if below else value.amount > bound.amount:
            word = {"min": "min value", "max": "max value", "default": "default limit value"}[limit]
            smaller, larger = (f"{words[side]} value {value}", f"{word} {bound}")
            detail = f"{larger} is greater than {smaller}" if below else f"{smaller} is greater than {larger}"
            found.append(invalid(path.child(side).key(name), str(value), detail))
    ratio = given("maxLimitRequestRatio")
    if ratio is not None:
        at = path.child("maxLimitRequestRatio").key(name)
        if ratio.amount < 1:
            found.append(invalid(at, str(ratio), f"ratio {ratio} is less than 1"))
        low, high = given("min"), given("max")
        if low is not None and high is not None and low.amount > 0 and ratio.amount > high.amount / low.amount:
            detail = f"ratio {ratio} is greater than max/min = {float(high.amount / low.amount):f}"
            found.append(invalid(at, str(ratio), detail))
    request, limit_value = given("defaultRequest"), given("default")
    if request is None or limit_value is None or may_overcommit(name) or request.amount == limit_value.amount:
        return found
    detail = f"default value {limit_value} must equal to defaultRequest value {request} in {name}"
    return [*found, invalid(path.child("defaultRequest").key(name), str(request), detail)]


STRATEGY: Strategy[LimitRange] = Strategy(
    default=default,
    validate=validate,
    columns=(
        cells.name_column(),
        cells.created_at_column(),
    ),
    has_generation=False,
    has_status=False,
    allow_create_on_update=True,
)
