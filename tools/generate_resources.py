"""Generates src/tiphys/kinds/resources.json: one row for every built-in resource that the API serves.

Names, scopes, verbs and subresources come from two published client packages (`lightkube-models` and `kubernetes`),
which are read as text and not imported; short names, categories, preferred order and shared storage come from the
tables below.
Served are the GA versions: beta and alpha versions are off unless asked for, and no beta is on by default in 1.37. The
versions of `older_versions.py` come on top.

Usage:
    python tools/generate_resources.py [--check]
"""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from older_versions import deprecation_of, older_of, with_older_declarations

KINDS = Path(__file__).parent.parent / "src/tiphys/kinds"

# Groups in the order in which discovery lists them; the versions of each with the preferred one first.
GROUP_VERSIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", ("v1",)),
    ("apiregistration.k8s.io", ("v1",)),
    ("apps", ("v1",)),
    ("events.k8s.io", ("v1",)),
    ("authentication.k8s.io", ("v1",)),
    ("authorization.k8s.io", ("v1",)),
    ("autoscaling", ("v2", "v1")),
    ("batch", ("v1",)),
    ("certificates.k8s.io", ("v1",)),
    ("networking.k8s.io", ("v1",)),
    ("policy", ("v1", "v1beta1")),
    ("rbac.authorization.k8s.io", ("v1",)),
    ("storage.k8s.io", ("v1",)),
    ("admissionregistration.k8s.io", ("v1",)),
    ("apiextensions.k8s.io", ("v1",)),
    ("scheduling.k8s.io", ("v1",)),
    ("coordination.k8s.io", ("v1",)),
    ("node.k8s.io", ("v1",)),
    ("discovery.k8s.io", ("v1", "v1beta1")),
    ("flowcontrol.apiserver.k8s.io", ("v1",)),
    ("resource.k8s.io", ("v1",)),
    ("storagemigration.k8s.io", ("v1",)),
)
# Folder of a group's strategies and stem of its module of Structs, where they are not the first word of the group.
FOLDERS = {"": "core", "resource.k8s.io": "resource_api"}
TYPE_STEMS = {"": "core"}
SHORT_NAMES: dict[str, tuple[str, ...]] = {
    "componentstatuses": ("cs",),
    "configmaps": ("cm",),
    "endpoints": ("ep",),
    "events": ("ev",),
    "limitranges": ("limits",),
    "namespaces": ("ns",),
    "nodes": ("no",),
    "persistentvolumeclaims": ("pvc",),
    "persistentvolumes": ("pv",),
    "pods": ("po",),
    "replicationcontrollers": ("rc",),
    "resourcequotas": ("quota",),
    "serviceaccounts": ("sa",),
    "services": ("svc",),
    "customresourcedefinitions": ("crd", "crds"),
    "daemonsets": ("ds",),
    "deployments": ("deploy",),
    "replicasets": ("rs",),
    "statefulsets": ("sts",),
    "horizontalpodautoscalers": ("hpa",),
    "cronjobs": ("cj",),
    "certificatesigningrequests": ("csr",),
    "ingresses": ("ing",),
    "ipaddresses": ("ip",),
    "networkpolicies": ("netpol",),
    "poddisruptionbudgets": ("pdb",),
    "priorityclasses": ("pc",),
    "storageclasses": ("sc",),
    "volumeattributesclasses": ("vac",),
}
EVERYDAY = (
    "pods services replicationcontrollers daemonsets deployments replicasets statefulsets"
    " horizontalpodautoscalers cronjobs jobs"
)
EXTENSIONS = (
    "customresourcedefinitions apiservices mutatingwebhookconfigurations validatingwebhookconfigurations"
    " validatingadmissionpolicies validatingadmissionpolicybindings mutatingadmissionpolicies"
    " mutatingadmissionpolicybindings"
)
CATEGORIES = {**dict.fromkeys(EVERYDAY.split(), ("all",)), **dict.fromkeys(EXTENSIONS.split(), ("api-extensions",))}
# Resources that are answered but never stored.
VIRTUAL_GROUPS = ("authentication.k8s.io", "authorization.k8s.io")
VIRTUAL = ("bindings", "componentstatuses")
SHARED_STORAGE = {("events.k8s.io", "events"): "events"}
VERB_NAMES = {"post": "create", "put": "update"}
CONNECT_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
CONNECTIONS = {
    "attach": "PodAttachOptions",
    "exec": "PodExecOptions",
    "portforward": "PodPortForwardOptions",
    "proxy": "ProxyOptions",
}


def package_files(package: str, pattern: str) -> list[Path]:
    """The files of an installed package whose path matches, sorted."""
    files = importlib.metadata.files(package) or []
    return sorted(Path(str(f.locate())) for f in files if re.fullmatch(pattern, str(f)))


def literal_call(node: ast.expr) -> tuple[list[Any], dict[str, Any]]:
    """The literal arguments of a call expression, calls inside it likewise."""
    assert isinstance(node, ast.Call)

    def value(part: ast.expr) -> Any:
        return literal_call(part)[0] if isinstance(part, ast.Call) else ast.literal_eval(part)

    return [value(a) for a in node.args], {str(k.arg): value(k.value) for k in node.keywords}


