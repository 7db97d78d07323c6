"""ConfigMap, Secret, Service, Namespace, Node, Endpoints, quotas, volumes: defaults, rules, columns."""

from __future__ import annotations

from typing import Any

import pytest
from documents import (
    NOTHING,
    NOW,
    changed,
    create_findings,
    created,
    decoded,
    resource_for,
    row,
    stored,
    told,
    update_findings,
)

from tiphys.kinds import codec
from tiphys.kinds.conversion import event_from_core
from tiphys.kinds.core import resource_quota
from tiphys.kinds.core import service as services

META = {"name": "a", "namespace": "default"}


def core(kind: str, **content: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": dict(META), **content}


CONFIG = core("ConfigMap", data={"a.conf": "x"})
KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or"
    " 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
SERVICE = core("Service", spec={"ports": [{"port": 80}], "selector": {"app": "web"}})
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "spec": {}}
CLAIM = core(
    "PersistentVolumeClaim", spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
)
VOLUME = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {"name": "v"},
    "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/v"}},
}
LIMITS = core("LimitRange", spec={"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}]})
QUOTA = core("ResourceQuota", spec={"hard": {"pods": "3", "limits.cpu": "2"}})
ENDPOINTS = core("Endpoints", subsets=[{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}])
EVENT = core("Event", involvedObject={"kind": "Pod", "name": "p", "namespace": "default"}, reason="R", type="Normal")
PROTOCOL = 'Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"'

CREATES: list[tuple[str, dict[str, Any], dict[str, Any], list[tuple[str, str, str]]]] = [
    ("configuration", CONFIG, {}, []),
    ("key", CONFIG, {"data": {"a/b": ""}}, [("data[a/b]", "Invalid", f'Invalid value: "a/b": {KEY}')]),
    (
        "key twice",
        CONFIG,
        {"binaryData": {"a.conf": ""}},
        [("data[a.conf]", "Invalid", 'Invalid value: "a.conf": duplicate of key present in binaryData: a.conf')],
    ),
    (
        "too much configuration",
        CONFIG,
        {"data": {"a": "x" * (1024 * 1024 + 1)}},
        [("", "TooLong", "Too long: may not be more than 1048576 bytes")],
    ),
    (
        "secret without its keys",
        core("Secret", type="kubernetes.io/tls", data={"tls.crt": ""}),
        {},
        [("data[tls.key]", "Required", "Required value")],
    ),
    (
        "token of no account",
        core("Secret", type="kubernetes.io/service-account-token"),
        {},
        [("metadata.annotations[kubernetes.io/service-account.name]", "Required", "Required value")],
    ),
    ("service", SERVICE, {}, []),
    ("headless service", SERVICE, {"spec.clusterIP": "None", "spec.ports": NOTHING}, []),
    ("service without ports", SERVICE, {"spec.ports": []}, [("spec.ports", "Required", "Required value")]),
    (
        "two ports without names",
        SERVICE,
        {"spec.ports.1": {"port": 81}},
        [("spec.ports[0].name", "Required", "Required value"), ("spec.ports[1].name", "Required", "Required value")],
    ),
    (
        "protocol of a service",
        SERVICE,
        {"spec.ports.0.protocol": "ICMP"},
        [("spec.ports[0].protocol", "NotSupported", PROTOCOL)],
    ),
    (
        "node port of an inner service",
        SERVICE,
        {"spec.ports.0.nodePort": 30000},
        [("spec.ports[0].nodePort", "Forbidden", "Forbidden: may not be used when `type` is 'ClusterIP'")],
    ),
    (
        "external name",
        SERVICE,
        {"spec": {"type": "ExternalName"}},
        [("spec.externalName", "Required", "Required value")],
    ),
    (
        "type of a service",
        SERVICE,
        {"spec.type": "Ingress"},
        [
            (
                "spec.type",
                "NotSupported",
                'Unsupported value: "Ingress": supported values: "ClusterIP", "ExternalName", "LoadBalancer",'
                ' "NodePort"',
            )
        ],
    ),
    (
        "affinity for too long",
        SERVICE,
        {"spec.sessionAffinity": "ClientIP", "spec.sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 90000}}},
        [
            (
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
                "Invalid",
                "Invalid value: 90000: must be greater than 0 and less than 86400",
            )
        ],
    ),
    (
        "address of another family",
        SERVICE,
        {"spec.clusterIP": "10.0.0.1", "spec.ipFamilies": ["IPv6"]},
        [
            (
                "spec.clusterIPs[0]",
                "Invalid",
                'Invalid value: "10.0.0.1": expected an IPv6 value as indicated by `ipFamilies[0]`',
            )
        ],
    ),
    (
        "external policy of an inner service",
        SERVICE,
        {"spec.externalTrafficPolicy": "Local"},
        [
            (
                "spec.externalTrafficPolicy",
                "Invalid",
                'Invalid value: "Local": may only be set for externally-accessible services',
            )
        ],
    ),
    ("node", NODE, {}, []),
    (
        "room for pods that grow",
        NODE,
        {"spec": {"podPreemptionPolicy": {"disableResizePreemption": ["a"]}}},
        [("spec.podPreemptionPolicy", "Forbidden", "Forbidden: this cluster makes no room for pods that grow")],
    ),
    (
        "taint",
        NODE,
        {"spec.taints": [{"key": "a", "effect": "NoRun"}]},
        [
            (
                "metadata.taints[0].effect",
                "NotSupported",
                'Unsupported value: "NoRun": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
            )
        ],
    ),
    (
        "pod network",
        NODE,
        {"spec.podCIDR": "10.0.0.0"},
        [
            (
                "spec.podCIDRs[0]",
                "Invalid",
                'Invalid value: "10.0.0.0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
            )
        ],
    ),
    ("endpoints", ENDPOINTS, {}, []),
    (
        "endpoint on this machine",
        ENDPOINTS,
        {"subsets.0.addresses.0.ip": "169.254.1.1"},
        [
            (
                "subsets[0].addresses[0].ip",
                "Invalid",
                'Invalid value: "169.254.1.1": may not be in the link-local range (169.254.0.0/16, fe80::/10)',
            )
        ],
    ),
    ("event", EVENT, {}, []),
    (
        "event about another namespace",
        EVENT,
        {"involvedObject.namespace": "other"},
        [("involvedObject.namespace", "Invalid", 'Invalid value: "other": does not match event.namespace')],
    ),
    ("claim", CLAIM, {}, []),
    (
        "claim without size and mode",
        CLAIM,
        {"spec": {}},
        [
            ("spec.accessModes", "Required", "Required value: at least 1 access mode is required"),
            ("spec.resources[storage]", "Required", "Required value"),
        ],
    ),
    (
        "access mode",
        CLAIM,
        {"spec.accessModes": ["Write"]},
        [
            (
                "spec.accessModes",
                "NotSupported",
                'Unsupported value: "Write": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce",'
                ' "ReadWriteOncePod"',
            )
        ],
    ),
    ("volume", VOLUME, {}, []),
    (
        "volume of nothing",
        VOLUME,
        {"spec.hostPath": NOTHING},
        [("spec", "Required", "Required value: must specify a volume type")],
    ),
    (
        "local volume anywhere",
        VOLUME,
        {"spec.hostPath": NOTHING, "spec.local": {"path": "/v"}},
        [("spec.nodeAffinity", "Required", "Required value: Local volume requires node affinity")],
    ),
    ("limits", LIMITS, {}, []),
    (
        "minimum above maximum",
        LIMITS,
        {"spec.limits.0": {"type": "Pod", "max": {"cpu": "1"}, "min": {"cpu": "2"}}},
        [("spec.limits[0].min[cpu]", "Invalid", 'Invalid value: "2": min value 2 is greater than max value 1')],
    ),
    (
        "defaults below the least",
        LIMITS,
        {"spec.limits.0": {"type": "Container", "min": {"cpu": "2"}, "default": {"cpu": "1"}, "max": {"cpu": "4"}}},
        [
            (
                "spec.limits[0].defaultRequest[cpu]",
                "Invalid",
                'Invalid value: "1": min value 2 is greater than default request value 1',
            ),
            (
                "spec.limits[0].default[cpu]",
                "Invalid",
                'Invalid value: "1": min value 2 is greater than default value 1',
            ),
        ],
    ),
    (
        "what is limited",
        LIMITS,
        {"spec.limits.0": {"type": "Disk", "max": {"storage": "1Gi"}}},
        [
            (
                "spec.limits[0].type",
                "Invalid",
                'Invalid value: "Disk": must be a standard limit type or fully qualified',
            )
        ],
    ),
    (
        "limits of pods",
        LIMITS,
        {"spec.limits.0": {"type": "Pod", "max": {"pods": "1"}}},
        [
            (
                "spec.limits[0].max[pods]",
                "Invalid",
                'Invalid value: "pods": must be a standard resource for containers',
            )
        ],
    ),
    ("quota", QUOTA, {}, []),
    (
        "quota of a fraction",
        QUOTA,
        {"spec.hard.pods": "500m"},
        [("spec.hard[pods]", "Invalid", 'Invalid value: "500m": must be an integer')],
    ),
    (
        "quota of something unknown",
        QUOTA,
        {"spec.hard": {"storage": "1"}},
        [("spec.hard[storage]", "Invalid", 'Invalid value: "storage": must be a standard resource for quota')],
    ),
    (
        "quota whose scope is not about what it limits",
        QUOTA,
        {"spec.scopes": ["NotTerminating"], "spec.hard": {"pods": "1", "services": "1", "count/jobs.batch": "1"}},
        [("spec.scopes", "Invalid", 'Invalid value: ["NotTerminating"]: unsupported scope applied to resource')],
    ),
    (
        "quota of idle pods that limits what they do not use",
        QUOTA,
        {"spec.scopes": ["BestEffort"], "spec.hard": {"pods": "1", "cpu": "1"}},
        [("spec.scopes", "Invalid", 'Invalid value: ["BestEffort"]: unsupported scope applied to resource')],
    ),
    (
        "quota of claims by their attributes",
        QUOTA,
        {
            "spec.scopeSelector": {
                "matchExpressions": [{"scopeName": "VolumeAttributesClass", "operator": "In", "values": ["gold"]}]
            },
            "spec.hard": {"requests.storage": "1Gi", "gold.storageclass.storage.k8s.io/requests.storage": "1Gi"},
        },
        [],
    ),
]


@pytest.mark.parametrize(("document", "changes", "expected"), [c[1:] for c in CREATES], ids=[c[0] for c in CREATES])
def test_creates(document: dict[str, Any], changes: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert create_findings(changed(document, changes)) == expected


def test_secrets_take_text_and_hide_it() -> None:
    secret = created(core("Secret", stringData={"a": "b"}, data={"a": "eA==", "c": "eQ=="}))
    assert codec.plain(secret)["data"] == {"a": "Yg==", "c": "eQ=="}
    assert (secret.type, secret.stringData) == ("Opaque", None)
    assert row(secret) == {"Name": "a", "Type": "Opaque", "Data": 2, "Age": "<unknown>"}


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_immutable_data_stays(kind: str) -> None:
    text = "eA==" if kind == "Secret" else "x"
    old = core(kind, immutable=True, data={"a": text})
    assert update_findings(stored(old), old) == []
    new = changed(old, {"immutable": NOTHING, "data": {}})
    words = "Forbidden: field is immutable when `immutable` is set"
    assert update_findings(stored(old), new) == [("immutable", "Forbidden", words), ("data", "Forbidden", words)]


def test_the_type_of_a_secret_stays() -> None:
    old = core("Secret", type="a/b")
    assert update_findings(stored(old), core("Secret", type="a/c")) == [
        ("type", "Invalid", 'Invalid value: "a/c": field is immutable')
    ]


def test_service_defaults() -> None:
    assert codec.plain(created(changed(SERVICE, {"spec.type": "LoadBalancer", "spec.sessionAffinity": "ClientIP"})))[
        "spec"
    ] == {
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "selector": {"app": "web"},
        "type": "LoadBalancer",
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}},
        "externalTrafficPolicy": "Cluster",
        "internalTrafficPolicy": "Cluster",
        "allocateLoadBalancerNodePorts": True,
    }


def given(document: dict[str, Any], changes: dict[str, Any]) -> Any:
    """A Service as it is stored once the API server gave out what it has to."""
    return stored(changed(document, changes))


def test_what_was_given_out_stays() -> None:
    old = given(
        SERVICE,
        {
            "spec.type": "NodePort",
            "spec.clusterIP": "10.96.0.5",
            "spec.ipFamilies": ["IPv4"],
            "spec.ports.0.nodePort": 30001,
        },
    )
    new = decoded(changed(SERVICE, {"spec.type": "NodePort"}))
    services.default(new)
    services.prepare_for_update(new, old)
    assert (new.spec.clusterIP, new.spec.clusterIPs, new.spec.ipFamilies) == ("10.96.0.5", ["10.96.0.5"], ["IPv4"])
    assert new.spec.ports[0].nodePort == 30001


def test_what_the_new_type_does_not_use_goes() -> None:
    old = given(SERVICE, {"spec.type": "NodePort", "spec.clusterIP": "10.96.0.5", "spec.ports.0.nodePort": 30001})
    new = codec.copy(old)
    new.spec.type, new.spec.externalName = "ExternalName", "example.com"
    services.default(new)
    services.prepare_for_update(new, old)
    spec = codec.plain(new.spec)
    assert "clusterIP" not in spec
    assert "externalTrafficPolicy" not in spec
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]


def test_a_service_keeps_its_address() -> None:
    old = given(SERVICE, {"spec.clusterIP": "10.96.0.5"})
    new = changed(SERVICE, {"spec.clusterIP": "10.96.0.6", "spec.clusterIPs": ["10.96.0.6"]})
    assert update_findings(old, new) == [
        ("spec.clusterIPs[0]", "Invalid", 'Invalid value: ["10.96.0.6"]: may not change once set')
    ]


SERVICE_ROWS: list[tuple[dict[str, Any], dict[str, Any], tuple[str, str, str, str]]] = [
    ({"spec.clusterIP": "10.96.0.5"}, {}, ("ClusterIP", "10.96.0.5", "<none>", "80/TCP")),
    ({"spec.clusterIP": "None", "spec.ports": []}, {}, ("ClusterIP", "None", "<none>", "<none>")),
    (
        {"spec.type": "NodePort", "spec.ports.0.nodePort": 30001, "spec.externalIPs": ["1.2.3.4"]},
        {},
        ("NodePort", "<none>", "1.2.3.4", "80:30001/TCP"),
    ),
    ({"spec.type": "LoadBalancer"}, {}, ("LoadBalancer", "<none>", "<pending>", "80/TCP")),
    (
        {"spec.type": "LoadBalancer"},
        {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "lb"}]}},
        ("LoadBalancer", "<none>", "1.2.3.4,lb", "80/TCP"),
    ),
    (
        {"spec": {"type": "ExternalName", "externalName": "example.com"}},
        {},
        ("ExternalName", "<none>", "example.com", "<none>"),
    ),
]


