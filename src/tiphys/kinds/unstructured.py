"""Objects of custom resources: metadata as a Struct, everything else as plain JSON.

Each version of a custom resource has a class of its own (`crd.py` makes it), so that the type of an object says what it
is, as with the Structs of built-in kinds. `codec.py` encodes and decodes them like any Struct: apiVersion, kind and
metadata first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tiphys.kinds.types.meta_v1 import ObjectMeta
from tiphys.machinery.patch.apply.schema import DEDUCED

HEAD = ("apiVersion", "kind", "metadata")


class Unstructured:
    """`content` is everything but apiVersion, kind and metadata, by name; read-only once the object is shared."""

    __slots__ = ("_versions", "apiVersion", "content", "kind", "metadata")
    # As Structs name their fields: what is fixed for every object of this class.
    __struct_fields__: ClassVar[tuple[str, ...]] = HEAD
    api_version_of_type: ClassVar[str] = ""
    kind_of_type: ClassVar[str] = ""

    def __init__(
        self,
        apiVersion: str = "",
        kind: str = "",
        metadata: ObjectMeta | None = None,
        content: dict[str, Any] | None = None,
    ) -> None:
        self.apiVersion = apiVersion or self.api_version_of_type
        self.kind = kind or self.kind_of_type
        self.metadata = metadata if metadata is not None else ObjectMeta()
        self.content = content if content is not None else {}
        self._versions: dict[Any, Unstructured] | None = None

    @property
    def versions(self) -> dict[Any, Unstructured]:
        """The same object in other versions, by resource, as far as somebody has converted it."""
        if self._versions is None:
            self._versions = {}
        return self._versions

    def __replace__(self, **changes: Any) -> Unstructured:
        """A shallow copy with some of the four attributes changed."""
        values = {"apiVersion": self.apiVersion, "kind": self.kind, "metadata": self.metadata, "content": self.content}
        return type(self)(**{**values, **changes})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Unstructured):
            return NotImplemented
        mine = (self.apiVersion, self.kind, self.metadata, self.content)
        return mine == (other.apiVersion, other.kind, other.metadata, other.content)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{self.kind or 'Unstructured'}({self.metadata.namespace or ''}/{self.metadata.name or ''})"

    @property
    def spec(self) -> Any:
        return self.content.get("spec")

    @property
    def status(self) -> Any:
        return self.content.get("status")

    @classmethod
    def value_schema(cls) -> Any:
        """How the fields of this class are owned (`machinery/patch/apply/schema.py`); nothing is known of most."""
        return DEDUCED

    def malformed(self) -> str:
        """Why an object within this one is none, "" when all are; makes them what they are everywhere, in place."""
        return ""

    @classmethod
    def unknown_fields(cls, plain: Mapping[str, Any]) -> list[str]:
        """The paths of what the schema of this class does not have; they may be gone from `plain` afterwards."""
        return []
