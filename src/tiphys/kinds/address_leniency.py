"""Addresses and networks that were stored when they were read less strictly may stay as they are.

Specified in "KEP-4858: IP/CIDR Validation Improvements".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tiphys.kinds.value_findings import AMBIGUOUS
from tiphys.machinery.field_errors import FieldError

T = TypeVar("T")


def tolerant_of_addresses(validate: Callable[[T], list[FieldError]]) -> Callable[[T, T], list[FieldError]]:
    """The `validate_changed` hook of a kind with this `validate`."""

    def validate_changed(new: T, old: T) -> list[FieldError]:
        found = validate(new)
        if not any(_is_ambiguous(finding) for finding in found):
            return found
        # Messages hold the value, wherever in the object it now stands.
        known = {finding.message for finding in validate(old)}
        return [finding for finding in found if not _is_ambiguous(finding) or finding.message not in known]

    return validate_changed


def _is_ambiguous(finding: FieldError) -> bool:
    return finding.message.endswith(AMBIGUOUS)