@pytest.mark.parametrize(("changes", "status", "expected"), SERVICE_ROWS)
def test_service_columns(changes: dict[str, Any], status: dict[str, Any], expected: tuple[str, str, str, str]) -> None:
    shown = row(stored(changed(SERVICE, changes), status))
    assert (shown["Type"], shown["Cluster-IP"], shown["External-IP"], shown["Port(s)"]) == expected


def test_namespaces_carry_their_name_and_a_finalizer() -> None:
    namespace = created({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    assert codec.plain(namespace) == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "shop", "uid": "u-1", "labels": {"kubernetes.io/metadata.name": "shop"}},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }
    assert row(namespace) == {"Name": "shop", "Status": "Active", "Age": "<unknown>"}
    assert resource_for(codec.plain(namespace)).strategy.fields(namespace) == {"status.phase": "Active"}


def test_who_reports_an_event_is_always_shown() -> None:
    event = created(EVENT)
    assert (event.reportingComponent, event.reportingInstance) == ("", "")
    newer = event_from_core(event)
    assert (newer.reportingController, newer.reportingInstance) == (None, None)


def test_an_empty_ssh_key_is_none() -> None:
    secret = core("Secret", type="kubernetes.io/ssh-auth", stringData={"ssh-privatekey": ""})
    assert create_findings(secret) == [("data[%s][ssh-privatekey]", "Required", "Required value")]


