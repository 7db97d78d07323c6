"""Which namespaced resources there are, custom ones included, for controllers that treat all of them alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tiphys.client.interface import ApiRequest, Verb
from tiphys.controllers.controller import View
from tiphys.kinds import registry
from tiphys.kinds.types import apiextensions_v1


@dataclass(frozen=True, slots=True)
class Collection:
    """A namespaced resource whose objects can be listed and deleted."""

    group: str
    version: str
    resource: str
    deletes_collections: bool = True

    def __str__(self) -> str:
        return f"{self.resource}.{self.group}"

    def request(self, verb: Verb, namespace: str, name: str = "", body: Any = None, **options: str) -> ApiRequest:
        return ApiRequest(
            verb=verb, group=self.group, version=self.version, resource=self.resource, namespace=namespace, name=name,
            options=options, body=body,
        )  # fmt: skip


def collections(view: View) -> tuple[Collection, ...]:
    """Every namespaced resource with objects of its own: built-in ones, and custom ones that are established."""
    found: dict[str, Collection] = {}
    for resource in registry.all_resources():
        if resource.namespaced and {"list", "delete"} <= set(resource.verbs) and resource.storage not in found:
            collects = "deletecollection" in resource.verbs
            found[resource.storage] = Collection(resource.group, resource.version, resource.plural, collects)
    for definition in view.list(apiextensions_v1.CustomResourceDefinition):
        spec, version = definition.spec, stored_version(definition)
        if spec.scope == "Namespaced" and version is not None:
            found[f"{spec.group}/{spec.names.plural}"] = Collection(spec.group, version, spec.names.plural)
    return tuple(found.values())


def stored_version(definition: apiextensions_v1.CustomResourceDefinition) -> str | None:
    """The version in which asking for the objects costs no conversion, if it is served, else one that is."""
    served = [version for version in definition.spec.versions if version.served]
    return next((v.name for v in sorted(served, key=lambda v: not v.storage)), None)
