"""Pods: each rule's bad object gives exactly the finding that clients know."""

from __future__ import annotations

from typing import Any

import pytest
from documents import NOTHING, changed, create_findings

from tiphys.kinds import codec
from tiphys.kinds.core import account_volume, volume_validation
from tiphys.kinds.types import core_v1
from tiphys.machinery.field_errors import Path

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "serviceAccountName": "default",
        "containers": [
            {
                "name": "main",
                "image": "nginx",
                "ports": [{"containerPort": 80}],
                "env": [{"name": "A", "value": "b"}],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
        "volumes": [{"name": "data", "emptyDir": {}}],
    },
}
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
C = "spec.containers.0"
C0 = "spec.containers[0]"
# A volume that is not well formed cannot be mounted.
NO_MOUNT = (f"{C0}.volumeMounts[0].name", "NotFound", 'Not found: "data"')

ID_RANGE = "must be between 0 and 2147483647, inclusive"
ENV_FILE = {"volumeName": "data", "path": "a.env", "key": "K"}
FILE_REF = f"{C0}.env[0].valueFrom.fileKeyRef"

CASES: list[tuple[str, dict[str, Any], list[tuple[str, str, str]]]] = [
    (
        "a host name that no kernel takes",
        {"spec.hostnameOverride": "a" * 63 + ".b"},
        [("spec.hostnameOverride", "TooLong", "Too long: may not be more than 64 bytes")],
    ),
    (
        "a volume of no image",
        {"spec.volumes.0": {"name": "data", "image": {"pullPolicy": "Sometimes"}}},
        [
            (
                "spec.volumes[0].image.pullPolicy",
                "NotSupported",
                'Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
            ),
            ("spec.volumes[0].image.reference", "Required", "Required value"),
            NO_MOUNT,
        ],
    ),
    (
        "eviction responders",
        {
            "spec.evictionResponders": [
                {"name": "foo.example.com/a", "priority": 1000},
                {"name": "invalid", "priority": 100001},
                {"name": "dev.kubernetes.io/key", "priority": 999},
                {"name": "foo.example.com/a", "priority": -1},
            ],
            "spec.schedulingGroup": {"podGroupName": "A"},
        },
        [
            (
                "spec.evictionResponders[1].name",
                "Invalid",
                "Invalid value: \"invalid\": must be a domain-prefixed key (such as 'acme.io/foo')",
            ),
            (
                "spec.evictionResponders[1].priority",
                "Invalid",
                "Invalid value: 100001: must be less than or equal to 100000",
            ),
            (
                "spec.evictionResponders[2].name",
                "Invalid",
                'Invalid value: "dev.kubernetes.io/key": domain names *.k8s.io, *.kubernetes.io are reserved',
            ),
            (
                "spec.evictionResponders[2].priority",
                "Invalid",
                "Invalid value: 999: priorities 0-999 are reserved for responders with *.k8s.io suffix",
            ),
            ("spec.evictionResponders[3]", "Duplicate", 'Duplicate value: {"name":"foo.example.com/a"}'),
            (
                "spec.evictionResponders[3].priority",
                "Invalid",
                "Invalid value: -1: must be greater than or equal to 0",
            ),
            ("spec.schedulingGroup", "Forbidden", "Forbidden: may not be specified when `evictionResponders` is set"),
            ("spec.schedulingGroup.podGroupName", "Invalid", f'Invalid value: "A": {SUBDOMAIN}'),
        ],
    ),
    (
        "too many eviction responders",
        {"spec.evictionResponders": [{"name": f"a.b/{n}", "priority": 1000} for n in range(11)]},
        [("spec.evictionResponders", "TooMany", "Too many: 11: must have at most 10 items")],
    ),
    (
        "a group without a name",
        {"spec.schedulingGroup": {}},
        [("spec.schedulingGroup.podGroupName", "Required", "Required value")],
    ),
    (
        "mount options",
        {f"{C}.volumeMounts.0.bindMountOptions": ["noexec", "ro", "noexec"]},
        [
            (
                f"{C0}.volumeMounts[0].bindMountOptions[1]",
                "NotSupported",
                'Unsupported value: "ro": supported values: "nodev", "noexec", "nosuid"',
            ),
            (f"{C0}.volumeMounts[0].bindMountOptions[2]", "Duplicate", 'Duplicate value: "noexec"'),
        ],
    ),
    (
        "probe protocols",
        {
            f"{C}.livenessProbe": {"httpGet": {"port": 80, "protocol": "HTTP3"}},
            f"{C}.readinessProbe": {"httpGet": {"port": 80, "protocol": "HTTP2", "scheme": "HTTPS", "host": "h"}},
            f"{C}.startupProbe": {"grpc": {"port": 80, "mode": "tls"}},
        },
        [
            (
                f"{C0}.livenessProbe.httpGet.protocol",
                "NotSupported",
                'Unsupported value: "HTTP3": supported values: "HTTP1", "HTTP2"',
            ),
            (
                f"{C0}.readinessProbe.httpGet.protocol",
                "Invalid",
                "Invalid value: \"HTTP2\": may only be used when `scheme` is 'HTTP'",
            ),
            (f"{C0}.readinessProbe.httpGet.host", "Forbidden", "Forbidden: may not be set when `protocol` is 'HTTP2'"),
            (
                f"{C0}.startupProbe.grpc.mode",
                "NotSupported",
                'Unsupported value: "tls": supported values: "Plaintext", "TLS"',
            ),
        ],
    ),
    (
        "mode of an emptyDir",
        {"spec.volumes.0.emptyDir": {"mode": 0o2777}},
        [
            (
                "spec.volumes[0].emptyDir.mode",
                "Invalid",
                "Invalid value: 1535: must be a number between 0 and 01777 (octal), both inclusive",
            ),
            NO_MOUNT,
        ],
    ),
    (
        "users of files",
        {
            "spec.volumes.0": {"name": "data", "configMap": {"name": "m", "defaultUser": -1}},
            "spec.volumes.1": {
                "name": "more",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"path": "t", "user": -2}},
                        {"secret": {"name": "s", "items": [{"key": "k", "path": "p", "user": -3}]}},
                    ]
                },
            },
        },
        [
            ("spec.volumes[0].configMap.defaultUser", "Invalid", f"Invalid value: -1: {ID_RANGE}"),
            (
                "spec.volumes[1].projected.sources[0].serviceAccountToken.user",
                "Invalid",
                f"Invalid value: -2: {ID_RANGE}",
            ),
            ("spec.volumes[1].projected.sources[1].secret.items[0].user", "Invalid", f"Invalid value: -3: {ID_RANGE}"),
            NO_MOUNT,
        ],
    ),
    (
        "namespaces of the host without its users",
        {"spec.hostUsers": False, "spec.hostPID": True, "spec.hostIPC": True},
        [
            ("spec.HostPID", "Forbidden", "Forbidden: when `pod.Spec.HostUsers` is false"),
            ("spec.HostIPC", "Forbidden", "Forbidden: when `pod.Spec.HostUsers` is false"),
        ],
    ),
    (
        "sysctl of the host's network",
        {
            "spec.hostNetwork": True,
            "spec.securityContext.sysctls": [{"name": "net/core.somaxconn", "value": "1"}],
        },
        [
            (
                "spec.securityContext.sysctls[0].name",
                "Invalid",
                "Invalid value: \"net/core.somaxconn\": may not be specified when 'hostNetwork' is true",
            )
        ],
    ),
    (
        "value of a toleration that needs none",
        {"spec.tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
        [
            (
                "spec.tolerations[0].operator",
                "Invalid",
                "Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
            )
        ],
    ),
    (
        "empty runtime class",
        {"spec.runtimeClassName": ""},
        [("spec.runtimeClassName", "Invalid", f'Invalid value: "": {SUBDOMAIN}')],
    ),
    ("unnamed system", {"spec.os": {"name": ""}}, [("spec.os.name", "Required", "Required value: cannot be empty")]),
    (
        "unknown system",
        {"spec.os": {"name": "hurd"}},
        [("spec.os", "NotSupported", 'Unsupported value: "hurd": supported values: "linux", "windows"')],
    ),
    (
        "what only Windows has",
        {"spec.os": {"name": "linux"}, f"{C}.securityContext.windowsOptions": {}},
        [
            (
                f"{C0}.securityContext.windowsOptions",
                "Forbidden",
                "Forbidden: windows options cannot be set for a linux pod",
            )
        ],
    ),
    (
        "what only Linux has",
        {
            "spec.os": {"name": "windows"},
            "spec.hostUsers": True,
            "spec.hostPID": False,
            "spec.securityContext": {"seLinuxChangePolicy": "Recursive", "sysctls": []},
            f"{C}.securityContext": {"privileged": False},
        },
        [
            ("spec.hostUsers", "Forbidden", "Forbidden: cannot be set for a windows pod"),
            ("spec.securityContext.seLinuxChangePolicy", "Forbidden", "Forbidden: cannot be set for a windows pod"),
            (f"{C0}.securityContext.privileged", "Forbidden", "Forbidden: cannot be set for a windows pod"),
        ],
    ),
    (
        "processes of the host, some",
        {
            "spec.securityContext.windowsOptions": {"hostProcess": True},
            "spec.initContainers": [
                {"name": "i", "image": "i", "securityContext": {"windowsOptions": {"hostProcess": False}}}
            ],
        },
        [
            (
                "spec.initContainers[0].securityContext.windowsOptions.hostProcess",
                "Invalid",
                "Invalid value: false: pod hostProcess value must be identical if both are specified, was true",
            ),
            (
                "spec",
                "Invalid",
                'Invalid value: "": If pod contains any hostProcess containers then all containers must be HostProcess'
                " containers",
            ),
            (
                "spec.hostNetwork",
                "Invalid",
                "Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers",
            ),
        ],
    ),
    (
        "claims of nothing",
        {f"{C}.resources.claims": [{"name": "gpu", "request": "A"}]},
        [
            (f"{C0}.resources.claims[0].request", "Invalid", f'Invalid value: "A": {LABEL}'),
            (
                f"{C0}.resources.claims[0]",
                "NotFound",
                'Not found: "gpu": must be one of the names in pod.spec.resourceClaims which is empty',
            ),
        ],
    ),
    (
        "a claim without a name to it",
        {"spec.resourceClaims": [{"name": "gpu", "resourceClaimName": ""}]},
        [("spec.resourceClaims[0].resourceClaimName", "Invalid", f'Invalid value: "": {SUBDOMAIN}')],
    ),
    (
        "claims of the whole pod",
        {"spec.resources": {"claims": [], "requests": {"cpu": "1"}}},
        [("spec.resources.claims", "Forbidden", "Forbidden: claims cannot be set for Resources at pod-level")],
    ),
    (
        "containers that need more than the pod has",
        {
            "spec.resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1Gi"}},
            f"{C}.resources": {
                "requests": {"memory": "512Mi", "ephemeral-storage": "1Gi"},
                "limits": {"memory": "2Gi"},
            },
            "spec.initContainers": [
                {
                    "name": "s",
                    "image": "s",
                    "restartPolicy": "Always",
                    "resources": {"requests": {"memory": "1Gi"}},
                    "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
                }
            ],
        },
        [
            (
                "spec.resources.requests[memory]",
                "Invalid",
                'Invalid value: "1Gi": must be greater than or equal to aggregate container requests of 1536Mi',
            ),
            (
                "spec.resources.containers[0][memory].limits",
                "Invalid",
                'Invalid value: "2Gi": must be less than or equal to pod limits of 1Gi',
            ),
        ],
    ),
    (
        "a resize policy of an init container",
        {
            "spec.initContainers": [
                {"name": "i", "image": "i", "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}]}
            ]
        },
        [],
    ),
    ("variable out of a file", {f"{C}.env": [{"name": "A", "valueFrom": {"fileKeyRef": ENV_FILE}}]}, []),
    (
        "variable out of a file of no volume",
        {f"{C}.env": [{"name": "A", "valueFrom": {"fileKeyRef": {**ENV_FILE, "volumeName": "none"}}}]},
        [(f"{FILE_REF}.volumeName", "NotFound", 'Not found: "none"')],
    ),
    (
        "variable out of a file of the node",
        {
            "spec.volumes.0": {"name": "data", "hostPath": {"path": "/x"}},
            f"{C}.env": [{"name": "A", "valueFrom": {"fileKeyRef": {**ENV_FILE, "key": "k" * 129}}}],
        },
        [
            (f"{FILE_REF}.key", "TooLong", "Too long: may not be more than 128 bytes"),
            (
                f"{FILE_REF}.volumeName",
                "Invalid",
                'Invalid value: "data": referenced volume must be of type emptyDir',
            ),
        ],
    ),
    ("no containers", {"spec.containers": []}, [("spec.containers", "Required", "Required value")]),
    ("no name", {f"{C}.name": ""}, [(f"{C0}.name", "Required", "Required value")]),
    ("bad name", {f"{C}.name": "Main"}, [(f"{C0}.name", "Invalid", f'Invalid value: "Main": {LABEL}')]),
    ("no image", {f"{C}.image": ""}, [(f"{C0}.image", "Required", "Required value")]),
    (
        "image with blanks",
        {f"{C}.image": " nginx"},
        [(f"{C0}.image", "Invalid", 'Invalid value: " nginx": must not have leading or trailing whitespace')],
    ),
    (
        "same name twice",
        {"spec.containers.1": {"name": "main", "image": "a"}},
        [("spec.containers[1].name", "Duplicate", 'Duplicate value: "main"')],
    ),
    (
        "pull policy",
        {f"{C}.imagePullPolicy": "Sometimes"},
        [
            (
                f"{C0}.imagePullPolicy",
                "NotSupported",
                'Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
            )
        ],
    ),
    (
        "port out of range",
        {f"{C}.ports.0.containerPort": 70000},
        [
            (
                f"{C0}.ports[0].containerPort",
                "Invalid",
                "Invalid value: 70000: must be between 1 and 65535, inclusive",
            )
        ],
    ),
    ("no port", {f"{C}.ports.0": {}}, [(f"{C0}.ports[0].containerPort", "Required", "Required value")]),
    (
        "port name",
        {f"{C}.ports.0.name": "a_b"},
        [
            (
                f"{C0}.ports[0].name",
                "Invalid",
                'Invalid value: "a_b": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
            )
        ],
    ),
    (
        "protocol",
        {f"{C}.ports.0.protocol": "ICMP"},
        [
            (
                f"{C0}.ports[0].protocol",
                "NotSupported",
                'Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
            )
        ],
    ),
    (
        "host port twice",
        {f"{C}.ports": [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81, "hostPort": 8080}]},
        [(f"{C0}.ports[1].hostPort", "Duplicate", 'Duplicate value: "TCP//8080"')],
    ),
    (
        "host network with another host port",
        {"spec.hostNetwork": True, f"{C}.ports.0.hostPort": 8080},
        [
            (
                f"{C0}.ports[0].hostPort",
                "Invalid",
                "Invalid value: 8080: must match `containerPort` when `hostNetwork` is true",
            )
        ],
    ),
    ("variable without name", {f"{C}.env.0.name": ""}, [(f"{C0}.env[0].name", "Required", "Required value")]),
    (
        "variable name",
        {f"{C}.env.0.name": "a=b"},
        [
            (
                f"{C0}.env[0].name",
                "Invalid",
                'Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII'
                " characters other than '='",
            )
        ],
    ),
    (
        "value and valueFrom",
        {f"{C}.env.0.valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        [(f"{C0}.env[0].valueFrom", "Invalid", 'Invalid value: "": may not be specified when `value` is not empty')],
    ),
    (
        "unknown field",
        {f"{C}.env.0": {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.whatever"}}}},
        [
            (
                f"{C0}.env[0].valueFrom.fieldRef.fieldPath",
                "Invalid",
                'Invalid value: "metadata.whatever": error converting fieldPath: field label not supported:'
                " metadata.whatever",
            )
        ],
    ),
    (
        "field that only files may have",
        {f"{C}.env.0": {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels"}}}},
        [
            (
                f"{C0}.env[0].valueFrom.fieldRef.fieldPath",
                "NotSupported",
                'Unsupported value: "metadata.labels": supported values: "metadata.name", "metadata.namespace",'
                ' "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs",'
                ' "status.podIP", "status.podIPs"',
            )
        ],
    ),
    (
        "secret key without name and key",
        {f"{C}.env.0": {"name": "A", "valueFrom": {"secretKeyRef": {"key": ""}}}},
        [
            (f"{C0}.env[0].valueFrom.secretKeyRef.name", "Invalid", f'Invalid value: "": {SUBDOMAIN}'),
            (f"{C0}.env[0].valueFrom.secretKeyRef.key", "Required", "Required value"),
        ],
    ),
    (
        "resource field",
        {f"{C}.env.0": {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "2"}}}},
        [
            (
                f"{C0}.env[0].valueFrom.resourceFieldRef.divisor",
                "Invalid",
                'Invalid value: "limits.cpu": only divisor\'s values 1m and 1 are supported with the cpu resource',
            )
        ],
    ),
    (
        "envFrom nothing",
        {f"{C}.envFrom": [{"prefix": "A"}]},
        [(f"{C0}.envFrom", "Invalid", 'Invalid value: "": must specify one of: `configMapRef` or `secretRef`')],
    ),
    (
        "request above limit",
        {f"{C}.resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
        [
            (
                f"{C0}.resources.requests",
                "Invalid",
                'Invalid value: "2": must be less than or equal to cpu limit of 1',
            )
        ],
    ),
    (
        "negative request",
        {f"{C}.resources": {"requests": {"memory": "-1"}}},
        [
            (
                f"{C0}.resources.requests[memory]",
                "Invalid",
                'Invalid value: "-1": must be greater than or equal to 0',
            )
        ],
    ),
    (
        "unknown resource",
        {f"{C}.resources": {"requests": {"gpus": "1"}}},
        [
            (
                f"{C0}.resources.requests[gpus]",
                "Invalid",
                'Invalid value: "gpus": must be a standard resource type or fully qualified',
            ),
            (
                f"{C0}.resources.requests[gpus]",
                "Invalid",
                'Invalid value: "gpus": must be a standard resource for containers',
            ),
        ],
    ),
    (
        "extended resource without limit",
        {f"{C}.resources": {"requests": {"example.com/gpu": "1"}}},
        [
            (
                f"{C0}.resources.limits",
                "Required",
                "Required value: Limit must be set for non overcommitable resources",
            )
        ],
    ),
    (
        "fraction of an extended resource",
        {f"{C}.resources": {"limits": {"example.com/gpu": "1500m"}}},
        [
            (f"{C0}.resources.limits[example.com/gpu]", "Invalid", 'Invalid value: "1500m": must be an integer'),
            (f"{C0}.resources.requests[example.com/gpu]", "Invalid", 'Invalid value: "1500m": must be an integer'),
        ],
    ),
    (
        "huge pages alone",
        {f"{C}.resources": {"limits": {"hugepages-2Mi": "2Mi"}}},
        [(f"{C0}.resources", "Forbidden", "Forbidden: HugePages require cpu or memory")],
    ),
    (
        "mount of no volume",
        {f"{C}.volumeMounts.0.name": "other"},
        [(f"{C0}.volumeMounts[0].name", "NotFound", 'Not found: "other"')],
    ),
    (
        "two mounts at one path",
        {f"{C}.volumeMounts.1": {"name": "data", "mountPath": "/data"}},
        [(f"{C0}.volumeMounts[1].mountPath", "Invalid", 'Invalid value: "/data": must be unique')],
    ),
    (
        "sub path outside",
        {f"{C}.volumeMounts.0.subPath": "../x"},
        [(f"{C0}.volumeMounts.subPath", "Invalid", "Invalid value: \"../x\": must not contain '..'")],
    ),
    (
        "propagation needs privileges",
        {f"{C}.volumeMounts.0.mountPropagation": "Bidirectional"},
        [
            (
                f"{C0}.volumeMounts.mountPropagation",
                "Forbidden",
                "Forbidden: Bidirectional mount propagation is available only to privileged containers",
            )
        ],
    ),
    (
        "device of a directory",
        {f"{C}.volumeMounts": [], f"{C}.volumeDevices": [{"name": "data", "devicePath": "/dev/a"}]},
        [
            (
                f"{C0}.volumeDevices[0].name",
                "Invalid",
                'Invalid value: "data": can only use volume source type of PersistentVolumeClaim or Ephemeral for block'
                " mode",
            )
        ],
    ),
    (
        "probe without handler",
        {f"{C}.livenessProbe": {}},
        [(f"{C0}.livenessProbe", "Required", "Required value: must specify a handler type")],
    ),
    (
        "two handlers",
        {f"{C}.readinessProbe": {"tcpSocket": {"port": 80}, "httpGet": {"port": "http"}}},
        [(f"{C0}.readinessProbe.tcpSocket", "Forbidden", "Forbidden: may not specify more than 1 handler type")],
    ),
    (
        "liveness that must succeed twice",
        {f"{C}.livenessProbe": {"tcpSocket": {"port": 80}, "successThreshold": 2}},
        [(f"{C0}.livenessProbe.successThreshold", "Invalid", "Invalid value: 2: must be 1")],
    ),
    (
        "negative delay, port zero",
        {f"{C}.startupProbe": {"httpGet": {"port": 0}, "initialDelaySeconds": -1}},
        [
            (
                f"{C0}.startupProbe.httpGet.port",
                "Invalid",
                "Invalid value: 0: must be between 1 and 65535, inclusive",
            ),
            (
                f"{C0}.startupProbe.initialDelaySeconds",
                "Invalid",
                "Invalid value: -1: must be greater than or equal to 0",
            ),
        ],
    ),
    (
        "grace of a readiness probe",
        {f"{C}.readinessProbe": {"tcpSocket": {"port": 80}, "terminationGracePeriodSeconds": 5}},
        [
            (
                f"{C0}.readinessProbe.terminationGracePeriodSeconds",
                "Invalid",
                "Invalid value: 5: must not be set for readinessProbes",
            )
        ],
    ),
    (
        "sleep longer than the grace period",
        {f"{C}.lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
        [
            (
                f"{C0}.lifecycle.preStop.sleep",
                "Invalid",
                "Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
            )
        ],
    ),
    (
        "user id",
        {f"{C}.securityContext": {"runAsUser": -1}},
        [
            (
                f"{C0}.securityContext.runAsUser",
                "Invalid",
                "Invalid value: -1: must be between 0 and 2147483647, inclusive",
            )
        ],
    ),
    (
        "privileged without escalation",
        {f"{C}.securityContext": {"privileged": True, "allowPrivilegeEscalation": False}},
        [
            (
                f"{C0}.securityContext",
                "Invalid",
                'Invalid value: {"allowPrivilegeEscalation":false,"privileged":true}: cannot set'
                " `allowPrivilegeEscalation` to false and `privileged` to true",
            )
        ],
    ),
    (
        "seccomp profile",
        {"spec.securityContext": {"seccompProfile": {"type": "Localhost"}}},
        [
            (
                "spec.securityContext.seccompProfile.localhostProfile",
                "Required",
                "Required value: must be set when seccomp type is Localhost",
            )
        ],
    ),
    (
        "volume without name",
        {"spec.volumes.1": {"emptyDir": {}}},
        [("spec.volumes[1].name", "Required", "Required value")],
    ),
    (
        "volume twice",
        {"spec.volumes.1": {"name": "data", "emptyDir": {}}},
        [("spec.volumes[1].name", "Duplicate", 'Duplicate value: "data"')],
    ),
    (
        "two sources",
        {"spec.volumes.0.hostPath": {"path": "/a"}},
        [("spec.volumes[0].hostPath", "Forbidden", "Forbidden: may not specify more than 1 volume type"), NO_MOUNT],
    ),
    (
        "host path type",
        {"spec.volumes.0": {"name": "data", "hostPath": {"path": "/a", "type": "Dir"}}},
        [
            (
                "spec.volumes[0].hostPath.type",
                "NotSupported",
                'Unsupported value: "Dir": supported values: "", "BlockDevice", "CharDevice", "Directory",'
                ' "DirectoryOrCreate", "File", "FileOrCreate", "Socket"',
            ),
            NO_MOUNT,
        ],
    ),
    (
        "mode of a secret",
        {"spec.volumes.0": {"name": "data", "secret": {"defaultMode": 512}}},
        [
            ("spec.volumes[0].secret.secretName", "Required", "Required value"),
            (
                "spec.volumes[0].secret.defaultMode",
                "Invalid",
                "Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive",
            ),
            NO_MOUNT,
        ],
    ),
    (
        "item path",
        {"spec.volumes.0": {"name": "data", "configMap": {"name": "c", "items": [{"key": "k", "path": "/abs"}]}}},
        [
            (
                "spec.volumes[0].configMap.items[0].path",
                "Invalid",
                'Invalid value: "/abs": must be a relative path',
            ),
            NO_MOUNT,
        ],
    ),
    (
        "one file twice",
        {
            "spec.volumes.0": {
                "name": "data",
                "projected": {
                    "sources": [
                        {"configMap": {"name": "c", "items": [{"key": "k", "path": "p"}]}},
                        {"secret": {"name": "s", "items": [{"key": "k", "path": "p"}]}},
                    ]
                },
            }
        },
        [
            ("spec.volumes[0].projected", "Invalid", 'Invalid value: "s": conflicting duplicate paths'),
            NO_MOUNT,
        ],
    ),
    (
        "short-lived token",
        {
            "spec.volumes.0": {
                "name": "data",
                "projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 60}}]},
            }
        },
        [
            (
                "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds",
                "Invalid",
                "Invalid value: 60: may not specify a duration less than 10 minutes",
            ),
            NO_MOUNT,
        ],
    ),
    (
        "token without account",
        {
            "spec.serviceAccountName": NOTHING,
            "spec.volumes.0": {"name": "data", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        },
        [
            (
                "spec.volumes[0].projected.sources[0].serviceAccountToken",
                "Forbidden",
                "Forbidden: must not be specified when serviceAccountName is not set",
            )
        ],
    ),
    (
        "claim without name",
        {"spec.volumes.0": {"name": "data", "persistentVolumeClaim": {"claimName": ""}}},
        [("spec.volumes[0].persistentVolumeClaim.claimName", "Required", "Required value"), NO_MOUNT],
    ),
    (
        "restart policy",
        {"spec.restartPolicy": "Maybe"},
        [
            (
                "spec.restartPolicy",
                "NotSupported",
                'Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"',
            )
        ],
    ),
    (
        "no DNS at all",
        {"spec.dnsPolicy": "None"},
        [("spec.dnsConfig", "Required", "Required value: must provide `dnsConfig` when `dnsPolicy` is None")],
    ),
    (
        "nameserver",
        {"spec.dnsConfig": {"nameservers": ["dns"]}},
        [
            (
                "spec.dnsConfig.nameservers[0]",
                "Invalid",
                'Invalid value: "dns": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
            )
        ],
    ),
    (
        "toleration without key",
        {"spec.tolerations": [{"value": "a"}]},
        [
            (
                "spec.tolerations[0].operator",
                "Invalid",
                'Invalid value: "": operator must be Exists when `key` is empty, which means "match all values and all'
                ' keys"',
            )
        ],
    ),
    (
        "toleration for seconds",
        {"spec.tolerations": [{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 5}]},
        [
            (
                "spec.tolerations[0].effect",
                "Invalid",
                "Invalid value: \"NoSchedule\": effect must be 'NoExecute' when `tolerationSeconds` is set",
            )
        ],
    ),
    (
        "affinity weight",
        {
            "spec.affinity": {
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 0, "podAffinityTerm": {}}]
                }
            }
        },
        [
            (
                "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight",
                "Invalid",
                "Invalid value: 0: must be in the range 1-100",
            ),
            (
                "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey",
                "Required",
                "Required value: can not be empty",
            ),
        ],
    ),
    (
        "spread",
        {"spec.topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "Panic"}]},
        [
            (
                "spec.topologySpreadConstraints[0].maxSkew",
                "Invalid",
                "Invalid value: 0: must be greater than zero",
            ),
            (
                "spec.topologySpreadConstraints[0].whenUnsatisfiable",
                "NotSupported",
                'Unsupported value: "Panic": supported values: "DoNotSchedule", "ScheduleAnyway"',
            ),
        ],
    ),
    (
        "deadline",
        {"spec.activeDeadlineSeconds": 0},
        [
            (
                "spec.activeDeadlineSeconds",
                "Invalid",
                "Invalid value: 0: must be between 1 and 2147483647, inclusive",
            )
        ],
    ),
    (
        "ephemeral container at once",
        {"spec.ephemeralContainers": [{"name": "e", "image": "a", "terminationMessagePolicy": "File"}]},
        [("spec.ephemeralContainers", "Forbidden", "Forbidden: cannot be set on create")],
    ),
    (
        "gated pod with a node",
        {"spec.nodeName": "n", "spec.schedulingGates": [{"name": "a/b"}]},
        [
            (
                "spec.nodeName",
                "Forbidden",
                "Forbidden: cannot be set until all schedulingGates have been cleared",
            )
        ],
    ),
    (
        "probe of a plain init container",
        {"spec.initContainers": [{"name": "i", "image": "a", "livenessProbe": {"tcpSocket": {"port": 1}}}]},
        [
            (
                "spec.initContainers[0].livenessProbe",
                "Forbidden",
                "Forbidden: may not be set for init containers without restartPolicy=Always",
            )
        ],
    ),
    (
        "init container by the name of another",
        {"spec.initContainers": [{"name": "main", "image": "a"}]},
        [("spec.initContainers[0].name", "Duplicate", 'Duplicate value: "main"')],
    ),
    (
        "host alias",
        {"spec.hostAliases": [{"ip": "a", "hostnames": ["b"]}]},
        [
            (
                "spec.hostAliases[0].ip",
                "Invalid",
                'Invalid value: "a": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
            )
        ],
    ),
    (
        "shared processes on the host's",
        {"spec.hostPID": True, "spec.shareProcessNamespace": True},
        [
            (
                "spec.securityContext.shareProcessNamespace",
                "Invalid",
                "Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled",
            )
        ],
    ),
]

GOOD: list[tuple[str, dict[str, Any]]] = [
    ("as it is", {}),
    (
        "sidecar with probe",
        {
            "spec.initContainers": [
                {
                    "name": "i",
                    "image": "a",
                    "restartPolicy": "Always",
                    "startupProbe": {"httpGet": {"port": 80, "httpHeaders": [{"name": "X-A", "value": "b"}]}},
                }
            ]
        },
    ),
    ("limit only", {f"{C}.resources": {"limits": {"cpu": "1", "memory": "1Gi", "example.com/gpu": "2"}}}),
    ("host network", {"spec.hostNetwork": True}),
    (
        "labels as variables and files",
        {
            f"{C}.env.0": {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            "spec.volumes.0": {
                "name": "data",
                "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]},
            },
        },
    ),
    (
        "usual projected volume",
        {
            "spec.volumes.0": {
                "name": "data",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                        {
                            "downwardAPI": {
                                "items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]
                            }
                        },
                    ]
                },
            }
        },
    ),
    ("tolerates everything", {"spec.tolerations": [{"operator": "Exists"}]}),
    (
        "node affinity",
        {
            "spec.affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [
                            {
                                "matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}],
                                "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}],
                            }
                        ]
                    }
                }
            }
        },
    ),
    ("hooks", {f"{C}.lifecycle": {"preStop": {"exec": {"command": ["true"]}}, "postStart": {"sleep": {"seconds": 1}}}}),
    ("no DNS but its own", {"spec.dnsPolicy": "None", "spec.dnsConfig": {"nameservers": ["10.0.0.1"]}}),
]