def test_what_is_wrong_with_the_json_of_a_secret_is_said_as_go_says_it() -> None:
    secret = core("Secret", type="kubernetes.io/dockerconfigjson", stringData={".dockerconfigjson": "x"})
    detail = "invalid character 'x' looking for beginning of value"
    expected = f'Invalid value: "<secret contents redacted>": {detail}'
    assert create_findings(secret) == [("data[.dockerconfigjson]", "Invalid", expected)]


def test_accounts_keep_the_names_of_their_secrets() -> None:
    account = core("ServiceAccount", secrets=[{"kind": "Secret", "name": "a", "namespace": "other"}])
    assert codec.plain(created(account))["secrets"] == [{"name": "a"}]


def test_the_network_of_a_node_is_said_twice() -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}
    first, second, other = "10.1.0.0/24", "fd00:1::/64", "10.2.0.0/24"
    for given, expected in (
        ({"podCIDR": first}, (first, [first])),
        ({"podCIDRs": [first, second]}, (first, [first, second])),
        ({"podCIDR": first, "podCIDRs": [first, second]}, (first, [first, second])),
        ({"podCIDR": first, "podCIDRs": [other]}, (first, [first])),
    ):
        spec = created({**node, "spec": given}).spec
        assert (spec.podCIDR, spec.podCIDRs) == expected


