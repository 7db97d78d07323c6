"""A kubeconfig for one identity, with everything embedded, as the YAML text that kubectl and every client library
read."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeconfigOptions:
    """`server` is the URL of the API server; certificates and keys are PEM."""

    cluster: str
    server: str
    certificate_authority: bytes
    user: str
    client_certificate: bytes
    client_key: bytes
    namespace: str = ""


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _text(word: str) -> str:
    """A YAML scalar that is a string whatever it looks like (JSON strings are YAML)."""
    return json.dumps(word)


def render(options: KubeconfigOptions) -> bytes:
    """The kubeconfig. The context is called `user@cluster`, and it is the current one."""
    context = f"{options.user}@{options.cluster}"
    lines = [
        "apiVersion: v1",
        "kind: Config",
        "clusters:",
        f"- name: {_text(options.cluster)}",
        "  cluster:",
        f"    server: {_text(options.server)}",
        f"    certificate-authority-data: {_encoded(options.certificate_authority)}",
        "users:",
        f"- name: {_text(options.user)}",
        "  user:",
        f"    client-certificate-data: {_encoded(options.client_certificate)}",
        f"    client-key-data: {_encoded(options.client_key)}",
        "contexts:",
        f"- name: {_text(context)}",
        "  context:",
        f"    cluster: {_text(options.cluster)}",
        f"    user: {_text(options.user)}",
    ]
    if options.namespace:
        lines.append(f"    namespace: {_text(options.namespace)}")
    lines += [f"current-context: {_text(context)}", "preferences: {}", ""]
    return "\n".join(lines).encode()


def client_pair(kubeconfig: bytes) -> tuple[bytes, bytes]:
    """The client certificate and key (PEM) inside a kubeconfig that `render` wrote; (b"", b"") when there are none."""
    found = {}
    for line in kubeconfig.decode(errors="replace").splitlines():
        word, _, value = line.strip().partition(": ")
        found[word] = value
    try:
        return (
            base64.b64decode(found.get("client-certificate-data", "")),
            base64.b64decode(found.get("client-key-data", "")),
        )
    except ValueError:
        return b"", b""
