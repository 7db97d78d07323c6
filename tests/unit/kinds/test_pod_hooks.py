"""Pods: defaults, quality of service, updates, subresources, deletion, selectable fields."""

from __future__ import annotations

from typing import Any

import pytest
from documents import NOTHING, changed, created, decoded, resource_for, stored, told, update_findings
from test_pod_validation import POD

from tiphys.kinds import codec
from tiphys.kinds.core import pod as pods
from tiphys.kinds.core.container_defaults import default_pull_policy
from tiphys.kinds.core.pod_update_validation import CHANGEABLE
from tiphys.kinds.core.qos import qos_class_of
from tiphys.kinds.types.core_v1 import Pod, ResourceRequirements
from tiphys.machinery import quantity

C = "spec.containers.0"


def test_defaults_of_a_small_pod() -> None:
    document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "namespace": "default"},
        "spec": {
            "serviceAccountName": "robot",
            "containers": [
                {
                    "name": "c",
                    "image": "registry.example.com:5000/web",
                    "ports": [{"containerPort": 80}],
                    "resources": {"limits": {"cpu": "1"}},
                    "livenessProbe": {"httpGet": {"port": 80}},
                    "readinessProbe": {"grpc": {"port": 81}},
                    "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                }
            ],
            "volumes": [
                {"name": "empty"},
                {"name": "host", "hostPath": {"path": "/x"}},
                {"name": "config", "configMap": {"name": "m"}},
                {"name": "all", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
            ],
        },
    }
    assert codec.plain(created(document))["spec"] == {
        "serviceAccountName": "robot",
        "serviceAccount": "robot",
        "containers": [
            {
                "name": "c",
                "image": "registry.example.com:5000/web",
                "imagePullPolicy": "Always",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
                "livenessProbe": {
                    "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
                    "timeoutSeconds": 1,
                    "periodSeconds": 10,
                    "successThreshold": 1,
                    "failureThreshold": 3,
                },
                "readinessProbe": {
                    "grpc": {"port": 81, "service": ""},
                    "timeoutSeconds": 1,
                    "periodSeconds": 10,
                    "successThreshold": 1,
                    "failureThreshold": 3,
                },
                "env": [{"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}],
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "volumes": [
            {"name": "empty", "emptyDir": {}},
            {"name": "host", "hostPath": {"path": "/x", "type": ""}},
            {"name": "config", "configMap": {"name": "m", "defaultMode": 420}},
            {
                "name": "all",
                "projected": {
                    "defaultMode": 420,
                    "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
                },
            },
        ],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }


def test_a_new_pod_is_pending_whatever_it_says() -> None:
    pod = created(changed(POD, {"status": {"phase": "Running", "podIP": "10.0.0.1"}}))
    assert codec.plain(pod.status) == {"phase": "Pending", "qosClass": "BestEffort"}


def test_requests_of_the_whole_pod() -> None:
    def requests(resources: dict[str, Any], changes: dict[str, Any]) -> Any:
        return codec.plain(created(changed(POD, {"spec.resources": resources, **changes})).spec.resources)["requests"]

    sidecar = {"name": "s", "image": "s", "restartPolicy": "Always", "resources": {"requests": {"memory": "1Gi"}}}
    asking = {f"{C}.resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}, "spec.initContainers": [sidecar]}
    assert requests({"limits": {"cpu": "1"}}, {}) == {"cpu": "1"}
    assert requests({"limits": {"cpu": "1"}}, asking) == {"cpu": "500m", "memory": "2Gi"}
    assert requests({"requests": {"cpu": "1"}}, asking) == {"cpu": "1", "memory": "2Gi"}


def test_ports_on_the_host_network_are_the_hosts() -> None:
    pod = created(changed(POD, {"spec.hostNetwork": True}))
    assert pod.spec.containers[0].ports[0].hostPort == 80


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.25", "IfNotPresent"),
        ("example.com:5000/nginx", "Always"),
        ("example.com:5000/nginx:1", "IfNotPresent"),
        (f"nginx@sha256:{'a' * 64}", "IfNotPresent"),
        (f"nginx:latest@sha256:{'a' * 64}", "Always"),
        ("Nginx", "IfNotPresent"),
        ("nginx ", "IfNotPresent"),
        ("a" * 2000, "IfNotPresent"),
        ("", "IfNotPresent"),
    ],
)
def test_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert default_pull_policy(image) == policy


def requirements(requests: dict[str, str] | None, limits: dict[str, str] | None) -> ResourceRequirements:
    def amounts(given: dict[str, str] | None) -> dict[str, quantity.Quantity] | None:
        return {name: quantity.parse(text) for name, text in given.items()} if given is not None else None

    return ResourceRequirements(requests=amounts(requests), limits=amounts(limits))


BOTH = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([(None, None)], "BestEffort"),
        ([({"cpu": "0"}, None)], "BestEffort"),
        ([({"example.com/gpu": "1"}, {"example.com/gpu": "1"})], "BestEffort"),
        ([(BOTH, BOTH)], "Guaranteed"),
        ([(None, BOTH)], "Guaranteed"),
        ([({"cpu": "1000m", "memory": "1024Mi"}, BOTH)], "Guaranteed"),
        ([(BOTH, BOTH), (None, None)], "Burstable"),
        ([({"cpu": "1"}, {"cpu": "1"})], "Burstable"),
        ([({"cpu": "500m", "memory": "1Gi"}, BOTH)], "Burstable"),
        ([({"memory": "1Gi"}, None)], "Burstable"),
    ],
)
def test_quality_of_service(containers: list[tuple[Any, Any]], expected: str) -> None:
    assert qos_class_of([requirements(*pair) for pair in containers]) == expected


GATED = changed(POD, {"spec.schedulingGates": [{"name": "a/b"}, {"name": "a/c"}]})

UPDATES: list[tuple[str, dict[str, Any], dict[str, Any], list[tuple[str, str, str]]]] = [
    ("nothing", POD, {}, []),
    ("labels", POD, {"metadata.labels": {"a": "b"}}, []),
    ("image", POD, {f"{C}.image": "nginx:2", f"{C}.imagePullPolicy": "Always"}, []),
    ("deadline set", POD, {"spec.activeDeadlineSeconds": 5}, []),
    (
        "deadline put off",
        changed(POD, {"spec.activeDeadlineSeconds": 5}),
        {"spec.activeDeadlineSeconds": 6},
        [("spec.activeDeadlineSeconds", "Invalid", "Invalid value: 6: must be less than or equal to previous value")],
    ),
    (
        "deadline taken away",
        changed(POD, {"spec.activeDeadlineSeconds": 5}),
        {"spec.activeDeadlineSeconds": NOTHING},
        [
            (
                "spec.activeDeadlineSeconds",
                "Invalid",
                "Invalid value: null: must not update from a positive integer to nil value",
            )
        ],
    ),
    ("toleration added", POD, {"spec.tolerations": [{"operator": "Exists"}]}, []),
    (
        "toleration changed",
        changed(POD, {"spec.tolerations": [{"key": "a", "operator": "Exists"}]}),
        {"spec.tolerations.0.key": "b"},
        [
            (
                "spec.tolerations",
                "Forbidden",
                "Forbidden: existing toleration can not be modified except its tolerationSeconds",
            )
        ],
    ),
    (
        "container added",
        POD,
        {"spec.containers.1": {"name": "b", "image": "b"}},
        [("spec.containers", "Forbidden", "Forbidden: pod updates may not add or remove containers")],
    ),
    (
        "something else",
        POD,
        {"spec.restartPolicy": "Never", f"{C}.env.0.value": "c"},
        [
            (
                "spec",
                "Forbidden",
                f'Forbidden: {CHANGEABLE}\n- containers[0].env[0].value: "b"\n+ containers[0].env[0].value: "c"\n'
                '- restartPolicy: "Always"\n+ restartPolicy: "Never"',
            )
        ],
    ),
    ("gate opened", GATED, {"spec.schedulingGates": [{"name": "a/c"}]}, []),
    (
        "gate added",
        POD,
        {"spec.schedulingGates": [{"name": "a/b"}]},
        [
            (
                "spec.schedulingGates[0].name",
                "Forbidden",
                "Forbidden: only deletion is allowed, but found new scheduling gate 'a/b'",
            )
        ],
    ),
    ("gated pod gets a narrower selector", GATED, {"spec.nodeSelector": {"zone": "a"}}, []),
    (
        "selector of a pod without gates",
        POD,
        {"spec.nodeSelector": {"zone": "a"}},
        [("spec", "Forbidden", f'Forbidden: {CHANGEABLE}\n+ nodeSelector: {{"zone":"a"}}')],
    ),
    (
        "gated pod gets another selector",
        changed(GATED, {"spec.nodeSelector": {"zone": "a"}}),
        {"spec.nodeSelector": {"zone": "b"}},
        [
            (
                "spec.nodeSelector",
                "Invalid",
                'Invalid value: {"zone":"b"}: only additions to spec.nodeSelector are allowed (no mutations or'
                " deletions)",
            )
        ],
    ),
]


@pytest.mark.parametrize(("before", "changes", "expected"), [u[1:] for u in UPDATES], ids=[u[0] for u in UPDATES])
def test_updates(before: dict[str, Any], changes: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert update_findings(stored(before), changed(before, changes)) == expected


def test_negative_grace_is_kept_counts_as_one_and_may_become_one() -> None:
    negative = changed(POD, {"spec.terminationGracePeriodSeconds": -5, "spec.nodeName": "n"})
    pod = stored(negative)
    assert pod.spec.terminationGracePeriodSeconds == -5
    assert pods.grace_seconds(pod, None) == 1
    assert update_findings(pod, negative) == []
    assert update_findings(pod, changed(negative, {"spec.terminationGracePeriodSeconds": 1})) == []
    refused = update_findings(pod, changed(negative, {"spec.terminationGracePeriodSeconds": 2}))
    assert [(field, reason) for field, reason, _ in refused] == [("spec", "Forbidden")]


LABELLED = changed(POD, {"metadata.labels": {"app": "web", "pod-template-hash": "x1"}})


def test_match_label_keys_become_part_of_the_selectors() -> None:
    spread = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    selector = {"matchLabels": {"app": "web"}}
    term = {"topologyKey": "zone", "labelSelector": selector, "mismatchLabelKeys": ["app"]}
    weighted = {"weight": 1, "podAffinityTerm": {**term, "matchLabelKeys": ["pod-template-hash", "absent"]}}
    changes = {
        "spec.topologySpreadConstraints": [
            {**spread, "labelSelector": selector, "matchLabelKeys": ["pod-template-hash"]},
            {**spread, "topologyKey": "host", "matchLabelKeys": ["pod-template-hash"]},
        ],
        "spec.affinity": {
            "podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [weighted]},
            "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]},
        },
    }
    spec = codec.plain(created(changed(LABELLED, changes)))["spec"]
    same_hash = {"key": "pod-template-hash", "operator": "In", "values": ["x1"]}
    other_app = {"key": "app", "operator": "NotIn", "values": ["web"]}
    first, second = spec["topologySpreadConstraints"]
    assert first["labelSelector"] == {"matchLabels": {"app": "web"}, "matchExpressions": [same_hash]}
    assert "labelSelector" not in second
    affinity = spec["affinity"]
    preferred = affinity["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"]
    assert preferred["labelSelector"]["matchExpressions"] == [same_hash, other_app]
    required = affinity["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]
    assert required["labelSelector"]["matchExpressions"] == [other_app]


def test_match_label_keys_that_the_selector_names_itself() -> None:
    spread = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    selector = {"matchLabels": {"app": "web"}}
    term = {"topologyKey": "zone", "labelSelector": selector, "matchLabelKeys": ["app"]}
    pod = created(
        changed(
            LABELLED,
            {
                "spec.topologySpreadConstraints": [{**spread, "labelSelector": selector, "matchLabelKeys": ["app"]}],
                "spec.affinity.podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]},
            },
        )
    )
    message = 'Invalid value: "app": exists in both matchLabelKeys and labelSelector'
    assert told(pods.STRATEGY.validate(pod)) == [
        (
            "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0][0]",
            "Invalid",
            message,
        ),
        ("spec.topologySpreadConstraints[0][0]", "Invalid", message),
    ]


def test_a_gated_pod_says_from_the_beginning_why_it_waits() -> None:
    moment = "2026-01-01T00:00:00Z"
    pod = created(changed(GATED, {"metadata.creationTimestamp": moment}))
    assert codec.plain(pod.status)["conditions"] == [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
            "lastTransitionTime": moment,
        }
    ]


@pytest.mark.parametrize(
    ("annotation", "own", "expected"),
    [
        ("runtime/default", None, None),  # what the pod has anyway
        ("unconfined", None, {"type": "Unconfined"}),
        ("localhost/a", None, {"type": "Localhost", "localhostProfile": "a"}),
        ("localhost/ ", None, None),
        ("unconfined", {"type": "RuntimeDefault"}, {"type": "RuntimeDefault"}),
    ],
)
def test_app_armor_annotations_become_fields(annotation: str, own: Any, expected: Any) -> None:
    changes: dict[str, Any] = {
        "metadata.annotations": {"container.apparmor.security.beta.kubernetes.io/main": annotation},
        "spec.securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}},
    }
    if own is not None:
        changes[f"{C}.securityContext"] = {"appArmorProfile": own}
    context = created(changed(POD, changes)).spec.containers[0].securityContext
    assert (codec.plain(context.appArmorProfile) if context is not None else None) == expected


def test_a_divisor_is_always_shown() -> None:
    selector = {"resource": "limits.cpu", "containerName": "main"}
    file = {"path": "cpu", "resourceFieldRef": selector}
    changes = {
        "spec.containers.0.env": [{"name": "CPU", "valueFrom": {"resourceFieldRef": selector}}],
        "spec.volumes.0": {"name": "data", "downwardAPI": {"items": [file]}},
    }
    spec = created(changed(POD, changes)).spec
    assert spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor == "0"
    assert spec.volumes[0].downwardAPI.items[0].resourceFieldRef.divisor == "0"


def test_a_request_of_nothing_is_not_guaranteed() -> None:
    limits = {"cpu": "1", "memory": "1Gi"}
    asked = {"limits": limits, "requests": {"cpu": "0"}}
    assert created(changed(POD, {"spec.containers.0.resources": asked})).status.qosClass == "Burstable"


def test_status_writes_keep_spec_and_class() -> None:
    old = stored(POD)
    new = decoded(changed(POD, {"spec.containers.0.image": "other", "status": {"phase": "Running"}}))
    pods.STRATEGY.prepare_for_status_update(new, old)
    assert new.spec is old.spec
    assert codec.plain(new.status) == {"phase": "Running", "qosClass": "BestEffort"}
    assert old.status.phase == "Pending"


def test_what_was_observed_stays_when_it_is_left_out() -> None:
    ready = {"type": "Ready", "status": "True"}
    old = stored(POD, {"observedGeneration": 3, "conditions": [{**ready, "observedGeneration": 2}, ready]})
    new = stored(POD, {"conditions": [ready, {**ready, "observedGeneration": 4}, ready]})
    pods.STRATEGY.prepare_for_status_update(new, old)
    assert new.status.observedGeneration == 3
    assert [condition.observedGeneration for condition in new.status.conditions] == [2, 4, None]


def status_findings(before: dict[str, Any], after: dict[str, Any], **spec: Any) -> list[tuple[str, str, str]]:
    document = changed(POD, {f"spec.{field}": value for field, value in spec.items()})
    old, new = stored(document, before), stored(document, after)
    pods.STRATEGY.prepare_for_status_update(new, old)
    return told(pods.STRATEGY.validate_status_update(new, old))


def test_the_class_of_service_is_for_good() -> None:
    assert status_findings({"qosClass": "BestEffort"}, {"qosClass": "Burstable"}) == [
        ("status.qosClass", "Invalid", 'Invalid value: "Burstable": field is immutable')
    ]


def test_what_ended_for_good_does_not_begin_again() -> None:
    ended = {"name": "main", "image": "", "imageID": "", "state": {"terminated": {"exitCode": 0}}}
    begun = {**ended, "state": {"running": {}}}
    old = stored(changed(POD, {"spec.restartPolicy": "Never"}), {"containerStatuses": [ended]})
    new = stored(changed(POD, {"spec.restartPolicy": "Never"}), {"containerStatuses": [begun]})
    assert told(pods.STRATEGY.validate_status_update(new, old)) == [
        (
            "status.containerStatuses[0].state",
            "Forbidden",
            "Forbidden: may not be transitioned to non-terminated state",
        )
    ]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"podIP": "10.0.0.1"}, ("10.0.0.1", ["10.0.0.1"])),
        ({"podIPs": [{"ip": "10.0.0.2"}]}, ("10.0.0.2", ["10.0.0.2"])),
        ({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.2"}, {"ip": "fd00::2"}]}, ("10.0.0.1", ["10.0.0.1"])),
        (
            {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]},
            ("10.0.0.1", ["10.0.0.1", "fd00::1"]),
        ),
        ({}, (None, [])),
    ],
)
def test_the_address_and_the_addresses_agree(given: dict[str, Any], kept: tuple[str | None, list[str]]) -> None:
    new = stored(POD, given)
    pods.STRATEGY.prepare_for_status_update(new, stored(POD))
    assert (new.status.podIP, [address.ip for address in new.status.podIPs or ()]) == kept