def test_the_status_of_a_node_is_checked() -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}
    address = {"type": "InternalIP", "address": "192.0.2.1"}
    new = stored(node, {"addresses": [address, address], "capacity": {"cpu": "-1"}})
    strategy = resource_for(node).strategy
    assert told(strategy.validate_status_update(new, stored(node))) == [
        ("status.addresses[1]", "Duplicate", 'Duplicate value: {"address":"192.0.2.1","type":"InternalIP"}'),
        ("status.capacity.cpu", "Invalid", 'Invalid value: "-1": must be greater than or equal to 0'),
    ]


def test_the_phase_of_a_namespace_follows_its_deletion() -> None:
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    strategy = resource_for(document).strategy
    ending = stored(document, {"phase": "Terminating"})
    assert told(strategy.validate_status_update(ending, stored(document))) == [
        (
            "status.Phase",
            "Invalid",
            "Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty",
        )
    ]


def test_node_columns() -> None:
    node = stored(
        changed(
            NODE,
            {
                "metadata.labels": {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "worker"},
                "metadata.creationTimestamp": "2025-12-29T00:00:00Z",
                "spec.unschedulable": True,
            },
        ),
        {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "10.201.0.11"}],
            "nodeInfo": {
                "kubeletVersion": "v1.37.0",
                "osImage": "Debian",
                "kernelVersion": "6",
                "containerRuntimeVersion": "c",
            },
        },
    )
    assert row(node) == {
        "Name": "n",
        "Status": "Ready,SchedulingDisabled",
        "Roles": "control-plane,worker",
        "Age": "3d",
        "Version": "v1.37.0",
        "Internal-IP": "10.201.0.11",
        "External-IP": "<none>",
        "OS-Image": "Debian",
        "Kernel-Version": "6",
        "Container-Runtime": "c",
    }


