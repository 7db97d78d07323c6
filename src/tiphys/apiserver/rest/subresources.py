"""Subresources that write the whole object, each letting only its own part through: what is kept of the stored object.

`PREPARES` is the table: subresource -> (prepare, findings); /status is `update.prepare_status`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tiphys.apiserver.condition_times import date_transitions
from tiphys.apiserver.rest import update
from tiphys.apiserver.rest.context import WriteContext
from tiphys.kinds import codec
from tiphys.machinery import timestamps

Prepare = Callable[[WriteContext, Any, Any], None]
Findings = Callable[[WriteContext, Any, Any], list[Any]]
CONTAINERS = ("containers", "initContainers")


def _keep_all_but(new: Any, old: Any, **changed: Any) -> None:
    """Make `new` the old object with some fields changed; its metadata was settled before."""
    for field in type(new).__struct_fields__:
        if field != "metadata":
            setattr(new, field, changed.get(field, getattr(old, field)))


def prepare_finalize(context: WriteContext, new: Any, old: Any) -> None:
    """Only spec.finalizers of a namespace changes."""
    update.check_identity(context, new, old)
    update.keep_metadata(new, old)
    finalizers = new.spec.finalizers
    _keep_all_but(new, old, spec=msgspec.structs.replace(old.spec, finalizers=finalizers or None))


def prepare_approval(context: WriteContext, new: Any, old: Any) -> None:
    """Only the conditions of a signing request change."""
    update.check_identity(context, new, old)
    update.keep_metadata(new, old)
    date_conditions(new, old, context.now)
    _keep_all_but(new, old, status=msgspec.structs.replace(old.status, conditions=new.status.conditions))


def date_conditions(new: Any, old: Any, now: float) -> None:
    """Conditions of a signing request that do not say when they were written and came to be say it now."""
    for condition in new.status.conditions or ():
        condition.lastUpdateTime = condition.lastUpdateTime or timestamps.time_of(now)
    date_transitions(new, old, now)


def prepare_ephemeral_containers(context: WriteContext, new: Any, old: Any) -> None:
    """Only the pod's ephemeral containers change (defaults of new ones are filled in first)."""
    update.check_identity(context, new, old)
    update.keep_metadata(new, old)
    context.resource.strategy.default(new)
    added = new.spec.ephemeralContainers
    _keep_all_but(new, old, spec=msgspec.structs.replace(old.spec, ephemeralContainers=added))
    update.count_generation(context, new, old)


def _names(containers: Sequence[Any] | None) -> list[str]:
    return [container.name for container in containers or ()]


def prepare_resize(context: WriteContext, new: Any, old: Any) -> None:
    """Only resources and resize policies of the pod's containers change, and the resources of the pod as a whole. Who
    adds, removes or reorders containers is told by the validation."""
    update.check_identity(context, new, old)
    update.keep_metadata(new, old)
    context.resource.strategy.default(new)
    if any(_names(getattr(new.spec, field)) != _names(getattr(old.spec, field)) for field in CONTAINERS):
        return
    spec = codec.copy(old.spec)
    for mine, theirs in ((spec.containers, new.spec.containers), (spec.initContainers, new.spec.initContainers)):
        asked = {container.name: container for container in theirs or ()}
        for container in mine or ():
            if container.name in asked:
                container.resources = asked[container.name].resources
                container.resizePolicy = asked[container.name].resizePolicy
    spec.resources = new.spec.resources
    _keep_all_but(new, old, spec=spec)
    update.count_generation(context, new, old)


PREPARES: Mapping[str, tuple[Prepare, Findings]] = {
    "status": (update.prepare_status, update.status_findings),
    "finalize": (prepare_finalize, update.subresource_findings),
    "approval": (prepare_approval, update.subresource_findings),
    "ephemeralcontainers": (prepare_ephemeral_containers, update.subresource_findings),
    "resize": (prepare_resize, update.subresource_findings),
}
