"""Make `kinds/schema/protobuf.json`, the table by which protobuf bodies are read and written. Run by hand for a new API
version:

    python tools/protobuf_table.py DESCRIPTORS FIELDS

DESCRIPTORS is a FileDescriptorSet of the API's messages. FIELDS is JSON: Go type -> its fields as the type data of a Go
binary of that release has them (`go` name, `json` and `pb` tags, `type`); it tells what descriptors do not: which
fields JSON leaves out when they are zero, and which messages JSON merges into the message around them.

A row is `message: {field number: [JSON name, type, flags]}`. A type is string, bytes, int, bool, double, or the name
of a message; flags: r repeated, m map (the type is that of the values), i inlined in JSON, z left out when zero.
"""

from __future__ import annotations

import json
import pathlib
import re
import sys
from typing import Any

from google.protobuf import descriptor_pb2

Field = descriptor_pb2.FieldDescriptorProto
TARGET = pathlib.Path(__file__).resolve().parent.parent / "src" / "tiphys" / "kinds" / "schema" / "protobuf.json"
SCHEMA = TARGET.with_name("api.json")
METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.PartialObjectMetadata"
DISCOVERY = "io.k8s.api.apidiscovery.v2.APIGroupDiscovery"
IN_NO_SCHEMA = {METADATA, f"{METADATA}List", f"{DISCOVERY}List"}  # and served
AGGREGATOR = ".kube-aggregator."  # its messages are in no set of descriptors: their rows are kept as they are
SCALARS = {
    Field.TYPE_STRING: "string",
    Field.TYPE_BYTES: "bytes",
    Field.TYPE_INT32: "int",
    Field.TYPE_INT64: "int",
    Field.TYPE_UINT32: "int",
    Field.TYPE_UINT64: "int",
    Field.TYPE_BOOL: "bool",
    Field.TYPE_DOUBLE: "double",
}


def definition(package: str, message: str) -> str:
    """A message's name as the OpenAPI definitions have it: `io.k8s.api.core.v1.Pod`."""
    return "io.k8s." + package.removeprefix("k8s.io.").replace("_", "-") + "." + message


def type_name(field: Any, packages: list[str]) -> str:
    if field.type in SCALARS:
        return SCALARS[field.type]
    full = field.type_name.lstrip(".")
    package = max((each for each in packages if full.startswith(each + ".")), key=len)
    return definition(package, full[len(package) + 1 :])


def flags_of(go: dict[str, Any] | None, field: Any) -> str:
    if go is None:
        return "z" if field.type == Field.TYPE_STRING else ""
    tag, kind = go["json"] or "", go["type"]
    inline = go["emb"] and not tag.split(",")[0]
    zero = ",omitempty" in tag and not kind.startswith("*")
    return ("i" if inline or tag == ",inline" else "") + ("z" if zero else "")


def row(message: Any, go_fields: dict[int, dict[str, Any]], packages: list[str]) -> dict[str, list[str]]:
    entries = {nested.name: nested for nested in message.nested_type}
    found: dict[str, list[str]] = {}
    for field in message.field:
        go = go_fields.get(field.number)
        flags = flags_of(go, field)
        name = field.name
        if go is not None and (go["json"] or "").split(",")[0]:
            name = go["json"].split(",")[0]
        entry = entries.get(field.type_name.rsplit(".", 1)[-1])
        if entry is not None:
            kind, flags = type_name(entry.field[1], packages), flags + "m"
        else:
            kind = type_name(field, packages)
            if field.label == Field.LABEL_REPEATED:
                flags += "r"
        found[str(field.number)] = [name, kind, flags] if flags else [name, kind]
    return found


def json_name(name: str, properties: dict[str, Any]) -> str:
    """A name as JSON has it, where the type data was silent: `$ref`, `x-kubernetes-list-type`."""
    dashed = re.sub("[A-Z]", lambda match: "-" + match.group().lower(), name)
    for candidate in (name, f"${name}", dashed):
        if candidate in properties:
            return candidate
    return name


def reachable(table: dict[str, dict[str, list[str]]], roots: set[str]) -> dict[str, dict[str, list[str]]]:
    """The rows of the served API's definitions and of what they refer to."""
    todo, kept = sorted(roots & table.keys()), {}
    while todo:
        name = todo.pop()
        if name not in kept:
            kept[name] = table[name]
            todo += [entry[1] for entry in table[name].values() if entry[1] in table]
    return kept


def main() -> None:
    schema: dict[str, Any] = json.loads(SCHEMA.read_text())
    descriptors = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(sys.argv[1]).read_bytes())
    go_types: dict[str, list[dict[str, Any]]] = json.loads(pathlib.Path(sys.argv[2]).read_text())
    packages = [file.package for file in descriptors.file]
    table: dict[str, dict[str, list[str]]] = {}
    for file in descriptors.file:
        folder = file.name.rsplit("/", 1)[0]
        for message in file.message_type:
            fields = [f for f in go_types.get(f"{folder}.{message.name}", ()) if "," in f["pb"]]
            go_fields = {int(f["pb"].split(",")[1]): f for f in fields}
            name = definition(file.package, message.name)
            table[name] = row(message, go_fields, packages)
            properties = schema.get(name, {}).get("properties", {})
            for entry in table[name].values():
                entry[0] = json_name(entry[0], properties)
    aggregator = {name: rows for name, rows in json.loads(TARGET.read_text()).items() if AGGREGATOR in name}
    table = reachable(aggregator | table, set(schema) | IN_NO_SCHEMA)
    lines = (f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in sorted(table.items()))
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
