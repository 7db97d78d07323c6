"""Image names, pull decisions, credentials, and which images go."""

from __future__ import annotations

import base64
import json

import pytest

from tiphys.kinds.types import core_v1
from tiphys.kubelet import images
from tiphys.kubelet.images import ImageUse, PullBackOff
from tiphys.kubelet.interface import ImageRecord


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        ("team/app", "docker.io/team/app:latest"),
        ("registry.example/app:1", "registry.example/app:1"),
        ("localhost/tiphys/pause:1", "localhost/tiphys/pause:1"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("index.docker.io/library/busybox", "docker.io/library/busybox:latest"),
        ("app@sha256:" + "a" * 64, "docker.io/library/app@sha256:" + "a" * 64),
    ],
)
def test_full_names(text: str, full: str) -> None:
    assert images.full_reference(text) == full


@pytest.mark.parametrize("text", ["", "App", "a b", "app:", "-app", "app@sha256:1"])
def test_no_names(text: str) -> None:
    with pytest.raises(images.ReferenceError_):
        images.full_reference(text)


@pytest.mark.parametrize(
    ("image", "given", "policy"),
    [
        ("app", None, "Always"),
        ("app:latest", None, "Always"),
        ("app:1", None, "IfNotPresent"),
        ("localhost:5000/app", None, "Always"),
        ("app@sha256:" + "a" * 64, None, "IfNotPresent"),
        ("app", "Never", "Never"),
    ],
)
def test_policies(image: str, given: str | None, policy: str) -> None:
    assert images.pull_policy(core_v1.Container(name="c", image=image, imagePullPolicy=given)) == policy


@pytest.mark.parametrize(
    ("policy", "present", "decision"),
    [
        ("Always", True, "pull"),
        ("Always", False, "pull"),
        ("IfNotPresent", True, "use"),
        ("IfNotPresent", False, "pull"),
        ("Never", True, "use"),
        ("Never", False, "refuse"),
    ],
)
def test_decisions(policy: str, present: bool, decision: str) -> None:
    assert images.pull_decision(policy, present) == decision


def secret(auths: dict[str, dict[str, str]]) -> core_v1.Secret:
    return core_v1.Secret(data={".dockerconfigjson": json.dumps({"auths": auths}).encode()})


def test_credentials_fit_the_registry() -> None:
    auth = base64.b64encode(b"user:pass:word").decode()
    secrets = [
        secret({"https://index.docker.io/v1/": {"auth": auth}, "registry.example": {"username": "a", "password": "b"}}),
        secret({"registry.example/team": {"username": "c", "password": "d"}, "*.example": {"username": "e"}}),
        core_v1.Secret(data={".dockerconfigjson": b"not json"}),
    ]
    assert images.credentials("docker.io/library/app:1", secrets) == [
        {"username": "user", "password": "pass:word", "server_address": "https://index.docker.io/v1/"}
    ]
    found = images.credentials("registry.example/team/app:1", secrets)
    assert [each["username"] for each in found] == ["c", "a", "e"]
    assert images.credentials("registry.example.evil/app:1", secrets) == []


def test_back_off_doubles_and_ends() -> None:
    waits, known, now = [], None, 0.0
    for _ in range(7):
        known = images.after_failure(known, now)
        waits.append(known.wait_seconds)
        assert not known.over(now + known.wait_seconds - 1) and known.over(now + known.wait_seconds)
        now += known.wait_seconds
    assert waits == [10, 20, 40, 80, 160, 300, 300]
    assert images.after_failure(known, now + 1000) == PullBackOff(wait_seconds=10.0, failed_at=now + 1000)


def test_the_longest_unused_go_first() -> None:
    known = [ImageRecord(id=name, size_bytes=10) for name in "abcd"] + [ImageRecord(id="p", size_bytes=10, pinned=True)]
    uses = {
        "a": ImageUse(detected_at=0, used_at=50),
        "b": ImageUse(detected_at=0, used_at=10),
        "c": ImageUse(detected_at=0, used_at=20),
        "d": ImageUse(detected_at=95, used_at=0),
        "p": ImageUse(detected_at=0, used_at=0),
    }
    assert images.images_to_remove(known, uses, frozenset("c"), 15, 10.0, 100.0) == ["b", "a"]
    assert images.images_to_remove(known, uses, frozenset(), 5, 10.0, 100.0) == ["b"]


@pytest.mark.parametrize(("available", "free"), [(50, 0), (16, 0), (15, 5), (5, 15)])
def test_how_much_to_free(available: int, free: int) -> None:
    assert images.bytes_to_free(100, available, 85, 80) == free
