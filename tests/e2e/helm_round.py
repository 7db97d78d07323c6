"""One life of a Helm release: install, upgrade, rollback, uninstall. `python helm_round.py KUBECONFIG CHART`.

A process of its own, because the library brings a runtime (Go's) with threads and signal handlers. It writes what it
saw as JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import helm_python as helm
import kubernetes

NAMESPACE = "releases"


def _releases(core: Any) -> list[Any]:
    return core.list_namespaced_secret(NAMESPACE, field_selector="type=helm.sh/release.v1").items


def main(kubeconfig: str, chart: str) -> None:
    client = kubernetes.config.new_client_from_config(kubeconfig)
    core, apps = kubernetes.client.CoreV1Api(client), kubernetes.client.AppsV1Api(client)
    seen: dict[str, Any] = {"words": [], "replicas": []}

    def look() -> None:
        seen["words"].append(core.read_namespaced_config_map("demo-config", NAMESPACE).data["word"])
        seen["replicas"].append(apps.read_namespaced_deployment("demo", NAMESPACE).spec.replicas)

    with helm.Config(kubeconfig_path=kubeconfig, namespace=NAMESPACE) as config:
        config.check_reachable()
        config.install(chart, "demo", {"replicas": 1, "word": "first"}, create_namespace=True)
        look()
        seen["list"] = [release["name"] for release in config.list()]
        config.upgrade(chart, "demo", {"replicas": 3, "word": "second"})
        look()
        config.rollback("demo", version=1)
        look()
        seen["history"] = [release["revision"] for release in config.history("demo")]
        seen["secrets"] = [item.metadata.name for item in _releases(core)]
        config.uninstall("demo")
        seen["left"] = [release["name"] for release in config.list()]
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
