"""Writes a cluster's keys, certificates and kubeconfigs, and renews what has to be renewed.

Idempotent: what is there and good is kept byte for byte. An authority or the service-account key is never replaced:
without it everything that it signed would be worthless, so a damaged one is an error for a human. Files appear whole
or not at all (written beside, synced, renamed); private ones are readable by their owner alone.
"""

from __future__ import annotations

import concurrent.futures
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tiphys.pki import certificates, kubeconfig, layout
from tiphys.pki.certificates import Authority, KeyPair, LeafProfile
from tiphys.pki.layout import ClusterPki, NodeOptions, PairPaths, PkiOptions

PRIVATE_MODE = 0o600
PUBLIC_MODE = 0o644


class PkiError(Exception):
    """A key or certificate that must not be replaced cannot be used. The message names the file."""


def generate_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def issue(profile: LeafProfile, authority: Authority, now: float) -> KeyPair:
    """A new key and its certificate."""
    key = generate_key()
    certificate = certificates.build_leaf(profile, key.public_key(), authority, x509.random_serial_number(), now)
    return KeyPair(certificate, certificates.key_pem(key))


def ensure_cluster_pki(state: Path, options: PkiOptions, now: float) -> ClusterPki:
    """Make or renew everything below the state directory. PkiError, OSError."""
    writer = _Writer(state, now)
    paths = layout.cluster_paths(state, options.nodes)
    authority = writer.authority(paths.authority, layout.AUTHORITY_NAME)
    front_proxy = writer.authority(paths.front_proxy_authority, layout.FRONT_PROXY_AUTHORITY_NAME)
    writer.service_account_key(paths.service_account_key, paths.service_account_public_key)
    writer.leaf(paths.apiserver, layout.apiserver_profile(options), authority)
    writer.leaf(paths.kubelet_client, layout.KUBELET_CLIENT, authority)
    writer.leaf(paths.front_proxy_client, layout.FRONT_PROXY_CLIENT, front_proxy)
    node_server = options.node_server or options.server
    for path, profile, server in (
        (paths.admin_kubeconfig, layout.ADMIN, options.server),
        (paths.controller_manager_kubeconfig, layout.CONTROLLER_MANAGER, options.server),
        (paths.scheduler_kubeconfig, layout.SCHEDULER, options.server),
        (paths.proxy_kubeconfig, layout.PROXY, node_server),
        (paths.dns_kubeconfig, layout.DNS, node_server),
    ):
        writer.kubeconfig(path, profile, authority, options.cluster, server)
    for node in options.nodes:
        _node(writer, node, authority, options)
    writer.commit()
    return layout.cluster_paths(state, options.nodes, tuple(sorted(writer.written)))


def ensure_node_pki(state: Path, node: NodeOptions, options: PkiOptions, now: float) -> layout.NodePki:
    """Make or renew what one more node needs; the cluster's authority must be there already. PkiError, OSError."""
    writer = _Writer(state, now)
    paths = layout.cluster_paths(state)
    try:
        pair = KeyPair(paths.authority.certificate.read_bytes(), paths.authority.key.read_bytes())
        authority = certificates.load_authority(pair)
    except (FileNotFoundError, ValueError) as error:
        raise PkiError(f"{paths.authority.certificate}: {error}") from error
    _node(writer, node, authority, options)
    writer.commit()
    return layout.node_paths(state, node.name)


def _node(writer: _Writer, node: NodeOptions, authority: Authority, options: PkiOptions) -> None:
    paths = layout.node_paths(writer.state, node.name)
    profile = layout.node_client_profile(node.name)
    writer.kubeconfig(paths.kubeconfig, profile, authority, options.cluster, node.server or options.server)
    writer.leaf(paths.serving, layout.node_serving_profile(node), authority)


