"""Generate `kinds/types/*.py` and `kinds/schema/api.json` from the published Kubernetes 1.37 schema.

The source is the schema file in the PyPI package `kubernetes-validate` (a development dependency); `older_versions.py`
adds versions that it has dropped. What is written holds names, types, formats and the list and patch markers; no
descriptions, but for a made version `like`, the definition that it is described by, and our own words where it differs.

    python tools/generate_types.py [--check]

Rules for the Structs (one class a definition, one module a group-version, field names as in JSON):

- an optional field is `X | None = None`: unset and null are the same, and neither is encoded;
- a required field has Go's zero value as its default and is always encoded, so that leaving it out is a
  finding of validation, with a field path, and not a failure to decode;
- `metadata`, `spec` and `status` of a type are never None when they are objects;
- `apiVersion` and `kind` of a served type are filled in and always encoded, before everything else.
"""

from __future__ import annotations

import importlib.util
import json
import keyword
import pathlib
import re
import sys
from typing import Any

from older_versions import derivation, with_older_definitions

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "tiphys" / "kinds"
SCHEMA_PATH = "kubernetes-json-schema/v1.37.0-local/_definitions.json"

META = "io.k8s.apimachinery.pkg.apis.meta.v1"
SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "Quantity",
    f"{META}.Time": "Time",
    f"{META}.MicroTime": "MicroTime",
    f"{META}.FieldsV1": "Raw",
    f"{META}.Patch": "Any",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "Any",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "Int32 | str",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": "Any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray": "Any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool": "Any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray": "Any",
}
ZERO = {
    "str": "zero_str",
    "Int32": "zero_int",
    "Int64": "zero_int",
    "bool": "zero_bool",
    "int | float": "zero_float",
    "bytes": "zero_bytes",
    "Quantity": "zero_quantity",
    "Int32 | str": "zero_int",
}
FIRST = ("apiVersion", "kind", "metadata")
# Required fields whose zero value is a value like any other: a pointer in Kubernetes, so that validation finds them
# missing.
WITHOUT_ZERO = {"CapacityRequestPolicyRange": {"min"}}


def module_name(definition: str) -> str:
    """The module of a definition: `core_v1`, `apps_v1`, `meta_v1`, ..."""
    package = definition.rsplit(".", 1)[0]
    group, version = package.rsplit(".", 2)[-2:]
    if package == "io.k8s.apimachinery.pkg.version":
        return "version"
    return f"{group}_{version}"


def class_name(definition: str) -> str:
    return definition.rsplit(".", 1)[1]


def load_definitions() -> dict[str, dict[str, Any]]:
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        sys.exit("generate_types: install the development dependencies first (make install)")
    data = json.loads((pathlib.Path(spec.origin).parent / SCHEMA_PATH).read_text())
    return with_older_definitions(data["$defs"])


