"""A cluster's keys and certificates: made once, kept, and renewed when they have to be."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tiphys.pki import certificates, kubeconfig, layout
from tiphys.pki.certificates import DAY_SECONDS, KeyPair, subject_of
from tiphys.pki.io import PkiError, ensure_cluster_pki, ensure_node_pki
from tiphys.pki.layout import NodeOptions, PkiOptions

NOW = 1_800_000_000.0
OPTIONS = PkiOptions(
    cluster="test",
    server="https://10.201.0.1:6443",
    addresses=("10.201.0.1",),
    nodes=(NodeOptions(name="node-1", addresses=("10.201.0.11",)),),
)


def contents(state: Path) -> dict[str, bytes]:
    return {path.relative_to(state).as_posix(): path.read_bytes() for path in state.rglob("*") if path.is_file()}


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def usages(found: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    made = ensure_cluster_pki(tmp_path, OPTIONS, NOW)
    before = contents(tmp_path)
    assert sorted(made.written) == sorted(before)
    again = ensure_cluster_pki(tmp_path, OPTIONS, NOW + DAY_SECONDS)
    assert again.written == ()
    assert contents(tmp_path) == before


def test_certificates_say_who_they_are_for(tmp_path: Path) -> None:
    made = ensure_cluster_pki(tmp_path, OPTIONS, NOW)
    serving = certificate(made.apiserver.certificate)
    names = serving.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    ]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == [
        "10.201.0.1",
        "10.96.0.1",
        "127.0.0.1",
    ]
    assert usages(serving) == [ExtendedKeyUsageOID.SERVER_AUTH]
    kubelet_client = certificate(made.kubelet_client.certificate)
    assert subject_of(kubelet_client) == ("kube-apiserver-kubelet-client", ("system:masters",))
    assert usages(kubelet_client) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    front_proxy = certificate(made.front_proxy_client.certificate)
    front_proxy.verify_directly_issued_by(certificate(made.front_proxy_authority.certificate))
    node = made.nodes["node-1"]
    assert subject_of(certificate(node.serving.certificate)) == ("system:node:node-1", ("system:nodes",))
    subjects = {}
    for path in (made.admin_kubeconfig, made.scheduler_kubeconfig, made.proxy_kubeconfig, node.kubeconfig):
        pem, _ = kubeconfig.client_pair(path.read_bytes())
        subjects[path.name] = subject_of(x509.load_pem_x509_certificate(pem))
    assert subjects == {
        "kubeconfig": ("kubernetes-admin", ("system:masters",)),
        "scheduler.conf": ("system:kube-scheduler", ()),
        "proxy.conf": ("system:kube-proxy", ()),
        "node-node-1.conf": ("system:node:node-1", ("system:nodes",)),
    }


def test_private_files_are_the_owners_alone(tmp_path: Path) -> None:
    ensure_cluster_pki(tmp_path, OPTIONS, NOW)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()}
    public = {name for name, mode in modes.items() if mode == 0o644}
    assert public == {name for name in modes if name.endswith((".crt", ".pub"))}
    assert {mode for name, mode in modes.items() if name not in public} == {0o600}


def test_leaves_are_renewed_a_month_before_they_end(tmp_path: Path) -> None:
    ensure_cluster_pki(tmp_path, OPTIONS, NOW)
    before = contents(tmp_path)
    later = ensure_cluster_pki(tmp_path, OPTIONS, NOW + 340 * DAY_SECONDS)
    kept = {"pki/ca.crt", "pki/ca.key", "pki/front-proxy-ca.crt", "pki/front-proxy-ca.key", "pki/sa.key", "pki/sa.pub"}
    assert set(before) - set(later.written) == kept


def test_a_new_address_makes_a_new_serving_certificate_alone(tmp_path: Path) -> None:
    ensure_cluster_pki(tmp_path, OPTIONS, NOW)
    moved = PkiOptions(cluster="test", server=OPTIONS.server, addresses=("10.201.0.2",), nodes=OPTIONS.nodes)
    assert ensure_cluster_pki(tmp_path, moved, NOW).written == ("pki/apiserver.crt", "pki/apiserver.key")


def test_another_server_address_keeps_the_clients_certificate(tmp_path: Path) -> None:
    made = ensure_cluster_pki(tmp_path, OPTIONS, NOW)
    before = kubeconfig.client_pair(made.admin_kubeconfig.read_bytes())
    moved = PkiOptions(cluster="test", server="https://10.201.0.1:7443", addresses=("10.201.0.1",))
    again = ensure_cluster_pki(tmp_path, moved, NOW)
    assert "kubeconfig" in again.written
    assert kubeconfig.client_pair(made.admin_kubeconfig.read_bytes()) == before
    assert b'server: "https://10.201.0.1:7443"' in made.admin_kubeconfig.read_bytes()


def test_a_damaged_authority_is_never_replaced(tmp_path: Path) -> None:
    made = ensure_cluster_pki(tmp_path, OPTIONS, NOW)
    made.authority.certificate.write_bytes(b"not a certificate")
    with pytest.raises(PkiError, match=r"ca\.crt"):
        ensure_cluster_pki(tmp_path, OPTIONS, NOW)
    assert made.authority.certificate.read_bytes() == b"not a certificate"


def test_a_lost_authority_key_is_an_error(tmp_path: Path) -> None:
    made = ensure_cluster_pki(tmp_path, OPTIONS, NOW)
    made.authority.key.unlink()
    with pytest.raises(PkiError, match=r"ca\.key: missing"):
        ensure_cluster_pki(tmp_path, OPTIONS, NOW)


def test_an_authority_without_its_certificate_gets_one_that_vouches_for_the_old_leaves(tmp_path: Path) -> None:
    made = ensure_cluster_pki(tmp_path, OPTIONS, NOW)
    made.authority.certificate.unlink()
    again = ensure_cluster_pki(tmp_path, OPTIONS, NOW)
    assert "pki/ca.crt" in again.written
    assert "pki/apiserver.crt" not in again.written


def test_a_half_written_leaf_is_made_anew(tmp_path: Path) -> None:
    made = ensure_cluster_pki(tmp_path, OPTIONS, NOW)
    made.apiserver.key.write_bytes(certificates.key_pem(certificates.load_key(made.kubelet_client.key.read_bytes())))
    pair = KeyPair(made.apiserver.certificate.read_bytes(), made.apiserver.key.read_bytes())
    authority = certificates.load_authority(
        KeyPair(made.authority.certificate.read_bytes(), made.authority.key.read_bytes())
    )
    profile = layout.apiserver_profile(OPTIONS)
    assert certificates.must_renew(pair, profile, authority, NOW) == "the key does not belong to the certificate"
    assert ensure_cluster_pki(tmp_path, OPTIONS, NOW).written == ("pki/apiserver.crt", "pki/apiserver.key")


def test_one_more_node(tmp_path: Path) -> None:
    ensure_cluster_pki(tmp_path, OPTIONS, NOW)
    before = contents(tmp_path)
    ensure_node_pki(tmp_path, NodeOptions(name="node-2", addresses=("10.201.0.12",)), OPTIONS, NOW)
    added = set(contents(tmp_path)) - set(before)
    assert added == {
        "kubeconfigs/node-node-2.conf",
        "nodes/node-2/kubelet/pki/kubelet.crt",
        "nodes/node-2/kubelet/pki/kubelet.key",
    }
    assert {name: data for name, data in contents(tmp_path).items() if name in before} == before


def test_no_temporary_file_is_left(tmp_path: Path) -> None:
    ensure_cluster_pki(tmp_path, OPTIONS, NOW)
    assert [path for path in tmp_path.rglob(".*") if path.is_file()] == []
