"""VolumeAttachments: the wish that a volume be attached to a node, and how far that got."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.core.persistent_volume import validate_inline_volume_spec
from tiphys.kinds.core.volume_source_validation import driver_name_findings
from tiphys.kinds.object_meta import immutable, label_key_findings, subdomain_name
from tiphys.kinds.spec_and_status import clear_status, keep_spec_and_metadata, keep_status
from tiphys.kinds.strategy import Column, Strategy
from tiphys.kinds.types.storage_v1 import VolumeAttachment, VolumeError
from tiphys.kinds.value_findings import LARGEST_INT32, in_range
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, required, too_long

SPEC, STATUS = Path("spec"), Path("status")
METADATA_LIMIT_BYTES, MESSAGE_LIMIT_BYTES = 256 * 1024, 1024


def validate(attachment: VolumeAttachment) -> list[FieldError]:
    spec = attachment.spec
    found: list[FieldError] = []
    if not spec.attacher:
        found.append(required(SPEC.child("attacher")))
    else:
        texts = label_key_findings(spec.attacher.lower())
        found += [invalid(SPEC.child("attacher"), spec.attacher, text) for text in texts]
        if not texts and not attachment.metadata.resourceVersion:
            found += driver_name_findings(spec.attacher, SPEC.child("attacher"))
    inline, name, path = spec.source.inlineVolumeSpec, spec.source.persistentVolumeName, SPEC.child("source")
    if inline is None and name is None:
        found.append(required(path, "must specify exactly one of inlineVolumeSpec and persistentVolumeName"))
    if inline is not None and name is not None:
        detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        found.append(forbidden(path, detail))
    elif name == "":
        found.append(required(path.child("persistentVolumeName"), "must specify non empty persistentVolumeName"))
    elif name is not None:
        found += [invalid(path.child("persistentVolumeName"), name, text) for text in subdomain_name(name)]
    elif inline is not None:
        found += validate_inline_volume_spec(inline, path.child("inlineVolumeSpec"))
    return found + [invalid(SPEC.child("nodeName"), spec.nodeName, text) for text in subdomain_name(spec.nodeName)]


def validate_status_update(new: VolumeAttachment, old: VolumeAttachment) -> list[FieldError]:
    status = new.status
    found: list[FieldError] = []
    told = status.attachmentMetadata or {}
    if sum(len(key.encode()) + len(value.encode()) for key, value in told.items()) > METADATA_LIMIT_BYTES:
        found.append(too_long(STATUS.child("attachmentMetadata"), METADATA_LIMIT_BYTES))
    for field in ("attachError", "detachError"):
        found += _problem_findings(getattr(status, field) or VolumeError(), STATUS.child(field))
    return found


def _problem_findings(problem: VolumeError, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if len((problem.message or "").encode()) > MESSAGE_LIMIT_BYTES:
        # Clients are told the limit of the metadata.
        found.append(too_long(path.child("message"), METADATA_LIMIT_BYTES))
    if problem.errorCode is not None and problem.errorCode < 0:
        found.append(invalid(path.child("errorCode"), problem.errorCode, in_range(0, LARGEST_INT32)))
    return found


STRATEGY: Strategy[VolumeAttachment] = Strategy(
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec_and_metadata,
    validate=validate,
    validate_status_update=validate_status_update,
    validate_update=lambda new, old: immutable(new.spec, old.spec, SPEC),
    columns=(
        cells.name_column(),
        Column(name="Attacher", format="name", cell=lambda attachment, _: attachment.spec.attacher),
        cells.text("PV", lambda attachment: attachment.spec.source.persistentVolumeName or ""),
        cells.text("Node", lambda attachment: attachment.spec.nodeName),
        Column(name="Attached", type="boolean", cell=lambda attachment, _: attachment.status.attached),
        cells.age_column(),
    ),
    has_generation=False,
)