def test_names_in_status() -> None:
    conditions = [{"type": "Ready", "status": "True"}, {"type": "a b", "status": "True"}]
    found = status_findings({}, {"conditions": conditions, "nominatedNodeName": "Node"})
    assert [(field, reason) for field, reason, _ in found] == [
        ("metadata.conditions[1].Type", "Invalid"),
        ("status.nominatedNodeName", "Invalid"),
    ]


def test_addresses_in_status() -> None:
    hosts = {"hostIP": "10.1.0.1", "hostIPs": [{"ip": "10.1.0.2"}, {"ip": "fd00::1"}, {"ip": "fd00::1"}]}
    assert status_findings({}, {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}, {"ip": "x"}], **hosts}) == [
        (
            "status.podIPs[2]",
            "Invalid",
            'Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        ),
        (
            "status.podIPs",
            "Invalid",
            'Invalid value: [{"ip":"10.0.0.1"},{"ip":"10.0.0.2"},{"ip":"x"}]: may specify no more than one IP for each'
            " IP family",
        ),
        ("status.hostIPs[0].ip", "Invalid", 'Invalid value: "10.1.0.2": must be equal to `hostIP`'),
        ("status.hostIPs[2]", "Duplicate", 'Duplicate value: {"ip":"fd00::1"}'),
        (
            "status.hostIPs",
            "Invalid",
            'Invalid value: [{"ip":"10.1.0.2"},{"ip":"fd00::1"},{"ip":"fd00::1"}]: may specify no more than one IP for'
            " each IP family",
        ),
    ]


ENDED = {"name": "main", "image": "", "imageID": "", "state": {"terminated": {"exitCode": 1}}}
BEGUN = {**ENDED, "state": {"running": {}}}


@pytest.mark.parametrize(
    ("field", "spec", "allowed"),
    [
        ("containerStatuses", {"restartPolicy": "OnFailure"}, True),
        ("containerStatuses", {"restartPolicy": "Never"}, False),
        ("initContainerStatuses", {"restartPolicy": "Never"}, False),
        ("initContainerStatuses", {"restartPolicy": "Always"}, True),
        ("ephemeralContainerStatuses", {"restartPolicy": "Always"}, False),
    ],
)
def test_containers_that_may_begin_again(field: str, spec: dict[str, Any], allowed: bool) -> None:
    found = status_findings({field: [ENDED]}, {field: [BEGUN]}, **spec)
    assert [where for where, _, _ in found] == ([] if allowed else [f"status.{field}[0].state"])


def test_rules_that_let_containers_begin_again() -> None:
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [1]}}
    other = {"name": "o", "image": "o", "restartPolicy": "Never", "restartPolicyRules": [rule]}
    statuses = ({"containerStatuses": [ENDED]}, {"containerStatuses": [BEGUN]})
    containers = [*POD["spec"]["containers"], other]
    assert status_findings(*statuses, restartPolicy="Never", containers=containers) == []
    other["restartPolicyRules"] = [{**rule, "action": "Restart"}]
    assert len(status_findings(*statuses, restartPolicy="Never", containers=containers)) == 1