def test_pod_networks_of_a_node_stay() -> None:
    old = changed(NODE, {"spec.podCIDR": "10.244.0.0/24"})
    assert update_findings(stored(NODE), old) == []
    assert update_findings(stored(old), changed(NODE, {"spec.podCIDR": "10.244.1.0/24"})) == [
        ("spec.podCIDRs", "Forbidden", 'Forbidden: node updates may not change podCIDR except from "" to valid')
    ]


def test_limits_follow_from_limits() -> None:
    assert codec.plain(created(LIMITS))["spec"]["limits"] == [
        {
            "type": "Container",
            "max": {"cpu": "2"},
            "min": {"memory": "1Mi"},
            "default": {"cpu": "2"},
            "defaultRequest": {"cpu": "2", "memory": "1Mi"},
        }
    ]


def test_a_quota_tells_only_of_what_it_could_limit() -> None:
    quota = stored(QUOTA, {"hard": {"pods": "3"}, "used": {"pods": "-1", "storage": "1"}})
    assert [found.field for found in resource_quota.validate_status_update(quota, quota)] == [
        "status.used[pods]",
        "status.used[storage]",
    ]


def test_quota_columns() -> None:
    quota = stored(QUOTA, {"hard": {"pods": "3", "limits.cpu": "2"}, "used": {"pods": "1"}})
    assert row(quota) == {"Name": "a", "Request": "pods: 1/3", "Limit": "limits.cpu: 0/2", "Age": "<unknown>"}


