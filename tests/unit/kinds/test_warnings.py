"""Advice on objects that are valid: what each kind says, and to whom."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.kinds import codec, registry
from tiphys.kinds.address_warnings import cidr_warnings, ip_warnings
from tiphys.machinery.field_errors import Path

FUTURE = "will be considered invalid in a future Kubernetes release: use"
ARCH = 'deprecated since v1.14; use "kubernetes.io/arch" instead'
NO_POD = "a null labelSelector results in matching no pod"
NAME = (
    "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is"
    " recommended: [must not contain dots]"
)


def warned(api_version: str, kind: str, document: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    group, _, version = api_version.rpartition("/")
    resource = registry.by_kind(group, version, kind)
    assert resource is not None
    new, before = (codec.convert(each, resource.type) if each is not None else None for each in (document, old))
    return resource.strategy.warnings(new, before)


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def of_pod(**spec: Any) -> list[str]:
    return warned("v1", "Pod", pod(**spec))


def container(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "i", **fields}]}


def test_nothing_is_said_of_a_usual_pod_or_of_a_change_to_one() -> None:
    assert of_pod() == []
    bad = pod(terminationGracePeriodSeconds=-1)
    assert warned("v1", "Pod", bad) == [
        "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
    ]
    assert warned("v1", "Pod", bad, bad) == []


def test_the_name_of_a_pod_is_its_host_s() -> None:
    advice = NAME.replace("Pod names and hostnames", "the Pod's hostname")
    assert warned("v1", "Pod", {**pod(), "metadata": {"name": "a.b"}}) == [advice]


def test_labels_of_nodes_that_were_replaced() -> None:
    term = {"matchExpressions": [{"key": "beta.kubernetes.io/arch", "operator": "Exists"}]}
    nodes = {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]},
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": term}],
    }
    at = "spec.affinity.nodeAffinity"
    assert of_pod(nodeSelector={"beta.kubernetes.io/os": "linux", "a": "b"}, affinity={"nodeAffinity": nodes}) == [
        'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
        f"{at}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key:"
        f" beta.kubernetes.io/arch is {ARCH}",
        f"{at}.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].key:"
        f" beta.kubernetes.io/arch is {ARCH}",
    ]


def test_selectors_that_select_nothing() -> None:
    term = {"topologyKey": "zone"}
    pods = {
        "requiredDuringSchedulingIgnoredDuringExecution": [term],
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}],
    }
    spread = {"maxSkew": 1, "topologyKey": "failure-domain.beta.kubernetes.io/zone", "whenUnsatisfiable": "x"}
    assert of_pod(topologySpreadConstraints=[spread], affinity={"podAntiAffinity": pods}) == [
        "spec.topologySpreadConstraints[0].topologyKey: failure-domain.beta.kubernetes.io/zone is"
        ' deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
        f"spec.topologySpreadConstraints[0].labelSelector: {NO_POD}",
        f"spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector: {NO_POD}",
        "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.labelSelector:"
        f" {NO_POD}",
    ]


def test_annotations_that_fields_replaced() -> None:
    annotations = {
        "scheduler.alpha.kubernetes.io/critical-pod": "",
        "seccomp.security.alpha.kubernetes.io/pod": "x",
        "container.seccomp.security.alpha.kubernetes.io/c": "x",
        "container.apparmor.security.beta.kubernetes.io/c": "x",
        "container.apparmor.security.beta.kubernetes.io/other": "x",
    }
    at = "metadata.annotations"
    document = {**pod(), "metadata": {"name": "p", "annotations": annotations}}
    assert warned("v1", "Pod", document) == [
        f"{at}[scheduler.alpha.kubernetes.io/critical-pod]:"
        ' non-functional in v1.16+; use the "priorityClassName" field instead',
        f"{at}[seccomp.security.alpha.kubernetes.io/pod]:"
        ' non-functional in v1.27+; use the "seccompProfile" field instead',
        f"{at}[container.seccomp.security.alpha.kubernetes.io/c]:"
        ' non-functional in v1.27+; use the "seccompProfile" field instead',
        f"{at}[container.apparmor.security.beta.kubernetes.io/c]:"
        ' deprecated since v1.30; use the "appArmorProfile" field instead',
    ]
    document["spec"]["securityContext"] = {"seccompProfile": {"type": "x"}, "appArmorProfile": {"type": "x"}}
    document["spec"]["containers"][0]["securityContext"] = {"seccompProfile": {"type": "x"}}
    assert [text.partition(": ")[0] for text in warned("v1", "Pod", document)] == [
        f"{at}[scheduler.alpha.kubernetes.io/critical-pod]",
        f"{at}[container.apparmor.security.beta.kubernetes.io/c]",  # no field can say "x"
    ]


def test_volumes() -> None:
    claim = {"accessModes": ["x"], "resources": {"requests": {"storage": "1500m"}}}
    volumes = [
        {"name": "a", "gitRepo": {"repository": "x"}},
        {"name": "b", "storageos": {}},
        {"name": "c", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}},
    ]
    assert of_pod(volumes=volumes) == [
        "spec.volumes[0].gitRepo: deprecated in v1.11",
        "spec.volumes[1].storageOS: deprecated in v1.22, non-functional in v1.25+",
        "spec.volumes[2].ephemeral.volumeClaimTemplate.spec.resources.requests[storage]:"
        ' fractional byte value "1500m" is invalid, must be an integer',
    ]


def test_files_that_lie_over_each_other() -> None:
    def items(*paths: str) -> list[dict[str, str]]:
        return [{"key": "k", "path": path} for path in paths]

    token, secret = (
        {"serviceAccountToken": {"path": "token"}},
        {"secret": {"name": "s", "items": items("token/x", "b")}},
    )
    volumes = [
        {"name": "m", "configMap": {"name": "m", "items": items("a/b", "a", "ab", "c/")}},
        {"name": "p", "projected": {"sources": [token, secret, {}]}},
    ]
    assert of_pod(volumes=volumes) == [
        'volume "m" (ConfigMap "m"): overlapping paths: "a" with "a/b"',
        'volume "p" (Projected Secret "s"): overlapping paths: "token/x" with "token"',
        'volume "p" (Projected) has no sources provided',
    ]


def test_names_that_come_twice() -> None:
    hosts = [{"ip": "10.0.0.1"}, {"ip": "::ffff:10.0.0.2"}, {"ip": "10.0.0.1"}]
    secrets = [{"name": "a"}, {"name": "a"}, {}]
    found = of_pod(hostAliases=hosts, imagePullSecrets=secrets, dnsConfig={"nameservers": ["2001:db8:0:0::2"]})
    assert found == [
        f'spec.hostAliases[1].ip: non-standard IP address "::ffff:10.0.0.2" {FUTURE} "10.0.0.2"',
        'spec.hostAliases[2].ip: duplicate ip "10.0.0.1"',
        'spec.imagePullSecrets[1].name: duplicate name "a"',
        'spec.imagePullSecrets[2].name: invalid empty name ""',
        'spec.dnsConfig.nameservers[0]: IPv6 address "2001:db8:0:0::2" should be in RFC 5952 canonical format'
        ' ("2001:db8::2")',
    ]


def test_variables_that_hide_others() -> None:
    env = [
        {"name": "PATH", "value": "/bin"},
        {"name": "PATH", "value": "$(PATH):/more"},
        {"name": "PATH", "value": "$(PATH)"},
        {"name": "PATH", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
    assert of_pod(**container(env=env)) == [
        f'spec.containers[0].env[{place}]: hides previous definition of "PATH", which may be dropped when using apply'
        for place in (2, 3)
    ]


def test_amounts_that_are_no_whole_bytes() -> None:
    resources = {"limits": {"memory": "100m", "cpu": "100m"}, "requests": {"ephemeral-storage": "1k"}}
    assert of_pod(**container(resources=resources), overhead={"memory": "1500m"}) == [
        'spec.overhead[memory]: fractional byte value "1500m" is invalid, must be an integer',
        'spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer',
    ]


def test_ports_that_conflict() -> None:
    def port(**fields: Any) -> dict[str, Any]:
        return {"containerPort": 80, "protocol": "TCP", **fields}

    ports = [
        port(),
        port(),
        port(hostPort=80),
        port(hostPort=80, hostIP="10.0.0.1"),
        port(protocol="UDP", hostIP="::1"),
    ]
    at = "spec.containers[0].ports"
    assert of_pod(**container(ports=ports)) == [
        f"{at}[1]: duplicate port definition with {at}[0]",
        f"{at}[2]: overlapping port definition with {at}[0]",
        f"{at}[2]: overlapping port definition with {at}[1]",
        f"{at}[3]: overlapping port definition with {at}[0]",
        f"{at}[3]: overlapping port definition with {at}[1]",
        f"{at}[3]: dangerously ambiguous port definition with {at}[2]",
        f"{at}[4]: hostIP set without hostPort: {{Name: HostPort:0 ContainerPort:80 Protocol:UDP HostIP:::1}}",
    ]


def test_fields_that_nothing_acts_on_yet() -> None:
    probe = {"httpGet": {"port": 80, "protocol": "HTTP2"}}
    document = container(
        volumeMounts=[{"name": "a", "mountPath": "/a", "bindMountOptions": ["noexec"]}],
        livenessProbe=probe,
        lifecycle={"preStop": probe, "postStart": {"sleep": {"seconds": 1}}},
        startupProbe={"grpc": {"port": 1, "mode": "TLS"}},
        readinessProbe={"grpc": {"port": 1, "mode": "Plaintext"}},
    )
    assert of_pod(**document, evictionResponders=[{"name": "a.b/c", "priority": 1000}]) == [
        "spec.containers[0].volumeMounts[0].bindMountOptions: this server's kubelets do not set bind mount options yet:"
        " the volume is mounted without them",
        "spec.containers[0].livenessProbe.httpGet.protocol: this server's kubelets do not speak HTTP/2 to containers"
        " yet: they ask by HTTP/1.1",
        "spec.containers[0].startupProbe.grpc.mode: this server's kubelets do not probe by gRPC over TLS yet: they"
        " probe without",
        "spec.containers[0].lifecycle.preStop.httpGet.protocol: this server's kubelets do not speak HTTP/2 to"
        " containers yet: they ask by HTTP/1.1",
        "spec.evictionResponders: this cluster does not ask eviction responders yet: the field has no effect",
    ]


HOLDERS = {
    ("apps/v1", "Deployment"): "spec.template",
    ("apps/v1", "ReplicaSet"): "spec.template",
    ("apps/v1", "StatefulSet"): "spec.template",
    ("apps/v1", "DaemonSet"): "spec.template",
    ("batch/v1", "Job"): "spec.template",
    ("batch/v1", "CronJob"): "spec.jobTemplate.spec.template",
    ("v1", "ReplicationController"): "spec.template",
}


@pytest.mark.parametrize("key", HOLDERS, ids=str)
def test_those_who_keep_pods_running(key: tuple[str, str]) -> None:
    def document(**labels: str) -> dict[str, Any]:
        found: dict[str, Any] = {"metadata": {"name": "a.b", "labels": labels}}
        place = found
        for part in HOLDERS[key].split("."):
            place = place.setdefault(part, {})
        place.update(pod(terminationGracePeriodSeconds=-1, nodeSelector=labels))
        return found

    grace = (
        f"{HOLDERS[key]}.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be"
        " treated as 1"
    )
    assert warned(*key, document()) == ([grace] if key[1] in ("StatefulSet", "DaemonSet") else [NAME, grace])
    assert warned(*key, document(a="b"), document()) == [grace]
    assert warned(*key, document(), document()) == []


@pytest.mark.parametrize(
    ("api_version", "kind", "document", "expected"),
    [
        (
            "v1",
            "PersistentVolume",
            {
                "metadata": {"annotations": {"volume.beta.kubernetes.io/mount-options": "x"}},
                "spec": {"persistentVolumeReclaimPolicy": "Recycle", "rbd": {"image": "i", "monitors": []}},
            },
            [
                "metadata.annotations[volume.beta.kubernetes.io/mount-options]:"
                ' deprecated since v1.31; use "mountOptions" attribute instead',
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended"
                " approach is to use dynamic provisioning.",
                "spec.rbd: deprecated in v1.28, non-functional in v1.31+",
            ],
        ),
        (
            "v1",
            "PersistentVolumeClaim",
            {"metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "x"}}},
            [
                "metadata.annotations[volume.beta.kubernetes.io/storage-class]:"
                ' deprecated since v1.8; use "storageClassName" attribute instead'
            ],
        ),
        (
            "v1",
            "Node",
            {"spec": {"externalID": "x", "podCIDRs": ["10.0.0.8/24"]}},
            [
                "spec.externalID: this field is deprecated, and is unused by Kubernetes",
                'spec.podCIDRs[0]: CIDR value "10.0.0.8/24" is ambiguous in this context (should be "10.0.0.0/24" or'
                ' "10.0.0.8/32"?)',
            ],
        ),
        (
            "v1",
            "ServiceAccount",
            {"metadata": {"annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}},
            [
                "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate"
                " namespaces to isolate access to mounted secrets"
            ],
        ),
        (
            "v1",
            "Service",
            {
                "spec": {
                    "type": "ClusterIP",
                    "clusterIP": "None",
                    "sessionAffinity": "ClientIP",
                    "externalIPs": ["10.0.0.1"],
                }
            },
            [
                "spec.externalIPs is ignored for headless services",
                "spec.SessionAffinity is ignored for headless services",
            ],
        ),
        (
            "v1",
            "Service",
            {
                "metadata": {"annotations": {"service.kubernetes.io/topology-aware-hints": "auto"}},
                "spec": {
                    "type": "LoadBalancer",
                    "externalIPs": ["10.0.0.1"],
                    "externalName": "x",
                    "trafficDistribution": "PreferClose",
                },
            },
            [
                "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use"
                " service.kubernetes.io/topology-mode instead",
                "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
                'spec.externalName is ignored when spec.type is not "ExternalName"',
                'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"',
            ],
        ),
        (
            "discovery.k8s.io/v1",
            "EndpointSlice",
            {"addressType": "FQDN", "endpoints": [{"addresses": ["a"]}]},
            ["spec.addressType: FQDN endpoints are deprecated"],
        ),
        (
            "networking.k8s.io/v1",
            "Ingress",
            {"metadata": {"annotations": {"kubernetes.io/ingress.class": "x"}}},
            ["annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"],
        ),
        (
            "storage.k8s.io/v1",
            "StorageClass",
            {"allowedTopologies": [{"matchLabelExpressions": [{"key": "beta.kubernetes.io/arch", "values": ["x"]}]}]},
            [f"allowedTopologies[0].matchLabelExpressions[0].key: beta.kubernetes.io/arch is {ARCH}"],
        ),
        (
            "node.k8s.io/v1",
            "RuntimeClass",
            {"scheduling": {"nodeSelector": {"beta.kubernetes.io/arch": "x"}}},
            [f"scheduling.nodeSelector[beta.kubernetes.io/arch]: {ARCH}"],
        ),
    ],
)
def test_other_kinds(api_version: str, kind: str, document: dict[str, Any], expected: list[str]) -> None:
    assert warned(api_version, kind, document) == expected


@pytest.mark.parametrize("text", ["10.0.0.1", "2001:db8::1", "", "nonsense"])
def test_addresses_as_they_should_be(text: str) -> None:
    assert ip_warnings(text, Path("x")) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.0/24", []),
        ("nonsense", []),
        ("::ffff:192.12.2.0/120", [f'x: non-standard CIDR value "::ffff:192.12.2.0/120" {FUTURE} "192.12.2.0/24"']),
        (
            "2001:db8:0:0::/64",
            ['x: IPv6 CIDR value "2001:db8:0:0::/64" should be in RFC 5952 canonical format ("2001:db8::/64")'],
        ),
    ],
)
def test_networks(text: str, expected: list[str]) -> None:
    assert cidr_warnings(text, Path("x")) == expected