def test_claims_in_status() -> None:
    named = [{"name": "gpu", "resourceClaimName": "web-gpu"}, {"name": "gpu", "resourceClaimName": "A"}, {"name": "x"}]
    extended = {
        "resourceClaimName": "c",
        "requestMappings": [
            {"containerName": "main", "resourceName": "example.com/gpu", "requestName": ""},
            {"containerName": "none", "resourceName": "example.com/gpu", "requestName": "r"},
        ],
    }
    found = status_findings(
        {},
        {"resourceClaimStatuses": named, "extendedResourceClaimStatus": extended},
        resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "t"}],
    )
    assert [(field, reason) for field, reason, _ in found] == [
        ("status.resourceClaimStatuses[1].name", "Duplicate"),
        ("status.resourceClaimStatuses[1].name", "Invalid"),
        ("status.resourceClaimStatuses[2].name", "Invalid"),
        ("status.extendedResourceClaimStatus.requestMappings[0].resourceName", "Invalid"),
        ("status.extendedResourceClaimStatus.requestMappings[0].requestName", "Required"),
        ("status.extendedResourceClaimStatus.requestMappings[1].containerName", "Invalid"),
    ]


def test_what_containers_were_given() -> None:
    health = [{"resourceID": "1", "health": "Well"}, {"resourceID": "1", "health": "Healthy"}]
    status = {
        **BEGUN,
        "user": {"linux": {"uid": -1, "gid": 0, "supplementalGroups": [-1]}},
        "allocatedResourcesStatus": [{"name": "claim:gpu", "resources": health}, {"name": "cpu", "resources": []}],
    }
    found = status_findings({}, {"containerStatuses": [status], "ephemeralContainerStatuses": [status]})
    at, given = "status.containerStatuses[0]", "status.containerStatuses[0].allocatedResourcesStatus"
    assert [(field, reason) for field, reason, _ in found] == [
        (f"{at}.linux.uid", "Invalid"),
        (f"{at}.linux.supplementalGroups[0]", "Invalid"),
        (f"{given}[0].name", "Invalid"),
        (f"{given}[0].resources[0].health", "NotSupported"),
        (f"{given}[0].resources[1].resourceID", "Duplicate"),
        (f"{given}[1].name", "Invalid"),
        ("status.ephemeralContainerStatuses[0].linux.uid", "Invalid"),
        ("status.ephemeralContainerStatuses[0].linux.supplementalGroups[0]", "Invalid"),
        ("status.ephemeralContainerStatuses[0].allocatedResourcesStatus", "Forbidden"),
    ]


