"""Pod templates, as Deployments, Jobs and others embed them: defaults and validation in one place for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tiphys.kinds.core.pod_defaults import default_pod_template
from tiphys.kinds.core.pod_spec_validation import validate_pod_spec
from tiphys.kinds.core.pod_warnings import template_warnings
from tiphys.kinds.object_meta import label_name, validate_annotations, validate_labels
from tiphys.kinds.types.core_v1 import PodTemplateSpec
from tiphys.kinds.types.meta_v1 import LabelSelector, ObjectMeta
from tiphys.machinery import labels
from tiphys.machinery.field_errors import FieldError, Path, forbidden, not_supported

default_template = default_pod_template
NAMES_AND_HOSTNAMES = "Pod names and hostnames"
MISMATCH = "`selector` does not match template `labels`"


def validate_template(template: PodTemplateSpec, path: Path) -> list[FieldError]:
    """Labels, annotations and spec. A template has no ephemeral containers: those come to running pods."""
    found: list[FieldError] = []
    meta = template.metadata
    if meta.labels:
        found += validate_labels(meta.labels, path.child("labels"))
    if meta.annotations:
        found += validate_annotations(meta.annotations, path.child("annotations"))
    found += validate_pod_spec(template.spec, path.child("spec"))
    if template.spec.ephemeralContainers:
        detail = "ephemeral containers not allowed in pod template"
        found.append(forbidden(path.child("spec", "ephemeralContainers"), detail))
    return found


def always_restarting(template: PodTemplateSpec, path: Path, kind: str) -> list[FieldError]:
    """Pods that are meant to run on restart always and set no deadline. `kind` is named in the finding."""
    found: list[FieldError] = []
    if template.spec.restartPolicy != "Always":
        found.append(not_supported(path.child("spec", "restartPolicy"), template.spec.restartPolicy or "", ("Always",)))
    if template.spec.activeDeadlineSeconds is not None:
        detail = f"activeDeadlineSeconds in {kind} is not Supported"
        found.append(forbidden(path.child("spec", "activeDeadlineSeconds"), detail))
    return found


def hostname_warnings(metadata: ObjectMeta, used_in: str = NAMES_AND_HOSTNAMES) -> list[str]:
    """Advice on the name of what hosts are named after."""
    found = " ".join(label_name(metadata.name or ""))
    advice = f"this is used in {used_in}, which can result in surprising behavior; a DNS label is recommended"
    return [f"metadata.name: {advice}: [{found}]"] if found else []


def holder_warnings(
    template_of: Callable[[Any], PodTemplateSpec | None], path: Path, names_hosts: bool = True
) -> Callable[[Any, Any], list[str]]:
    """The `warnings` hook of a kind that keeps pods running: on a new object and whenever its spec changes.
    `names_hosts`: whether the names of its pods go into their hosts' names."""

    def warnings(new: Any, old: Any) -> list[str]:
        if old is not None and new.spec == old.spec:
            return []
        template = template_of(new)
        found = hostname_warnings(new.metadata) if old is None and names_hosts else []
        return found + (template_warnings(template, path) if template is not None else [])

    return warnings


def selector_of(selector: LabelSelector | None) -> labels.Selector:
    """The selector, or one that selects nothing when it cannot be read (its own findings say why)."""
    try:
        return labels.from_object(selector)
    except ValueError:
        return labels.NOTHING
