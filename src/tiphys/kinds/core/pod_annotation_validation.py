"""Annotations of pods that mean something to Kubernetes itself: what they may say, and which of them are for good."""

from __future__ import annotations

import re

from tiphys.kinds.core.app_armor import ANNOTATION_PREFIX, LOCALHOST_PREFIX, PLAIN_VALUES, is_well_formed
from tiphys.kinds.types.core_v1 import AppArmorProfile, Container, EphemeralContainer, Pod
from tiphys.kinds.value_findings import LARGEST_INT32
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, shown

MIRROR = "kubernetes.io/config.mirror"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
ANNOTATIONS = Path("metadata.annotations")
_COST = re.compile(r"-?(?:0|[1-9][0-9]{0,9})")


def validate_pod_annotations(pod: Pod) -> list[FieldError]:
    annotations, found = pod.metadata.annotations, list[FieldError]()
    if not annotations:
        return found
    if MIRROR in annotations and not pod.spec.nodeName:
        detail = "must set spec.nodeName if mirror pod annotation is set"
        found.append(invalid(ANNOTATIONS.key(MIRROR), annotations[MIRROR], detail))
    cost = annotations.get(DELETION_COST)
    if cost is not None and not (_COST.fullmatch(cost) and -LARGEST_INT32 - 1 <= int(cost) <= LARGEST_INT32):
        found.append(invalid(ANNOTATIONS.key(DELETION_COST), cost, "must be a 32bit integer"))
    names: set[str] | None = None
    for key, text in annotations.items():
        if not key.startswith(ANNOTATION_PREFIX):
            continue
        names = names or {container.name for _, container in _containers(pod)}
        name = key.removeprefix(ANNOTATION_PREFIX)
        if name not in names:
            found.append(invalid(ANNOTATIONS.key(key), name, "container not found"))
        if not is_well_formed(text):
            found.append(invalid(ANNOTATIONS.key(key), text, f"invalid AppArmor profile name: {shown(text)}"))
    return found


def _containers(pod: Pod) -> list[tuple[Path, Container | EphemeralContainer]]:
    spec = Path("spec")
    return [
        (spec.child(field).index(position), container)
        for field in ("initContainers", "containers", "ephemeralContainers")
        for position, container in enumerate(getattr(pod.spec, field) or ())
    ]


def validate_new_annotations(pod: Pod) -> list[FieldError]:
    """AppArmor profiles of a new pod are the same in its fields and in its annotations."""
    annotations = pod.metadata.annotations
    if not annotations or (pod.spec.os is not None and pod.spec.os.name == "windows"):
        return []
    found: list[FieldError] = []
    context = pod.spec.securityContext
    of_pod = context.appArmorProfile if context is not None else None
    for path, container in _containers(pod):
        own = container.securityContext.appArmorProfile if container.securityContext is not None else None
        text = annotations.get(ANNOTATION_PREFIX + container.name)
        profile = own or of_pod
        if profile is not None and text is not None:
            found += _match_findings(profile, text, path.child("securityContext", "appArmorProfile"))
    return found


def _match_findings(profile: AppArmorProfile, text: str, path: Path) -> list[FieldError]:
    if profile.type == "Localhost" and text.startswith(LOCALHOST_PREFIX):
        if text.removeprefix(LOCALHOST_PREFIX) == profile.localhostProfile:
            return []
        return [forbidden(path.child("localhostProfile"), "apparmor profile in annotation and field must match")]
    if PLAIN_VALUES.get(text) == profile.type or profile.type not in ("Localhost", *PLAIN_VALUES.values()):
        return []
    return [forbidden(path.child("type"), "apparmor type in annotation and field must match")]


def validate_annotation_update(new: Pod, old: Pod) -> list[FieldError]:
    """Nobody turns a pod into a mirror or gives it another profile later."""
    before, after = old.metadata.annotations or {}, new.metadata.annotations or {}
    if before == after:
        return []
    found: list[FieldError] = []
    for verb, keys in (
        ("remove or update", [key for key, text in before.items() if after.get(key) != text]),
        ("add", [key for key in after if key not in before]),
    ):
        for key in keys:
            if key.startswith(ANNOTATION_PREFIX):
                found.append(forbidden(ANNOTATIONS.key(key), f"may not {verb} AppArmor annotations"))
            if key == MIRROR:
                found.append(forbidden(ANNOTATIONS.key(key), f"may not {verb} mirror pod annotation"))
    return found
