"""Volume sources: what each cannot do without, what belongs together, and which of several counts."""

from __future__ import annotations

from typing import Any

import pytest
from documents import create_findings

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
ONE = "spec.volumes[0]"
REQUIRED = ("Required", "Required value")
ISCSI = {"targetPortal": "192.0.2.1:3260", "iqn": "iqn.2015-02.example.com:test", "lun": 0}
STORAGE_OS = {"volumeName": "v"}
BLOB = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
MANAGED = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
PAIR = "must be a host:port pair or multiple pairs separated by commas"


def pod_volume(**sources: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "c", "image": "i"}], "volumes": [{"name": "data", **sources}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "default"}, "spec": spec}


def volume(**spec: Any) -> dict[str, Any]:
    content = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], **spec}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "a"}, "spec": content}


def certificate(seconds: int) -> dict[str, Any]:
    where = {"signerName": "example.com/s", "keyType": "ED25519", "credentialBundlePath": "bundle.pem"}
    return {**where, "maxExpirationSeconds": seconds}


CASES: list[tuple[str, dict[str, Any], list[tuple[str, str, str]]]] = [
    (
        "the first counts, whatever the order in the document",
        {"secret": {"secretName": ""}, "hostPath": {"path": "/a"}},
        [(f"{ONE}.secret", "Forbidden", "Forbidden: may not specify more than 1 volume type")],
    ),
    (
        "nfs without a path",
        {"nfs": {"server": "s", "path": ""}},
        [
            (f"{ONE}.nfs.path", *REQUIRED),
            (f"{ONE}.nfs.path", "Invalid", 'Invalid value: "": must be an absolute path'),
        ],
    ),
    (
        "partition",
        {"gcePersistentDisk": {"pdName": "a", "partition": 256}},
        [
            (
                f"{ONE}.persistentDisk.partition",
                "Invalid",
                "Invalid value: 256: must be between 1 and 255, inclusive",
            ),
        ],
    ),
    (
        "git directory",
        {"gitRepo": {"repository": "a", "directory": "../a"}},
        [
            (f"{ONE}.gitRepo.directory", "Invalid", "Invalid value: \"../a\": must not contain '..'"),
        ],
    ),
    (
        "target name",
        {"iscsi": {**ISCSI, "iqn": "target"}},
        [
            (
                f"{ONE}.iscsi.iqn",
                "Invalid",
                'Invalid value: "target": must be valid format starting with iqn, eui, or naa',
            ),
        ],
    ),
    (
        "target name of a known sort",
        {"iscsi": {**ISCSI, "iqn": "eui.1"}},
        [
            (f"{ONE}.iscsi.iqn", "Invalid", 'Invalid value: "eui.1": must be valid format'),
        ],
    ),
    (
        "initiator and a long portal",
        {"iscsi": {**ISCSI, "targetPortal": "x" * 60, "initiatorName": ISCSI["iqn"]}},
        [
            (
                f"{ONE}.name",
                "Invalid",
                'Invalid value: "data": Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters'
                " if iscsi.initiatorName is specified.",
            ),
        ],
    ),
    (
        "blob disk",
        {"azureDisk": {"diskName": "a", "diskURI": "/subscriptions/a"}},
        [
            (
                f"{ONE}.azureDisk.diskURI",
                "NotSupported",
                f'Unsupported value: "/subscriptions/a": supported values: "{BLOB}"',
            ),
        ],
    ),
    (
        "managed disk",
        {"azureDisk": {"diskName": "a", "diskURI": "https://a", "kind": "Managed"}},
        [
            (
                f"{ONE}.azureDisk.diskURI",
                "NotSupported",
                f'Unsupported value: "https://a": supported values: "{MANAGED}"',
            ),
        ],
    ),
    (
        "quobyte",
        {"quobyte": {"registry": "a", "volume": "", "tenant": "t" * 65}},
        [
            (f"{ONE}.quobyte.registry", "Invalid", f'Invalid value: "a": {PAIR}'),
            (
                f"{ONE}.quobyte.tenant",
                "Required",
                "Required value: must be a UUID and may not exceed a length of 64 characters",
            ),
            (f"{ONE}.quobyte.volume", *REQUIRED),
        ],
    ),
    (
        "storageos",
        {"storageos": {"volumeName": "A", "volumeNamespace": "-", "secretRef": {}}},
        [
            (f"{ONE}.storageos.volumeName", "Invalid", f'Invalid value: "A": {LABEL}'),
            (f"{ONE}.storageos.volumeNamespace", "Invalid", f'Invalid value: "-": {LABEL}'),
            (f"{ONE}.storageos.secretRef.name", *REQUIRED),
        ],
    ),
    (
        "flocker",
        {"flocker": {"datasetName": "a", "datasetUUID": "b"}},
        [
            (
                f"{ONE}.flocker",
                "Invalid",
                'Invalid value: "resource": datasetName and datasetUUID can not be specified simultaneously',
            ),
        ],
    ),
    (
        "all that is wrong with flocker",
        {"flocker": {"datasetName": "a/b", "datasetUUID": "b"}},
        [
            (
                f"{ONE}.flocker",
                "Invalid",
                'Invalid value: "resource": datasetName and datasetUUID can not be specified simultaneously',
            ),
            (f"{ONE}.flocker.datasetName", "Invalid", "Invalid value: \"a/b\": must not contain '/'"),
        ],
    ),
    (
        "flocker's slash",
        {"flocker": {"datasetName": "a/b"}},
        [
            (f"{ONE}.flocker.datasetName", "Invalid", "Invalid value: \"a/b\": must not contain '/'"),
        ],
    ),
    (
        "fibre channel without a unit",
        {"fc": {"targetWWNs": ["a"]}},
        [
            (f"{ONE}.fc.lun", "Required", "Required value: lun is required if targetWWNs is specified"),
        ],
    ),
    ("cinder's secret", {"cinder": {"volumeID": "a", "secretRef": {}}}, [(f"{ONE}.cinder.secretRef.name", *REQUIRED)]),
    (
        "driver",
        {"csi": {"driver": "x" * 64}},
        [
            (f"{ONE}.csi.driver", "TooLong", "Too long: may not be more than 63 bytes"),
        ],
    ),
    (
        "driver's form",
        {"csi": {"driver": "a_b"}},
        [
            (f"{ONE}.csi.driver", "Invalid", f'Invalid value: "a_b": {SUBDOMAIN}'),
        ],
    ),
    (
        "two projections in one",
        {"projected": {"sources": [{"secret": {"name": "s"}, "configMap": {"name": "c"}}]}},
        [
            (
                f"{ONE}.projected.sources[0]",
                "Forbidden",
                "Forbidden: may not specify more than 1 volume type",
            ),
        ],
    ),
    (
        "certificate that lives too briefly",
        {"projected": {"sources": [{"podCertificate": certificate(3599)}]}},
        [
            (
                f"{ONE}.projected.sources[0].podCertificate.maxExpirationSeconds",
                "Invalid",
                "Invalid value: 3599: if provided, maxExpirationSeconds must be >= 3600",
            ),
        ],
    ),
    (
        "certificate that lives too long",
        {"projected": {"sources": [{"podCertificate": certificate(7862401)}]}},
        [
            (
                f"{ONE}.projected.sources[0].podCertificate.maxExpirationSeconds",
                "Invalid",
                "Invalid value: 7862401: if provided, maxExpirationSeconds must be <= 7862400",
            ),
        ],
    ),
    (
        "claim of the pod's own",
        {"ephemeral": {"volumeClaimTemplate": {"metadata": {"finalizers": ["a"]}, "spec": {"accessModes": []}}}},
        [
            (
                f"{ONE}.ephemeral.volumeClaimTemplate.metadata.finalizers",
                "Forbidden",
                "Forbidden: cannot be set for an ephemeral volume",
            ),
            (
                f"{ONE}.ephemeral.volumeClaimTemplate.spec.accessModes",
                "Required",
                "Required value: at least 1 access mode is required",
            ),
            (f"{ONE}.ephemeral.volumeClaimTemplate.spec.resources[storage]", *REQUIRED),
        ],
    ),
]

