"""Claims and volumes: binding, reclaiming, protection while in use."""

from __future__ import annotations

from typing import Any

from tiphys.kinds.types import core_v1, meta_v1, storage_v1
from tiphys.machinery.quantity import parse

PVC, PV = core_v1.PersistentVolumeClaim, core_v1.PersistentVolume


def volume(name: str, size: str, policy: str = "Retain", **spec: Any) -> core_v1.PersistentVolume:
    meta = meta_v1.ObjectMeta(name=name, labels=spec.pop("labels", None))
    spec.setdefault("accessModes", ["ReadWriteOnce"])
    spec.setdefault("hostPath", core_v1.HostPathVolumeSource(path="/tmp/x"))
    made = core_v1.PersistentVolumeSpec(
        capacity={"storage": parse(size)}, persistentVolumeReclaimPolicy=policy, volumeMode="Filesystem", **spec
    )
    return core_v1.PersistentVolume(metadata=meta, spec=made)


def claim(name: str, size: str, **spec: Any) -> core_v1.PersistentVolumeClaim:
    spec.setdefault("storageClassName", "")
    spec.setdefault("accessModes", ["ReadWriteOnce"])
    resources = core_v1.VolumeResourceRequirements(requests={"storage": parse(size)})
    made = core_v1.PersistentVolumeClaimSpec(resources=resources, volumeMode="Filesystem", **spec)
    return core_v1.PersistentVolumeClaim(metadata=meta_v1.ObjectMeta(name=name, namespace="default"), spec=made)


def phases(cluster: Any) -> dict[str, tuple[str | None, str | None]]:
    """Phase and partner of every claim and volume."""
    found = {c.metadata.name: (c.status.phase, c.spec.volumeName) for c in cluster.api.list(PVC)}
    for v in cluster.api.list(PV):
        found[v.metadata.name] = (v.status.phase, v.spec.claimRef.name if v.spec.claimRef is not None else None)
    return found


async def test_the_smallest_volume_that_fits_is_bound(cluster: Any) -> None:
    for name, size, rest in (
        ("small", "1Gi", {}),
        ("large", "9Gi", {}),
        ("fits", "3Gi", {}),
        ("shared", "2Gi", {"accessModes": ["ReadOnlyMany"]}),
        ("classy", "2Gi", {"storageClassName": "gold"}),
        ("block", "2Gi", {}),
    ):
        made = volume(name, size, **rest)
        made.spec.volumeMode = "Block" if name == "block" else "Filesystem"
        cluster.api.add(made)
    await cluster.quiet()
    cluster.api.add(claim("c", "2Gi"))
    cluster.api.add(claim("none", "20Gi"))
    await cluster.quiet()
    assert phases(cluster) == {
        "c": ("Bound", "fits"),
        "none": ("Pending", None),
        "small": ("Available", None),
        "large": ("Available", None),
        "fits": ("Bound", "c"),
        "shared": ("Available", None),
        "classy": ("Available", None),
        "block": ("Available", None),
    }
    bound = cluster.api.get(PVC, "default", "c")
    assert (bound.status.capacity, bound.status.accessModes) == ({"storage": parse("3Gi")}, ["ReadWriteOnce"])
    text = "no persistent volumes available for this claim and no storage class is set"
    assert ("FailedBinding", text) in cluster.events()
    cluster.api.add(volume("huge", "30Gi"))
    await cluster.quiet()
    assert phases(cluster)["none"] == ("Bound", "huge")


async def test_selectors_names_and_reservations(cluster: Any) -> None:
    reserved = core_v1.ObjectReference(kind="PersistentVolumeClaim", namespace="default", name="later")
    for made in (
        volume("plain", "1Gi"),
        volume("marked", "5Gi", labels={"a": "b"}),
        volume("kept", "1Gi", claimRef=reserved),
    ):
        cluster.api.add(made)
    await cluster.quiet()
    cluster.api.add(claim("chosen", "1Gi", selector=meta_v1.LabelSelector(matchLabels={"a": "b"})))
    cluster.api.add(claim("named", "1Gi", volumeName="plain"))
    cluster.api.add(claim("other", "1Gi"))
    cluster.api.add(claim("later", "1Gi"))
    cluster.api.add(claim("rival", "1Gi", volumeName="kept"))
    await cluster.quiet()
    found = phases(cluster)
    assert found == {
        "chosen": ("Bound", "marked"),
        "marked": ("Bound", "chosen"),
        "named": ("Bound", "plain"),
        "plain": ("Bound", "named"),
        "later": ("Bound", "kept"),
        "kept": ("Bound", "later"),
        "other": ("Pending", None),
        "rival": ("Pending", "kept"),
    }