class _Writer:
    """Collects what has to be written and writes it at the end, all files side by side (each waits for the disk)."""

    def __init__(self, state: Path, now: float) -> None:
        self.state = state
        self.now = now
        self.pending: dict[Path, tuple[bytes, int]] = {}
        self.written: list[str] = []

    def authority(self, paths: PairPaths, common_name: str) -> Authority:
        pair = _read_pair(paths)
        if pair is not None:
            try:
                authority = certificates.load_authority(pair)
            except ValueError as error:
                raise PkiError(
                    f"{paths.certificate}: {error}; restore it, or remove the whole state directory"
                ) from error
            if authority.certificate.not_valid_after_utc.timestamp() <= self.now:
                raise PkiError(f"{paths.certificate}: the authority has expired")
            return authority
        if paths.certificate.exists():
            raise PkiError(f"{paths.key}: missing; restore it, or remove the whole state directory")
        # A key alone is what a crash between the two renames leaves; the same key vouches for what it signed before.
        key = self._loaded(paths.key) if paths.key.exists() else generate_key()
        made = certificates.build_authority(common_name, key, x509.random_serial_number(), self.now)
        self._put_pair(
            paths, KeyPair(made.certificate.public_bytes(serialization.Encoding.PEM), certificates.key_pem(key))
        )
        return made

    @staticmethod
    def _loaded(path: Path) -> ec.EllipticCurvePrivateKey:
        try:
            return certificates.load_key(path.read_bytes())
        except ValueError as error:
            raise PkiError(f"{path}: {error}") from error

    def service_account_key(self, private: Path, public: Path) -> None:
        if not private.exists():
            key = generate_key()
            self._put(private, certificates.key_pem(key), PRIVATE_MODE)
            self._put(public, certificates.public_key_pem(key), PUBLIC_MODE)
            return
        try:
            key_object = serialization.load_pem_private_key(private.read_bytes(), None)
        except ValueError as error:
            raise PkiError(f"{private}: {error}") from error
        wanted = key_object.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        if not public.exists() or public.read_bytes() != wanted:
            self._put(public, wanted, PUBLIC_MODE)

    def leaf(self, paths: PairPaths, profile: LeafProfile, authority: Authority) -> None:
        pair = _read_pair(paths)
        if pair is None or certificates.must_renew(pair, profile, authority, self.now):
            self._put_pair(paths, issue(profile, authority, self.now))

    def kubeconfig(self, path: Path, profile: LeafProfile, authority: Authority, cluster: str, server: str) -> None:
        current = path.read_bytes() if path.exists() else b""
        pair = KeyPair(*kubeconfig.client_pair(current))
        if not pair.key or certificates.must_renew(pair, profile, authority, self.now):
            pair = issue(profile, authority, self.now)
        options = kubeconfig.KubeconfigOptions(
            cluster=cluster,
            server=server,
            certificate_authority=authority.certificate.public_bytes(serialization.Encoding.PEM),
            user=profile.common_name,
            client_certificate=pair.certificate,
            client_key=pair.key,
        )
        wanted = kubeconfig.render(options)
        if wanted != current:
            self._put(path, wanted, PRIVATE_MODE)

    def _put_pair(self, paths: PairPaths, pair: KeyPair) -> None:
        self._put(paths.key, pair.key, PRIVATE_MODE)
        self._put(paths.certificate, pair.certificate, PUBLIC_MODE)

    def _put(self, path: Path, data: bytes, mode: int) -> None:
        self.pending[path] = (data, mode)
        self.written.append(path.relative_to(self.state).as_posix())

    def commit(self) -> None:
        if not self.pending:
            return
        for directory in sorted({path.parent for path in self.pending}):
            directory.mkdir(parents=True, exist_ok=True)
        write_files(self.pending)


def _read_pair(paths: PairPaths) -> KeyPair | None:
    try:
        return KeyPair(paths.certificate.read_bytes(), paths.key.read_bytes())
    except FileNotFoundError:
        return None


def write_files(files: Mapping[Path, tuple[bytes, int]]) -> None:
    """Write each file (bytes and mode) whole or not at all. All contents are on disk before the first gets its name."""
    temporary: dict[Path, str] = {}
    try:
        with concurrent.futures.ThreadPoolExecutor(8, "pki") as threads:
            for path, name in zip(files, threads.map(_write_temporary, files, files.values()), strict=True):
                temporary[path] = name
        for path in files:
            os.replace(temporary.pop(path), path)
        for directory in sorted({path.parent for path in files}):
            _sync_directory(directory)
    finally:
        for name in temporary.values():
            os.unlink(name)


def _write_temporary(path: Path, content: tuple[bytes, int]) -> str:
    data, mode = content
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        os.unlink(name)
        raise
    return name


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
