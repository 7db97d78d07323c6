"""What pods refer to in the API: ConfigMaps, Secrets, claims, volumes, trust bundles and tokens, followed only while a
pod needs them.

Each object is watched by its name (trust bundles all together), once for all pods that use it, so a change arrives as
an event; tokens are fetched when a pod needs them and again before they run out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.client.api import Client
from tiphys.client.io.reflector import Informer, InformerSet
from tiphys.kinds.types import authentication_v1, core_v1
from tiphys.kinds.types.certificates_v1 import ClusterTrustBundle
from tiphys.kubelet.environment import EnvironmentSources
from tiphys.kubelet.interface import VolumeFailure
from tiphys.kubelet.io.mounts import VolumeHost
from tiphys.kubelet.volumes.plan import VolumeKind, VolumePlan, failed_mount_message, plan_volume
from tiphys.kubelet.volumes.sources import (
    ServiceAccountToken,
    TokenNeed,
    VolumeError,
    VolumeSources,
    due_at,
    required_sources,
)
from tiphys.machinery import timestamps
from tiphys.machinery.errors import ApiError
from tiphys.machinery.quantity import Quantity

T = TypeVar("T")
_Key = tuple[type[Any], str, str]  # kind, namespace, name; "" for all there are
TRUST_BUNDLES: _Key = (ClusterTrustBundle, "", "")


class PodSources:
    """See the module docstring. `node_allocatable` gives what limits are when a container has none."""

    def __init__(
        self,
        client: Client,
        informers: InformerSet,
        volume_host: VolumeHost,
        clock: Clock,
        owner: TaskOwner,
        node_allocatable: Callable[[], Mapping[str, Quantity]],
        services: Callable[[], list[core_v1.Service]],
    ) -> None:
        self._client = client
        self._informers = informers
        self._host = volume_host
        self._clock = clock
        self._owner = owner
        self._node_allocatable = node_allocatable
        self._services = services
        self._followed: dict[_Key, Informer[Any]] = {}
        self._users: dict[_Key, set[str]] = {}
        self._changed: dict[str, Callable[[], None]] = {}
        self._tokens: dict[tuple[str, TokenNeed], ServiceAccountToken] = {}

    def follow(self, pod: core_v1.Pod, changed: Callable[[], None]) -> None:
        """Follow all that the pod refers to; `changed()` when some of it is new. Again after the pod has changed."""
        uid, namespace = pod.metadata.uid or "", pod.metadata.namespace or ""
        self._changed[uid] = changed
        needs = required_sources(pod)
        wanted: set[_Key] = {(core_v1.ConfigMap, namespace, name) for name in needs.config_maps}
        wanted |= {(core_v1.Secret, namespace, name) for name in needs.secrets}
        wanted |= {(core_v1.PersistentVolumeClaim, namespace, name) for name in needs.claims}
        wanted |= {TRUST_BUNDLES} if needs.trust_bundles else set()
        for name in needs.claims:
            claim = self._get(core_v1.PersistentVolumeClaim, namespace, name)
            if claim is not None and claim.spec.volumeName:
                wanted.add((core_v1.PersistentVolume, "", claim.spec.volumeName))
        for key in sorted(wanted, key=str):
            users = self._users.setdefault(key, set())
            users.add(uid)
            if key not in self._followed:
                self._follow(key)

    def _follow(self, key: _Key) -> None:
        kind, namespace, name = key
        selector = f"metadata.name={name}" if name else ""
        informer = self._informers.informer(kind, namespace=namespace, field_selector=selector)
        self._followed[key] = informer

        def handler(old: Any, new: Any) -> None:
            for uid in sorted(self._users.get(key, ())):
                changed = self._changed.get(uid)
                if changed is not None:
                    changed()

        informer.add_handler(handler)

    def forget(self, uid: str) -> None:
        """The pod needs nothing any more."""
        self._changed.pop(uid, None)
        for key in [key for key, users in self._users.items() if uid in users]:
            self._users[key].discard(uid)
            if not self._users[key]:
                del self._users[key]
                informer = self._followed.pop(key)
                self._owner.start(self._informers.discard(informer), f"forget {key[0].__name__} {key[1]}/{key[2]}")
        for known in [known for known in self._tokens if known[0] == uid]:
            del self._tokens[known]

    def _get(self, kind: type[T], namespace: str, name: str) -> T | None:
        informer = self._followed.get((kind, namespace, name))
        found: T | None = informer.cache.get(namespace, name) if informer is not None else None
        return found

    def _trust_bundles(self) -> list[ClusterTrustBundle]:
        informer = self._followed.get(TRUST_BUNDLES)
        return [*informer.cache] if informer is not None else []

    def environment(self) -> EnvironmentSources:
        return EnvironmentSources(
            config_map=lambda namespace, name: self._get(core_v1.ConfigMap, namespace, name),
            secret=lambda namespace, name: self._get(core_v1.Secret, namespace, name),
            services=self._services(),
            node_allocatable=self._node_allocatable(),
        )

    def pull_secrets(self, pod: core_v1.Pod) -> list[core_v1.Secret]:
        namespace = pod.metadata.namespace or ""
        found = [self._get(core_v1.Secret, namespace, each.name or "") for each in pod.spec.imagePullSecrets or ()]
        return [secret for secret in found if secret is not None]

    async def synced(self, pod: core_v1.Pod) -> None:
        """Return when the first answer about everything that the pod refers to is here."""
        uid = pod.metadata.uid or ""
        for key in [key for key, users in self._users.items() if uid in users]:
            informer = self._followed.get(key)
            if informer is not None:
                await informer.synced()

    async def _plans(self, pod: core_v1.Pod) -> list[VolumePlan]:
        await self.synced(pod)
        uid = pod.metadata.uid or ""
        if required_sources(pod).claims and uid in self._changed:
            self.follow(pod, self._changed[uid])  # claims name volumes, which are known only now
            await self.synced(pod)
        failures = await self._fetch_tokens(pod)

        def token(of: core_v1.Pod, need: TokenNeed) -> ServiceAccountToken:
            found = self._tokens.get((of.metadata.uid or "", need))
            if found is None:
                raise VolumeError(failures.get(need, "failed to fetch token"))
            return found

        sources = VolumeSources(
            config_map=lambda namespace, name: self._get(core_v1.ConfigMap, namespace, name),
            secret=lambda namespace, name: self._get(core_v1.Secret, namespace, name),
            token=token,
            node_allocatable=self._node_allocatable(),
            claim=lambda namespace, name: self._get(core_v1.PersistentVolumeClaim, namespace, name),
            volume=lambda name: self._get(core_v1.PersistentVolume, "", name),
            trust_bundles=self._trust_bundles,
        )
        plans = []
        for volume in pod.spec.volumes or ():
            try:
                plans.append(plan_volume(pod, volume, sources, self._clock.now()))
            except VolumeError as error:
                raise VolumeFailure(failed_mount_message(volume.name, error)) from error
        return plans

    async def _fetch_tokens(self, pod: core_v1.Pod) -> dict[TokenNeed, str]:
        """Tokens that are missing or due; the reasons of those that could not be had."""
        failures: dict[TokenNeed, str] = {}
        uid = pod.metadata.uid or ""
        for need in sorted(required_sources(pod).tokens, key=lambda each: (each.audience, each.expiration_seconds)):
            known = self._tokens.get((uid, need))
            if known is not None and self._clock.now() < due_at(known):
                continue
            try:
                self._tokens[(uid, need)] = await self._request_token(pod, need)
            except ApiError as error:
                failures[need] = f"failed to fetch token: {error}"
        return failures

    async def _request_token(self, pod: core_v1.Pod, need: TokenNeed) -> ServiceAccountToken:
        request = authentication_v1.TokenRequest(
            spec=authentication_v1.TokenRequestSpec(
                audiences=[need.audience] if need.audience else [],
                expirationSeconds=need.expiration_seconds,
                boundObjectRef=authentication_v1.BoundObjectReference(
                    apiVersion="v1", kind="Pod", name=pod.metadata.name, uid=pod.metadata.uid
                ),
            )
        )
        issued_at = self._clock.now()
        account = pod.spec.serviceAccountName or "default"
        answer = await self._client.create_subresource(
            core_v1.ServiceAccount, pod.metadata.namespace or "", account, "token", request
        )
        return ServiceAccountToken(
            token=answer.status.token,
            issued_at=issued_at,
            expires_at=timestamps.seconds(answer.status.expirationTimestamp),
        )

    async def setup(self, pod: core_v1.Pod) -> dict[str, str]:
        """Set up all volumes; their paths by name, and when they must be refreshed in any case. VolumeFailure."""
        plans = await self._plans(pod)
        images = [plan.name for plan in plans if plan.kind is VolumeKind.IMAGE]
        if images:
            raise VolumeFailure(
                failed_mount_message(images[0], VolumeError("image volumes are not supported by the container runtime"))
            )
        try:
            return await self._host.setup(pod, plans)
        except (VolumeError, OSError) as error:
            raise VolumeFailure(str(error)) from error

    async def refresh(self, pod: core_v1.Pod) -> float | None:
        """Bring the volumes' files up to date; the moment at which to do it again, None for never. VolumeFailure."""
        plans = await self._plans(pod)
        try:
            await self._host.refresh(pod, plans)
        except (VolumeError, OSError) as error:
            raise VolumeFailure(str(error)) from error
        return min((plan.refresh_at for plan in plans if plan.refresh_at is not None), default=None)

    async def sub_path(
        self, pod: core_v1.Pod, volume: str, volume_path: str, container: str, position: int, path: str
    ) -> str:
        """VolumeFailure when it leads out of the volume."""
        try:
            return await self._host.prepare_sub_path(
                pod.metadata.uid or "", volume, volume_path, container, position, path
            )
        except (VolumeError, OSError) as error:
            raise VolumeFailure(str(error)) from error

    async def teardown(self, uid: str) -> None:
        try:
            await self._host.teardown(uid)
        except OSError as error:
            raise VolumeFailure(str(error)) from error

    async def remove_pod_directory(self, uid: str) -> None:
        await self._host.remove_pod_dir(uid)
