"""The API server as a component: its configuration, its parts, and how they are wired."""

from __future__ import annotations

import logging
import os
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.apiserver import expiry
from tiphys.apiserver.admission.interface import AdmissionRequest
from tiphys.apiserver.admission.pod_certificates import NodePodCertificates
from tiphys.apiserver.admission.table import PLUGINS, AdmissionTable
from tiphys.apiserver.admission.token_audiences import NodeTokenAudiences
from tiphys.apiserver.allocation import ServiceAllocator
from tiphys.apiserver.authn import reviews as token_reviews
from tiphys.apiserver.authn.component import KEY_SET_PATH, Authn, AuthnConfig, build_authn
from tiphys.apiserver.authn.identity import UserInfo, authenticated
from tiphys.apiserver.authn.interface import HttpRequestHead, PeerCertificate
from tiphys.apiserver.authz import reviews as access_reviews
from tiphys.apiserver.authz.chain import StandardAuthorizer
from tiphys.apiserver.authz.interface import Attributes, Authorizer, Decision
from tiphys.apiserver.authz.refusal import forbidden
from tiphys.apiserver.bootstrap import io as bootstrap
from tiphys.apiserver.bootstrap.objects import BootstrapConfig
from tiphys.apiserver.caches import Caches
from tiphys.apiserver.claim_hooks import ClaimStatuses
from tiphys.apiserver.custom import CustomResources
from tiphys.apiserver.discovery.document import Document
from tiphys.apiserver.discovery.health import HealthChecks
from tiphys.apiserver.discovery.io import load_build
from tiphys.apiserver.discovery.resources import ResourceDiscovery
from tiphys.apiserver.discovery.version import git_version, version_document
from tiphys.apiserver.documents import ServerDocuments
from tiphys.apiserver.flow import Flows
from tiphys.apiserver.hooks import HookTable, WriteHook
from tiphys.apiserver.io.conversions import Conversions
from tiphys.apiserver.io.definitions import Definitions
from tiphys.apiserver.io.dispatch import Dispatch, VirtualCreate
from tiphys.apiserver.io.feed import Feed
from tiphys.apiserver.io.handler import ApiHandler, Limits
from tiphys.apiserver.io.inprocess import InProcessTransport
from tiphys.apiserver.io.reads import Reads
from tiphys.apiserver.io.server import HttpServer
from tiphys.apiserver.io.tls import server_context
from tiphys.apiserver.io.tunnel import Proxies, kubelet_tls
from tiphys.apiserver.io.verbs import Verbs
from tiphys.apiserver.io.watching import BOOKMARK_SECONDS, WatchHub
from tiphys.apiserver.io.webhooks import Webhooks
from tiphys.apiserver.io.writes import Writer
from tiphys.apiserver.metrics import Metrics
from tiphys.apiserver.openapi.custom import CustomResource as PublishedResource
from tiphys.apiserver.openapi.documents import OpenApiDocuments
from tiphys.apiserver.openapi.io import load_schemas, schemas_identity
from tiphys.apiserver.permissions import creation_of
from tiphys.apiserver.quota import QuotaCharges
from tiphys.apiserver.rest.call import Call
from tiphys.apiserver.signing_hooks import PodCertificates, SigningRequests, TrustBundles
from tiphys.apiserver.write_hooks import BindingEscalation, RoleEscalation, ServiceAddresses
from tiphys.client.interface import Transport
from tiphys.kinds import registry
from tiphys.kinds.crd import CustomResource
from tiphys.kinds.types import core_v1, networking_v1
from tiphys.kinds.types.apiextensions_v1 import CustomResourceDefinition
from tiphys.machinery.errors import ApiError
from tiphys.store.interface import KeyNotFound, RevisionConflict, Store

log = logging.getLogger(__name__)

# How long those who verify tokens may keep the issuer's keys.
ISSUER_KEPT_SECONDS = 3600
SUFFIX_MARKS = "bcdfghjklmnpqrstvwxz2456789"
BOOTSTRAP_USER = "system:apiserver"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServerConfig:
    """`addresses` to listen on, as (host, port). Without `authn` nobody is known (for tests and simulations, with
    `authorize` False: then everything is allowed). `bootstrap` None leaves the cluster as it is."""

    addresses: tuple[tuple[str, int], ...] = ()
    tls_cert_file: str = ""
    tls_key_file: str = ""
    client_ca_file: str = ""
    authn: AuthnConfig | None = None
    authorize: bool = True
    anonymous: bool = True
    bootstrap: BootstrapConfig | None = None
    service_cidrs: tuple[str, ...] = ()
    node_port_range: tuple[int, int] = (30000, 32767)
    kubelet_client_cert_file: str = ""
    kubelet_client_key_file: str = ""
    kubelet_ca_file: str = ""
    server_address: str = ""
    limits: Limits = field(default_factory=Limits)
    stop_grace_seconds: float = 5.0
    seed: int | None = None


