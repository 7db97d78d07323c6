"""StorageClasses: how volumes are made for claims that name the class."""

from __future__ import annotations

from tiphys.kinds import cells, codec
from tiphys.kinds.core.node_labels import topology_term_warnings
from tiphys.kinds.object_meta import IMMUTABLE, label_key_findings
from tiphys.kinds.strategy import Column, Strategy
from tiphys.kinds.types.storage_v1 import StorageClass
from tiphys.machinery.field_errors import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)
from tiphys.machinery.repetition import repeated

DEFAULT_ANNOTATION = "storageclass.kubernetes.io/is-default-class"
OLD_DEFAULT_ANNOTATION = "storageclass.beta.kubernetes.io/is-default-class"
POLICIES = ("Delete", "Retain")
BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
PARAMETERS_LIMIT, PARAMETERS_LIMIT_BYTES = 512, 256 * 1024
_FIXED = ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")


def is_default(storage_class: StorageClass) -> bool:
    annotations = storage_class.metadata.annotations or {}
    return "true" in (annotations.get(DEFAULT_ANNOTATION), annotations.get(OLD_DEFAULT_ANNOTATION))


def default(storage_class: StorageClass) -> None:
    if storage_class.reclaimPolicy is None:
        storage_class.reclaimPolicy = "Delete"
    if storage_class.volumeBindingMode is None:
        storage_class.volumeBindingMode = "Immediate"


def parameter_findings(parameters: dict[str, str] | None, path: Path) -> list[FieldError]:
    """Keys and size of a driver's parameters."""
    found: list[FieldError] = []
    if len(parameters or ()) > PARAMETERS_LIMIT:
        found.append(too_long(path, PARAMETERS_LIMIT))
        return found
    size = 0
    for key, value in (parameters or {}).items():
        if not key:
            found.append(invalid(path, key, "field can not be empty."))
        size += len(key) + len(value)
    if size > PARAMETERS_LIMIT_BYTES:
        found.append(too_long(path, PARAMETERS_LIMIT_BYTES))
    return found


def validate(storage_class: StorageClass) -> list[FieldError]:
    found: list[FieldError] = []
    provisioner = storage_class.provisioner
    if not provisioner:
        found.append(required(Path("provisioner")))
    else:
        found += [invalid(Path("provisioner"), provisioner, text) for text in label_key_findings(provisioner.lower())]
    found += parameter_findings(storage_class.parameters, Path("parameters"))
    if storage_class.reclaimPolicy is not None and storage_class.reclaimPolicy not in POLICIES:
        found.append(not_supported(Path("reclaimPolicy"), storage_class.reclaimPolicy, POLICIES))
    if storage_class.volumeBindingMode not in BINDING_MODES:
        at = Path("volumeBindingMode")
        mode = storage_class.volumeBindingMode
        found.append(not_supported(at, mode, BINDING_MODES) if mode else required(at))
    return found + _topology_findings(storage_class)


def _topology_findings(storage_class: StorageClass) -> list[FieldError]:
    found: list[FieldError] = []
    terms = storage_class.allowedTopologies or []
    again = repeated(codec.encode(term) for term in terms)
    for position, term in enumerate(terms):
        path = Path("allowedTopologies").index(position)
        if position in again:
            found.append(duplicate(path.child("matchLabelExpressions"), ""))
        seen: set[str] = set()
        for place, requirement in enumerate(term.matchLabelExpressions or ()):
            at = path.child("matchLabelExpressions").index(place)
            found += [invalid(at.child("key"), requirement.key, text) for text in label_key_findings(requirement.key)]
            if requirement.key in seen:
                found.append(duplicate(at.child("key"), requirement.key))
            seen.add(requirement.key)
            if not requirement.values:
                found.append(required(at.child("values")))
            for order, value in enumerate(requirement.values):
                here = at.child("values").index(order)
                if value in requirement.values[:order]:
                    found.append(duplicate(here, value))
    return found


def validate_update(new: StorageClass, old: StorageClass) -> list[FieldError]:
    found: list[FieldError] = []
    for field in _FIXED:
        if (getattr(new, field) or None) != (getattr(old, field) or None):
            if field in ("parameters", "provisioner"):
                found.append(forbidden(Path(field), f"updates to {field} are forbidden."))
            else:
                found.append(invalid(Path(field), getattr(new, field), IMMUTABLE))
    return found


def warnings(storage_class: StorageClass, old: StorageClass | None) -> list[str]:
    found: list[str] = []
    for position, term in enumerate(storage_class.allowedTopologies or ()):
        found += topology_term_warnings(term, Path("allowedTopologies").index(position))
    return found


def _name(storage_class: StorageClass, _: float) -> str:
    name = storage_class.metadata.name or ""
    return f"{name} (default)" if is_default(storage_class) else name


STRATEGY: Strategy[StorageClass] = Strategy(
    warnings=warnings,
    default=default,
    validate=validate,
    validate_update=validate_update,
    columns=(
        Column(name="Name", format="name", cell=_name),
        cells.text("Provisioner", lambda storage_class: storage_class.provisioner),
        cells.text("ReclaimPolicy", lambda storage_class: storage_class.reclaimPolicy or "Delete"),
        cells.text("VolumeBindingMode", lambda storage_class: storage_class.volumeBindingMode or cells.UNSET),
        Column(name="AllowVolumeExpansion", cell=lambda s, _: "true" if s.allowVolumeExpansion else "false"),
        cells.age_column(),
    ),
    has_generation=False,
    has_status=False,
)
