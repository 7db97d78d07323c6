"""What each kind of volume holds, and the texts when it cannot be set up."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kinds.types.certificates_v1 import ClusterTrustBundle, ClusterTrustBundleSpec
from tiphys.kubelet.volumes.mount_paths import MountAccess, Propagation, access_of, propagation_of, resolve_sub_path
from tiphys.kubelet.volumes.payload import VolumeFile
from tiphys.kubelet.volumes.plan import VolumeKind, VolumePlan, failed_mount_message, plan_volume
from tiphys.kubelet.volumes.sources import (
    RequiredSources,
    ServiceAccountToken,
    TokenNeed,
    VolumeError,
    VolumeSources,
    due_at,
    required_sources,
)
from tiphys.machinery.quantity import parse

NOW = 1_000_000.0
GIBIBYTE = 1024**3


def pod(**spec: Any) -> core_v1.Pod:
    spec.setdefault("containers", [core_v1.Container(name="main")])
    meta = meta_v1.ObjectMeta(
        name="web", namespace="default", uid="u1", labels={"b": "2", "a": '1"'}, annotations={"note": "x\ny"}
    )
    return core_v1.Pod(metadata=meta, spec=core_v1.PodSpec(**spec))


def sources(**rest: Any) -> VolumeSources:
    config_maps = {"settings": core_v1.ConfigMap(data={"mode": "fast", "level": "3"}, binaryData={"blob": b"\x00\xff"})}
    secrets = {"login": core_v1.Secret(data={"user": b"me", "password": b"hush"})}

    def token(of: core_v1.Pod, need: TokenNeed) -> ServiceAccountToken:
        text = f"token for {need.audience or 'the API'}"
        return ServiceAccountToken(token=text, issued_at=NOW, expires_at=NOW + need.expiration_seconds)

    return VolumeSources(
        config_map=lambda namespace, name: config_maps.get(name) if namespace == "default" else None,
        secret=lambda namespace, name: secrets.get(name),
        token=token,
        **{"node_allocatable": {"cpu": parse("4"), "memory": parse("8Gi")}, **rest},
    )


def plan(of: core_v1.Pod | None = None, *, given: VolumeSources | None = None, **source: Any) -> VolumePlan:
    return plan_volume(of or pod(), core_v1.Volume(name="v", **source), given or sources(), NOW)


def contents(found: VolumePlan) -> dict[str, bytes]:
    return {file.path: file.data for file in found.files}


def refused(**source: Any) -> str:
    with pytest.raises(VolumeError) as caught:
        plan(**source)
    return str(caught.value)


def item(key: str, path: str, mode: int | None = None) -> core_v1.KeyToPath:
    return core_v1.KeyToPath(key=key, path=path, mode=mode)


def test_a_config_map_becomes_a_file_for_each_key() -> None:
    assert plan(configMap=core_v1.ConfigMapVolumeSource(name="settings", defaultMode=0o400)) == VolumePlan(
        name="v",
        plugin="kubernetes.io~configmap",
        kind=VolumeKind.FILES,
        read_only=True,
        files=(
            VolumeFile(path="blob", data=b"\x00\xff", mode=0o400),
            VolumeFile(path="level", data=b"3", mode=0o400),
            VolumeFile(path="mode", data=b"fast", mode=0o400),
        ),
    )


def test_items_choose_keys_paths_and_modes() -> None:
    found = plan(
        configMap=core_v1.ConfigMapVolumeSource(
            name="settings", items=[item("mode", "etc/./mode.txt", 0o600), item("level", "level")]
        )
    )
    assert found.files == (
        VolumeFile(path="etc/mode.txt", data=b"fast", mode=0o600),
        VolumeFile(path="level", data=b"3", mode=0o644),
    )


def test_what_is_missing_is_named() -> None:
    config_map, secret = core_v1.ConfigMapVolumeSource, core_v1.SecretVolumeSource
    assert refused(configMap=config_map(name="gone")) == 'configmap "gone" not found'
    assert refused(secret=secret(secretName="gone")) == 'secret "gone" not found'
    assert (
        refused(configMap=config_map(name="settings", items=[item("gone", "x")]))
        == "configmap references non-existent config key: gone"
    )
    assert (
        refused(secret=secret(secretName="login", items=[item("gone", "x")]))
        == "references non-existent secret key: gone"
    )
    message = failed_mount_message("v", VolumeError('configmap "gone" not found'))
    assert message == 'MountVolume.SetUp failed for volume "v" : configmap "gone" not found'


def test_optional_sources_may_be_missing() -> None:
    assert plan(configMap=core_v1.ConfigMapVolumeSource(name="gone", optional=True)).files == ()
    found = plan(
        secret=core_v1.SecretVolumeSource(
            secretName="login", optional=True, items=[item("gone", "x"), item("user", "y")]
        )
    )
    assert contents(found) == {"y": b"me"}
    assert found.in_memory


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/etc/passwd", "invalid path: must be relative path: /etc/passwd"),
        ("a/../../b", "invalid path: must not contain '..': a/../../b"),
        ("..data", "invalid path: must not start with '..': ..data"),
        ("", "invalid path: must not be empty"),
        ("n" * 256, "invalid path: filenames must be less than or equal to 255 characters"),
    ],
)
def test_paths_stay_inside_the_volume(path: str, message: str) -> None:
    source = core_v1.ConfigMapVolumeSource(name="settings", items=[item("mode", path)])
    assert refused(configMap=source) == message


def test_a_file_cannot_be_a_directory_of_another() -> None:
    source = core_v1.ConfigMapVolumeSource(name="settings", items=[item("mode", "a"), item("level", "a/b")])
    assert refused(configMap=source) == "invalid path: a/b is below the file a"


def downward(path: str, field: str = "", **resource: Any) -> core_v1.DownwardAPIVolumeFile:
    return core_v1.DownwardAPIVolumeFile(
        path=path,
        fieldRef=core_v1.ObjectFieldSelector(fieldPath=field) if field else None,
        resourceFieldRef=core_v1.ResourceFieldSelector(containerName="main", **resource) if resource else None,
    )


def test_a_pod_can_read_about_itself() -> None:
    limits = {"memory": parse("100Mi")}
    container = core_v1.Container(name="main", resources=core_v1.ResourceRequirements(limits=limits))
    found = plan(
        pod(containers=[container]),
        downwardAPI=core_v1.DownwardAPIVolumeSource(
            items=[
                downward("labels", "metadata.labels"),
                downward("annotations", "metadata.annotations"),
                downward("uid", "metadata.uid"),
                downward("memory", resource="limits.memory", divisor=parse("1Mi")),
                downward("cpu", resource="limits.cpu"),
                downward("request", resource="requests.cpu"),
            ]
        ),
    )
    assert contents(found) == {
        "labels": b'a="1\\""\nb="2"',
        "annotations": b'note="x\\ny"',
        "uid": b"u1",
        "memory": b"100",
        "cpu": b"4",
        "request": b"0",
    }


def test_an_unknown_container_or_field_is_refused() -> None:
    reference = core_v1.ResourceFieldSelector(containerName="other", resource="limits.cpu")
    file = core_v1.DownwardAPIVolumeFile(path="x", resourceFieldRef=reference)
    assert refused(downwardAPI=core_v1.DownwardAPIVolumeSource(items=[file])) == "container other not found"
    field = downward("x", "spec.secret")
    assert "unsupported fieldPath: spec.secret" in refused(downwardAPI=core_v1.DownwardAPIVolumeSource(items=[field]))


def token(path: str = "token", audience: str | None = None, seconds: int | None = 3600) -> core_v1.VolumeProjection:
    return core_v1.VolumeProjection(
        serviceAccountToken=core_v1.ServiceAccountTokenProjection(
            path=path, audience=audience, expirationSeconds=seconds
        )
    )


def test_a_projected_volume_joins_its_sources() -> None:
    projections = [
        token(),
        core_v1.VolumeProjection(configMap=core_v1.ConfigMapProjection(name="settings", items=[item("mode", "same")])),
        core_v1.VolumeProjection(secret=core_v1.SecretProjection(name="login", items=[item("user", "same")])),
        core_v1.VolumeProjection(
            downwardAPI=core_v1.DownwardAPIProjection(items=[downward("namespace", "metadata.namespace")])
        ),
    ]
    found = plan(projected=core_v1.ProjectedVolumeSource(sources=projections, defaultMode=0o640))
    assert contents(found) == {"token": b"token for the API", "same": b"me", "namespace": b"default"}
    assert {file.mode for file in found.files} == {0o640}
    assert found.refresh_at == NOW + 0.8 * 3600


def test_everything_that_a_projection_lacks_is_said_at_once() -> None:
    projections = [
        core_v1.VolumeProjection(configMap=core_v1.ConfigMapProjection(name="gone")),
        core_v1.VolumeProjection(secret=core_v1.SecretProjection(name="lost")),
    ]
    assert (
        refused(projected=core_v1.ProjectedVolumeSource(sources=projections))
        == '[configmap "gone" not found, secret "lost" not found]'
    )


def test_certificates_of_pods_in_projections_are_refused() -> None:
    projection = core_v1.VolumeProjection(podCertificate=core_v1.PodCertificateProjection(keyType="ED25519"))
    message = refused(projected=core_v1.ProjectedVolumeSource(sources=[projection]))
    assert message == "podCertificate projections are not supported on this node"


def certificates(*bodies: str) -> str:
    return "".join(f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n" for body in bodies)


def trusted(**asked: Any) -> core_v1.ProjectedVolumeSource:
    source = core_v1.ClusterTrustBundleProjection(path="ca.pem", **asked)
    return core_v1.ProjectedVolumeSource(sources=[core_v1.VolumeProjection(clusterTrustBundle=source)])


BUNDLES = [
    ClusterTrustBundle(
        metadata=meta_v1.ObjectMeta(name=name, labels=labels),
        spec=ClusterTrustBundleSpec(signerName=signer or None, trustBundle=text),
    )
    for name, labels, signer, text in (
        ("free", {}, "", "of whom\n" + certificates("AAAA")),
        ("example.com:one:a", {"alive": "yes"}, "example.com/one", certificates("CCCC", "BBBB")),
        ("example.com:one:b", {"alive": "no"}, "example.com/one", certificates("BBBB", "D" * 70)),
        ("example.com:two:c", {"alive": "yes"}, "example.com/two", certificates("EEEE")),
    )
]
ONE = {"signerName": "example.com/one"}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"name": "free"}, ["AAAA"]),
        ({**ONE, "labelSelector": meta_v1.LabelSelector(matchLabels={"alive": "yes"})}, ["BBBB", "CCCC"]),
        ({**ONE, "labelSelector": meta_v1.LabelSelector()}, ["BBBB", "CCCC", "D" * 64 + "\n" + "D" * 6]),
        ({**ONE, "optional": True}, []),
        ({"name": "none", "optional": True}, []),
    ],
)
def test_trust_bundles_are_merged_and_each_certificate_is_there_once(asked: dict[str, Any], found: list[str]) -> None:
    given = sources(trust_bundles=lambda: BUNDLES)
    text = certificates(*found).encode()
    assert contents(plan(given=given, projected=trusted(**asked))) == {"ca.pem": text}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"name": "none"}, 'clustertrustbundle.certificates.k8s.io "none" not found'),
        (
            {**ONE, "labelSelector": meta_v1.LabelSelector(matchLabels={"alive": "perhaps"})},
            'combination of signerName="example.com/one" and labelSelector="alive=perhaps"'
            " matched zero ClusterTrustBundles",
        ),
        (ONE, 'combination of signerName="example.com/one" and labelSelector="" matched zero ClusterTrustBundles'),
    ],
)
def test_a_trust_bundle_that_is_needed_and_missing(asked: dict[str, Any], message: str) -> None:
    assert refused(given=sources(trust_bundles=lambda: BUNDLES), projected=trusted(**asked)) == message
    assert required_sources(pod(volumes=[core_v1.Volume(name="v", projected=trusted(**asked))])).trust_bundles


def test_a_token_is_readable_by_the_pods_only_user() -> None:
    context = core_v1.PodSecurityContext(runAsUser=1000)
    source = core_v1.ProjectedVolumeSource(sources=[token()])
    assert plan(pod(securityContext=context), projected=source).files == (
        VolumeFile(path="token", data=b"token for the API", mode=0o600, user=1000),
    )


def test_a_long_token_is_renewed_after_a_day() -> None:
    long = ServiceAccountToken(token="t", issued_at=0.0, expires_at=1_000_000.0)
    assert due_at(long) == 24 * 3600


def test_an_empty_dir_in_memory_is_as_large_as_the_smallest_limit() -> None:
    memory = core_v1.EmptyDirVolumeSource(medium="Memory")
    limited = core_v1.EmptyDirVolumeSource(medium="Memory", sizeLimit=parse("1Gi"))
    limits = core_v1.ResourceRequirements(limits={"memory": parse("512Mi")})
    small = pod(containers=[core_v1.Container(name="main", resources=limits)])
    assert plan(emptyDir=memory).size_bytes == 8 * GIBIBYTE
    assert plan(emptyDir=limited).size_bytes == GIBIBYTE
    assert plan(small, emptyDir=limited).size_bytes == GIBIBYTE // 2


def test_an_empty_dir_belongs_to_the_group_of_the_pod() -> None:
    context = core_v1.PodSecurityContext(fsGroup=2000, fsGroupChangePolicy="OnRootMismatch")
    source = core_v1.EmptyDirVolumeSource(sizeLimit=parse("10Mi"))
    assert plan(pod(securityContext=context), emptyDir=source) == VolumePlan(
        name="v",
        plugin="kubernetes.io~empty-dir",
        kind=VolumeKind.DIRECTORY,
        size_bytes=10 * 1024 * 1024,
        fs_group=2000,
        fs_group_on_root_mismatch=True,
    )


def test_huge_pages_need_one_size() -> None:
    requests = core_v1.ResourceRequirements(requests={"hugepages-2Mi": parse("4Mi")})
    asking = pod(containers=[core_v1.Container(name="main", resources=requests)])
    found = plan(asking, emptyDir=core_v1.EmptyDirVolumeSource(medium="HugePages"))
    assert (found.kind, found.page_size_bytes) == (VolumeKind.HUGE_PAGES, 2 * 1024 * 1024)
    assert "exactly one huge page size" in refused(emptyDir=core_v1.EmptyDirVolumeSource(medium="HugePages"))


def test_a_claim_on_a_host_path_is_that_path() -> None:
    claim = core_v1.PersistentVolumeClaim(
        metadata=meta_v1.ObjectMeta(name="data", uid="c1"),
        spec=core_v1.PersistentVolumeClaimSpec(volumeName="pv"),
        status=core_v1.PersistentVolumeClaimStatus(phase="Bound"),
    )
    volume = core_v1.PersistentVolume(
        metadata=meta_v1.ObjectMeta(name="pv"),
        spec=core_v1.PersistentVolumeSpec(
            claimRef=core_v1.ObjectReference(uid="c1"),
            hostPath=core_v1.HostPathVolumeSource(path="/srv/data", type="Directory"),
        ),
    )
    given = sources(claim=lambda namespace, name: claim, volume=lambda name: volume)
    source = core_v1.PersistentVolumeClaimVolumeSource(claimName="data", readOnly=True)
    assert plan(given=given, persistentVolumeClaim=source) == VolumePlan(
        name="v",
        plugin="kubernetes.io~host-path",
        kind=VolumeKind.HOST_PATH,
        read_only=True,
        host_path="/srv/data",
        host_path_type="Directory",
    )
    assert "not found" in refused(persistentVolumeClaim=source)


def test_volumes_without_a_driver_are_refused_by_name() -> None:
    assert (
        refused(nfs=core_v1.NFSVolumeSource(server="s", path="/"))
        == "no volume plugin matched: nfs volumes are not supported on this node"
    )


def test_required_sources_are_all_names_a_pod_refers_to() -> None:
    reference = core_v1.EnvVarSource(
        configMapKeyRef=core_v1.ConfigMapKeySelector(name="env-map", key="k"),
    )
    secret_reference = core_v1.EnvVarSource(secretKeyRef=core_v1.SecretKeySelector(name="env-secret", key="k"))
    container = core_v1.Container(
        name="main",
        env=[core_v1.EnvVar(name="A", valueFrom=reference), core_v1.EnvVar(name="B", valueFrom=secret_reference)],
        envFrom=[core_v1.EnvFromSource(configMapRef=core_v1.ConfigMapEnvSource(name="all"))],
    )
    volumes = [
        core_v1.Volume(name="a", configMap=core_v1.ConfigMapVolumeSource(name="files")),
        core_v1.Volume(name="b", secret=core_v1.SecretVolumeSource(secretName="keys")),
        core_v1.Volume(name="c", projected=core_v1.ProjectedVolumeSource(sources=[token(audience="vault")])),
        core_v1.Volume(name="d", persistentVolumeClaim=core_v1.PersistentVolumeClaimVolumeSource(claimName="data")),
    ]
    pull = [core_v1.LocalObjectReference(name="registry")]
    assert required_sources(pod(containers=[container], volumes=volumes, imagePullSecrets=pull)) == RequiredSources(
        config_maps=frozenset({"files", "env-map", "all"}),
        secrets=frozenset({"keys", "env-secret", "registry"}),
        tokens=frozenset({TokenNeed("vault", 3600)}),
        claims=frozenset({"data"}),
    )


def mount(**rest: Any) -> core_v1.VolumeMount:
    return core_v1.VolumeMount(name="v", mountPath="/v", **rest)


def test_sub_paths_are_expanded_and_checked() -> None:
    assert resolve_sub_path(mount(), {}) == ""
    assert resolve_sub_path(mount(subPath="a//b/."), {}) == "a/b"
    assert resolve_sub_path(mount(subPathExpr="$(POD)/$$(X)"), {"POD": "web"}) == "web/$(X)"
    for bad, message in (
        (mount(subPathExpr="$(POD)"), 'missing value for "POD"'),
        (mount(subPath="/etc"), "error SubPath `/etc` must not be an absolute path"),
        (mount(subPath="a/../.."), "unable to provision SubPath `a/../..`: must not contain '..'"),
    ):
        with pytest.raises(VolumeError) as caught:
            resolve_sub_path(bad, {})
        assert str(caught.value) == message


def test_propagation_and_access_of_a_mount() -> None:
    values = [propagation_of(mount(mountPropagation=value)) for value in (None, "None", "HostToContainer")]
    assert values == [Propagation.PRIVATE, Propagation.PRIVATE, Propagation.HOST_TO_CONTAINER]
    assert access_of(mount(), volume_read_only=True) == MountAccess(True, False)
    assert access_of(mount(readOnly=True, recursiveReadOnly="Enabled"), False) == MountAccess(True, True)
    assert access_of(mount(readOnly=True, recursiveReadOnly="IfPossible"), False) == MountAccess(True, None)
    with pytest.raises(VolumeError):
        access_of(mount(recursiveReadOnly="Enabled"), False)
