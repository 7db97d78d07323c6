"""What a volume means by what it leaves out."""

from __future__ import annotations

from tiphys.kinds.core.container_defaults import default_field_selector, default_pull_policy, default_resource_selector
from tiphys.kinds.core.resource_defaults import default_requirements
from tiphys.kinds.types.core_v1 import (
    AzureDiskVolumeSource,
    DownwardAPIVolumeFile,
    EmptyDirVolumeSource,
    ISCSIPersistentVolumeSource,
    ISCSIVolumeSource,
    ProjectedVolumeSource,
    RBDPersistentVolumeSource,
    RBDVolumeSource,
    ScaleIOPersistentVolumeSource,
    ScaleIOVolumeSource,
    Volume,
)

DEFAULT_FILE_MODE = 0o644
TOKEN_SECONDS = 60 * 60
# In the order in which they are looked at: of several sources, the first is the volume's.
_ORDER = (
    "emptyDir hostPath gitRepo gcePersistentDisk awsElasticBlockStore secret nfs iscsi glusterfs flocker"
    " persistentVolumeClaim rbd cinder cephfs quobyte downwardAPI fc flexVolume configMap azureFile vsphereVolume"
    " photonPersistentDisk portworxVolume azureDisk storageos projected scaleIO csi ephemeral image"
)
SOURCES = tuple(_ORDER.split())


def default_volume(volume: Volume) -> None:
    if volume.configMap is not None:
        if volume.configMap.defaultMode is None:
            volume.configMap.defaultMode = DEFAULT_FILE_MODE
    elif volume.secret is not None:
        if volume.secret.defaultMode is None:
            volume.secret.defaultMode = DEFAULT_FILE_MODE
    elif volume.projected is not None:
        _default_projected(volume.projected)
    elif volume.downwardAPI is not None:
        if volume.downwardAPI.defaultMode is None:
            volume.downwardAPI.defaultMode = DEFAULT_FILE_MODE
        _default_files(volume.downwardAPI.items)
    elif volume.hostPath is not None:
        if volume.hostPath.type is None:
            volume.hostPath.type = ""
    elif volume.emptyDir is None:
        _default_other(volume)


def _default_projected(source: ProjectedVolumeSource) -> None:
    if source.defaultMode is None:
        source.defaultMode = DEFAULT_FILE_MODE
    for part in source.sources or ():
        if part.serviceAccountToken is not None and part.serviceAccountToken.expirationSeconds is None:
            part.serviceAccountToken.expirationSeconds = TOKEN_SECONDS
        if part.downwardAPI is not None:
            _default_files(part.downwardAPI.items)
        if part.podCertificate is not None and part.podCertificate.maxExpirationSeconds is None:
            part.podCertificate.maxExpirationSeconds = 24 * 60 * 60


def _default_files(files: list[DownwardAPIVolumeFile] | None) -> None:
    for file in files or ():
        if file.fieldRef is not None:
            default_field_selector(file.fieldRef)
        if file.resourceFieldRef is not None:
            default_resource_selector(file.resourceFieldRef)


def _default_other(volume: Volume) -> None:
    if volume.image is not None:
        if not volume.image.pullPolicy:
            volume.image.pullPolicy = default_pull_policy(volume.image.reference)
    elif volume.ephemeral is not None:
        template = volume.ephemeral.volumeClaimTemplate
        if template is not None:
            if template.spec.volumeMode is None:
                template.spec.volumeMode = "Filesystem"
            default_requirements(template.spec.resources)
    elif volume.iscsi is not None:
        default_iscsi(volume.iscsi)
    elif volume.rbd is not None:
        default_rbd(volume.rbd)
    elif volume.azureDisk is not None:
        default_azure_disk(volume.azureDisk)
    elif volume.scaleIO is not None:
        default_scale_io(volume.scaleIO)
    elif all(getattr(volume, name) is None for name in SOURCES):
        volume.emptyDir = EmptyDirVolumeSource()


def default_iscsi(source: ISCSIVolumeSource | ISCSIPersistentVolumeSource) -> None:
    source.iscsiInterface = source.iscsiInterface or "default"


def default_rbd(source: RBDVolumeSource | RBDPersistentVolumeSource) -> None:
    source.pool = source.pool or "rbd"
    source.user = source.user or "admin"
    source.keyring = source.keyring or "/etc/ceph/keyring"


def default_azure_disk(source: AzureDiskVolumeSource) -> None:
    source.cachingMode = source.cachingMode or "ReadWrite"
    source.kind = source.kind or "Shared"
    source.fsType = source.fsType or "ext4"
    source.readOnly = bool(source.readOnly)


def default_scale_io(source: ScaleIOVolumeSource | ScaleIOPersistentVolumeSource) -> None:
    source.storageMode = source.storageMode or "ThinProvisioned"
    source.fsType = source.fsType or "xfs"