def published(resource: CustomResource) -> PublishedResource:
    """A custom resource as OpenAPI shows it."""
    (version,) = [found for found in resource.definition.spec.versions if found.name == resource.version]
    selectable = tuple(field.jsonPath.removeprefix(".") for field in version.selectableFields or ())
    return PublishedResource(resource, dict(resource.schema), selectable)


class AlwaysAllow:
    """An authorizer for tests and simulations."""

    def authorize(self, attributes: Attributes) -> Decision:
        return Decision(True)


class Nobody:
    """An authenticator that knows no credentials."""

    async def authenticate(self, request: HttpRequestHead, peer_certificate: PeerCertificate | None) -> UserInfo | None:
        if peer_certificate is None:
            return None
        return authenticated(UserInfo(peer_certificate.common_name, "", peer_certificate.organizations))


class ApiServer:
    """See `aio.component.Component`. The store is started and closed by the caller."""

    name = "apiserver"

    def __init__(
        self,
        config: ApiServerConfig,
        store: Store,
        clock: Clock,
        on_failure: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._owner = TaskOwner(self.name, on_failure)
        self._random = random.Random(config.seed)
        self.caches = Caches(registry.all_resources())
        self._webhooks = Webhooks(self.caches, self._random.randrange)
        self._conversions = Conversions(self._webhooks, self._uid)
        self.hub = WatchHub(self.caches, clock.now, self._conversions, self._owner)
        self._custom = CustomResources(self.caches, self._custom_changed, self.hub.end)
        self._discovery: ResourceDiscovery | None = None
        self._openapi: OpenApiDocuments | None = None
        self._feed = Feed(store, self.caches, self.hub.on_changes, self._owner)
        self._writer = Writer(store, self.caches, self._feed)
        self._reads = Reads(self.caches, self._feed, store, self._conversions)
        self.metrics = Metrics()
        self._authorizer: Authorizer = AlwaysAllow()
        self._authn: Authn | None = None
        self._dispatch: Dispatch | None = None
        self._handler: ApiHandler | None = None
        self._server: HttpServer | None = None
        self._ready = self._stopping = False
        self._proxies = self._build_proxies()

    # -- start and stop

    async def start(self) -> None:
        """Load the state, make what a cluster begins with, and serve."""
        config = self._config
        await self._feed.start()
        if config.authn is not None:
            self._authn = build_authn(config.authn, self.caches, self._clock)
        standard = self._standard_authorizer() if config.authorize else None
        if standard is not None:
            self._authorizer = standard
        verbs = self._build_verbs(standard)
        self._definitions = Definitions(verbs, self._custom, self._clock)
        self._dispatch = self._build_dispatch(verbs, standard)
        self._handler = self._build_handler(self._dispatch)
        self.caches.subscribe(CustomResourceDefinition, self._custom.observe)
        self.caches.subscribe(CustomResourceDefinition, self._definitions.observe)
        if config.bootstrap is not None:
            boot = self.transport(BOOTSTRAP_USER, ("system:masters",))
            written = await bootstrap.ensure(boot, config.bootstrap, self._clock.now())
            log.info("%d objects written that every cluster has", written)
        tls = None
        if config.tls_cert_file:
            tls = server_context(config.tls_cert_file, config.tls_key_file, config.client_ca_file)
        self._server = HttpServer(self._handler, config.addresses, tls, self._clock, self._owner)
        await self._server.start()
        self._owner.start(self._send_bookmarks(), "bookmarks")
        self._owner.start(self._definitions.run(), "custom resource definitions")
        self._owner.start(self._expire_events(), "expiry of events")
        self._ready = True

    def _standard_authorizer(self) -> StandardAuthorizer:
        from tiphys.apiserver.bootstrap.access import node_rules

        return StandardAuthorizer(self.caches, node_rules())

    @property
    def ports(self) -> list[int]:
        """The ports listened on, in the order of the configured addresses."""
        return self._server.ports if self._server is not None else []

    async def _send_bookmarks(self) -> None:
        while True:
            await self._clock.sleep(BOOKMARK_SECONDS)
            self.hub.bookmarks()

    async def _expire_events(self) -> None:
        resource = registry.resource_of(core_v1.Event)
        while True:
            await self._clock.sleep(expiry.SWEEP_SECONDS)
            collection = self.caches.collection(resource)
            for entry in expiry.expired_events(collection, self._clock.now()):
                try:
                    await self._writer.delete(collection, entry)
                except (KeyNotFound, RevisionConflict):
                    continue  # somebody was faster; the next sweep looks again
                except ApiError as error:
                    log.warning("expired events stay for now: %s", error)
                    break

    async def stop(self) -> None:
        """Watches end, requests under way finish, nothing is left."""
        self._ready, self._stopping = False, True
        if self._handler is not None and not self._handler.stopping.done():
            self._handler.stopping.set_result(None)
        if self._server is not None:
            await self._server.stop(self._config.stop_grace_seconds)
            self._server = None
        await self._proxies.close()
        await self._webhooks.close()
        await self._feed.stop()
        await self._owner.close()

    # -- what others get

    def transport(self, user: str, groups: tuple[str, ...] = ()) -> Transport:
        """Calls in this process, with this identity."""
        assert self._dispatch is not None, "the API server has not been started"
        identity = authenticated(UserInfo(user, "", groups))
        return InProcessTransport(
            identity, self._authorizer, self._dispatch, self._reads, self.hub, self._random.random
        )

    # -- wiring

    def _suffix(self) -> str:
        if self._config.seed is None:
            return "".join([SUFFIX_MARKS[number % len(SUFFIX_MARKS)] for number in os.urandom(5)])
        return "".join(self._random.choices(SUFFIX_MARKS, k=5))

    def _uid(self) -> str:
        if self._config.seed is None:
            return str(uuid.uuid4())
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def _custom_changed(self, resources: Sequence[CustomResource]) -> None:
        if self._discovery is not None:
            self._discovery.set_custom(resources)
        if self._openapi is not None:
            self._openapi.set_custom([published(resource) for resource in resources])

    def _build_verbs(self, standard: StandardAuthorizer | None) -> Verbs:
        of_nodes = (NodeTokenAudiences(self._authorizer), NodePodCertificates(self._authorizer))
        table = AdmissionTable((*PLUGINS, *of_nodes))

        def admit(request: AdmissionRequest, obj: Any, old: Any) -> None:
            table.admit(request, obj, old, self.caches)
            if standard is not None:
                standard.escalation.check(request.user, obj, old)

        def check_create(call: Call) -> None:
            question = creation_of(call)
            decision = self._authorizer.authorize(question)
            if not decision.allowed:
                raise forbidden(question, decision.reason)

        return Verbs(
            self.caches,
            self._writer,
            self._clock,
            admit,
            self._hooks(standard),
            self._uid,
            self._suffix,
            check_create,
            self._conversions,
        )

    def _build_dispatch(self, verbs: Verbs, standard: StandardAuthorizer | None) -> Dispatch:
        issuer = self._authn.issuer if self._authn is not None else None
        virtual, custom = self._virtual(standard), self._custom.find
        return Dispatch(verbs, self._reads, virtual, issuer, self._clock.now, self._uid, custom)

    def _hooks(self, standard: StandardAuthorizer | None) -> HookTable:
        rbac = "rbac.authorization.k8s.io"
        hooks: dict[tuple[str, str], WriteHook] = {}
        if self._config.service_cidrs:
            allocator = ServiceAllocator(
                self._config.service_cidrs,
                self._config.node_port_range,
                lambda low, count: low + self._random.randrange(count),
            )
            self.caches.subscribe(core_v1.Service, allocator.observe)
            self.caches.subscribe(networking_v1.ServiceCIDR, allocator.observe_network)
            self.caches.subscribe(networking_v1.IPAddress, allocator.observe_address)
            hooks["", "services"] = ServiceAddresses(allocator)
        certificates = "certificates.k8s.io"
        hooks[certificates, "certificatesigningrequests"] = SigningRequests(self._authorizer)
        hooks[certificates, "podcertificaterequests"] = PodCertificates(self._authorizer)
        hooks[certificates, "clustertrustbundles"] = TrustBundles(self._authorizer)
        hooks["resource.k8s.io", "resourceclaims"] = ClaimStatuses(self._authorizer)
        if standard is not None:
            check = standard.escalation
            hooks[rbac, "roles"] = hooks[rbac, "clusterroles"] = RoleEscalation(check)
            hooks[rbac, "rolebindings"] = hooks[rbac, "clusterrolebindings"] = BindingEscalation(check)
        charges = QuotaCharges(self.caches)
        self.caches.subscribe(core_v1.ResourceQuota, charges.observe)
        return HookTable(hooks, (charges,))

    def _virtual(self, standard: StandardAuthorizer | None) -> Mapping[tuple[str, str], VirtualCreate]:
        """The resources that answer and store nothing."""
        authn, authorizer = self._authn, self._authorizer
        found: dict[tuple[str, str], VirtualCreate] = {
            ("authorization.k8s.io", "subjectaccessreviews"): lambda obj, user, namespace, now: (
                access_reviews.review_subject(obj, authorizer)
            ),
            ("authorization.k8s.io", "localsubjectaccessreviews"): lambda obj, user, namespace, now: (
                access_reviews.review_subject_locally(obj, namespace, authorizer)
            ),
            ("authorization.k8s.io", "selfsubjectaccessreviews"): lambda obj, user, namespace, now: (
                access_reviews.review_self(obj, user, authorizer)
            ),
            ("authentication.k8s.io", "selfsubjectreviews"): lambda obj, user, namespace, now: (
                token_reviews.review_self(user, now)
            ),
        }
        if standard is not None:
            rbac = standard.rbac
            found["authorization.k8s.io", "selfsubjectrulesreviews"] = lambda obj, user, namespace, now: (
                access_reviews.review_rules(obj, user, rbac)
            )
        if authn is not None:
            authenticator = authn.authenticator
            found["authentication.k8s.io", "tokenreviews"] = lambda obj, user, namespace, now: (
                token_reviews.review_token(obj, authenticator, now)
            )
        return found

    def _build_handler(self, dispatch: Dispatch) -> ApiHandler:
        config = self._config
        handler = ApiHandler(
            authenticator=self._authn or Nobody(),
            authorizer=self._authorizer,
            anonymous=config.anonymous,
            dispatch=dispatch,
            reads=self._reads,
            hub=self.hub,
            documents=self._documents(),
            proxies=self._proxies,
            metrics=self.metrics,
            clock=self._clock,
            limits=config.limits,
            flows=Flows(self.caches),
            random=self._random.random,
        )
        self._add_gauges(handler)
        return handler

    def _build_proxies(self) -> Proxies:
        config = self._config
        tls = None
        if config.kubelet_client_cert_file:
            tls = kubelet_tls(config.kubelet_client_cert_file, config.kubelet_client_key_file, config.kubelet_ca_file)
        return Proxies(self.caches, tls, self._random.randrange)

    def _documents(self) -> ServerDocuments:
        build = load_build()
        resources = registry.all_resources()
        fixed: dict[str, Document] = {"/version": version_document(build)}
        if self._authn is not None:
            issuer, keys = self._authn.issuer_document, self._authn.key_set
            fixed["/.well-known/openid-configuration"] = Document("application/json", issuer, "", ISSUER_KEPT_SECONDS)
            fixed[KEY_SET_PATH] = Document("application/jwk-set+json", keys, "", ISSUER_KEPT_SECONDS)
        live = {"ping": lambda: "", "etcd": lambda: "" if self._feed.following else "the store sends no events"}
        ready = {
            **live,
            "informer-sync": lambda: "" if self._ready or self._stopping else "not started",
            "shutdown": lambda: "process is shutting down" if self._stopping else "",
        }
        self._discovery = ResourceDiscovery(resources, self._config.server_address)
        self._openapi = OpenApiDocuments(resources, load_schemas, schemas_identity(), git_version(build), fixed)
        return ServerDocuments(
            self._discovery,
            self._openapi,
            HealthChecks({"healthz": live, "livez": live, "readyz": ready}),
            fixed,
            self.metrics.text,
        )

    def _add_gauges(self, handler: ApiHandler) -> None:
        def in_flight() -> list[tuple[dict[str, str], float]]:
            mutating, reading = handler.in_flight
            return [({"request_kind": "mutating"}, mutating), ({"request_kind": "readOnly"}, reading)]

        def watches() -> list[tuple[dict[str, str], float]]:
            return [
                ({"group": collection.resource.group, "resource": collection.resource.plural}, count)
                for collection, count in self.hub.counts()
            ]

        def objects() -> list[tuple[dict[str, str], float]]:
            return [
                ({"group": found.resource.group, "resource": found.resource.plural}, found.count)
                for found in self.caches.collections
            ]

        add = self.metrics.add_gauge
        add("apiserver_current_inflight_requests", "Requests under way, long-running ones not counted.", in_flight)
        add("apiserver_longrunning_requests", "Watches by resource.", watches)
        add("apiserver_storage_objects", "Stored objects by resource.", objects)
        add("apiserver_storage_revision", "The last revision in the watch cache.", lambda: [({}, self.caches.revision)])
