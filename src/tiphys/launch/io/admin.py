"""Plain calls to the cluster's API with the administrator's certificate, for the command line: blocking, few
imports."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
from collections.abc import Iterator
from typing import Any

import yaml

from tiphys.launch.cluster import Layout


class ApiUnreachable(Exception):
    """Nothing answers at the API server's address (yet)."""


class AdminClient:
    """Calls the API server named in the administrator's kubeconfig. One connection, opened anew when it broke."""

    def __init__(self, layout: Layout, timeout_seconds: float = 10.0) -> None:
        document = yaml.load(layout.kubeconfig.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        self.context = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
        )
        with tempfile.NamedTemporaryFile() as pair:  # the ssl module takes client certificates from files alone
            pair.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            pair.flush()
            self.context.load_cert_chain(pair.name)
        host, _, port = cluster["server"].removeprefix("https://").partition(":")
        self.connection = http.client.HTTPSConnection(host, int(port), context=self.context, timeout=timeout_seconds)

    def call(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> tuple[int, Any]:
        """The HTTP status and the decoded answer (text when it is not JSON). ApiUnreachable."""
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Accept": "application/json", "User-Agent": "tiphys-cli"}
        if data is not None:
            headers["Content-Type"] = content_type
        try:
            self.connection.request(method, path, body=data, headers=headers)
            response = self.connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            raise ApiUnreachable(str(error)) from error
        if "json" in (response.getheader("Content-Type") or ""):
            return response.status, json.loads(content)
        return response.status, content.decode(errors="replace")

    def watch(self, path: str, timeout_seconds: int) -> Iterator[dict[str, Any]]:
        """The events of a watch, one by one, until the server ends it after `timeout_seconds`. ApiUnreachable."""
        mark = "&" if "?" in path else "?"
        try:
            self.connection.request("GET", f"{path}{mark}watch=true&timeoutSeconds={timeout_seconds}")
            response = self.connection.getresponse()
            if response.status != 200:
                raise ApiUnreachable(f"watching {path}: HTTP status {response.status}")
            for line in response:
                yield json.loads(line)
        except (OSError, http.client.HTTPException) as error:
            raise ApiUnreachable(str(error)) from error
        finally:
            self.connection.close()

    def close(self) -> None:
        self.connection.close()


def is_ready(node: dict[str, Any]) -> bool:
    """Whether a Node has the condition Ready."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