MIRROR = {"metadata.annotations": {"kubernetes.io/config.mirror": "x"}, "spec.nodeName": "n"}
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"


def test_annotations_that_mean_something() -> None:
    annotations = {
        "kubernetes.io/config.mirror": "x",
        "controller.kubernetes.io/pod-deletion-cost": "007",
        f"{APP_ARMOR}main": "x",
        f"{APP_ARMOR}none": "unconfined",
    }
    at = "metadata.annotations"
    assert told(pods.STRATEGY.validate(created(changed(POD, {"metadata.annotations": annotations})))) == [
        (
            f"{at}[kubernetes.io/config.mirror]",
            "Invalid",
            'Invalid value: "x": must set spec.nodeName if mirror pod annotation is set',
        ),
        (
            f"{at}[controller.kubernetes.io/pod-deletion-cost]",
            "Invalid",
            'Invalid value: "007": must be a 32bit integer',
        ),
        (f"{at}[{APP_ARMOR}main]", "Invalid", 'Invalid value: "x": invalid AppArmor profile name: "x"'),
        (f"{at}[{APP_ARMOR}none]", "Invalid", 'Invalid value: "none": container not found'),
    ]


@pytest.mark.parametrize(
    ("annotation", "profile", "field"),
    [
        ("unconfined", {"type": "Unconfined"}, ""),
        ("localhost/a", {"type": "Localhost", "localhostProfile": "a"}, ""),
        ("runtime/default", {"type": "Unconfined"}, "type"),
        ("unconfined", {"type": "Localhost", "localhostProfile": "a"}, "type"),
        ("localhost/b", {"type": "Localhost", "localhostProfile": "a"}, "localhostProfile"),
    ],
)
def test_profiles_are_the_same_in_annotations_and_fields(annotation: str, profile: Any, field: str) -> None:
    pod = created(
        changed(
            POD,
            {
                "metadata.annotations": {f"{APP_ARMOR}main": annotation},
                f"{C}.securityContext": {"appArmorProfile": profile},
            },
        )
    )
    at = "spec.containers[0].securityContext.appArmorProfile"
    assert [where for where, _, _ in told(pods.STRATEGY.validate(pod))] == ([f"{at}.{field}"] if field else [])


