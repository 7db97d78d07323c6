"""What the volumes (and the environment) of a pod are made from, and when a token must be asked for anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tiphys.kinds.types import core_v1
from tiphys.kinds.types.certificates_v1 import ClusterTrustBundle
from tiphys.machinery.quantity import Quantity

DEFAULT_TOKEN_SECONDS = 3600
LONGEST_TOKEN_AGE_SECONDS = 24 * 3600


class VolumeError(Exception):
    """A volume cannot be set up; the message says why, as clients see it in FailedMount events."""


@dataclass(frozen=True, slots=True)
class TokenNeed:
    """A token of the pod's service account, bound to the pod. `audience` "" is the API server's own."""

    audience: str
    expiration_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountToken:
    """A token with the moments (seconds since the epoch) between which it is valid."""

    token: str
    issued_at: float
    expires_at: float


def _nothing(*_: str) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSources:
    """Where the contents come from. The lookups take namespace and name and return None for what does not exist.
    `token` returns a token that is valid, or raises VolumeError with the reason why there is none."""

    config_map: Callable[[str, str], core_v1.ConfigMap | None]
    secret: Callable[[str, str], core_v1.Secret | None]
    token: Callable[[core_v1.Pod, TokenNeed], ServiceAccountToken]
    node_allocatable: Mapping[str, Quantity] = field(default_factory=dict)
    claim: Callable[[str, str], core_v1.PersistentVolumeClaim | None] = _nothing
    volume: Callable[[str], core_v1.PersistentVolume | None] = _nothing
    trust_bundles: Callable[[], Iterable[ClusterTrustBundle]] = tuple


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredSources:
    """All names that a pod refers to, in its own namespace, optional ones too (they may come later). Trust bundles are
    needed all or not at all: any new one may be of the signer asked for."""

    config_maps: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    tokens: frozenset[TokenNeed] = frozenset()
    claims: frozenset[str] = frozenset()
    trust_bundles: bool = False


def need_of(projection: core_v1.ServiceAccountTokenProjection) -> TokenNeed:
    return TokenNeed(projection.audience or "", projection.expirationSeconds or DEFAULT_TOKEN_SECONDS)


def token_needs(source: core_v1.ProjectedVolumeSource) -> list[TokenNeed]:
    """The tokens of one projected volume."""
    return [
        need_of(projection.serviceAccountToken)
        for projection in source.sources or ()
        if projection.serviceAccountToken is not None
    ]


def due_at(token: ServiceAccountToken) -> float:
    """When to ask for a new one: after 80 % of its life, or after a day."""
    life_seconds = token.expires_at - token.issued_at
    return token.issued_at + min(life_seconds * 0.8, LONGEST_TOKEN_AGE_SECONDS)


def required_sources(pod: core_v1.Pod) -> RequiredSources:
    """What volumes, environments and image pulls of a pod need from the API."""
    config_maps: set[str] = set()
    secrets: set[str] = {reference.name or "" for reference in pod.spec.imagePullSecrets or ()}
    tokens: set[TokenNeed] = set()
    claims: set[str] = set()
    trust_bundles = False
    for volume in pod.spec.volumes or ():
        if volume.configMap is not None:
            config_maps.add(volume.configMap.name or "")
        elif volume.secret is not None:
            secrets.add(volume.secret.secretName or "")
        elif volume.persistentVolumeClaim is not None:
            claims.add(volume.persistentVolumeClaim.claimName)
        elif volume.ephemeral is not None:
            claims.add(f"{pod.metadata.name}-{volume.name}")
        elif volume.projected is not None:
            tokens.update(token_needs(volume.projected))
            trust_bundles |= any(p.clusterTrustBundle is not None for p in volume.projected.sources or ())
            config_maps.update(p.configMap.name or "" for p in volume.projected.sources or () if p.configMap)
            secrets.update(p.secret.name or "" for p in volume.projected.sources or () if p.secret)
    for container in _containers(pod):
        for source in container.envFrom or ():
            if source.configMapRef is not None:
                config_maps.add(source.configMapRef.name or "")
            if source.secretRef is not None:
                secrets.add(source.secretRef.name or "")
        for variable in container.env or ():
            reference = variable.valueFrom
            if reference is not None and reference.configMapKeyRef is not None:
                config_maps.add(reference.configMapKeyRef.name or "")
            if reference is not None and reference.secretKeyRef is not None:
                secrets.add(reference.secretKeyRef.name or "")
    return RequiredSources(
        config_maps=frozenset(config_maps - {""}),
        secrets=frozenset(secrets - {""}),
        tokens=frozenset(tokens),
        claims=frozenset(claims),
        trust_bundles=trust_bundles,
    )


def _containers(pod: core_v1.Pod) -> Iterator[core_v1.Container | core_v1.EphemeralContainer]:
    yield from pod.spec.initContainers or ()
    yield from pod.spec.containers
    yield from pod.spec.ephemeralContainers or ()
