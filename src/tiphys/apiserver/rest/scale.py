"""The /scale subresource: one small object with the replica count of any kind that has one.

Kinds offer it by having spec.replicas, status.replicas and spec.selector (a LabelSelector or a map).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tiphys.apiserver.rest import update
from tiphys.apiserver.rest.call import Outcome
from tiphys.apiserver.rest.context import WriteContext
from tiphys.apiserver.watch_cache import Entry, Layout
from tiphys.kinds import codec
from tiphys.kinds.resource import Resource
from tiphys.kinds.strategy import Scaling
from tiphys.kinds.types import autoscaling_v1, meta_v1
from tiphys.machinery import errors, field_errors, labels
from tiphys.machinery.field_errors import Path

RESOURCE = Resource(
    group="autoscaling",
    version="v1",
    plural="scales",
    singular="scale",
    kind="Scale",
    namespaced=True,
    verbs=(),
    module="autoscaling_v1",
    strategy_module="tiphys.kinds.autoscaling.scale",
)
API_VERSION, KIND = RESOURCE.api_version, RESOURCE.kind
_LAYOUT = Layout(RESOURCE)


def _selector_text(obj: Any) -> str:
    selector = obj.spec.selector
    return str(labels.from_set(selector)) if isinstance(selector, dict) else labels.text_of(selector)


USUAL: Scaling[Any] = Scaling(
    replicas=lambda obj: obj.spec.replicas,
    status_replicas=lambda obj: obj.status.replicas,
    selector=_selector_text,
    with_replicas=lambda obj, count: obj.__replace__(spec=msgspec.structs.replace(obj.spec, replicas=count)),
)


def scaling_of(resource: Resource) -> Scaling[Any]:
    return resource.strategy.scaling or USUAL


def of(obj: Any, scaling: Scaling[Any] = USUAL) -> autoscaling_v1.Scale:
    """The Scale of an object."""
    meta = obj.metadata
    return autoscaling_v1.Scale(
        metadata=meta_v1.ObjectMeta(
            name=meta.name,
            namespace=meta.namespace,
            uid=meta.uid,
            resourceVersion=meta.resourceVersion,
            creationTimestamp=meta.creationTimestamp,
        ),
        spec=autoscaling_v1.ScaleSpec(replicas=scaling.replicas(obj) or None),
        status=autoscaling_v1.ScaleStatus(
            replicas=scaling.status_replicas(obj) or 0, selector=scaling.selector(obj) or None
        ),
    )


def shown(obj: Any, resource: Resource) -> Outcome:
    """The Scale of an object to who asks for it. ApiError 500 when it has no count."""
    scaling = scaling_of(resource)
    if scaling.missing and scaling.replicas(obj) is None:
        raise errors.internal(scaling.missing)
    return outcome(obj, resource)


def outcome(obj: Any, resource: Resource, warnings: tuple[str, ...] = ()) -> Outcome:
    """The Scale of an object as an answer. Its bytes have the form of stored ones."""
    scale = of(obj, scaling_of(resource))
    meta = scale.metadata
    version, meta.resourceVersion = meta.resourceVersion or "0", None
    data = _LAYOUT.splice(codec.encode(scale), int(version))
    meta.resourceVersion = version
    entry = Entry(_LAYOUT, meta.namespace or "", meta.name or "", int(version), data, scale)
    return Outcome(entry=entry, shown_as=RESOURCE, warnings=warnings)


def scaled(context: WriteContext, obj: Any, scale: autoscaling_v1.Scale) -> Any:
    """The object with the replica count of a Scale and the revision that it names, if any. ApiError 400, 409, 422."""
    meta = scale.metadata
    update.check_name(context, meta)
    scaling, replicas = scaling_of(context.resource), scale.spec.replicas or 0
    if replicas < 0 and not scaling.validates:
        finding = field_errors.invalid(Path("spec.replicas"), replicas, "must be greater than or equal to 0")
        raise errors.invalid(KIND, "autoscaling", context.name, [finding])
    if meta.uid and meta.uid != obj.metadata.uid:
        detail = f"Precondition failed: UID in precondition: {meta.uid}, UID in object meta: {obj.metadata.uid}"
        raise context.conflict(detail)
    counted = scaling.with_replicas(obj, replicas)
    return counted.__replace__(metadata=msgspec.structs.replace(obj.metadata, resourceVersion=meta.resourceVersion))


def change(
    make: Callable[[WriteContext, Callable[[], autoscaling_v1.Scale]], tuple[Any, list[str]]],
) -> Callable[[WriteContext, Any], tuple[Any, list[str]]]:
    """The change of an object that a change of its Scale means; `make` may ask for the present one."""

    def changed(context: WriteContext, old: Any) -> tuple[Any, list[str]]:
        scale, warnings = make(context, lambda: of(old, scaling_of(context.resource)))
        return scaled(context, old, scale), warnings

    return changed
