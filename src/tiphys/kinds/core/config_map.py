"""ConfigMaps: text and binary data under keys that can become file names; immutable ones stay as they are for good."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import ConfigMap
from tiphys.kinds.value_findings import config_key
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, too_long

DATA_LIMIT_BYTES = 1024 * 1024
IMMUTABLE_SET = "field is immutable when `immutable` is set"


def validate(config: ConfigMap) -> list[FieldError]:
    found: list[FieldError] = []
    size = 0
    for key, value in (config.data or {}).items():
        found += [invalid(Path("data").key(key), key, text) for text in config_key(key)]
        if config.binaryData and key in config.binaryData:
            detail = f"duplicate of key present in binaryData: {key}"
            found.append(invalid(Path("data").key(key), key, detail))
        size += len(value) if value.isascii() else len(value.encode())
    for key, data in (config.binaryData or {}).items():
        found += [invalid(Path("binaryData").key(key), key, text) for text in config_key(key)]
        size += len(data)
    if size > DATA_LIMIT_BYTES:
        found.append(too_long(Path(""), DATA_LIMIT_BYTES))
    return found


def validate_update(new: ConfigMap, old: ConfigMap) -> list[FieldError]:
    if not old.immutable:
        return []
    found: list[FieldError] = []
    if not new.immutable:
        found.append(forbidden(Path("immutable"), IMMUTABLE_SET))
    if (new.data or {}) != (old.data or {}):
        found.append(forbidden(Path("data"), IMMUTABLE_SET))
    if (new.binaryData or {}) != (old.binaryData or {}):
        found.append(forbidden(Path("binaryData"), IMMUTABLE_SET))
    return found


STRATEGY: Strategy[ConfigMap] = Strategy(
    validate=validate,
    validate_update=validate_update,
    columns=(
        cells.name_column(),
        cells.count("Data", lambda config: len(config.data or ()) + len(config.binaryData or ())),
        cells.age_column(),
    ),
    has_generation=False,
    has_status=False,
)
