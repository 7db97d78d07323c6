"""Whether the capacities of a device are well formed: how much there is, and how much of it a request may consume.

Amounts of a range are counted in whole units, or in thousandths as soon as one of them is a fraction.
"""

from __future__ import annotations

from decimal import Decimal

from tiphys.kinds.resource_api.bounded_lists import validate_set
from tiphys.kinds.types.resource_v1 import CapacityRequestPolicy, CapacityRequestPolicyRange, DeviceCapacity
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, required
from tiphys.machinery.quantity import Quantity, total

VALUES_LIMIT = 10
LARGEST_INT64 = 2**63 - 1
NOT_BOTH = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'


def validate_shared_capacity(capacity: DeviceCapacity, path: Path) -> list[FieldError]:
    """Of a device that several requests may share: a policy may say how."""
    policy, at = capacity.requestPolicy, path.child("requestPolicy")
    if policy is None:
        return []
    if policy.validValues and policy.validRange is not None:
        return [forbidden(at, NOT_BOTH)]
    if policy.validValues:
        if policy.default is None:
            return [required(at.child("default"), "required when validValues is defined")]
        return _values_findings(policy, policy.default, capacity.value, at.child("validValues"))
    if policy.validRange is not None:
        if policy.default is None:
            return [required(at.child("default"), "required when validRange is defined")]
        return _range_findings(policy.validRange, policy.default, capacity.value, at.child("validRange"))
    return []


def validate_exclusive_capacity(capacity: DeviceCapacity, path: Path) -> list[FieldError]:
    """Of a device that belongs to one request: nobody takes a part of it."""
    if capacity.requestPolicy is None:
        return []
    return [forbidden(path.child("requestPolicy"), "allowMultipleAllocations must be true")]


def _values_findings(
    policy: CapacityRequestPolicy, default: Quantity, present: Quantity, path: Path
) -> list[FieldError]:
    values = policy.validValues or []
    found: list[FieldError] = [
        invalid(path.index(position), values[position], "values must be sorted in ascending order")
        for position in range(1, len(values))
        if values[position - 1].amount > values[position].amount
    ]

    def check(value: Quantity, at: Path) -> list[FieldError]:
        if value.amount <= present.amount:
            return []
        return [invalid(at, value, f"option is larger than capacity value: {present}")]

    found += validate_set(values, VALUES_LIMIT, check, path, key=lambda value: value.amount, shown_key=_digits)
    if len(values) > VALUES_LIMIT or default.amount not in {value.amount for value in values}:
        found.append(invalid(path, default, "default value is not valid according to the requestPolicy"))
    return found


def _digits(value: Quantity) -> str:
    return f"{value.amount.normalize():f}"


def _range_findings(
    bounds: CapacityRequestPolicyRange, default: Quantity, present: Quantity, path: Path
) -> list[FieldError]:
    low, high = bounds.min, bounds.max
    if low is None:
        return [required(path.child("min"), "required when validRange is defined")]
    found: list[FieldError] = []

    def wrong(condition: bool, name: str, value: Quantity, detail: str) -> None:
        if condition:
            found.append(invalid(path.child(name), value, detail))

    wrong(low.amount > present.amount, "min", low, f"min is larger than capacity value: {present}")
    wrong(default.amount < low.amount, "default", default, f"default is less than min: {low}")
    if high is not None:
        wrong(low.amount > high.amount, "max", low, f"min is larger than max: {high}")
        wrong(high.amount > present.amount, "max", high, f"max is larger than capacity value: {present}")
        wrong(default.amount > high.amount, "default", default, f"default is more than max: {high}")
    named = [("default", default), ("min", low), ("max", high), ("step", bounds.step)]
    amounts = [(name, value) for name, value in named if value is not None]
    fractional = any(value.amount != int(value.amount) for _, value in amounts)
    if fractional:
        finer = [(name, value) for name, value in amounts if not _is_whole(value.amount * 1000)]
        for name, value in finer:
            found.append(invalid(path.child(name), value, "value cannot be represented as a milli value"))
        if finer:
            return found
    if bounds.step is not None:
        found += _step_findings(bounds.step, amounts, low, present, fractional, path)
    return found


def _is_whole(amount: Decimal) -> bool:
    return amount == int(amount) and abs(amount) <= LARGEST_INT64


def _step_findings(
    step: Quantity,
    amounts: list[tuple[str, Quantity]],
    low: Quantity,
    present: Quantity,
    fractional: bool,
    path: Path,
) -> list[FieldError]:
    """The default and the upper bound are reached from the lower one in whole steps."""
    at = path.child("step")
    if step.amount <= 0:
        return [invalid(at, step, "must be greater than zero")]
    found: list[FieldError] = []
    first = total([low, step])
    if first.amount > present.amount:
        found.append(invalid(at, step, f"one step {first} is larger than capacity value: {present}"))
    below_zero = [(name, value) for name, value in amounts if value.amount < 0]
    if below_zero and not fractional:
        detail = "must be greater than or equal to 0"
        return found + [invalid(path.child(name), value, detail) for name, value in below_zero]
    for name, value in amounts:
        if name in ("default", "max") and (value.amount - low.amount) % step.amount != 0:
            found.append(invalid(at, value, f"value is not a multiple of a given step ({step}) from ({low})"))
    return found
