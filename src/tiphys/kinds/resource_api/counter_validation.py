"""Whether the counters that devices share, and what each device takes of them, are well formed."""

from __future__ import annotations

from collections.abc import Mapping

from tiphys.kinds.resource_api.bounded_lists import validate_map, validate_set
from tiphys.kinds.resource_api.device_names import required_short_name_findings, short_name_findings
from tiphys.kinds.types.resource_v1 import Counter, CounterSet, DeviceCounterConsumption
from tiphys.machinery.field_errors import FieldError, Path, required

COUNTERS_LIMIT, GROUPS_LIMIT, COUNTER_NAME_CHARACTERS = 32, 2, 63


def validate_counter_set(counter_set: CounterSet, path: Path) -> list[FieldError]:
    found = required_short_name_findings(counter_set.name, path.child("name"))
    return found + _counters_findings(counter_set.counters, path.child("counters"))


def validate_consumption(consumption: DeviceCounterConsumption, path: Path) -> list[FieldError]:
    found = required_short_name_findings(consumption.counterSet, path.child("counterSet"))
    found += _counters_findings(consumption.counters, path.child("counters"))
    groups = consumption.compatibilityGroups
    at = path.child("compatibilityGroups")
    return found + validate_set(groups, GROUPS_LIMIT, short_name_findings, at, key=str)


def _counters_findings(counters: Mapping[str, Counter], path: Path) -> list[FieldError]:
    if not counters:
        return [required(path)]
    return validate_map(counters, COUNTERS_LIMIT, short_name_findings, lambda *_: [], path, COUNTER_NAME_CHARACTERS)