PERSISTENT: list[tuple[str, dict[str, Any], list[tuple[str, str, str]]]] = [
    (
        "nothing",
        {"capacity": {}, "accessModes": [], "nfs": {"server": "s", "path": "/"}},
        [
            ("spec.accessModes", *REQUIRED),
            ("spec.capacity", *REQUIRED),
            ("spec.capacity", "NotSupported", 'Unsupported value: {}: supported values: "storage"'),
        ],
    ),
    (
        "two sources",
        {"csi": {"driver": "a", "volumeHandle": "h"}, "nfs": {"server": "s", "path": "/"}},
        [
            ("spec.csi", "Forbidden", "Forbidden: may not specify more than 1 volume type"),
        ],
    ),
    (
        "target name",
        {"iscsi": {**ISCSI, "iqn": "target"}},
        [
            ("spec.iscsi.iqn", "Invalid", 'Invalid value: "target": must be valid format'),
        ],
    ),
    (
        "namespace of endpoints",
        {"glusterfs": {"endpoints": "a", "path": "b", "endpointsNamespace": ""}},
        [
            (
                "spec.glusterfs.endpointsNamespace",
                "Invalid",
                'Invalid value: "": if the endpointnamespace is set, it must be a valid namespace name',
            ),
        ],
    ),
    (
        "secret somewhere",
        {"storageos": {**STORAGE_OS, "secretRef": {}}},
        [
            ("spec.storageos.secretRef.name", *REQUIRED),
            ("spec.storageos.secretRef.namespace", *REQUIRED),
        ],
    ),
    (
        "attributes without a driver",
        {"nfs": {"server": "s", "path": "/"}, "volumeAttributesClassName": ""},
        [
            ("spec.volumeAttributesClassName", "Required", "Required value: an empty string is disallowed"),
            ("spec.csi", "Required", "Required value: has to be specified when using volumeAttributesClassName"),
        ],
    ),
    (
        "local",
        {"local": {"path": "/a"}},
        [
            ("spec.nodeAffinity", "Required", "Required value: Local volume requires node affinity"),
        ],
    ),
]


@pytest.mark.parametrize(("sources", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_volumes_of_pods(sources: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert create_findings(pod_volume(**sources)) == expected


@pytest.mark.parametrize(("spec", "expected"), [case[1:] for case in PERSISTENT], ids=[case[0] for case in PERSISTENT])
def test_persistent_volumes(spec: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert create_findings(volume(**spec)) == expected