def test_annotations_that_are_for_good() -> None:
    mirror = stored(changed(POD, MIRROR))
    gone = update_findings(mirror, changed(POD, {"spec.nodeName": "n"}))
    assert gone == [
        (
            "metadata.annotations[kubernetes.io/config.mirror]",
            "Forbidden",
            "Forbidden: may not remove or update mirror pod annotation",
        )
    ]
    with_profile = changed(POD, {"metadata.annotations": {f"{APP_ARMOR}main": "unconfined"}})
    assert update_findings(stored(POD), with_profile) == [
        (f"metadata.annotations[{APP_ARMOR}main]", "Forbidden", "Forbidden: may not add AppArmor annotations")
    ]


def subresource(name: str, before: dict[str, Any], changes: dict[str, Any]) -> list[tuple[str, str, str]]:
    old, new = stored(before), stored(changed(before, changes))
    new.status = old.status
    return told(resource_for(before).strategy.subresource_validators[name](new, old))


EPHEMERAL = {"name": "debug", "image": "busybox", "targetContainerName": "main"}


def test_ephemeral_containers_are_only_added() -> None:
    assert subresource("ephemeralcontainers", POD, {"spec.ephemeralContainers": [EPHEMERAL]}) == []
    with_one = changed(POD, {"spec.ephemeralContainers": [EPHEMERAL]})
    removed = subresource("ephemeralcontainers", with_one, {"spec.ephemeralContainers": []})
    assert [(field, reason) for field, reason, _ in removed] == [("spec.ephemeralContainers", "Forbidden")]
    assert subresource("ephemeralcontainers", changed(POD, MIRROR), {}) == [
        ("", "Forbidden", "Forbidden: static pods do not support ephemeral containers")
    ]
    with_ports = {**EPHEMERAL, "ports": [{"containerPort": 1}], "targetContainerName": "nobody"}
    assert subresource("ephemeralcontainers", POD, {"spec.ephemeralContainers": [with_ports]}) == [
        ("spec.ephemeralContainers[0].targetContainerName", "NotFound", 'Not found: "nobody"'),
        ("spec.ephemeralContainers[0].ports", "Forbidden", "Forbidden: cannot be set for an Ephemeral Container"),
    ]


