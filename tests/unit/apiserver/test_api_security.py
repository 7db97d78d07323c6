"""HTTPS with real certificates and roles: who gets in, and what they may do."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from api_world import Http

from tiphys.aio.clock import SystemClock
from tiphys.apiserver.authn.component import AuthnConfig
from tiphys.apiserver.bootstrap.objects import BootstrapConfig
from tiphys.apiserver.component import ApiServer, ApiServerConfig
from tiphys.client.api import Client
from tiphys.kinds.types import core_v1, rbac_v1
from tiphys.machinery.errors import ApiError
from tiphys.pki import layout
from tiphys.pki.io import ensure_cluster_pki
from tiphys.store.drivers.memory import MemoryStore


@dataclass
class Secure:
    server: ApiServer
    pki: layout.ClusterPki
    base: str

    def http(self, session: aiohttp.ClientSession) -> Http:
        return Http(session, self.base)

    def session(self, pair: layout.PairPaths | None = None, token: str = "") -> aiohttp.ClientSession:
        context = ssl.create_default_context(cafile=str(self.pki.authority.certificate))
        if pair is not None:
            context.load_cert_chain(pair.certificate, pair.key)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), headers=headers)


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[Secure]:
    clock = SystemClock()
    pki = ensure_cluster_pki(tmp_path, layout.PkiOptions(cluster="t", server="https://127.0.0.1"), clock.now())
    store = MemoryStore(clock=clock)
    await store.start()
    config = ApiServerConfig(
        addresses=(("127.0.0.1", 0),),
        tls_cert_file=str(pki.apiserver.certificate),
        tls_key_file=str(pki.apiserver.key),
        client_ca_file=str(pki.authority.certificate),
        authn=AuthnConfig(signing_key=pki.service_account_key, issuer="https://kubernetes.default.svc"),
        bootstrap=BootstrapConfig(addresses=("10.0.0.1",), port=6443, service_cidrs=("10.96.0.0/16",)),
        service_cidrs=("10.96.0.0/16",),
    )
    server = ApiServer(config, store, clock)
    await server.start()
    yield Secure(server, pki, f"https://127.0.0.1:{server.ports[0]}")
    await server.stop()
    await store.close()


async def test_a_certificate_says_who_one_is(secure: Secure) -> None:
    async with secure.session(secure.pki.kubelet_client) as session:
        http = secure.http(session)
        review = await http("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
        user = review.body["status"]["userInfo"]
        assert (user["username"], user["groups"]) == (
            "kube-apiserver-kubelet-client",
            ["system:masters", "system:authenticated"],
        )
        assert (await http("GET", "/api/v1/namespaces/default/services/kubernetes")).body["spec"][
            "clusterIP"
        ] == "10.96.0.1"


async def test_nobody_gets_little_and_a_bad_token_nothing(secure: Secure) -> None:
    async with secure.session() as session:
        http = secure.http(session)
        assert (await http("GET", "/readyz")).text == "ok"
        refused = await http("GET", "/api/v1/namespaces/default/pods")
        assert (refused.code, refused.body["message"]) == (
            403,
            'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace'
            ' "default"',
        )
        other = await http("GET", "/metrics")
        assert other.body["message"] == 'forbidden: User "system:anonymous" cannot get path "/metrics"'
        assert (other.body["details"], other.headers["X-Content-Type-Options"]) == ({}, "nosniff")
    async with secure.session(token="nonsense") as session:
        refused = await secure.http(session)("GET", "/readyz")
        assert (refused.code, refused.body["reason"]) == (401, "Unauthorized")


async def test_a_service_account_may_do_what_its_roles_say(secure: Secure) -> None:
    admin = Client(secure.server.transport("admin", ("system:masters",)))
    account = core_v1.ServiceAccount()
    account.metadata.name, account.metadata.namespace = "robot", "default"
    await admin.create(account)
    binding = rbac_v1.RoleBinding(
        roleRef=rbac_v1.RoleRef(apiGroup="rbac.authorization.k8s.io", kind="ClusterRole", name="view"),
        subjects=[rbac_v1.Subject(kind="ServiceAccount", name="robot", namespace="default")],
    )
    binding.metadata.name, binding.metadata.namespace = "robot", "default"
    await admin.create(binding)
    async with secure.session(secure.pki.kubelet_client) as session:
        made = await secure.http(session)(
            "POST", "/api/v1/namespaces/default/serviceaccounts/robot/token", {"spec": {}}
        )
        assert made.code == 201
    async with secure.session(token=made.body["status"]["token"]) as session:
        http = secure.http(session)
        assert (await http("GET", "/api/v1/namespaces/default/pods")).code == 200
        refused = await http("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "a"}})
        assert refused.code == 403
        assert (
            'User "system:serviceaccount:default:robot" cannot create resource "configmaps"' in refused.body["message"]
        )


async def test_impersonation_needs_permission(secure: Secure) -> None:
    async with secure.session(secure.pki.kubelet_client) as session:
        session.headers["Impersonate-User"] = "jane"
        review = await secure.http(session)("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
        assert review.body["status"]["userInfo"]["username"] == "jane"
        assert (await secure.http(session)("GET", "/api/v1/pods")).code == 403


async def test_components_in_process_are_authorized_too(secure: Secure) -> None:
    scheduler = Client(secure.server.transport("system:kube-scheduler"))
    assert (await scheduler.list(core_v1.Node)).items == []
    with pytest.raises(ApiError) as caught:
        await scheduler.list(core_v1.Secret)
    assert caught.value.code == 403


async def test_nobody_grants_what_they_have_not(secure: Secure) -> None:
    admin = Client(secure.server.transport("admin", ("system:masters",)))
    binding = rbac_v1.ClusterRoleBinding(
        roleRef=rbac_v1.RoleRef(apiGroup="rbac.authorization.k8s.io", kind="ClusterRole", name="system:kube-scheduler"),
        subjects=[rbac_v1.Subject(kind="User", name="jane", apiGroup="rbac.authorization.k8s.io")],
    )
    binding.metadata.name = "jane"
    await admin.create(binding)
    role = rbac_v1.ClusterRole(
        rules=[
            rbac_v1.PolicyRule(verbs=["create"], apiGroups=["rbac.authorization.k8s.io"], resources=["clusterroles"])
        ]
    )
    role.metadata.name = "role-maker"
    await admin.create(role)
    binding.metadata.name, binding.roleRef.name = "jane-too", "role-maker"
    await admin.create(binding)
    greedy = rbac_v1.ClusterRole(rules=[rbac_v1.PolicyRule(verbs=["*"], apiGroups=["*"], resources=["*"])])
    greedy.metadata.name = "everything"
    with pytest.raises(ApiError, match="attempting to grant RBAC permissions not currently held"):
        await Client(secure.server.transport("jane")).create(greedy)


async def test_nodes_get_tokens_for_audiences_that_their_pods_use_or_that_roles_name(secure: Secure) -> None:
    admin = Client(secure.server.transport("admin", ("system:masters",)))
    account = core_v1.ServiceAccount()
    account.metadata.name, account.metadata.namespace = "default", "default"
    await admin.create(account)
    pod = core_v1.Pod(spec=core_v1.PodSpec(nodeName="n1", containers=[core_v1.Container(name="c", image="i")]))
    pod.metadata.name, pod.metadata.namespace = "p", "default"
    uid = (await admin.create(pod)).metadata.uid
    bound = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid}
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    async with secure.session(secure.pki.kubelet_client) as session:
        session.headers.extend({"Impersonate-User": "system:node:n1", "Impersonate-Group": "system:nodes"})
        http = secure.http(session)
        assert (await http("POST", path, {"spec": {"boundObjectRef": bound}})).code == 201
        asked = {"spec": {"boundObjectRef": bound, "audiences": ["registry.example.com"]}}
        refused = await http("POST", path, asked)
        assert refused.code == 403
        assert 'audience "registry.example.com" not found in pod spec volume' in refused.body["message"]
        role = rbac_v1.ClusterRole(
            rules=[
                rbac_v1.PolicyRule(
                    verbs=["request-serviceaccounts-token-audience"], apiGroups=[""], resources=["registry.example.com"]
                )
            ]
        )
        role.metadata.name = "registry-tokens"
        await admin.create(role)
        binding = rbac_v1.ClusterRoleBinding(
            roleRef=rbac_v1.RoleRef(apiGroup="rbac.authorization.k8s.io", kind="ClusterRole", name="registry-tokens"),
            subjects=[rbac_v1.Subject(kind="Group", name="system:nodes", apiGroup="rbac.authorization.k8s.io")],
        )
        binding.metadata.name = "registry-tokens"
        await admin.create(binding)
        assert (await http("POST", path, asked)).code == 201
