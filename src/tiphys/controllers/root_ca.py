"""Every namespace has the ConfigMap `kube-root-ca.crt`, by which pods know the API server's certificate."""

from __future__ import annotations

from tiphys.client.interface import ObjectKey
from tiphys.controllers.actions import Action, Create, Update
from tiphys.controllers.controller import Controller, View, Watch, own_key
from tiphys.kinds import codec
from tiphys.kinds.types import core_v1, meta_v1

NAME = "kube-root-ca.crt"
DESCRIPTION = {"kubernetes.io/description": "The CA of the API server at its addresses inside of this cluster."}


def controller(root_ca_pem: str) -> Controller:
    """Publishes this CA bundle (PEM)."""
    data = {"ca.crt": root_ca_pem}

    def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
        namespace = view.get(core_v1.Namespace, "", key.name)
        if namespace is None or namespace.metadata.deletionTimestamp is not None:
            return []
        found = view.get(core_v1.ConfigMap, key.name, NAME)
        if found is None:
            meta = meta_v1.ObjectMeta(name=NAME, namespace=key.name, annotations=dict(DESCRIPTION))
            return [Create(object=core_v1.ConfigMap(metadata=meta, data=dict(data)), tolerate_existing=True)]
        if found.data == data:
            return []
        changed = codec.copy(found)
        changed.data = dict(data)
        changed.metadata.annotations = {**(changed.metadata.annotations or {}), **DESCRIPTION}
        return [Update(object=changed)]

    return Controller(
        name="root-ca-certificate-publisher",
        identity="system:serviceaccount:kube-system:root-ca-cert-publisher",
        source="root-ca-cert-publisher",
        reconcile=reconcile,
        watches=(
            Watch(kind=core_v1.Namespace, keys=own_key),
            Watch(kind=core_v1.ConfigMap, keys=_namespace_of),
        ),
        field_selectors={core_v1.ConfigMap: f"metadata.name={NAME}"},
    )


def _namespace_of(_: View, old: core_v1.ConfigMap | None, new: core_v1.ConfigMap | None) -> list[ObjectKey]:
    obj = new or old
    return [ObjectKey("", obj.metadata.namespace or "")] if obj is not None else []