def declared() -> list[dict[str, Any]]:
    """Every resource and subresource class of lightkube-models, as plain values."""
    found = []
    for file in package_files("lightkube-models", r"lightkube/resources/\w+_v1\w*\.py|lightkube/resources/\w+_v2\.py"):
        for node in ast.parse(file.read_text()).body:
            if not isinstance(node, ast.ClassDef):
                continue
            for statement in node.body:
                if isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", "") == "_api_info":
                    base = node.bases[0]
                    assert isinstance(base, ast.Attribute)
                    info = literal_call(statement.value)[1]
                    found.append({**info, "base": base.attr})
    return with_older_declarations(found)


def connections() -> dict[tuple[str, str, str], dict[str, list[str]]]:
    """(group, version, plural) -> {subresource: verbs} of the connecting subresources, from paths of `kubernetes`."""
    pattern = re.compile(r"method='(\w+)',\s*resource_path='([^']+)'")
    found: dict[tuple[str, str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for file in package_files("kubernetes", r"kubernetes/client/api/\w+_api\.py"):
        for method, path in pattern.findall(file.read_text()):
            match = re.fullmatch(r"/api/v1/(?:namespaces/\{namespace\}/)?(\w+)/\{name\}/(\w+)", path)
            if match and match[2] in CONNECTIONS:
                found["", "v1", match[1]][match[2]].append(CONNECT_VERBS.get(method, ""))
    return found


def verbs_of(names: list[str]) -> list[str]:
    return sorted({VERB_NAMES.get(n, n) for n in names if not n.startswith("global_")})


def snake(kind: str) -> str:
    """`CSIDriver` -> `csi_driver`, `APIService` -> `api_service`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind).lower()


def strategy_module(group: str, version: str, kind: str) -> str:
    """The kind's file, `<kind>_<version>.py` before `<kind>.py`; "" when it has none."""
    folder = FOLDERS.get(group, group.split(".")[0])
    for stem in (f"{snake(kind)}_{version}", snake(kind)):
        if (KINDS / folder / f"{stem}.py").exists():
            return f"tiphys.kinds.{folder}.{stem}"
    return ""


def row_of(declaration: dict[str, Any]) -> dict[str, Any]:
    group, version, kind = declaration["resource"]
    plural = declaration["plural"]
    virtual = group in VIRTUAL_GROUPS or plural in VIRTUAL
    deprecation = deprecation_of(group, version, kind)
    api_version = f"{group}/{version}" if group else version
    storage = "" if virtual else SHARED_STORAGE.get((group, plural), f"{group}/{plural}" if group else plural)
    return {
        "group": group,
        "version": version,
        "plural": plural,
        "singular": kind.lower(),
        "kind": kind,
        "namespaced": declaration["base"].startswith("Namespaced"),
        "verbs": ["get", "list"] if plural == "componentstatuses" else verbs_of(declaration["verbs"]),
        "short_names": SHORT_NAMES.get(plural, ()),
        "categories": CATEGORIES.get(plural, ()),
        "subresources": {},
        "module": f"{TYPE_STEMS.get(group, group.split('.')[0])}_{version}",
        "strategy_module": strategy_module(group, version, kind),
        "storage": storage,
        "warning": deprecation.warning(api_version, kind) if deprecation is not None else "",
        "removed_release": deprecation.removed if deprecation is not None else "",
    }


def subresources_of(row: dict[str, Any], parts: list[dict[str, Any]], connects: dict[str, list[str]]) -> dict[str, Any]:
    """The subresources of one row; group and versions of a body are given where they are not the row's own."""
    found = {}
    for part in parts:
        group, version, kind = part["resource"] if "resource" in part else (row["group"], row["version"], row["kind"])
        foreign = (group, version) != (row["group"], row["version"])
        entry = {"kind": kind, "verbs": verbs_of(part["verbs"])}
        if foreign:
            entry = {"kind": kind, "group": group, "version": version, "verbs": entry["verbs"]}
            if older_of(group, version):
                entry["older_versions"] = older_of(group, version)
        found[part["action"]] = entry
    for name, verbs in connects.items():
        kind = CONNECTIONS[name] if name != "proxy" else f"{row['kind']}ProxyOptions"
        found[name] = {"kind": kind, "verbs": sorted(set(verbs) - {""})}
    return dict(sorted(found.items()))


def generate() -> str:
    """The text of resources.json: one line for each resource, in preferred order."""
    declarations = declared()
    connects = connections()
    order = {(g, v): (i, j) for i, (g, vs) in enumerate(GROUP_VERSIONS) for j, v in enumerate(vs)}
    parts = defaultdict(list)
    rows = []
    for declaration in declarations:
        if "action" in declaration:
            parent = declaration.get("parent") or declaration["resource"]
            parts[parent[0], parent[1], declaration["plural"]].append(declaration)
        elif tuple(declaration["resource"][:2]) in order:
            rows.append(row_of(declaration))
    for row in rows:
        identity = (row["group"], row["version"], row["plural"])
        row["subresources"] = subresources_of(row, parts[identity], connects.get(identity, {}))
    rows.sort(key=lambda r: (order[r["group"], r["version"]], r["plural"]))
    lines = ",\n".join(json.dumps({k: v for k, v in row.items() if v not in ("", (), {})}) for row in rows)
    return f"[\n{lines}\n]\n"


def main() -> None:
    target, text = KINDS / "resources.json", generate()
    if "--check" in sys.argv[1:]:
        if target.read_text() != text:
            sys.exit(f"{target.name} is out of date: run tools/generate_resources.py")
        return
    target.write_text(text)
    print("wrote", target.name)


if __name__ == "__main__":
    main()
