"""VolumeAttachments: the wish that a volume be attached to a node, and how far that got."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.core.persistent_volume import validate_inline_volume_spec
from tiphys.kinds.core.volume_source_validation import driver_name_findings
from tiphys.kinds.object_meta import immutable, label_key_findings
from tiphys.kinds.spec_and_status import clear_status, keep_spec_and_metadata, keep_status
from tiphys.kinds.strategy import Column, Strategy
from tiphys.kinds.types.storage_v1 import VolumeAttachment
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, required

SPEC = Path("spec")


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
    if inline is None and not name:
        found.append(required(path, "must specify exactly one of inlineVolumeSpec and persistentVolumeName"))
    if inline is not None and name:
        detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        found.append(forbidden(path, detail))
    elif inline is not None:
        found += validate_inline_volume_spec(inline, path.child("inlineVolumeSpec"))
    if not spec.nodeName:
        found.append(required(SPEC.child("nodeName")))
    return found


STRATEGY: Strategy[VolumeAttachment] = Strategy(
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec_and_metadata,
    validate=validate,
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
