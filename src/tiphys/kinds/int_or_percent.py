"""Values that are a number or a percentage (`maxSurge: 25%`): whether they are well formed, and what they amount to."""

from __future__ import annotations

from tiphys.kinds.value_findings import NOT_NEGATIVE
from tiphys.machinery.digits import is_number
from tiphys.machinery.field_errors import FieldError, Path, invalid
from tiphys.machinery.names import percent


def validate_int_or_percent(value: int | str, path: Path) -> list[FieldError]:
    """A percentage, or a number that is not negative."""
    if isinstance(value, str):
        return [invalid(path, value, text) for text in percent(value)]
    return [invalid(path, value, NOT_NEGATIVE)] if value < 0 else []


def percent_of(value: int | str | None) -> int | None:
    """25 for `25%`, None for a number."""
    return _share(value) if isinstance(value, str) and not percent(value) else None


def _share(text: str) -> int:
    """Of more than nine digits the first ones will do: it is more than anything, either way."""
    return int((text[:-1].lstrip("0") or "0")[:9])


def at_most_hundred_percent(value: int | str | None, path: Path) -> list[FieldError]:
    share = percent_of(value)
    return [invalid(path, value, "must not be greater than 100%")] if share is not None and share > 100 else []


def is_zero(value: int | str | None) -> bool:
    """Whether it is 0 or 0%; text that is neither a percentage nor a number counts as 0, too."""
    share = percent_of(value)
    if share is not None:
        return share == 0
    return not (is_number(value) and int(value)) if isinstance(value, str) else value == 0


def amount_of(value: int | str, total: int, round_up: bool) -> int:
    """The number that a number or percentage of `total` stands for. ValueError for text that is no percentage."""
    if isinstance(value, int):
        return value
    if percent(value):
        raise ValueError(f'invalid value for IntOrString: invalid type: string is not a percentage: "{value}"')
    share = _share(value) * total
    return -(-share // 100) if round_up else share // 100