def plain_type(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        (kind,) = (word for word in kind if word != "null")
    return kind or ""


def reference(schema: dict[str, Any]) -> str | None:
    target = schema.get("$ref")
    return target.rsplit("/", 1)[1] if target else None


class Module:
    """The text of one module under construction."""

    def __init__(self, name: str, definitions: dict[str, dict[str, Any]]) -> None:
        self.name = name
        self.definitions = definitions
        self.imports: set[str] = set()
        self.scalars: set[str] = set()
        self.zeros: set[str] = set()
        self.numbers: set[str] = set()
        self.raw = False
        self.typing: set[str] = set()
        self.constants: dict[str, str] = {}
        self.classes: list[str] = []

    def annotation(self, schema: dict[str, Any]) -> str:
        target = reference(schema)
        if target is not None:
            if target in SPECIAL:
                text = SPECIAL[target]
                if text in ("Quantity", "Time", "MicroTime"):
                    self.scalars.add(text)
                if "Any" in text:
                    self.typing.add("Any")
                if "Int32" in text:
                    self.numbers.add("Int32")
                if text == "Raw":
                    self.raw = True
                return text
            module = module_name(target)
            if module == self.name:
                return class_name(target)
            self.imports.add(module)
            return f"{module}.{class_name(target)}"
        if "oneOf" in schema:
            self.numbers.add("Int32")
            return "Int32 | str"
        kind = plain_type(schema)
        if kind == "string":
            return "bytes" if schema.get("format") == "byte" else "str"
        if kind == "integer":
            number = "Int32" if schema.get("format") == "int32" else "Int64"
            self.numbers.add(number)
            return number
        if kind == "number":
            return "int | float"  # 9 is shown as it was written, not as 9.0
        if kind == "boolean":
            return "bool"
        if kind == "array":
            return f"list[{self.annotation(schema['items'])}]"
        if kind == "object" and "additionalProperties" in schema:
            return f"dict[str, {self.annotation(schema['additionalProperties'])}]"
        self.typing.add("Any")
        return "Any" if kind != "object" else "dict[str, Any]"

    def is_struct(self, schema: dict[str, Any]) -> bool:
        target = reference(schema)
        return target is not None and target not in SPECIAL

    def has_fields(self, schema: dict[str, Any]) -> bool:
        """A type without any field is a mark: that it stands there is what it says."""
        return bool(self.definitions[reference(schema) or ""].get("properties"))

    def default(self, name: str, schema: dict[str, Any], text: str, required: bool) -> str | None:
        """The default_factory of a field that is never None; None for an optional one."""
        if self.is_struct(schema) and (
            required or (name in ("metadata", "spec", "status") and (name != "status" or self.has_fields(schema)))
        ):
            return text
        if not required:
            return None
        if text.startswith("list["):
            self.zeros.add("zero_list")
            return "zero_list"
        if text.startswith("dict["):
            self.zeros.add("zero_dict")
            return "zero_dict"
        zero = ZERO.get(text)
        if zero is not None:
            self.zeros.add(zero)
        return zero

    def constant(self, value: str) -> str:
        name = "_" + re.sub(r"\W", "_", value)
        self.constants[name] = value
        return name

    def add(self, definition: str, schema: dict[str, Any]) -> None:
        properties = schema.get("properties", {})
        required = set(schema.get("required", ())) - WITHOUT_ZERO.get(class_name(definition), set())
        kinds = schema.get("x-kubernetes-group-version-kind", ())
        served = kinds[0] if len(kinds) == 1 and "apiVersion" in properties else None
        names = [n for n in FIRST if n in properties] + [n for n in properties if n not in FIRST]
        lines = []
        for name in names:
            if served and name in ("apiVersion", "kind"):
                group_version = f"{served['group']}/{served['version']}".lstrip("/")
                value = served["kind"] if name == "kind" else group_version
                lines.append(f"    {name}: str = field(default_factory={self.constant(value)})")
                continue
            text = self.annotation(properties[name])
            factory = self.default(name, properties[name], text, name in required)
            attribute, renamed = self.attribute(name)
            if text == "Raw":  # left unread until somebody asks; msgspec knows no optional one
                lines.append(f"    {attribute}: Raw = NO_RAW")
            elif factory is not None:
                lines.append(f"    {attribute}: {text} = field(default_factory={self.late(factory)}{renamed})")
            else:
                optional = text if text == "Any" else f"{text} | None"
                lines.append(
                    f"    {attribute}: {optional} = " + (f"field(default=None{renamed})" if renamed else "None")
                )
        body = "\n".join(lines) or "    pass"
        self.classes.append(
            f"class {class_name(definition)}(Struct, omit_defaults=True, kw_only=True, gc=False):\n{body}\n"
        )

    def late(self, factory: str) -> str:
        """A class is named late: it may stand further down or in another module."""
        if factory in self.zeros:
            return factory
        return f"lambda: {factory}()"

    @staticmethod
    def attribute(name: str) -> tuple[str, str]:
        attribute = re.sub(r"\W", "_", name).strip("_")
        if keyword.iskeyword(attribute) or attribute in ("bool", "bytes", "dict", "float", "int", "list", "str"):
            attribute += "_"
        return attribute, "" if attribute == name else f', name="{name}"'

    def text(self) -> str:
        head = ['"""Generated by tools/generate_types.py from the Kubernetes 1.37 schema. Do not edit."""', ""]
        head += ["from __future__ import annotations", ""]
        if self.typing:
            head += ["from typing import Any", ""]
        names = ["Raw"] * self.raw + ["Struct"] + ["field"] * self.needs_field()
        head += [f"from msgspec import {', '.join(names)}", ""]
        local = [f"from tiphys.kinds.types import {name}" for name in sorted(self.imports)]
        if self.numbers:
            local.append(f"from tiphys.kinds.types.numbers import {', '.join(sorted(self.numbers))}")
        zeros = ["NO_RAW"] * self.raw + sorted(self.zeros)
        if zeros:
            local.append(f"from tiphys.kinds.types.zero import {', '.join(zeros)}")
        if self.scalars & {"Quantity"}:
            local.append("from tiphys.machinery.quantity import Quantity")
        times = sorted(self.scalars & {"Time", "MicroTime"})
        if times:
            local.append(f"from tiphys.machinery.timestamps import {', '.join(times)}")
        constants = [
            f'\n\ndef {name}() -> str:\n    return "{value}"' for name, value in sorted(self.constants.items())
        ]
        return "\n".join(head + local) + "".join(constants) + "\n\n\n" + "\n\n".join(self.classes)

    def needs_field(self) -> bool:
        return any("field(" in text for text in self.classes)


def compact_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """One definition as OpenAPI v3 would type it, without descriptions: what patches and discovery need."""
    if "oneOf" in schema:
        return {"type": "quantity" if "number" in json.dumps(schema) else "int-or-string"}
    result: dict[str, Any] = {}
    target = reference(schema)
    if target is not None:
        result["ref"] = target
    kind = plain_type(schema)
    if kind:
        result["type"] = kind
    for key in ("format", "required"):
        if key in schema:
            result[key] = schema[key]
    if "items" in schema:
        result["items"] = compact_schema(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        result["additionalProperties"] = compact_schema(schema["additionalProperties"])
    if "properties" in schema:
        result["properties"] = {name: compact_schema(value) for name, value in schema["properties"].items()}
    for key, value in schema.items():
        if key.startswith("x-kubernetes-"):
            result[key.removeprefix("x-kubernetes-")] = value
    return result


def compact_definition(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    result = compact_schema(schema)
    derived = derivation(name)
    if derived is not None:
        result["like"], described = derived
        for part, text in described.items():
            result["properties"][part]["description"] = text
    return result


def outputs() -> dict[pathlib.Path, str]:
    definitions = load_definitions()
    modules: dict[str, Module] = {}
    for definition in sorted(definitions):
        if definition in SPECIAL:
            continue
        name = module_name(definition)
        modules.setdefault(name, Module(name, definitions)).add(definition, definitions[definition])
    written = {PACKAGE / "types" / f"{name}.py": module.text() for name, module in modules.items()}
    compact = {name: compact_definition(name, schema) for name, schema in sorted(definitions.items())}
    rows = ",\n".join(f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in compact.items())
    written[PACKAGE / "schema" / "api.json"] = "{\n" + rows + "\n}\n"
    return written


def main() -> None:
    check = "--check" in sys.argv[1:]
    stale = []
    for path, text in outputs().items():
        if check:
            if not path.exists() or path.read_text() != text:
                stale.append(str(path.relative_to(ROOT)))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if stale:
        sys.exit("out of date, run `make generate`: " + ", ".join(stale))


if __name__ == "__main__":
    main()