def test_event_columns() -> None:
    event = stored(
        changed(
            EVENT,
            {
                "message": " hello \n",
                "firstTimestamp": "2025-12-31T23:00:00Z",
                "lastTimestamp": "2025-12-31T23:59:00Z",
                "count": 3,
                "source": {"component": "kubelet", "host": "n"},
            },
        )
    )
    assert row(event) == {
        "Last Seen": "60s",
        "Type": "Normal",
        "Reason": "R",
        "Object": "pod/p",
        "Subobject": "",
        "Source": "kubelet, n",
        "Message": "hello",
        "First Seen": "60m",
        "Count": 3,
        "Name": "a",
    }
    assert NOW == 1767225600.0


def test_scopes_of_a_quota_go_together() -> None:
    requirements = [
        {"scopeName": "BestEffort", "operator": "Exists"},
        {"scopeName": "NotBestEffort", "operator": "Exists"},
        {"scopeName": "PriorityClass", "operator": "Is"},
        {"scopeName": "VolumeAttributesClass", "operator": "In"},
    ]
    quota = {"spec.hard": {}, "spec.scopeSelector": {"matchExpressions": requirements}}
    path = "spec.scopeSelector.matchExpressions"
    few = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
    assert create_findings(changed(QUOTA, quota)) == [
        (f"{path}.operator", "Invalid", 'Invalid value: "Is": not a valid selector operator'),
        (f"{path}.values", "Required", f"Required value: {few}"),
        (path, "Invalid", "Invalid value: []: conflicting scopes"),
    ]


def test_claims_grow_once_bound_and_change_nothing_else() -> None:
    bound = changed(CLAIM, {"spec.volumeName": "v"})
    old = stored(bound, {"phase": "Bound", "capacity": {"storage": "1Gi"}})
    assert update_findings(old, changed(bound, {"spec.resources.requests.storage": "2Gi"})) == []
    assert update_findings(old, changed(bound, {"spec.resources.requests.storage": "1Mi"})) == [
        ("spec.resources.requests.storage", "Forbidden", "Forbidden: field can not be less than status.capacity")
    ]
    found = update_findings(old, changed(bound, {"spec.accessModes": ["ReadOnlyMany"]}))
    assert [(field, reason) for field, reason, _ in found] == [("spec", "Forbidden")]


def test_claim_and_volume_columns() -> None:
    claim = stored(
        changed(CLAIM, {"spec.volumeName": "v", "spec.storageClassName": "fast"}),
        {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadOnlyMany", "ReadWriteOnce"]},
    )
    assert row(claim) == {
        "Name": "a",
        "Status": "Bound",
        "Volume": "v",
        "Capacity": "1Gi",
        "Access Modes": "RWO,ROX",
        "StorageClass": "fast",
        "VolumeAttributesClass": "<unset>",
        "Age": "<unknown>",
        "VolumeMode": "Filesystem",
    }
    volume = stored(changed(VOLUME, {"spec.claimRef": {"namespace": "default", "name": "a"}}), {"phase": "Bound"})
    assert row(volume, wide=False) == {
        "Name": "v",
        "Capacity": "1Gi",
        "Access Modes": "RWO",
        "Reclaim Policy": "Retain",
        "Status": "Bound",
        "Claim": "default/a",
        "StorageClass": "",
        "VolumeAttributesClass": "<unset>",
        "Reason": "",
        "Age": "<unknown>",
    }


def test_endpoints_columns() -> None:
    many = [{"ip": f"10.0.0.{n}"} for n in range(1, 6)]
    assert row(stored(changed(ENDPOINTS, {"subsets.0.addresses": many})))["Endpoints"] == (
        "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more..."
    )
    assert row(stored(changed(ENDPOINTS, {"subsets": []})))["Endpoints"] == "<none>"
