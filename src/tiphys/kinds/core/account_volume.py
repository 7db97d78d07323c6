"""The volume through which pods reach the API as their service account: its token, the cluster's authority and the
namespace's name.

Nearly every pod has one, so all of them share what it is made of, which nobody may change.
"""

from __future__ import annotations

from tiphys.kinds.types import core_v1

TOKEN_SECONDS = 3607
ROOT_CA_CONFIG_MAP = "kube-root-ca.crt"


def _projection() -> core_v1.ProjectedVolumeSource:
    token = core_v1.ServiceAccountTokenProjection(expirationSeconds=TOKEN_SECONDS, path="token")
    authority = core_v1.ConfigMapProjection(
        name=ROOT_CA_CONFIG_MAP, items=[core_v1.KeyToPath(key="ca.crt", path="ca.crt")]
    )
    reference = core_v1.ObjectFieldSelector(apiVersion="v1", fieldPath="metadata.namespace")
    namespace = core_v1.DownwardAPIProjection(
        items=[core_v1.DownwardAPIVolumeFile(path="namespace", fieldRef=reference)]
    )
    return core_v1.ProjectedVolumeSource(
        defaultMode=0o644,
        sources=[
            core_v1.VolumeProjection(serviceAccountToken=token),
            core_v1.VolumeProjection(configMap=authority),
            core_v1.VolumeProjection(downwardAPI=namespace),
        ],
    )


_PROJECTION = _projection()


def account_volume(name: str) -> core_v1.Volume:
    return core_v1.Volume(name=name, projected=_PROJECTION)


def is_account_volume(volume: core_v1.Volume) -> bool:
    """Whether it is exactly such a volume, which is valid by itself."""
    projected = volume.projected
    return projected is _PROJECTION or (projected is not None and volume == account_volume(volume.name))
