"""The certificates of ClusterTrustBundles that a projected volume asks for, as one file.

One bundle by its name, or all of a signer's that a label selector chooses: none when there is no selector, every one
when it is empty. Each certificate is written once; their order says nothing. Specified in "Certificates and
Certificate Signing Requests", "Accessing ClusterTrustBundles from pods".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tiphys.kinds.types import core_v1
from tiphys.kinds.types.certificates_v1 import ClusterTrustBundle
from tiphys.kubelet.volumes.sources import VolumeError
from tiphys.machinery import labels

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
_LINE = 64


def trust_anchors(projection: core_v1.ClusterTrustBundleProjection, bundles: Iterable[ClusterTrustBundle]) -> bytes:
    """PEM; empty when there is none and that is allowed. VolumeError when it is not."""
    chosen = _chosen(projection, bundles)
    if not chosen and not projection.optional:
        raise VolumeError(_missing(projection))
    bodies = {"".join(body.split()) for bundle in chosen for body in _CERTIFICATE.findall(bundle.spec.trustBundle)}
    return "".join(_pem(body) for body in sorted(bodies)).encode()


def _chosen(
    projection: core_v1.ClusterTrustBundleProjection, bundles: Iterable[ClusterTrustBundle]
) -> list[ClusterTrustBundle]:
    if projection.name:
        return [bundle for bundle in bundles if bundle.metadata.name == projection.name]
    selector = labels.from_object(projection.labelSelector)
    return [
        bundle
        for bundle in bundles
        if bundle.spec.signerName == projection.signerName and selector.matches(bundle.metadata.labels or {})
    ]


def _missing(projection: core_v1.ClusterTrustBundleProjection) -> str:
    if projection.name:
        return f'clustertrustbundle.certificates.k8s.io "{projection.name}" not found'
    selector = "" if projection.labelSelector is None else str(labels.from_object(projection.labelSelector))
    asked = f'signerName="{projection.signerName}" and labelSelector="{selector}"'
    return f"combination of {asked} matched zero ClusterTrustBundles"


def _pem(body: str) -> str:
    lines = [body[start : start + _LINE] for start in range(0, len(body), _LINE)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])
