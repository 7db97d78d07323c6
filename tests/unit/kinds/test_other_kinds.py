"""Networking, RBAC, storage, autoscaling, certificates, admission, flow control, devices: rules and columns."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from documents import NOTHING, changed, create_findings, created, resource_for, row, stored, told, update_findings

from tiphys.apiserver.bootstrap.flow import wanted_flow
from tiphys.kinds import codec, unserved
from tiphys.kinds.autoscaling.scaling_validation import NOTHING_OUTSIDE
from tiphys.machinery.versions import version_rank

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
OLD_LABEL = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character,"
    " and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is"
    " '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
RBAC = "rbac.authorization.k8s.io"
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


def thing(api_version: str, kind: str, name: str = "a", namespace: str = "", **content: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


INGRESS = thing(
    "networking.k8s.io/v1",
    "Ingress",
    namespace="default",
    spec={
        "rules": [
            {
                "host": "shop.example.com",
                "http": {
                    "paths": [
                        {
                            "path": "/",
                            "pathType": "Prefix",
                            "backend": {"service": {"name": "web", "port": {"number": 80}}},
                        }
                    ]
                },
            }
        ]
    },
)
PATH = "spec.rules.0.http.paths.0"
PATH0 = "spec.rules[0].http.paths[0]"
POLICY = thing("networking.k8s.io/v1", "NetworkPolicy", namespace="default", spec={"podSelector": {}})
ROLE = thing(
    f"{RBAC}/v1", "Role", namespace="default", rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
)
BINDING = thing(
    f"{RBAC}/v1",
    "ClusterRoleBinding",
    roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"},
    subjects=[{"kind": "ServiceAccount", "name": "default", "namespace": "kube-system"}, {"kind": "User", "name": "u"}],
)
CLASS = thing("storage.k8s.io/v1", "StorageClass", provisioner="example.com/disk")
PRIORITY = thing("scheduling.k8s.io/v1", "PriorityClass", value=10)
RUNTIME = thing("node.k8s.io/v1", "RuntimeClass", handler="runc")
LEASE = thing(
    "coordination.k8s.io/v1", "Lease", namespace="default", spec={"holderIdentity": "x", "leaseDurationSeconds": 15}
)
SLICE = thing(
    "discovery.k8s.io/v1",
    "EndpointSlice",
    namespace="default",
    addressType="IPv4",
    endpoints=[{"addresses": ["10.0.0.1"]}],
    ports=[{"port": 80}],
)
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
AUTOSCALER = thing(
    "autoscaling/v2", "HorizontalPodAutoscaler", namespace="default", spec={"maxReplicas": 3, "scaleTargetRef": TARGET}
)
OLD_AUTOSCALER = thing(
    "autoscaling/v1",
    "HorizontalPodAutoscaler",
    namespace="default",
    spec={"maxReplicas": 3, "scaleTargetRef": TARGET, "targetCPUUtilizationPercentage": 50},
)
STUB = (
    "MH8wMwIBADAAMCowBQYDK2VwAyEAOp3ucPPUZ9lLCrX/FV4s56qUiqO+vd+m8vhzNhYmbTygADAFBgMrZXADQQB8W1xPuBc13Y3D"
    "/ORVpZs3clLXbRpBlAk6iXIaUhRhzlJAFCfavPPJ6Ht9f/o+JiOvBgUYSo91UDZbsg6pbbsJ"
)
PEM = base64.b64encode(
    f"-----BEGIN CERTIFICATE REQUEST-----\n{STUB}\n-----END CERTIFICATE REQUEST-----\n".encode()
).decode()
REQUEST = thing(
    "certificates.k8s.io/v1",
    "CertificateSigningRequest",
    spec={
        "request": PEM,
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
        "username": "u",
    },
)
WEBHOOK = {
    "name": "check.example.com",
    "clientConfig": {"url": "https://example.com/check"},
    "admissionReviewVersions": ["v1"],
    "sideEffects": "None",
    "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
}
HOOKS = thing("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", webhooks=[WEBHOOK])
NEW_EVENT = thing(
    "events.k8s.io/v1",
    "Event",
    namespace="default",
    eventTime="2026-01-01T00:00:00.000000Z",
    reportingController="example.com/test",
    reportingInstance="test-1",
    action="Testing",
    reason="Tested",
    type="Normal",
    regarding={"kind": "Pod", "name": "a", "namespace": "default"},
)
FLOW = thing(
    "flowcontrol.apiserver.k8s.io/v1",
    "FlowSchema",
    spec={
        "priorityLevelConfiguration": {"name": "workload-low"},
        "rules": [
            {
                "subjects": [{"kind": "User", "user": {"name": "*"}}],
                "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz"]}],
            }
        ],
    },
)
LEVEL = thing(
    "flowcontrol.apiserver.k8s.io/v1",
    "PriorityLevelConfiguration",
    spec={"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {}}}},
)
SERVED = thing(
    "apiregistration.k8s.io/v1",
    "APIService",
    "v1.example.com",
    spec={"group": "example.com", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10},
)
DEFINITION = thing(
    "apiextensions.k8s.io/v1",
    "CustomResourceDefinition",
    "ships.example.com",
    spec={
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "ships", "kind": "Ship"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
)
CLAIM = thing(
    "resource.k8s.io/v1",
    "ResourceClaim",
    namespace="default",
    spec={"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com"}}]}},
)
DEVICES = thing(
    "resource.k8s.io/v1",
    "ResourceSlice",
    spec={
        "driver": "gpu.example.com",
        "nodeName": "n",
        "pool": {"name": "n", "generation": 1, "resourceSliceCount": 1},
    },
)
DRIVER = thing("storage.k8s.io/v1", "CSIDriver", "disk.example.com", spec={})
ATTACHMENT = thing(
    "storage.k8s.io/v1",
    "VolumeAttachment",
    spec={"attacher": "disk.example.com", "nodeName": "n", "source": {"persistentVolumeName": "v"}},
)
RULE = thing(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicy",
    spec={
        "matchConstraints": {
            "resourceRules": [
                {"operations": ["CREATE"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}
            ]
        },
        "validations": [{"expression": "object.spec.replicas <= 5"}],
    },
)
# A request signed with an Ed25519 key of its own.
POD_REQUEST = thing(
    "certificates.k8s.io/v1",
    "PodCertificateRequest",
    namespace="default",
    spec={
        "signerName": "example.com/signer",
        "podName": "p",
        "podUID": "1",
        "serviceAccountName": "s",
        "serviceAccountUID": "2",
        "nodeName": "n",
        "nodeUID": "3",
        "stubPKCS10Request": STUB,
    },
)
CREATES: list[tuple[str, dict[str, Any], dict[str, Any], list[tuple[str, str, str]]]] = [
    (
        "empty ingress",
        INGRESS,
        {"spec": {}},
        [("spec", "Invalid", "Invalid value: null: either `defaultBackend` or `rules` must be specified")],
    ),
    (
        "path of an ingress",
        INGRESS,
        {f"{PATH}.path": "a/../b"},
        [
            (f"{PATH0}.path", "Invalid", 'Invalid value: "a/../b": must be an absolute path'),
            (f"{PATH0}.path", "Invalid", "Invalid value: \"a/../b\": must not contain '/../'"),
        ],
    ),
    (
        "no type of path",
        INGRESS,
        {f"{PATH}.pathType": ""},
        [(f"{PATH0}.pathType", "Required", "Required value: pathType must be specified")],
    ),
    (
        "no backend",
        INGRESS,
        {f"{PATH}.backend": {}},
        [(f"{PATH0}.backend", "Invalid", 'Invalid value: "": resource or service backend is required')],
    ),
    (
        "resource behind a path",
        INGRESS,
        {f"{PATH}.backend": {"resource": {"apiGroup": "", "kind": "a/b", "name": ""}}},
        [
            (f"{PATH0}.backend.resource.apiGroup", "Invalid", f'Invalid value: "": {SUBDOMAIN}'),
            (f"{PATH0}.backend.resource.kind", "Invalid", "Invalid value: \"a/b\": may not contain '/'"),
            (f"{PATH0}.backend.resource.name", "Required", "Required value: name is required"),
        ],
    ),
    (
        "kind of subject",
        BINDING,
        {"subjects.1.kind": "Robot", "subjects.1.namespace": "a"},
        [
            (
                "subjects[1].kind",
                "NotSupported",
                'Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"',
            )
        ],
    ),
    ("namespace of an account", BINDING, {"subjects.0.namespace": "Kube System"}, []),
    ("user with a namespace", BINDING, {"subjects.1.namespace": "a"}, []),
    (
        "selector of roles",
        thing(f"{RBAC}/v1", "ClusterRole", aggregationRule={"clusterRoleSelectors": [{}]}),
        {"aggregationRule.clusterRoleSelectors.0.matchExpressions": [{"key": "a", "operator": "Is"}]},
        [
            (
                "aggregationRule.clusterRoleSelectors[0].matchExpressions[0].operator",
                "Invalid",
                'Invalid value: "Is": not a valid selector operator',
            ),
            ("aggregationRule.clusterRoleSelectors[0]", "Invalid", "Invalid value: null: invalid label selector."),
        ],
    ),
    (
        "address as a host",
        INGRESS,
        {"spec.rules.0.host": "10.0.0.1"},
        [("spec.rules[0].host", "Invalid", 'Invalid value: "10.0.0.1": must be a DNS name, not an IP address')],
    ),
    (
        "peer of nothing",
        POLICY,
        {"spec.ingress": [{"from": [{}]}]},
        [("spec.ingress[0].from[0]", "Required", "Required value: must specify a peer")],
    ),
    (
        "hole in a block",
        POLICY,
        {"spec.egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/16", "except": ["10.1.0.0/24"]}}]}]},
        [
            (
                "spec.egress[0].to[0].ipBlock.except[0]",
                "Invalid",
                'Invalid value: "10.1.0.0/24": must be a strict subset of `cidr`',
            )
        ],
    ),
    (
        "end of a port range",
        POLICY,
        {"spec.ingress": [{"ports": [{"port": "http", "endPort": 90}]}]},
        [
            (
                "spec.ingress[0].ports[0].endPort",
                "Invalid",
                "Invalid value: 90: may not be specified when `port` is non-numeric",
            )
        ],
    ),
    (
        "rule without verbs and resources",
        ROLE,
        {"rules": [{"apiGroups": [""]}]},
        [
            ("rules[0].verbs", "Required", "Required value: verbs must contain at least one value"),
            (
                "rules[0].resources",
                "Required",
                "Required value: resource rules must supply at least one resource",
            ),
        ],
    ),
    (
        "paths in a namespace",
        ROLE,
        {"rules": [{"nonResourceURLs": ["/"], "verbs": ["get"]}]},
        [
            (
                "rules[0].nonResourceURLs",
                "Invalid",
                'Invalid value: ["/"]: namespaced rules cannot apply to non-resource URLs',
            )
        ],
    ),
    (
        "binding everywhere to a role",
        BINDING,
        {"roleRef.kind": "Role"},
        [("roleRef.kind", "NotSupported", 'Unsupported value: "Role": supported values: "ClusterRole"')],
    ),
    (
        "account without namespace",
        BINDING,
        {"subjects.0.namespace": NOTHING},
        [("subjects[0].namespace", "Required", "Required value")],
    ),
    (
        "binding mode",
        CLASS,
        {"volumeBindingMode": "Later"},
        [
            (
                "volumeBindingMode",
                "NotSupported",
                'Unsupported value: "Later": supported values: "Immediate", "WaitForFirstConsumer"',
            )
        ],
    ),
    (
        "too important",
        PRIORITY,
        {"value": 1000000001},
        [("value", "Forbidden", "Forbidden: maximum allowed value of a user defined priority is 1000000000")],
    ),
    (
        "name of the system",
        PRIORITY,
        {"metadata.name": "system-mine"},
        [
            (
                "metadata.name",
                "Forbidden",
                "Forbidden: priority class names with 'system-' prefix are reserved for system use only. error:"
                " system-mine is not a known system priority class",
            )
        ],
    ),
    (
        "lease of no time",
        LEASE,
        {"spec.leaseDurationSeconds": 0},
        [("spec.leaseDurationSeconds", "Invalid", "Invalid value: 0: must be greater than 0")],
    ),
    (
        "address of another type",
        SLICE,
        {"addressType": "IPv6"},
        [("endpoints[0].addresses[0]", "Invalid", 'Invalid value: "10.0.0.1": must be an IPv6 address')],
    ),
    (
        "more than the most",
        AUTOSCALER,
        {"spec.minReplicas": 5},
        [("spec.maxReplicas", "Invalid", "Invalid value: 3: must be greater than or equal to `minReplicas`")],
    ),
    (
        "metric of another type",
        AUTOSCALER,
        {"spec.metrics": [{"type": "Pods", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}]},
        [
            (
                "spec.metrics[0].pods",
                "Required",
                "Required value: must populate information for the given metric source",
            ),
            (
                "spec.metrics[0].resource.target.averageUtilization",
                "Required",
                "Required value: must set either a target raw value or a target utilization",
            ),
            ("spec.metrics[0].resource", "Forbidden", "Forbidden: must populate the given metric source only"),
        ],
    ),
    (
        "metric of one container",
        AUTOSCALER,
        {
            "spec.metrics": [
                {
                    "type": "ContainerResource",
                    "containerResource": {
                        "name": "pods",
                        "container": "A",
                        "target": {"type": "Utilization", "averageUtilization": 50},
                    },
                }
            ]
        },
        [
            (
                "spec.metrics[0].containerResource.name",
                "Invalid",
                'Invalid value: "pods": must be a standard resource for containers',
            ),
            ("spec.metrics[0].containerResource.container", "Invalid", f'Invalid value: "A": {LABEL}'),
        ],
    ),
    (
        "names of a definition",
        DEFINITION,
        {"spec.scope": "", "spec.names.singular": "Ship", "spec.names.kind": "Big Ship"},
        [
            ("spec.scope", "Required", "Required value"),
            ("spec.names.singular", "Invalid", f'Invalid value: "Ship": {OLD_LABEL}'),
            (
                "spec.names.kind",
                "Invalid",
                f'Invalid value: "Big Ship": may have mixed case, but should otherwise match: {OLD_LABEL}',
            ),
            (
                "spec.names.listKind",
                "Invalid",
                f'Invalid value: "Big ShipList": may have mixed case, but should otherwise match: {OLD_LABEL}',
            ),
        ],
    ),
    (
        "conversion of a definition",
        DEFINITION,
        {"spec.conversion": {"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {}}}},
        [
            (
                "spec.conversion.webhookClientConfig",
                "Forbidden",
                "Forbidden: should not be set when strategy is not set to Webhook",
            ),
            (
                "spec.conversion.conversionReviewVersions",
                "Forbidden",
                "Forbidden: should not be set when strategy is not set to Webhook",
            ),
        ],
    ),
    (
        "webhook that converts",
        DEFINITION,
        {"spec.conversion": {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v2"]}}},
        [
            (
                "spec.conversion.webhookClientConfig",
                "Required",
                "Required value: required when strategy is set to Webhook",
            ),
            (
                "spec.conversion.conversionReviewVersions",
                "Invalid",
                'Invalid value: ["v2"]: must include at least one of v1, v1beta1',
            ),
        ],
    ),
    (
        "columns of a definition",
        DEFINITION,
        {"spec.versions.0.additionalPrinterColumns": [{"name": "A", "type": "string", "jsonPath": "spec"}]},
        [
            (
                "spec.additionalPrinterColumns[0].JSONPath",
                "Invalid",
                'Invalid value: "spec": must be a simple json path starting with .',
            )
        ],
    ),
    (
        "root of a schema beside a status",
        DEFINITION,
        {
            "spec.versions.0.subresources": {"status": {}},
            "spec.versions.0.schema": {"openAPIV3Schema": {"type": "object", "maxProperties": 3}},
        },
        [
            (
                "spec.validation.openAPIV3Schema",
                "Invalid",
                'Invalid value: {"maxProperties":3,"type":"object"}: only [Description Type Format Title Maximum'
                " ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems"
                " MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations] fields"
                " are allowed at the root of the schema if the status subresource is enabled",
            )
        ],
    ),
    (
        "verbs of a flow",
        FLOW,
        {"spec.distinguisherMethod": {"type": "ByDay"}, "spec.rules.0.nonResourceRules.0.verbs": ["get", "head"]},
        [
            (
                "spec.distinguisherMethod.type",
                "NotSupported",
                'Unsupported value: "ByDay": supported values: "ByNamespace", "ByUser"',
            ),
            (
                "spec.rules[0].nonResourceRules[0].verbs",
                "NotSupported",
                'Unsupported value: ["get","head"]: supported values: "create", "delete", "deletecollection", "get",'
                ' "list", "patch", "proxy", "update", "watch"',
            ),
        ],
    ),
    (
        "resources of a flow",
        FLOW,
        {"spec.rules.0.resourceRules": [{"verbs": ["*"], "apiGroups": [], "resources": [], "namespaces": ["A"]}]},
        [
            (
                "spec.rules[0].resourceRules[0].apiGroups",
                "Required",
                "Required value: resource rules must supply at least one api group",
            ),
            (
                "spec.rules[0].resourceRules[0].resources",
                "Required",
                "Required value: resource rules must supply at least one resource",
            ),
            (
                "spec.rules[0].resourceRules[0].namespaces[0]",
                "Invalid",
                f"Invalid value: \"A\": each member of this list must be '*' or a DNS-1123 label; {LABEL}",
            ),
        ],
    ),
    (
        "too many hands",
        LEVEL,
        {"spec.limited.limitResponse.queuing": {"queues": 70000, "handSize": 4, "queueLengthLimit": 1}},
        [
            (
                "spec.limited.limitResponse.queuing.handSize",
                "Invalid",
                "Invalid value: 4: required entropy bits of deckSize 70000 and handSize 4 should not be greater than"
                " 60",
            )
        ],
    ),
    (
        "event",
        NEW_EVENT,
        {"type": "Odd", "series": {"count": 1}, "deprecatedCount": 3, "regarding.namespace": ""},
        [
            ("type", "Invalid", 'Invalid value: "": has invalid value: Odd'),
            ("series.count", "Invalid", 'Invalid value: "": should be at least 2'),
            ("series.lastObservedTime", "Required", "Required value"),
            ("count", "Invalid", 'Invalid value: "": needs to be unset'),
        ],
    ),
    ("event about another namespace", NEW_EVENT, {"regarding.namespace": "other"}, []),
    (
        "event elsewhere about a thing without a namespace",
        NEW_EVENT,
        {"metadata.namespace": "other", "regarding.namespace": ""},
        [("involvedObject.namespace", "Invalid", 'Invalid value: "": does not match event.namespace')],
    ),
    (
        "inline volume",
        thing(
            "storage.k8s.io/v1",
            "VolumeAttachment",
            spec={
                "attacher": "example.com",
                "nodeName": "n",
                "source": {
                    "inlineVolumeSpec": {
                        "accessModes": ["ReadWriteOnce"],
                        "csi": {"driver": "example.com", "volumeHandle": "h"},
                    }
                },
            },
        ),
        {"spec.source.inlineVolumeSpec.capacity": {"storage": "1Gi"}},
        [
            (
                "spec.source.inlineVolumeSpec.capacity",
                "Forbidden",
                "Forbidden: may not be specified in the context of inline volumes",
            )
        ],
    ),
    (
        "path of a webhook",
        HOOKS,
        {"webhooks.0.clientConfig": {"service": {"name": "a", "namespace": "b", "path": "/one//T"}}},
        [
            (
                "webhooks[0].clientConfig.service.path",
                "Invalid",
                'Invalid value: "/one//T": segment[1] may not be empty',
            ),
            (
                "webhooks[0].clientConfig.service.path",
                "Invalid",
                f'Invalid value: "/one//T": segment[2]: {SUBDOMAIN}',
            ),
        ],
    ),
    (
        "no scale",
        OLD_AUTOSCALER,
        {"spec.maxReplicas": 0, "spec.minReplicas": 0},
        [
            ("spec.maxReplicas", "Invalid", "Invalid value: 0: must be greater than 0"),
            ("spec.metrics", "Forbidden", f"Forbidden: {NOTHING_OUTSIDE}"),
        ],
    ),
    (
        "none by what is inside",
        AUTOSCALER,
        {"spec.minReplicas": 0},
        [("spec.metrics", "Forbidden", f"Forbidden: {NOTHING_OUTSIDE}")],
    ),
    (
        "less than none",
        AUTOSCALER,
        {"spec.minReplicas": -1},
        [("spec.minReplicas", "Invalid", "Invalid value: -1: must be greater than or equal to 0")],
    ),
    (
        "tolerance",
        AUTOSCALER,
        {"spec.behavior": {"scaleUp": {"tolerance": "-1"}}},
        [("spec.behavior.scaleUp.tolerance", "Invalid", 'Invalid value: "-1": must be greater or equal to zero')],
    ),
    (
        "tokens in secrets",
        thing("storage.k8s.io/v1", "CSIDriver", name="csi.example.com"),
        {"spec.serviceAccountTokenInSecrets": True, "spec.nodeAllocatableUpdatePeriodSeconds": 9},
        [
            (
                "spec.nodeAllocatableUpdatePeriodSeconds",
                "Invalid",
                "Invalid value: 9: must be greater than or equal to 10 seconds",
            ),
            (
                "spec.serviceAccountTokenInSecrets",
                "Invalid",
                "Invalid value: true: serviceAccountTokenInSecrets is set but no tokenRequests are specified",
            ),
        ],
    ),
    (
        "signer",
        REQUEST,
        {"spec.signerName": "mine"},
        [
            (
                "spec.signerName",
                "Invalid",
                'Invalid value: "mine": must be a fully qualified domain and path of the form'
                " 'example.com/signer-name'",
            )
        ],
    ),
    (
        "hook by two ways",
        HOOKS,
        {"webhooks.0.clientConfig.service": {"name": "a", "namespace": "b"}},
        [("webhooks[0].clientConfig", "Required", "Required value: exactly one of url or service is required")],
    ),
    (
        "hook without encryption",
        HOOKS,
        {"webhooks.0.clientConfig.url": "http://example.com"},
        [
            (
                "webhooks[0].clientConfig.url",
                "Invalid",
                "Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]",
            )
        ],
    ),
    (
        "side effects",
        HOOKS,
        {"webhooks.0.sideEffects": "Some"},
        [
            (
                "webhooks[0].sideEffects",
                "NotSupported",
                'Unsupported value: "Some": supported values: "None", "NoneOnDryRun"',
            )
        ],
    ),
    (
        "precedence",
        FLOW,
        {"spec.matchingPrecedence": 20000},
        [("spec.matchingPrecedence", "Invalid", "Invalid value: 20000: must not be greater than 10000")],
    ),
    (
        "hand larger than the queues",
        LEVEL,
        {"spec.limited.limitResponse.queuing": {"queues": 4, "handSize": 5}},
        [
            (
                "spec.limited.limitResponse.queuing.handSize",
                "Invalid",
                "Invalid value: 5: should not be greater than queues (4)",
            )
        ],
    ),
    (
        "name of an API service",
        SERVED,
        {"metadata.name": "v1"},
        [
            (
                "metadata.name",
                "Invalid",
                'Invalid value: "v1": must be `spec.version+"."+spec.group`: "v1.example.com"',
            )
        ],
    ),
    (
        "API service of no group",
        SERVED,
        {"metadata.name": "v2.", "spec.group": "", "spec.version": "v2"},
        [("spec.group", "Required", "Required value: only v1 may have an empty group and it better be legacy kube")],
    ),
    (
        "API service elsewhere",
        SERVED,
        {"spec.service": {"port": 0}, "spec.insecureSkipTLSVerify": True, "spec.caBundle": "YQ=="},
        [
            ("spec.service.namespace", "Required", "Required value"),
            ("spec.service.name", "Required", "Required value"),
            (
                "spec.service.port",
                "Invalid",
                "Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive",
            ),
            (
                "spec.insecureSkipTLSVerify",
                "Invalid",
                "Invalid value: true: may not be true if caBundle is present",
            ),
        ],
    ),
    (
        "two storage versions",
        DEFINITION,
        {"spec.versions.1": {**DEFINITION["spec"]["versions"][0], "name": "v2"}},
        [
            (
                "spec.versions",
                "Invalid",
                'Invalid value: ["v1","v2"]: must have exactly one version marked as storage version',
            ),
            ("status.storedVersions", "Invalid", 'Invalid value: ["v1"]: must have the storage version v2'),
        ],
    ),
    (
        "definition without schema",
        DEFINITION,
        {"spec.versions.0.schema": NOTHING},
        [("spec.versions[0].schema.openAPIV3Schema", "Required", "Required value")],
    ),
    (
        "name of a definition",
        DEFINITION,
        {"metadata.name": "ships"},
        [("metadata.name", "Invalid", 'Invalid value: "ships": must be spec.names.plural+"."+spec.group')],
    ),
    (
        "request for no class",
        CLAIM,
        {"spec.devices.requests.0.exactly": {}},
        [("spec.devices.requests[0].exactly.deviceClassName", "Required", "Required value")],
    ),
    (
        "devices nowhere",
        DEVICES,
        {"spec.nodeName": NOTHING},
        [
            (
                "spec",
                "Required",
                "Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is"
                " required",
            )
        ],
    ),
    (
        "lifecycle",
        DRIVER,
        {"spec.volumeLifecycleModes": ["Short"]},
        [
            (
                "spec.volumeLifecycleModes",
                "NotSupported",
                'Unsupported value: "Short": supported values: "Persistent", "Ephemeral"',
            )
        ],
    ),
    (
        "attachment of nothing",
        ATTACHMENT,
        {"spec.source": {}},
        [
            (
                "spec.source",
                "Required",
                "Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName",
            )
        ],
    ),
    (
        "binding to nothing",
        thing("v1", "Binding", namespace="default", target={}),
        {},
        [("target.name", "Required", "Required value")],
    ),
    (
        "certificate of a pod for too short",
        POD_REQUEST,
        {"spec.maxExpirationSeconds": 60},
        [("spec.maxExpirationSeconds", "Invalid", "Invalid value: 60: must be in the range [3600, 7862400]")],
    ),
    (
        "policy that asks nothing",
        RULE,
        {"spec.validations": []},
        [
            (
                f"spec.{field}",
                "Required",
                "Required value: validations or auditAnnotations must contain at least one item",
            )
            for field in ("validations", "auditAnnotations")
        ],
    ),
]
GOOD = [
    INGRESS,
    POLICY,
    ROLE,
    BINDING,
    CLASS,
    PRIORITY,
    RUNTIME,
    LEASE,
    SLICE,
    AUTOSCALER,
    OLD_AUTOSCALER,
    REQUEST,
    HOOKS,
    FLOW,
    LEVEL,
    SERVED,
    DEFINITION,
    CLAIM,
    DEVICES,
    DRIVER,
    ATTACHMENT,
    RULE,
    POD_REQUEST,
]


@pytest.mark.parametrize("document", GOOD, ids=lambda d: f"{d['kind']}-{d['apiVersion']}")
def test_good_objects(document: dict[str, Any]) -> None:
    assert create_findings(document) == []
    assert update_findings(stored(document), codec.plain(stored(document))) == []


@pytest.mark.parametrize(("document", "changes", "expected"), [c[1:] for c in CREATES], ids=[c[0] for c in CREATES])
def test_creates_of_others(
    document: dict[str, Any], changes: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    assert create_findings(changed(document, changes)) == expected


UPDATES: list[tuple[dict[str, Any], dict[str, Any], list[tuple[str, str, str]]]] = [
    (
        BINDING,
        {"roleRef.name": "edit"},
        [
            (
                "roleRef",
                "Invalid",
                'Invalid value: {"kind":"ClusterRole","apiGroup":"rbac.authorization.k8s.io","name":"edit"}:'
                " cannot change roleRef",
            )
        ],
    ),
    (CLASS, {"provisioner": "b"}, [("provisioner", "Forbidden", "Forbidden: updates to provisioner are forbidden.")]),
    (CLASS, {"reclaimPolicy": "Retain"}, [("reclaimPolicy", "Invalid", 'Invalid value: "Retain": field is immutable')]),
    (PRIORITY, {"value": 11}, [("value", "Forbidden", "Forbidden: may not be changed in an update.")]),
    (RUNTIME, {"handler": "b"}, [("handler", "Invalid", 'Invalid value: "b": field is immutable')]),
]


@pytest.mark.parametrize(("document", "changes", "expected"), UPDATES)
def test_what_stays(document: dict[str, Any], changes: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert update_findings(stored(document), changed(document, changes)) == expected


def test_network_policies_say_what_they_are_about() -> None:
    assert created(POLICY).spec.policyTypes == ["Ingress"]
    assert created(changed(POLICY, {"spec.egress": [{}]})).spec.policyTypes == ["Ingress", "Egress"]


def test_subjects_get_their_group() -> None:
    binding = created(BINDING)
    assert [subject.apiGroup for subject in binding.subjects] == [None, RBAC]


def test_webhook_defaults() -> None:
    hook = codec.plain(created(HOOKS))["webhooks"][0]
    assert {key: hook[key] for key in hook if key not in WEBHOOK} == {
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": {},
        "timeoutSeconds": 10,
    }
    assert hook["rules"][0]["scope"] == "*"


def test_autoscaler_defaults() -> None:
    spec = codec.plain(created(changed(AUTOSCALER, {"spec.behavior": {"scaleDown": {"selectPolicy": "Disabled"}}})))[
        "spec"
    ]
    assert spec["minReplicas"] == 1
    assert spec["metrics"] == [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
    ]
    assert spec["behavior"] == {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [
                {"type": "Pods", "value": 4, "periodSeconds": 15},
                {"type": "Percent", "value": 100, "periodSeconds": 15},
            ],
        },
        "scaleDown": {
            "selectPolicy": "Disabled",
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
        },
    }


def test_definition_defaults() -> None:
    spec = created(DEFINITION).spec
    assert (spec.names.singular, spec.names.listKind, spec.conversion.strategy) == ("ship", "ShipList", "None")


def test_versions_are_ordered_by_how_settled_they_are() -> None:
    versions = ["v1alpha1", "foo", "v1", "v10", "v2beta1", "v2", "v1beta2", "v11alpha2", "v1beta10"]
    assert sorted(versions, key=version_rank) == [
        "v10",
        "v2",
        "v1",
        "v2beta1",
        "v1beta10",
        "v1beta2",
        "v11alpha2",
        "v1alpha1",
        "foo",
    ]


def test_decisions_about_certificates_last() -> None:
    denied = {"conditions": [{"type": "Denied", "status": "True"}]}
    old = stored(REQUEST, denied)
    strategy_of = __import__("tiphys.kinds.certificates.certificate_signing_request", fromlist=["STRATEGY"]).STRATEGY
    found = strategy_of.subresource_validators["approval"](stored(REQUEST, {}), old)
    assert [str(finding) for finding in found] == [
        'status.conditions: Forbidden: updates may not remove a condition of type "Denied"'
    ]
    assert row(old)["Condition"] == "Denied"
    issued = stored(REQUEST, {"conditions": [{"type": "Approved", "status": "True"}], "certificate": "eA=="})
    assert row(issued) == {
        "Name": "a",
        "Age": "<unknown>",
        "SignerName": "kubernetes.io/kube-apiserver-client",
        "Requestor": "u",
        "RequestedDuration": "<none>",
        "Condition": "Approved,Issued",
    }


ROWS: list[tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any]]] = [
    (INGRESS, None, {"Class": "<none>", "Hosts": "shop.example.com", "Address": "", "Ports": "80"}),
    (POLICY, None, {"Pod-Selector": "<none>"}),
    (
        BINDING,
        None,
        {"Role": "ClusterRole/view", "Users": "u", "Groups": "", "ServiceAccounts": "kube-system/default"},
    ),
    (
        changed(CLASS, {"metadata.annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}),
        None,
        {
            "Name": "a (default)",
            "Provisioner": "example.com/disk",
            "ReclaimPolicy": "Delete",
            "AllowVolumeExpansion": "false",
        },
    ),
    (PRIORITY, None, {"Value": 10, "Global-Default": False, "PreemptionPolicy": "PreemptLowerPriority"}),
    (LEASE, None, {"Holder": "x"}),
    (SLICE, None, {"AddressType": "IPv4", "Ports": "80", "Endpoints": "10.0.0.1"}),
    (
        AUTOSCALER,
        {"currentReplicas": 2, "desiredReplicas": 2},
        {"Reference": "Deployment/web", "Targets": "cpu: <unknown>/80%", "MinPods": "1", "MaxPods": 3, "Replicas": 2},
    ),
    (OLD_AUTOSCALER, {"currentCPUUtilizationPercentage": 40}, {"Targets": "cpu: 40%/50%"}),
    (HOOKS, None, {"Webhooks": 1}),
    (
        FLOW,
        None,
        {
            "PriorityLevel": "workload-low",
            "MatchingPrecedence": 1000,
            "DistinguisherMethod": "<none>",
            "MissingPL": "?",
        },
    ),
    (LEVEL, None, {"NominalConcurrencyShares": 30, "Queues": 64, "HandSize": 8, "QueueLengthLimit": 50}),
    (
        SERVED,
        {"conditions": [{"type": "Available", "status": "False", "reason": "Gone"}]},
        {"Service": "Local", "Available": "False (Gone)"},
    ),
    (
        CLAIM,
        {"allocation": {}, "reservedFor": [{"name": "p", "resource": "pods", "uid": "u"}]},
        {"State": "allocated,reserved"},
    ),
    (ATTACHMENT, {"attached": True}, {"Attacher": "disk.example.com", "PV": "v", "Node": "n", "Attached": True}),
    (DRIVER, None, {"AttachRequired": True, "Modes": "Persistent", "TokenRequests": "<unset>"}),
    (RULE, None, {"Validations": 1, "ParamKind": "<unset>"}),
]


@pytest.mark.parametrize(("document", "status", "expected"), ROWS, ids=lambda v: v.get("kind") if v else None)
def test_columns_of_others(document: dict[str, Any], status: dict[str, Any] | None, expected: dict[str, Any]) -> None:
    shown = row(stored(document, status))
    assert {name: shown[name] for name in expected} == expected


def test_new_definitions_record_their_storage_version() -> None:
    assert codec.plain(created(DEFINITION).status) == {
        "acceptedNames": {"kind": "", "plural": ""},
        "conditions": [],
        "storedVersions": ["v1"],
    }


def test_conditions_of_flow_schemas_have_types_of_their_own() -> None:
    new = stored(FLOW, {"conditions": [{"type": "A"}, {"type": "A"}, {}]})
    assert told(resource_for(FLOW).strategy.validate_status_update(new, stored(FLOW))) == [
        ("status.conditions[1].type", "Duplicate", 'Duplicate value: "A"'),
        ("status.conditions[2].type", "Required", "Required value: must not be empty"),
    ]


def test_the_objects_of_every_cluster_are_what_they_are() -> None:
    mandatory = {(type(each).__name__, each.metadata.name): codec.plain(each) for each in wanted_flow()}
    assert all(create_findings(document) == [] for document in mandatory.values())
    exempt, rest = (mandatory["PriorityLevelConfiguration", name] for name in ("exempt", "catch-all"))
    assert create_findings(changed(exempt, {"spec.exempt.lendablePercent": 50})) == []
    assert [f for f, _, _ in create_findings(changed(exempt, {"spec.exempt.lendablePercent": 101}))] == [
        "spec.exempt.lendablePercent"
    ]
    ends = [
        (changed(rest, {"spec.limited.nominalConcurrencyShares": 6}), "spec of 'catch-all' must equal the fixed value"),
        (
            changed(exempt, {"spec": {"type": "Limited", "limited": rest["spec"]["limited"]}}),
            "spec of 'exempt' except the 'spec.exempt' field must equal the fixed value",
        ),
        (
            changed(mandatory["FlowSchema", "exempt"], {"spec.matchingPrecedence": 2}),
            "spec of 'exempt' must equal the fixed value",
        ),
    ]
    for document, end in ends:
        field, reason, message = create_findings(document)[-1]
        assert (field, reason) == ("spec", "Invalid")
        assert message.endswith(f": {end}")


def test_leases_do_not_elect() -> None:
    lease = thing("coordination.k8s.io/v1", "Lease", namespace="default", spec={"strategy": "OldestEmulationVersion"})
    strategy = resource_for(lease).strategy
    assert strategy.warnings(created(lease), None) == [f"spec.strategy: {unserved.ELECTION}"]
    assert strategy.warnings(created(changed(lease, {"spec": {}})), None) == []


def test_what_attachers_report() -> None:
    status = {
        "attached": False,
        "attachmentMetadata": {"a": "x" * 256 * 1024},
        "attachError": {"message": "x" * 1025, "errorCode": -1},
        "detachError": {"message": "x" * 1024, "errorCode": 12},
    }
    new = stored(ATTACHMENT, status)
    assert told(resource_for(ATTACHMENT).strategy.validate_status_update(new, new)) == [
        ("status.attachmentMetadata", "TooLong", "Too long: may not be more than 262144 bytes"),
        ("status.attachError.message", "TooLong", "Too long: may not be more than 262144 bytes"),
        ("status.attachError.errorCode", "Invalid", "Invalid value: -1: must be between 0 and 2147483647, inclusive"),
    ]


def test_attachments_name_volumes_and_nodes() -> None:
    found = create_findings(changed(ATTACHMENT, {"spec.source.persistentVolumeName": "", "spec.nodeName": "A"}))
    assert found == [
        ("spec.source.persistentVolumeName", "Required", "Required value: must specify non empty persistentVolumeName"),
        ("spec.nodeName", "Invalid", f'Invalid value: "A": {SUBDOMAIN}'),
    ]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (["10.0.0.0/24", "fd00::/120"], []),
        (["10.1.0.0/24"], ["spec.cidrs[0]"]),
        (["10.1.0.0/24", "fd00::/120"], ["spec.cidrs[0]"]),
        ([], ["spec.cidrs", "spec.cidrs"]),
    ],
)
def test_service_networks_stay(after: list[str], expected: list[str]) -> None:
    networks = thing("networking.k8s.io/v1", "ServiceCIDR", spec={"cidrs": ["10.0.0.0/24"]})
    found = update_findings(stored(networks), changed(networks, {"spec.cidrs": after}))
    assert [field for field, _, _ in found] == expected


def test_a_runtime_class_tolerates_everything_once() -> None:
    toleration = {"key": "a", "operator": "Exists", "effect": "NoSchedule"}
    tolerations = [toleration, {**toleration, "effect": "NoExecute"}, {**toleration, "tolerationSeconds": None}]
    ((field, reason, _),) = create_findings(changed(RUNTIME, {"scheduling": {"tolerations": tolerations}}))
    assert (field, reason) == ("scheduling.tolerations[2]", "Duplicate")


def test_a_webhook_names_its_service() -> None:
    at = "webhooks[0].clientConfig.service"
    assert create_findings(changed(HOOKS, {"webhooks.0.clientConfig": {"service": {}}})) == [
        (f"{at}.name", "Required", "Required value: service name is required"),
        (f"{at}.namespace", "Required", "Required value: service namespace is required"),
    ]