async def test_what_becomes_of_a_volume_when_its_claim_goes(cluster: Any) -> None:
    for policy in ("Retain", "Delete", "Recycle"):
        cluster.api.add(volume(f"v-{policy.lower()}", "1Gi", policy))
        await cluster.quiet()
        cluster.api.add(claim(policy.lower(), "1Gi"))
        await cluster.quiet()
        cluster.api.remove(PVC, "default", policy.lower())
        await cluster.quiet()
    assert phases(cluster) == {"v-retain": ("Released", "retain"), "v-recycle": ("Failed", "recycle")}
    cluster.api.add(claim("again", "1Gi"))
    await cluster.quiet()
    assert phases(cluster)["again"] == ("Pending", None)


async def test_a_claim_that_a_pod_uses_stays(cluster: Any) -> None:
    cluster.api.add(volume("v", "1Gi"))
    cluster.api.add(claim("c", "1Gi"))
    source = core_v1.PersistentVolumeClaimVolumeSource(claimName="c")
    container = core_v1.Container(name="c", image="i")
    spec = core_v1.PodSpec(
        containers=[container], nodeName="a", volumes=[core_v1.Volume(name="x", persistentVolumeClaim=source)]
    )
    cluster.api.add(core_v1.Pod(metadata=meta_v1.ObjectMeta(name="user", namespace="default"), spec=spec))
    await cluster.quiet()
    cluster.api.remove(PVC, "default", "c")
    cluster.api.remove(PV, "", "v")
    await cluster.quiet()
    assert phases(cluster) == {"c": ("Bound", "v"), "v": ("Bound", "c")}
    cluster.api.remove(core_v1.Pod, "default", "user")
    await cluster.quiet()
    assert phases(cluster) == {}


async def test_a_claim_that_loses_its_volume_says_so(cluster: Any) -> None:
    cluster.api.add(volume("v", "1Gi"))
    await cluster.quiet()
    cluster.api.add(claim("c", "1Gi"))
    await cluster.quiet()

    def unprotect(obj: core_v1.PersistentVolume) -> None:
        obj.metadata.finalizers = None

    cluster.api.remove(PV, "", "v")
    cluster.api.change(PV, "", "v", unprotect)
    await cluster.quiet()
    assert phases(cluster) == {"c": ("Lost", "v")}
    assert ("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!") in cluster.events()


async def test_classes(cluster: Any) -> None:
    def storage_class(name: str, mode: str, default: bool = False) -> storage_v1.StorageClass:
        annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else None
        meta = meta_v1.ObjectMeta(name=name, annotations=annotations)
        return storage_v1.StorageClass(metadata=meta, provisioner="example.com/disk", volumeBindingMode=mode)

    cluster.api.add(storage_class("slow", "WaitForFirstConsumer"))
    cluster.api.add(claim("waiting", "1Gi", storageClassName="slow"))
    cluster.api.add(claim("unknown", "1Gi", storageClassName="nowhere"))
    cluster.api.add(claim("default", "1Gi", storageClassName=None))
    cluster.api.add(volume("v", "1Gi", storageClassName="slow"))
    await cluster.quiet()
    cluster.api.add(storage_class("usual", "Immediate", True))
    await cluster.quiet()
    assert {name: phase for name, (phase, _) in phases(cluster).items()} == {
        "waiting": "Pending", "unknown": "Pending", "default": "Pending", "v": "Available"
    }  # fmt: skip
    made = cluster.api.get(PVC, "default", "default")
    assert made.spec.storageClassName == "usual"
    assert made.metadata.annotations["volume.kubernetes.io/storage-provisioner"] == "example.com/disk"
    reasons = {reason for reason, _ in cluster.events()}
    assert {"WaitForFirstConsumer", "ProvisioningFailed", "ExternalProvisioning"} <= reasons

    def give(obj: core_v1.PersistentVolume) -> None:
        uid = cluster.api.get(PVC, "default", "waiting").metadata.uid
        obj.spec.claimRef = core_v1.ObjectReference(namespace="default", name="waiting", uid=uid)

    cluster.api.change(PV, "", "v", give)
    await cluster.quiet()
    assert phases(cluster)["waiting"] == ("Bound", "v")
