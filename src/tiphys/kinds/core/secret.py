"""Secrets: data under keys, with a type that says which keys must be there; immutable ones stay as they are for good.

`stringData` is for writers only: it is merged into `data` and never stored.
"""

from __future__ import annotations

import msgspec

from tiphys.kinds import cells
from tiphys.kinds.core.config_map import DATA_LIMIT_BYTES, IMMUTABLE_SET
from tiphys.kinds.object_meta import immutable
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import Secret
from tiphys.kinds.value_findings import config_key
from tiphys.machinery import json_faults
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, required, too_long

OPAQUE = "Opaque"
DATA = Path("data")
OF_TYPE = Path("data[%s]")  # as clients know it
_TLS_KEYS, _SSH_KEY = ("tls.crt", "tls.key"), "ssh-privatekey"


def default(secret: Secret) -> None:
    if secret.stringData:
        secret.data = {**(secret.data or {}), **{key: value.encode() for key, value in secret.stringData.items()}}
    secret.stringData = None
    if not secret.type:
        secret.type = OPAQUE


def validate(secret: Secret) -> list[FieldError]:
    data = secret.data or {}
    found: list[FieldError] = []
    for key in data:
        found += [invalid(DATA.key(key), key, text) for text in config_key(key)]
    if sum(map(len, data.values())) > DATA_LIMIT_BYTES:
        found.append(too_long(DATA, DATA_LIMIT_BYTES))
    if secret.type == "kubernetes.io/service-account-token":
        if not (secret.metadata.annotations or {}).get("kubernetes.io/service-account.name"):
            found.append(required(Path("metadata.annotations").key("kubernetes.io/service-account.name")))
    elif secret.type == "kubernetes.io/dockercfg":
        found += _json_findings(data, ".dockercfg")
    elif secret.type == "kubernetes.io/dockerconfigjson":
        found += _json_findings(data, ".dockerconfigjson")
    elif secret.type == "kubernetes.io/basic-auth":
        if "username" not in data and "password" not in data:
            found += [required(OF_TYPE.key("username")), required(OF_TYPE.key("password"))]
    elif secret.type == "kubernetes.io/ssh-auth":
        found += [] if data.get(_SSH_KEY) else [required(OF_TYPE.key(_SSH_KEY))]  # an empty key is none
    elif secret.type == "kubernetes.io/tls":
        found += [required(DATA.key(key)) for key in _TLS_KEYS if key not in data]
    return found


def _json_findings(data: dict[str, bytes], key: str) -> list[FieldError]:
    if key not in data:
        return [required(DATA.key(key))]
    try:
        msgspec.json.decode(data[key], type=dict)
    except msgspec.MsgspecError as problem:
        text = json_faults.find(data[key]) or str(problem)
        return [invalid(DATA.key(key), "<secret contents redacted>", text)]
    return []


def prepare_for_update(new: Secret, old: Secret) -> None:
    if not new.type:
        new.type = old.type


def validate_update(new: Secret, old: Secret) -> list[FieldError]:
    found = immutable(new.type, old.type, Path("type"))
    if old.immutable:
        if not new.immutable:
            found.append(forbidden(Path("immutable"), IMMUTABLE_SET))
        if (new.data or {}) != (old.data or {}):
            found.append(forbidden(DATA, IMMUTABLE_SET))
    return found


def warnings(secret: Secret, old: Secret | None) -> list[str]:
    if secret.type != "kubernetes.io/tls":
        return []
    from tiphys.kinds.core.key_pair import key_pair_problem  # few Secrets need what reads keys

    data = secret.data or {}
    problem = key_pair_problem(*(data.get(key, b"") for key in _TLS_KEYS))
    return [problem] if problem else []


STRATEGY: Strategy[Secret] = Strategy(
    default=default,
    prepare_for_update=prepare_for_update,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    columns=(
        cells.name_column(),
        cells.text("Type", lambda secret: secret.type or ""),
        cells.count("Data", lambda secret: len(secret.data or ())),
        cells.age_column(),
    ),
    fields=lambda secret: {"type": secret.type or ""},
    has_generation=False,
    has_status=False,
)
