"""Images: whether to pull, how long to wait after a failure, with which credentials, and which images to throw away.

Specified in "Images". Pure; the shell does what is decided here.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tiphys.kinds.core.container_defaults import default_pull_policy
from tiphys.kinds.types import core_v1
from tiphys.kubelet.interface import CriMessage, ImageRecord
from tiphys.machinery import image_reference

FIRST_BACK_OFF_SECONDS = 10.0
LONGEST_BACK_OFF_SECONDS = 300.0

_DEFAULT_DOMAIN = "docker.io"


class ReferenceError_(ValueError):
    """No image reference."""


def full_reference(text: str) -> str:
    """`docker.io/library/busybox:latest` of `busybox`. ReferenceError_ when it cannot be one."""
    parts = image_reference.parts(text)
    if parts is None:
        raise ReferenceError_(f'couldn\'t parse image name "{text}": invalid reference format')
    domain, path, tag, digest = parts
    if domain and "." not in domain and ":" not in domain and domain != "localhost" and domain == domain.lower():
        domain, path = "", f"{domain}/{path}"
    if domain in ("", "index.docker.io"):
        domain = _DEFAULT_DOMAIN
    if domain == _DEFAULT_DOMAIN and "/" not in path:
        path = f"library/{path}"
    if not tag and not digest:
        tag = "latest"
    return f"{domain}/{path}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def pull_policy(container: core_v1.Container | core_v1.EphemeralContainer) -> str:
    """Always, IfNotPresent or Never; images tagged `latest` are always pulled unless the pod says otherwise."""
    return container.imagePullPolicy or default_pull_policy(container.image)


def pull_decision(policy: str, present: bool) -> Literal["use", "pull", "refuse"]:
    if policy == "Never":
        return "use" if present else "refuse"
    return "use" if present and policy != "Always" else "pull"


def credentials(reference: str, secrets: Iterable[core_v1.Secret]) -> list[CriMessage]:
    """CRI AuthConfigs from image pull secrets that fit the image's registry, the most specific first."""
    found: list[tuple[int, CriMessage]] = []
    for secret in secrets:
        for registry, entry in _registries(secret):
            length = _fits(reference, registry)
            if length:
                found.append((length, _auth(registry, entry)))
    found.sort(key=lambda pair: -pair[0])
    return [auth for _, auth in found]


def _registries(secret: core_v1.Secret) -> list[tuple[str, Mapping[str, Any]]]:
    data = secret.data or {}
    try:
        if ".dockerconfigjson" in data:
            content = json.loads(data[".dockerconfigjson"]).get("auths") or {}
        elif ".dockercfg" in data:
            content = json.loads(data[".dockercfg"])
        else:
            return []
    except (ValueError, AttributeError):
        return []
    return [(registry, entry) for registry, entry in content.items() if isinstance(entry, dict)]


def _fits(reference: str, registry: str) -> int:
    """The length of a registry's name when the image is from there, else 0. `*` stands for one part of a host name."""
    name = re.sub(r"^https?://", "", registry).rstrip("/")
    name = re.sub(r"/v[12]$", "", name)
    if name in ("index.docker.io", "registry-1.docker.io"):
        name = _DEFAULT_DOMAIN
    pattern = "^" + re.escape(name).replace(r"\*", "[^./]*") + "(?:[/:@]|$)"
    return len(name) if re.match(pattern, reference) else 0


def _auth(registry: str, entry: Mapping[str, Any]) -> CriMessage:
    username, password = entry.get("username") or "", entry.get("password") or ""
    if entry.get("auth") and not username:
        try:
            username, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        except ValueError:
            return {"server_address": registry, "auth": str(entry["auth"])}
    auth = {"username": username, "password": password, "server_address": registry}
    if entry.get("identitytoken"):
        auth["identity_token"] = entry["identitytoken"]
    return auth


@dataclass(frozen=True, slots=True, kw_only=True)
class PullBackOff:
    """Pulling an image failed, at `failed_at`, and is not tried again for `wait_seconds`."""

    wait_seconds: float
    failed_at: float

    def over(self, now: float) -> bool:
        return now - self.failed_at >= self.wait_seconds


def after_failure(before: PullBackOff | None, now: float) -> PullBackOff:
    """Double the wait, from 10 s to 5 min; start anew when the last failure is long ago."""
    if before is None or now - before.failed_at > 2 * LONGEST_BACK_OFF_SECONDS:
        return PullBackOff(wait_seconds=FIRST_BACK_OFF_SECONDS, failed_at=now)
    return PullBackOff(wait_seconds=min(before.wait_seconds * 2, LONGEST_BACK_OFF_SECONDS), failed_at=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUse:
    """When an image was first seen on the node, and last seen in use by a container."""

    detected_at: float
    used_at: float


def images_to_remove(
    images: Sequence[ImageRecord],
    uses: Mapping[str, ImageUse],
    in_use: frozenset[str],
    wanted_bytes: int,
    minimum_age_seconds: float,
    now: float,
) -> list[str]:
    """The ids of unused images, longest unused first, until `wanted_bytes` are freed. Pinned ones stay."""
    chosen: list[str] = []
    freed = 0
    unknown = ImageUse(detected_at=now, used_at=0.0)
    for image in sorted(
        images, key=lambda each: (uses.get(each.id, unknown).used_at, uses.get(each.id, unknown).detected_at)
    ):
        if freed >= wanted_bytes:
            break
        if image.pinned or image.id in in_use or now - uses.get(image.id, unknown).detected_at < minimum_age_seconds:
            continue
        chosen.append(image.id)
        freed += image.size_bytes
    return chosen


def bytes_to_free(capacity_bytes: int, available_bytes: int, high_percent: int, low_percent: int) -> int:
    """How much to free when more than `high_percent` of the image file system is used: down to `low_percent`."""
    if capacity_bytes <= 0 or (capacity_bytes - available_bytes) * 100 < high_percent * capacity_bytes:
        return 0
    return max(0, capacity_bytes * (100 - low_percent) // 100 - available_bytes)
