"""The /scale subresource of custom resources: where a definition says that the numbers are, and what they must be.

Specified in "Extend the Kubernetes API with CustomResourceDefinitions", "Scale subresource".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tiphys.kinds.strategy import Scaling
from tiphys.kinds.types.apiextensions_v1 import CustomResourceSubresourceScale
from tiphys.kinds.unstructured import Unstructured
from tiphys.machinery import go_text, json_path
from tiphys.machinery.field_errors import FieldError, Path, invalid

GREATEST_REPLICAS = (1 << 31) - 1


def scaling_of(scale: CustomResourceSubresourceScale) -> Scaling[Unstructured]:
    spec_names = json_path.names_of(scale.specReplicasPath)
    status_names = json_path.names_of(scale.statusReplicasPath)
    selector_names = json_path.names_of(scale.labelSelectorPath or "")

    def selector(obj: Unstructured) -> str:
        value = _at(obj.content, selector_names) if selector_names else None
        return value if isinstance(value, str) else ""

    def with_replicas(obj: Unstructured, count: int) -> Unstructured:
        return obj.__replace__(content=_with(obj.content, spec_names, count))

    return Scaling(
        replicas=lambda obj: _count(obj.content, spec_names),
        status_replicas=lambda obj: _count(obj.content, status_names),
        selector=selector,
        with_replicas=with_replicas,
        validates=True,
        missing=f'the spec replicas field "{scale.specReplicasPath}" does not exist',
    )


def findings(scale: CustomResourceSubresourceScale | None, content: Mapping[str, Any]) -> list[FieldError]:
    """What is wrong with the numbers of an object that /scale shows."""
    if scale is None:
        return []
    return _count_findings(content, scale.specReplicasPath) + status_findings(scale, content)


def status_findings(scale: CustomResourceSubresourceScale | None, content: Mapping[str, Any]) -> list[FieldError]:
    return [] if scale is None else _count_findings(content, scale.statusReplicasPath)


def _count_findings(content: Mapping[str, Any], path: str) -> list[FieldError]:
    value: Any = content
    names = json_path.names_of(path)
    for position, name in enumerate(names):
        if not isinstance(value, dict):
            return [] if value is None else [_of_wrong_type(path, names[:position], value, "map[string]interface{}")]
        if name not in value:
            return []
        value = value[name]
    if not isinstance(value, int) or isinstance(value, bool):
        return [_of_wrong_type(path, names, value, "int64")]
    if value < 0:
        return [invalid(Path(path), value, "should be a non-negative integer")]
    if value > GREATEST_REPLICAS:
        return [invalid(Path(path), value, f"should be less than or equal to {GREATEST_REPLICAS}")]
    return []


def _of_wrong_type(path: str, names: Sequence[str], value: Any, wanted: str) -> FieldError:
    shown = f"{go_text.plain(value)} is of the type {go_text.type_name(value)}, expected {wanted}"
    return invalid(Path(path), 0, f".{'.'.join(names)} accessor error: {shown}")


def _count(content: Any, names: Sequence[str]) -> int | None:
    value = _at(content, names)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _at(content: Any, names: Sequence[str]) -> Any:
    for name in names:
        if not isinstance(content, dict):
            return None
        content = content.get(name)
    return content


def _with(content: Any, names: Sequence[str], value: Any) -> Any:
    """A copy with one value set; what is not on the way is shared."""
    if not names:
        return value
    below = content.get(names[0]) if isinstance(content, dict) else None
    return {**(content if isinstance(content, dict) else {}), names[0]: _with(below, names[1:], value)}
