"""What of the API a pod refers to: nothing, where it mirrors one that its node has by itself. Such a pod would open to
the node whatever it names."""

from __future__ import annotations

from collections.abc import Iterator

from tiphys.apiserver.authz.references import named_objects
from tiphys.kinds.types.core_v1 import Pod, Volume, VolumeProjection


def first_reference(pod: Pod) -> str:
    """What clients are told first of what the pod refers to, "" when of nothing."""
    return next(_references(pod), "")


def _references(pod: Pod) -> Iterator[str]:
    named = {resource for resource, _, _ in named_objects(pod)}
    yield from (resource for resource in ("serviceaccounts", "secrets", "configmaps") if resource in named)
    if pod.spec.resourceClaims:
        yield "resourceclaims"
    for volume in pod.spec.volumes or ():
        yield from _of_volume(volume)


def _of_volume(volume: Volume) -> Iterator[str]:
    if volume.csi is not None:
        yield "csidrivers (via CSI volumes)"
    if volume.glusterfs is not None:
        yield "endpoints (via glusterFS volumes)"
    if volume.persistentVolumeClaim is not None:
        yield "persistentvolumeclaims"
    if volume.ephemeral is not None:
        yield "persistentvolumeclaims (via ephemeral volumes)"
    for source in (volume.projected.sources if volume.projected is not None else None) or ():
        yield from _of_projection(source)


def _of_projection(source: VolumeProjection) -> Iterator[str]:
    if source.serviceAccountToken is not None:
        yield "serviceaccounts (via projected volumes)"
    if source.clusterTrustBundle is not None:
        yield "clustertrustbundles"
    if source.podCertificate is not None:
        yield "podcertificates"
