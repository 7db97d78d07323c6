"""The least that each kind must say to be accepted, for tests that go over all resources.

In every text `@` stands for a number that makes the object unlike others, `$NAMESPACE` for its namespace.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tiphys.kinds.resource import Resource
from tiphys.pki.certificates import build_authority

POD_SPEC: dict[str, Any] = {"containers": [{"name": "main", "image": "example/image:1"}]}
TEMPLATE: dict[str, Any] = {"metadata": {"labels": {"app": "x"}}, "spec": POD_SPEC}
SELECTOR: dict[str, Any] = {"matchLabels": {"app": "x"}}
JOB_SPEC: dict[str, Any] = {"template": {"spec": {**POD_SPEC, "restartPolicy": "Never"}}}
CLAIM_SPEC: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
DEVICE_SPEC: dict[str, Any] = {
    "devices": {"requests": [{"name": "one", "exactly": {"deviceClassName": "class.example.com"}}]}
}
WEBHOOK: dict[str, Any] = {
    "name": "hook.example.com",
    "clientConfig": {"url": "https://127.0.0.1:1/hook"},
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "rules": [{"apiGroups": ["none.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["x"]}],
}
CONSTRAINTS: dict[str, Any] = {"resourceRules": WEBHOOK["rules"]}
EXTENDED: dict[str, Any] = {
    "group": "example.com",
    "scope": "Namespaced",
    "names": {"plural": "things@", "singular": "thing@", "kind": "Thing@", "listKind": "Thing@List"},
    "versions": [
        {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}},
    ],
}

KEY = ec.derive_private_key(7, ec.SECP256R1())


def signing_request(encoding: serialization.Encoding, *attributes: x509.NameAttribute[str]) -> str:
    """In base64, as it is sent."""
    signed = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes)).sign(KEY, hashes.SHA256())
    return base64.b64encode(signed.public_bytes(encoding)).decode()


def _trust_bundle() -> str:
    return (
        build_authority("trusted", KEY, 1, 1767225600.0).certificate.public_bytes(serialization.Encoding.PEM).decode()
    )


SIGNING_REQUEST = signing_request(serialization.Encoding.PEM, x509.NameAttribute(NameOID.COMMON_NAME, "jane"))


@dataclass(frozen=True)
class Minimal:
    """`body` is what stands beside the metadata; `name` the name; `generates` whether generateName can lead to a valid
    name; `status` a change of the status that /status accepts; `change` one of the rest that an update may make."""

    body: dict[str, Any] = field(default_factory=dict)
    name: str = "thing-@"
    generates: bool = True
    status: dict[str, Any] = field(default_factory=dict)
    change: dict[str, Any] = field(default_factory=dict)

    def document(self, resource: Resource, number: int, namespace: str, **metadata: Any) -> dict[str, Any]:
        document = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": self.name, **({"namespace": namespace} if resource.namespaced else {}), **metadata},
            **self.body,
        }
        found: dict[str, Any] = json.loads(
            json.dumps(document).replace("@", str(number)).replace("$NAMESPACE", namespace)
        )
        return found


def _condition(**more: Any) -> dict[str, Any]:
    return {"type": "Tested", "status": "True", "reason": "Test", "message": "", **more}


TIME = "2026-01-01T00:00:00Z"
DATED: dict[str, Any] = {"conditions": [_condition(lastTransitionTime=TIME)]}
UNDATED: dict[str, Any] = {"conditions": [{"type": "Tested", "status": "True"}]}
ROLE_REF = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
ZONE = "topology.kubernetes.io/zone"
EVENT_TIME = "2026-01-01T00:00:00.000000Z"

OBJECTS: dict[tuple[str, str, str], Minimal] = {
    ("", "v1", "configmaps"): Minimal({"data": {"key": "value"}}, change={"data": {"other": "value"}}),
    ("", "v1", "endpoints"): Minimal(
        {"subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]},
        change={"subsets": [{"addresses": [{"ip": "192.0.2.2"}], "ports": [{"port": 81}]}]},
    ),
    ("", "v1", "events"): Minimal(
        {
            "involvedObject": {"kind": "Pod", "name": "a", "namespace": "$NAMESPACE"},
            "reason": "Tested",
            "type": "Normal",
        },
        change={"count": 2, "message": "again"},
    ),
    ("", "v1", "limitranges"): Minimal(
        {"spec": {"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "9Ti"}}]}},
        change={"spec": {"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "8Ti"}}]}},
    ),
    ("", "v1", "namespaces"): Minimal(status=UNDATED),
    ("", "v1", "nodes"): Minimal(status=UNDATED, change={"spec": {"unschedulable": True}}),
    ("", "v1", "persistentvolumeclaims"): Minimal({"spec": CLAIM_SPEC}, status={"phase": "Lost"}),
    ("", "v1", "persistentvolumes"): Minimal(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/tmp/volume"},
            }
        },
        status={"phase": "Available"},
        change={"spec": {"capacity": {"storage": "2Gi"}}},
    ),
    ("", "v1", "pods"): Minimal(
        {"spec": POD_SPEC}, status={"message": "tested"}, change={"spec": {"activeDeadlineSeconds": 600}}
    ),
    ("", "v1", "podtemplates"): Minimal(
        {"template": TEMPLATE}, change={"template": {"metadata": {"labels": {"app": "y"}}}}
    ),
    ("", "v1", "replicationcontrollers"): Minimal(
        {"spec": {"replicas": 1, "selector": {"app": "x"}, "template": TEMPLATE}},
        status={"replicas": 3},
        change={"spec": {"replicas": 2}},
    ),
    ("", "v1", "resourcequotas"): Minimal(
        {"spec": {"hard": {"count/nothing.example.com": "1"}}},
        status={"hard": {"count/nothing.example.com": "2"}},
        change={"spec": {"hard": {"count/nothing.example.com": "3"}}},
    ),
    ("", "v1", "secrets"): Minimal({"stringData": {"key": "value"}}, change={"data": {"other": "dmFsdWU="}}),
    ("", "v1", "serviceaccounts"): Minimal(change={"automountServiceAccountToken": False}),
    ("", "v1", "services"): Minimal(
        {"spec": {"ports": [{"port": 80}]}},
        status={"loadBalancer": {}, "conditions": DATED["conditions"]},
        change={"spec": {"sessionAffinity": "ClientIP", "selector": {"app": "x"}}},
    ),
    ("apiregistration.k8s.io", "v1", "apiservices"): Minimal(
        {
            "spec": {
                "group": "g@.example.com",
                "version": "v1",
                "groupPriorityMinimum": 100,
                "versionPriority": 10,
                "service": {"namespace": "one", "name": "none"},
                "insecureSkipTLSVerify": True,
            }
        },
        name="v1.g@.example.com",
        generates=False,
        status=UNDATED,
        change={"spec": {"versionPriority": 11}},
    ),
    ("apps", "v1", "controllerrevisions"): Minimal({"revision": 1, "data": {"a": 1}}, change={"revision": 2}),
    ("apps", "v1", "daemonsets"): Minimal(
        {"spec": {"selector": SELECTOR, "template": TEMPLATE}},
        status={"numberReady": 2},
        change={"spec": {"minReadySeconds": 5}},
    ),
    ("apps", "v1", "deployments"): Minimal(
        {"spec": {"replicas": 1, "selector": SELECTOR, "template": TEMPLATE}},
        status={"replicas": 3},
        change={"spec": {"replicas": 2, "paused": True}},
    ),
    ("apps", "v1", "replicasets"): Minimal(
        {"spec": {"replicas": 1, "selector": SELECTOR, "template": TEMPLATE}},
        status={"replicas": 3},
        change={"spec": {"replicas": 2}},
    ),
    ("apps", "v1", "statefulsets"): Minimal(
        {"spec": {"replicas": 1, "selector": SELECTOR, "template": TEMPLATE, "serviceName": "x"}},
        status={"replicas": 3},
        change={"spec": {"replicas": 2}},
    ),
    ("events.k8s.io", "v1", "events"): Minimal(
        {
            "eventTime": EVENT_TIME,
            "reportingController": "example.com/test",
            "reportingInstance": "test-1",
            "action": "Testing",
            "reason": "Tested",
            "type": "Normal",
            "regarding": {"kind": "Pod", "name": "a", "namespace": "$NAMESPACE"},
        }
    ),
    ("autoscaling", "v2", "horizontalpodautoscalers"): Minimal(
        {"spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}}},
        status={"desiredReplicas": 2},
        change={"spec": {"maxReplicas": 4}},
    ),
    ("autoscaling", "v1", "horizontalpodautoscalers"): Minimal(
        {"spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}}},
        status={"desiredReplicas": 2},
        change={"spec": {"maxReplicas": 4}},
    ),
    ("batch", "v1", "cronjobs"): Minimal(
        {"spec": {"schedule": "0 0 * * *", "jobTemplate": {"spec": JOB_SPEC}}},
        status={"lastScheduleTime": TIME},
        change={"spec": {"suspend": True, "concurrencyPolicy": "Forbid"}},
    ),
    ("batch", "v1", "jobs"): Minimal(
        {"spec": JOB_SPEC}, status={"active": 1, "ready": 0}, change={"spec": {"parallelism": 2, "suspend": True}}
    ),
    ("certificates.k8s.io", "v1", "certificatesigningrequests"): Minimal(
        {"spec": {"request": SIGNING_REQUEST, "signerName": "example.com/signer", "usages": ["client auth"]}},
        status={
            "conditions": [{"type": "Tested", "status": "True", "lastUpdateTime": TIME, "lastTransitionTime": TIME}]
        },
    ),
    ("certificates.k8s.io", "v1", "clustertrustbundles"): Minimal({"spec": {"trustBundle": _trust_bundle()}}),
    ("certificates.k8s.io", "v1", "podcertificaterequests"): Minimal(
        {
            "spec": {
                "signerName": "example.com/signer",
                "podName": "a",
                "podUID": "u1",
                "serviceAccountName": "default",
                "serviceAccountUID": "u2",
                "nodeName": "node",
                "nodeUID": "u3",
                "stubPKCS10Request": signing_request(serialization.Encoding.DER),
            }
        },
        status={"conditions": [{**DATED["conditions"][0], "type": "Denied"}]},
    ),
    ("networking.k8s.io", "v1", "ingressclasses"): Minimal({"spec": {"controller": "example.com/controller"}}),
    ("networking.k8s.io", "v1", "ingresses"): Minimal(
        {"spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}}},
        status={"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
        change={"spec": {"ingressClassName": "class"}},
    ),
    ("networking.k8s.io", "v1", "ipaddresses"): Minimal(
        {"spec": {"parentRef": {"resource": "services", "namespace": "one", "name": "a"}}},
        name="2001:db8::@",
        generates=False,
    ),
    ("networking.k8s.io", "v1", "networkpolicies"): Minimal(
        {"spec": {"podSelector": {}}}, change={"spec": {"podSelector": {"matchLabels": {"app": "x"}}}}
    ),
    ("networking.k8s.io", "v1", "servicecidrs"): Minimal({"spec": {"cidrs": ["2001:db8:@::/112"]}}, status=DATED),
    ("policy", "v1", "poddisruptionbudgets"): Minimal(
        {"spec": {"minAvailable": 1, "selector": SELECTOR}},
        status={"disruptionsAllowed": 2},
        change={"spec": {"minAvailable": "50%"}},
    ),
    ("policy", "v1beta1", "poddisruptionbudgets"): Minimal(
        {"spec": {"minAvailable": 1, "selector": SELECTOR}},
        status={"disruptionsAllowed": 2},
        change={"spec": {"minAvailable": "50%"}},
    ),
    ("rbac.authorization.k8s.io", "v1", "clusterrolebindings"): Minimal(
        {"roleRef": ROLE_REF},
        change={"subjects": [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}]},
    ),
    ("rbac.authorization.k8s.io", "v1", "clusterroles"): Minimal(
        {"rules": []}, change={"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}
    ),
    ("rbac.authorization.k8s.io", "v1", "rolebindings"): Minimal(
        {"roleRef": ROLE_REF},
        change={"subjects": [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}]},
    ),
    ("rbac.authorization.k8s.io", "v1", "roles"): Minimal(
        {"rules": []}, change={"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}
    ),
    ("storage.k8s.io", "v1", "csidrivers"): Minimal({"spec": {}}, change={"spec": {"requiresRepublish": True}}),
    ("storage.k8s.io", "v1", "csinodes"): Minimal({"spec": {"drivers": []}}),
    ("storage.k8s.io", "v1", "csistoragecapacities"): Minimal({"storageClassName": "a"}, change={"capacity": "1Gi"}),
    ("storage.k8s.io", "v1", "storageclasses"): Minimal(
        {"provisioner": "example.com/none"}, change={"allowVolumeExpansion": True, "mountOptions": ["ro", "soft"]}
    ),
    ("storage.k8s.io", "v1", "volumeattachments"): Minimal(
        {"spec": {"attacher": "example.com", "nodeName": "node", "source": {"persistentVolumeName": "volume"}}},
        status={"attached": True},
    ),
    ("storage.k8s.io", "v1", "volumeattributesclasses"): Minimal(
        {"driverName": "example.com", "parameters": {"a": "b"}}
    ),
    ("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicies"): Minimal(
        {
            "spec": {
                "matchConstraints": CONSTRAINTS,
                "reinvocationPolicy": "Never",
                "mutations": [
                    {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}},
                ],
            }
        },
        change={"spec": {"failurePolicy": "Ignore"}},
    ),
    ("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicybindings"): Minimal(
        {"spec": {"policyName": "a"}}, change={"spec": {"policyName": "b"}}
    ),
    ("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations"): Minimal({"webhooks": [WEBHOOK]}),
    ("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies"): Minimal(
        {"spec": {"matchConstraints": CONSTRAINTS, "validations": [{"expression": "true"}]}},
        status=DATED,
        change={"spec": {"failurePolicy": "Ignore"}},
    ),
    ("admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings"): Minimal(
        {"spec": {"policyName": "a", "validationActions": ["Deny"]}}, change={"spec": {"policyName": "b"}}
    ),
    ("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations"): Minimal({"webhooks": [WEBHOOK]}),
    ("apiextensions.k8s.io", "v1", "customresourcedefinitions"): Minimal(
        {"spec": EXTENDED}, name="things@.example.com", generates=False, status=UNDATED
    ),
    ("scheduling.k8s.io", "v1", "priorityclasses"): Minimal({"value": 5}, change={"description": "changed"}),
    ("coordination.k8s.io", "v1", "leases"): Minimal(
        {"spec": {"holderIdentity": "me"}}, change={"spec": {"holderIdentity": "you", "leaseDurationSeconds": 15}}
    ),
    ("node.k8s.io", "v1", "runtimeclasses"): Minimal(
        {"handler": "runc"}, change={"scheduling": {"nodeSelector": {"a": "b"}}}
    ),
    ("discovery.k8s.io", "v1", "endpointslices"): Minimal(
        {"addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.1"]}]},
        change={"endpoints": [{"addresses": ["192.0.2.2"]}]},
    ),
    ("discovery.k8s.io", "v1beta1", "endpointslices"): Minimal(
        {"addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.1"], "topology": {ZONE: "a"}}]},
        change={"endpoints": [{"addresses": ["192.0.2.2"]}]},
    ),
    ("flowcontrol.apiserver.k8s.io", "v1", "flowschemas"): Minimal(
        {"spec": {"priorityLevelConfiguration": {"name": "global-default"}, "matchingPrecedence": 500}},
        status=UNDATED,
        change={"spec": {"matchingPrecedence": 9999}},
    ),
    ("flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations"): Minimal(
        {
            "spec": {
                "type": "Limited",
                "limited": {"nominalConcurrencyShares": 1, "limitResponse": {"type": "Reject"}},
            }
        },
        status=UNDATED,
        change={"spec": {"limited": {"nominalConcurrencyShares": 4}}},
    ),
    ("resource.k8s.io", "v1", "deviceclasses"): Minimal({"spec": {}}),
    ("resource.k8s.io", "v1", "devicetaintrules"): Minimal(
        {"spec": {"taint": {"key": "example.com/broken", "effect": "NoSchedule"}}},
        status=DATED,
        change={"spec": {"taint": {"key": "example.com/broken", "effect": "NoExecute"}}},
    ),
    ("resource.k8s.io", "v1", "resourceclaims"): Minimal(
        {"spec": DEVICE_SPEC},
        status={
            "allocation": {
                "devices": {
                    "results": [{"request": "one", "driver": "example.com", "pool": "pool", "device": "device"}]
                }
            }
        },
    ),
    ("resource.k8s.io", "v1", "resourceclaimtemplates"): Minimal({"spec": {"spec": DEVICE_SPEC}}),
    ("resource.k8s.io", "v1", "resourceslices"): Minimal(
        {
            "spec": {
                "driver": "example.com",
                "nodeName": "node",
                "pool": {"name": "pool", "generation": 1, "resourceSliceCount": 1},
                "devices": [{"name": "device"}],
            }
        }
    ),
    ("storagemigration.k8s.io", "v1", "storageversionmigrations"): Minimal(
        {"spec": {"resource": {"group": "apps", "resource": "deployments"}}}, status=DATED
    ),
}

# Resources that answer and store nothing: what is sent, and what the answer's status must say.
ANSWERED: dict[tuple[str, str, str], dict[str, Any]] = {
    ("authentication.k8s.io", "v1", "selfsubjectreviews"): {},
    ("authentication.k8s.io", "v1", "tokenreviews"): {"spec": {"token": "nothing"}},
    ("authorization.k8s.io", "v1", "localsubjectaccessreviews"): {
        "spec": {"user": "jane", "resourceAttributes": {"namespace": "$NAMESPACE", "verb": "get", "resource": "pods"}}
    },
    ("authorization.k8s.io", "v1", "selfsubjectaccessreviews"): {
        "spec": {"resourceAttributes": {"namespace": "$NAMESPACE", "verb": "get", "resource": "pods"}}
    },
    ("authorization.k8s.io", "v1", "selfsubjectrulesreviews"): {"spec": {"namespace": "$NAMESPACE"}},
    ("authorization.k8s.io", "v1", "subjectaccessreviews"): {
        "spec": {"user": "jane", "nonResourceAttributes": {"path": "/healthz", "verb": "get"}}
    },
}
