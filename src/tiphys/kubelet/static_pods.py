"""Pods that a node has from files of its own, and their mirrors: the objects that show them in the API.

A static pod is what its file says, with the node's name behind its own, and a uid that follows from its content: a
changed file is another pod. Specified in "Create static Pods". Pure.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from tiphys.kinds import codec
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kubelet.interface import CONFIG_HASH, CONFIG_MIRROR, CONFIG_SEEN, CONFIG_SOURCE
from tiphys.machinery import timestamps


def static_pod(content: Any, node_name: str, now: float) -> core_v1.Pod:
    """The pod of a manifest's plain values. ValueError when it is none."""
    if not isinstance(content, dict) or content.get("kind") != "Pod" or content.get("apiVersion") != "v1":
        raise ValueError("the manifest holds no v1 Pod")
    try:
        pod = codec.convert(content, core_v1.Pod)
    except msgspec.ValidationError as error:
        raise ValueError(f"the manifest holds no valid Pod: {error}") from error
    if not pod.metadata.name or not pod.spec.containers:
        raise ValueError("a Pod needs a name and a container")
    digest = hashlib.sha256(codec.encode(pod) + node_name.encode()).digest()
    uid = _uid(digest)
    annotations = {
        **(pod.metadata.annotations or {}),
        CONFIG_SOURCE: "file",
        CONFIG_HASH: uid.replace("-", ""),
        CONFIG_SEEN: timestamps.micro_time_of(now),
    }
    pod.metadata.name = f"{pod.metadata.name}-{node_name.lower()}"
    pod.metadata.namespace = pod.metadata.namespace or "default"
    pod.metadata.uid = uid
    pod.metadata.annotations = annotations
    pod.spec.nodeName = node_name
    pod.spec.tolerations = [
        *(pod.spec.tolerations or ()),
        core_v1.Toleration(operator="Exists", effect="NoExecute"),
    ]
    return pod


def _uid(digest: bytes) -> str:
    text = digest.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:32]))


def mirror_of(pod: core_v1.Pod, node: core_v1.Node) -> core_v1.Pod:
    """The object to create in the API for a static pod."""
    mirror = codec.copy(pod)
    annotations = {**(pod.metadata.annotations or {})}
    annotations[CONFIG_MIRROR] = annotations[CONFIG_HASH]
    mirror.metadata = meta_v1.ObjectMeta(
        name=pod.metadata.name,
        namespace=pod.metadata.namespace,
        labels=pod.metadata.labels,
        annotations=annotations,
        ownerReferences=[
            meta_v1.OwnerReference(
                apiVersion="v1",
                kind="Node",
                name=node.metadata.name or "",
                uid=node.metadata.uid or "",
                controller=True,
            )
        ],
    )
    mirror.status = core_v1.PodStatus()
    return mirror


def mirrors(obj: core_v1.Pod, pod: core_v1.Pod) -> bool:
    """Whether the object shows just this static pod."""
    shown = (obj.metadata.annotations or {}).get(CONFIG_MIRROR)
    return shown is not None and shown == (pod.metadata.annotations or {}).get(CONFIG_HASH)
