"""Whether the conditions of a status are well formed.

Specified in the API conventions, "Typical status properties".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tiphys.kinds.object_meta import label_key_findings
from tiphys.kinds.types.meta_v1 import Condition
from tiphys.machinery.field_errors import FieldError, Path, duplicate, invalid, not_supported, required, too_long

STATUSES = ("False", "True", "Unknown")
REASON = r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
REASON_CHARACTERS_LIMIT, MESSAGE_CHARACTERS_LIMIT = 1024, 32 * 1024
_REASON = re.compile(REASON)


def validate_conditions(conditions: Iterable[Condition], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for position, condition in enumerate(conditions):
        at = path.index(position)
        if condition.type in seen:
            found.append(duplicate(at.child("type"), condition.type))
        seen.add(condition.type)
        found += _condition_findings(condition, at)
    return found


def _condition_findings(condition: Condition, path: Path) -> list[FieldError]:
    found = [invalid(path.child("type"), condition.type, text) for text in label_key_findings(condition.type)]
    if condition.status not in STATUSES:
        found.append(not_supported(path.child("status"), condition.status, STATUSES))
    if (condition.observedGeneration or 0) < 0:
        text = "must be greater than or equal to zero"
        found.append(invalid(path.child("observedGeneration"), condition.observedGeneration, text))
    if not condition.lastTransitionTime:
        found.append(required(path.child("lastTransitionTime"), "must be set"))
    if not condition.reason:
        found.append(required(path.child("reason"), "must be set"))
    elif not _REASON.fullmatch(condition.reason):
        found.append(invalid(path.child("reason"), condition.reason, _reason_text()))
    if len(condition.reason) > REASON_CHARACTERS_LIMIT:
        found.append(too_long(path.child("reason"), REASON_CHARACTERS_LIMIT))
    if len(condition.message) > MESSAGE_CHARACTERS_LIMIT:
        found.append(too_long(path.child("message"), MESSAGE_CHARACTERS_LIMIT))
    return found


def _reason_text() -> str:
    examples = "(e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB'"
    return (
        "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric"
        f" characters or '_,:', and must end with an alphanumeric character or '_' {examples},"
        f" regex used for validation is '{REASON}')"
    )
