"""Reading kubeconfig files: the server, the CA and the identity of a context, as a `RestTransport`."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from typing import Any

import yaml

from tiphys.aio.clock import SystemClock
from tiphys.client.io.rest import FileToken, RestTransport, client_ssl_context, read_pem


class KubeconfigError(Exception):
    """The file cannot be used; the message says why and names the file."""


def from_kubeconfig(path: str | os.PathLike[str], context_name: str = "") -> RestTransport:
    """A transport for a context of the file (its current one by default). Client certificates, tokens, token files and
    CAs, inline or as files beside it. KubeconfigError for what is not there or not supported (exec plugins, basic
    auth)."""
    path = os.fspath(path)
    try:
        with open(path, encoding="utf-8") as file:
            document = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
    except (OSError, yaml.YAMLError) as error:
        raise KubeconfigError(f"{path}: {error}") from error
    context = _named(document, "contexts", "context", context_name or document.get("current-context") or "", path)
    cluster = _named(document, "clusters", "cluster", context.get("cluster", ""), path)
    user = _named(document, "users", "user", context.get("user", ""), path) if context.get("user") else {}
    for unsupported in ("exec", "auth-provider", "username"):
        if user.get(unsupported):
            raise KubeconfigError(f"{path}: credentials of the kind {unsupported!r} are not supported")
    server = cluster.get("server")
    if not server:
        raise KubeconfigError(f"{path}: the cluster has no server")
    headers = _impersonation(user)
    return RestTransport(server, _ssl_context(cluster, user, path), token=_token(user, path), headers=headers)


def _named(document: Any, plural: str, singular: str, name: str, path: str) -> dict[str, Any]:
    for entry in document.get(plural) or ():
        if entry.get("name") == name:
            return entry.get(singular) or {}
    raise KubeconfigError(f"{path}: no {singular} is named {name!r}")


def _text(section: dict[str, Any], field: str, path: str) -> str:
    """The PEM of `<field>-data` (base64) or of the file `<field>`, whose path is relative to the kubeconfig; "" for
    neither."""
    if section.get(f"{field}-data"):
        return base64.b64decode(section[f"{field}-data"]).decode("ascii")
    if section.get(field):
        return read_pem(os.path.join(os.path.dirname(path), section[field]))
    return ""


def _ssl_context(cluster: dict[str, Any], user: dict[str, Any], path: str) -> ssl.SSLContext:
    try:
        context = client_ssl_context(ca_data=_text(cluster, "certificate-authority", path) or None)
        certificate, key = _text(user, "client-certificate", path), _text(user, "client-key", path)
    except (OSError, ValueError, ssl.SSLError) as error:
        raise KubeconfigError(f"{path}: {error}") from error
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate:
        # The ssl module reads certificates from files alone; this one is ours and gone at once.
        with tempfile.NamedTemporaryFile("w", encoding="ascii", prefix="tiphys-client-") as file:
            file.write(certificate + "\n" + key)
            file.flush()
            try:
                context.load_cert_chain(file.name)
            except ssl.SSLError as error:
                raise KubeconfigError(f"{path}: the client certificate or key cannot be used: {error}") from error
    return context


def _token(user: dict[str, Any], path: str) -> Any:
    if user.get("tokenFile"):
        return FileToken(os.path.join(os.path.dirname(path), user["tokenFile"]), SystemClock())
    return user.get("token") or ""


def _impersonation(user: dict[str, Any]) -> dict[str, str]:
    headers = {}
    if user.get("as"):
        headers["Impersonate-User"] = str(user["as"])
    if user.get("as-uid"):
        headers["Impersonate-Uid"] = str(user["as-uid"])
    if user.get("as-groups"):
        if len(user["as-groups"]) > 1:
            raise KubeconfigError("impersonation of more than one group is not supported")
        headers["Impersonate-Group"] = str(user["as-groups"][0])
    return headers