SIDECAR = {"name": "s", "image": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}}
INIT = {"name": "i", "image": "i", "resources": {"requests": {"cpu": "1"}}}
SIZED = changed(
    POD,
    {
        f"{C}.resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}},
        "spec.initContainers": [SIDECAR, INIT],
    },
)
S = "spec.initContainers.0.resources.requests"
WHOLE = changed(
    SIZED, {"spec.resources": {"requests": {"cpu": "2", "hugepages-2Mi": "2Mi"}, "limits": {"hugepages-2Mi": "2Mi"}}}
)
RESTARTS = [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]
INIT_AMOUNTS = "only cpu and memory resources for init or sidecar containers are mutable"
INIT_RESTART = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"


@pytest.mark.parametrize(
    ("before", "changes", "expected"),
    [
        (SIZED, {f"{C}.resources.requests.cpu": "2", f"{S}.memory": "1Mi"}, []),
        (SIZED, {f"{C}.resources.requests.cpu": "1000m"}, []),
        (
            POD,
            {f"{C}.resources": {"requests": {"cpu": "1"}}},
            [("spec", 'Invalid value: "BestEffort": Pod QOS Class may not change as a result of resizing')],
        ),
        (
            SIZED,
            {f"{C}.resources": {}},
            [
                ("spec.containers[0].resources.requests", "Forbidden: resource requests cannot be removed"),
                ("spec.containers[0].resources.limits", "Forbidden: resource limits cannot be removed"),
            ],
        ),
        (
            SIZED,
            {f"{C}.resources.requests.ephemeral-storage": "1"},
            [("spec", "Forbidden: only cpu and memory resources are mutable")],
        ),
        (
            SIZED,
            {f"{S}.ephemeral-storage": "1"},
            [("spec.initContainers[0]", f"Forbidden: {INIT_AMOUNTS}")],
        ),
        (SIZED, {f"{C}.resizePolicy": RESTARTS}, [("spec", "Forbidden: only cpu and memory resources are mutable")]),
        (SIZED, {"spec.initContainers.1.resources.requests.cpu": "2"}, []),
        (
            SIZED,
            {"spec.initContainers.1.resizePolicy": RESTARTS},
            [
                ("spec.initContainers[1]", f"Forbidden: {INIT_AMOUNTS}"),
                ("spec.initContainers[1]", f"Forbidden: {INIT_RESTART}"),
            ],
        ),
        (
            changed(SIZED, {"spec.initContainers.1.resizePolicy": RESTARTS}),
            {"spec.initContainers.1.resources.requests.cpu": "2"},
            [("spec.initContainers[1]", f"Forbidden: {INIT_RESTART}")],
        ),
        (
            SIZED,
            {f"{C}.name": "b", "spec.initContainers": [INIT, SIDECAR]},
            [
                (f"spec.{place}.name", f"Forbidden: {place.split('[')[0]} may not be renamed or reordered on resize")
                for place in ("containers[0]", "initContainers[0]", "initContainers[1]")
            ],
        ),
        (
            SIZED,
            {"spec.initContainers": [SIDECAR]},
            [("spec.initContainers", "Forbidden: initContainers may not be added or removed on resize")],
        ),
        (WHOLE, {"spec.resources.requests.cpu": "3"}, []),
        (
            WHOLE,
            {"spec.resources": {"requests": {"memory": "1Gi"}}},
            [
                ("spec.resources.requests", "Forbidden: pod-level resource requests cannot be removed"),
                ("spec.resources.limits", "Forbidden: pod-level resource limits cannot be removed"),
                ("spec", "Forbidden: only cpu and memory resources are mutable at pod-level"),
            ],
        ),
        (WHOLE, {"spec.resources": None}, [("spec.resources", "Forbidden: pod-level resources cannot be removed")]),
        (changed(POD, MIRROR), {}, [("", "Forbidden: static pods cannot be resized")]),
        (changed(POD, {"spec.os": {"name": "windows"}}), {}, [("", "Forbidden: windows pods cannot be resized")]),
    ],
)
def test_resize_changes_amounts_within_the_class(
    before: dict[str, Any], changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert [(field, message) for field, _, message in subresource("resize", before, changes)] == expected


def test_resize_needs_a_kubelet_that_can() -> None:
    def findings(status: dict[str, Any]) -> list[tuple[str, str, str]]:
        old = stored(SIZED, {"qosClass": "Burstable", "containerStatuses": [{**BEGUN, **status}]})
        return told(resource_for(SIZED).strategy.subresource_validators["resize"](stored(SIZED), old))

    assert findings({"resources": {}}) == []
    assert findings({}) == [("spec", "Forbidden", "Forbidden: Pod running on node without support for resize")]


@pytest.mark.parametrize(
    ("changes", "status", "requested", "expected"),
    [
        ({}, {}, None, 0),
        ({"spec.nodeName": "n"}, {}, None, 30),
        ({"spec.nodeName": "n"}, {}, 5, 5),
        ({"spec.nodeName": "n"}, {}, 0, 0),
        ({"spec.nodeName": "n"}, {}, -1, 1),
        ({"spec.nodeName": "n"}, {"phase": "Succeeded"}, 5, 0),
    ],
)
def test_grace(changes: dict[str, Any], status: dict[str, Any], requested: int | None, expected: int) -> None:
    pod = stored(changed(POD, changes), status)
    assert pods.grace_seconds(pod, requested) == expected


def test_selectable_fields() -> None:
    pod: Pod = stored(changed(POD, {"spec.nodeName": "n"}), {"phase": "Running", "podIPs": [{"ip": "10.0.0.9"}]})
    assert pods.fields(pod) == {
        "spec.nodeName": "n",
        "spec.host": "n",
        "spec.restartPolicy": "Always",
        "spec.schedulerName": "default-scheduler",
        "spec.serviceAccountName": "default",
        "spec.hostNetwork": "false",
        "status.phase": "Running",
        "status.podIP": "10.0.0.9",
        "status.podIPs": "",
        "status.nominatedNodeName": "",
    }
