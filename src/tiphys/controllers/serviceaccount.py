"""Every namespace has the ServiceAccount `default`, as long as it is not being deleted."""

from __future__ import annotations

from tiphys.client.interface import ObjectKey
from tiphys.controllers.actions import Action, Create
from tiphys.controllers.controller import Controller, View, Watch, own_key
from tiphys.kinds.types import core_v1, meta_v1

NAME = "default"


def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
    """`key` names the namespace."""
    namespace = view.get(core_v1.Namespace, "", key.name)
    if namespace is None or namespace.metadata.deletionTimestamp is not None:
        return []
    if view.get(core_v1.ServiceAccount, key.name, NAME) is not None:
        return []
    account = core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name=NAME, namespace=key.name))
    return [Create(object=account, tolerate_existing=True)]


def _removed(_: View, old: core_v1.ServiceAccount | None, new: core_v1.ServiceAccount | None) -> list[ObjectKey]:
    return [ObjectKey("", old.metadata.namespace or "")] if old is not None and new is None else []


CONTROLLER = Controller(
    name="serviceaccount",
    identity="system:serviceaccount:kube-system:service-account-controller",
    source="service-account-controller",
    reconcile=reconcile,
    watches=(
        Watch(kind=core_v1.Namespace, keys=own_key),
        Watch(kind=core_v1.ServiceAccount, keys=_removed),
    ),
    field_selectors={core_v1.ServiceAccount: f"metadata.name={NAME}"},
)
