"""What a new cluster begins with, and that a restart repairs it and writes nothing else."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from tiphys.aio.clock import VirtualClock
from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.authz.chain import StandardAuthorizer
from tiphys.apiserver.authz.interface import Attributes
from tiphys.apiserver.bootstrap import access, flow, objects, policy_text
from tiphys.apiserver.bootstrap.io import ensure
from tiphys.apiserver.bootstrap.objects import BootstrapConfig
from tiphys.apiserver.bootstrap.plan import Write, key_of, plan
from tiphys.kinds.types.core_v1 import ConfigMap, Endpoints, Namespace, Service
from tiphys.kinds.types.discovery_v1 import EndpointSlice
from tiphys.kinds.types.networking_v1 import ServiceCIDR
from tiphys.kinds.types.rbac_v1 import ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject
from tiphys.machinery import errors
from tiphys.testing.fake_api import FakeApi

CONFIG = BootstrapConfig(
    addresses=("10.201.0.1",),
    port=6443,
    service_cidrs=("10.96.0.0/16",),
    dns_address="10.96.0.10",
    dns_port=53,
    client_authority=b"the authority",
    front_proxy_authority=b"the front proxy's",
)


class AtOnce:
    """An ObjectSource of what is wanted."""

    def __init__(self) -> None:
        self.objects = {key_of(obj): obj for obj in access.wanted_access()}

    def get(self, kind, namespace, name):  # type: ignore[no-untyped-def]
        return self.objects.get((kind, namespace, name))

    def list(self, kind):  # type: ignore[no-untyped-def]
        return [obj for key, obj in self.objects.items() if key[0] is kind]

    def subscribe(self, kind, handler):  # type: ignore[no-untyped-def]
        for obj in self.list(kind):
            handler(None, obj)


def may(user: str, groups: tuple[str, ...], verb: str, resource: str, group: str = "", **rest: str) -> bool:
    authorizer = StandardAuthorizer(AtOnce(), access.node_rules())
    return authorizer.authorize(Attributes(UserInfo(user, "", groups), verb, group, "v1", resource, **rest)).allowed


def test_the_notation_of_rules() -> None:
    assert policy_text.rules("READ,delete core,apps b,a =y,x\nget urls /healthz,/a") == [
        PolicyRule(
            verbs=["delete", "get", "list", "watch"],
            apiGroups=["", "apps"],
            resources=["a", "b"],
            resourceNames=["x", "y"],
        ),
        PolicyRule(verbs=["get"], nonResourceURLs=["/a", "/healthz"]),
    ]
    with pytest.raises(ValueError, match="not a rule: get pods"):
        policy_text.rules("get pods")


def test_every_name_is_there_once() -> None:
    wanted = [*objects.namespaces(), *access.wanted_access(), *flow.wanted_flow(), *objects.wanted_objects(CONFIG)]
    assert len({key_of(obj) for obj in wanted}) == len(wanted)
    kinds = [type(obj) for obj in wanted]
    roles = {obj.metadata.name for obj in wanted if isinstance(obj, ClusterRole)}
    bound = {obj.roleRef.name for obj in wanted if isinstance(obj, ClusterRoleBinding)}
    assert bound <= roles
    assert kinds.count(Role) == kinds.count(RoleBinding) == 8


def test_who_may_do_what() -> None:
    everybody = ("system:authenticated",)
    assert may("x", ("system:masters",), "delete", "nodes")
    assert not may("jane", everybody, "list", "pods", namespace="default")
    assert may("jane", everybody, "create", "selfsubjectaccessreviews", "authorization.k8s.io")
    assert may("system:kube-scheduler", everybody, "create", "pods", subresource="binding", namespace="a")
    assert not may("system:kube-scheduler", everybody, "update", "secrets", namespace="a", name="b")
    controller = "system:serviceaccount:kube-system:deployment-controller"
    assert may(controller, everybody, "create", "replicasets", "apps", namespace="a")
    assert not may(controller, everybody, "create", "pods", namespace="a")
    assert may("system:node:n", ("system:nodes",), "create", "nodes", name="n")
    assert not may("system:node:n", ("system:nodes",), "get", "nodes", name="m")
    dns = "system:serviceaccount:kube-system:coredns"
    assert may(dns, everybody, "create", "endpointslices", "discovery.k8s.io", namespace="kube-system")
    assert not may(dns, everybody, "create", "endpointslices", "discovery.k8s.io", namespace="default")


def test_admin_edit_and_view_hold_the_rules_they_gather() -> None:
    roles = {obj.metadata.name: obj for obj in access.wanted_access() if isinstance(obj, ClusterRole)}
    assert roles["view"].rules == roles["system:aggregate-to-view"].rules
    edit = roles["edit"].rules or []
    assert all(rule in edit for rule in roles["view"].rules or ())
    assert all(rule in (roles["admin"].rules or []) for rule in edit)
    assert roles["edit"].metadata.labels == {
        "kubernetes.io/bootstrapping": "rbac-defaults",
        "rbac.authorization.k8s.io/aggregate-to-admin": "true",
    }


async def test_a_new_cluster_gets_everything_and_a_restart_writes_nothing() -> None:
    api = FakeApi(VirtualClock(), namespaces=())
    wanted = [*objects.namespaces(), *access.wanted_access(), *flow.wanted_flow(), *objects.wanted_objects(CONFIG)]
    assert await ensure(api.transport(), CONFIG, 1_800_000_000.0) == len(wanted)
    assert [ns.metadata.name for ns in api.list(Namespace)] == [
        "default",
        "kube-node-lease",
        "kube-public",
        "kube-system",
    ]
    kubernetes = api.get(Service, "default", "kubernetes")
    assert kubernetes is not None and kubernetes.spec.clusterIP == "10.96.0.1"
    configuration = api.get(ConfigMap, "kube-system", "extension-apiserver-authentication")
    assert configuration is not None and configuration.data is not None
    assert configuration.data["client-ca-file"] == "the authority"
    cidr = api.get(ServiceCIDR, "", "kubernetes")
    assert cidr is not None
    assert [(c.type, c.status) for c in cidr.status.conditions or ()] == [("Ready", "True")]
    api.calls.clear()
    assert await ensure(api.transport(), CONFIG, 1_800_000_100.0) == 0
    assert {call.verb for call in api.calls} == {"get", "list"}


async def test_what_is_missing_is_repaired_and_what_was_added_stays() -> None:
    api = FakeApi(VirtualClock(), namespaces=())
    await ensure(api.transport(), CONFIG, 0.0)
    extra = PolicyRule(verbs=["get"], apiGroups=["example.com"], resources=["things"])

    def weaken(role: ClusterRole) -> None:
        role.rules = [extra]

    api.change(ClusterRole, "", "system:kube-dns", weaken)
    api.remove(ClusterRoleBinding, "", "system:kube-dns")
    api.change(ClusterRoleBinding, "", "cluster-admin", lambda b: setattr(b, "subjects", None))
    assert await ensure(api.transport(), CONFIG, 0.0) == 3
    role = api.get(ClusterRole, "", "system:kube-dns")
    assert role is not None
    assert role.rules == [extra, *policy_text.rules("list,watch core endpoints,services")]
    binding = api.get(ClusterRoleBinding, "", "cluster-admin")
    assert binding is not None
    assert binding.subjects == [Subject(kind="Group", apiGroup=access.GROUP, name="system:masters")]


async def test_another_address_moves_the_kubernetes_endpoints() -> None:
    api = FakeApi(VirtualClock(), namespaces=())
    await ensure(api.transport(), CONFIG, 0.0)
    assert await ensure(api.transport(), dataclasses.replace(CONFIG, addresses=("10.201.0.7",)), 0.0) == 2
    endpoints = api.get(Endpoints, "default", "kubernetes")
    assert endpoints is not None
    assert [a.ip for s in endpoints.subsets or () for a in s.addresses or ()] == ["10.201.0.7"]
    found = api.get(EndpointSlice, "default", "kubernetes")
    assert found is not None
    assert [endpoint.addresses for endpoint in found.endpoints] == [["10.201.0.7"]]


async def test_somebody_else_doing_the_same_is_no_fault() -> None:
    api = FakeApi(VirtualClock(), namespaces=())
    error = errors.already_exists("clusterroles", "rbac.authorization.k8s.io", "view")
    api.fail(error, verb="create", resource="clusterroles", times=2)
    await ensure(api.transport(), CONFIG, 0.0)
    assert api.get(ClusterRole, "", "view") is not None
    assert await ensure(api.transport(), CONFIG, 0.0) == 0


def test_an_object_may_ask_to_be_left_alone() -> None:
    wanted = next(obj for obj in access.wanted_access() if obj.metadata.name == "system:kube-dns")
    annotations = {access.AUTOUPDATE: "false"}
    metadata = msgspec.structs.replace(wanted.metadata, annotations=annotations)
    existing = msgspec.structs.replace(wanted, metadata=metadata, rules=[])
    assert plan([wanted], {key_of(existing): existing}) == []
    changeable = msgspec.structs.replace(existing, metadata=wanted.metadata)
    assert plan([wanted], {key_of(existing): changeable}) == [Write("update", wanted)]