@pytest.mark.parametrize(("changes", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_bad_pods(changes: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert create_findings(changed(POD, changes)) == expected


@pytest.mark.parametrize("changes", [case[1] for case in GOOD], ids=[case[0] for case in GOOD])
def test_good_pods(changes: dict[str, Any]) -> None:
    assert create_findings(changed(POD, changes)) == []


def test_all_findings_at_once() -> None:
    pod = changed(POD, {f"{C}.image": "", f"{C}.name": "", "spec.restartPolicy": "x", "spec.volumes.0.name": "other"})
    assert [field for field, _, _ in create_findings(pod)] == [
        f"{C0}.name",
        f"{C0}.image",
        f"{C0}.volumeMounts[0].name",
        "spec.restartPolicy",
    ]


def test_the_volume_of_the_service_account_is_valid_as_the_rules_see_it() -> None:
    volume = account_volume.account_volume("kube-api-access-x")
    assert account_volume.is_account_volume(volume)
    assert volume_validation._source_findings(volume, Path("spec.volumes[0]")) == []
    other = codec.copy(volume)
    other.emptyDir = core_v1.EmptyDirVolumeSource()
    assert not account_volume.is_account_volume(other)
    other = codec.copy(volume)
    assert other.projected is not None and other.projected.sources is not None
    assert account_volume.is_account_volume(other)
    del other.projected.sources[0]
    assert not account_volume.is_account_volume(other)


def test_templates_leave_more_to_their_users() -> None:
    spec = changed(
        POD,
        {
            "spec.hostNetwork": True,
            f"{C}.image": " ",
            "spec.volumes.0": {"name": "data", "image": {"pullPolicy": "Always"}},
        },
    )["spec"]
    holder = {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": "web", "namespace": "default"},
        "template": {"spec": spec},
    }
    assert create_findings(holder) == []
    assert [field for field, _, _ in create_findings({**POD, "spec": spec})] == [
        "spec.volumes[0].image.reference",
        f"{C0}.image",
        f"{C0}.volumeMounts[0].name",
    ]
