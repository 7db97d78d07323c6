"""The objects that the rows are about, as JSON values; `name` may be NAME (see `server.Load`)."""

from __future__ import annotations

from typing import Any

Plain = dict[str, Any]
FILLING = "x" * 200
IMAGE = "example.com/pause:3.9"


def config_map(name: str, **data: str) -> Plain:
    """200 bytes of data, and more."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": FILLING, **data}}


def pod(name: str) -> Plain:
    resources = {"requests": {"cpu": "10m", "memory": "10Mi"}}
    container = {"name": "c", "image": IMAGE, "resources": resources}
    meta = {"name": name, "labels": {"app": "bench"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container]}}


def deployment(name: str, value: str = "") -> Plain:
    """As people write them; `value` is that of an environment variable."""
    labels = {"app": "bench"}
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10}
    container = {
        "name": "main",
        "image": IMAGE,
        "args": ["serve", "--port=8080"],
        "env": [{"name": "VALUE", "value": value}, {"name": "MODE", "value": "fast"}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "resources": {"requests": {"cpu": "10m", "memory": "10Mi"}, "limits": {"memory": "20Mi"}},
        "readinessProbe": probe,
        "volumeMounts": [{"name": "settings", "mountPath": "/etc/settings"}],
    }
    volumes = [{"name": "settings", "configMap": {"name": "settings"}}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "volumes": volumes}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    meta = {"name": name, "labels": labels}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


def note(name: str, number: int | str = 3) -> Plain:
    """An object of the custom resource that NOTES defines, as large as a ConfigMap of `config_map`."""
    spec = {"text": FILLING, "size": str(number)}
    return {"apiVersion": "bench.example.com/v1", "kind": "Note", "metadata": {"name": name}, "spec": spec}


NOTE_SPEC = {
    "type": "object",
    "required": ["text"],
    "properties": {
        "text": {"type": "string", "maxLength": 1000},
        "size": {"type": "string", "pattern": "^[0-9A-Z]+$"},
        "color": {"type": "string", "enum": ["red", "blue"], "default": "red"},
    },
}
NOTES = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "notes.bench.example.com"},
    "spec": {
        "group": "bench.example.com",
        "scope": "Namespaced",
        "names": {"plural": "notes", "kind": "Note"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": NOTE_SPEC}}},
            }
        ],
    },
}
