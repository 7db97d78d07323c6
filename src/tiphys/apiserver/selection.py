"""Which objects a list or watch is about: a namespace, a label selector, a field selector.

An event concerns a watch by what it changed in the selection: an object that enters it is ADDED, one that leaves it
is DELETED (in the state it was last seen in, at the revision of the change). Specified in "API concepts" and "Field
Selectors".
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tiphys.apiserver.watch_cache import CacheEvent, Entry
from tiphys.kinds import crd
from tiphys.kinds.crd import CustomResource
from tiphys.kinds.resource import Resource
from tiphys.machinery import errors, fields, labels

_OF_ALL = frozenset({"metadata.name", "metadata.namespace"})


@functools.lru_cache(maxsize=4096)
def field_names(resource: Resource) -> frozenset[str]:
    """The fields that a selector on this resource can name. Who has no namespace can be asked for it only where nothing
    else is known of the kind."""
    own = resource.strategy.fields(resource.type())
    if not resource.namespaced and (own or isinstance(resource, CustomResource)):
        return frozenset({"metadata.name", *own})
    return _OF_ALL.union(own)


# How kinds with fields of their own say that they do not know one, where they do not say it like the others.
_OWN_WORDS = {
    ("batch", "jobs"): 'field label "{}" not supported for Job',
    ("resource.k8s.io", "resourceslices"): "field label not supported for ResourceSlice: {}",
}


def unknown_field(resource: Resource, name: str) -> str:
    """What a client is told that selects by a field that this resource does not offer."""
    if field_names(resource) == _OF_ALL:
        return f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"'
    return _OWN_WORDS.get((resource.group, resource.plural), "field label not supported: {}").format(name)


@dataclass(frozen=True, slots=True)
class Selection:
    """What is selected; `namespace` "" means all of them. `version` is the one whose fields are meant, where a version
    has fields of its own: objects that are stored in another are asked for them once they are converted."""

    namespace: str = ""
    labels: labels.Selector = labels.EVERYTHING
    fields: fields.FieldSelector = fields.EVERYTHING
    version: CustomResource | None = None

    @property
    def whole(self) -> bool:
        """Nothing but the namespace narrows it."""
        return self.labels.empty and self.fields.empty

    @property
    def waits(self) -> bool:
        """Whether a webhook may have to convert objects before they can be matched."""
        return self.version is not None and self.version.webhook is not None

    def may_match(self, entry: Entry) -> bool:
        """What the namespace and the labels say."""
        if self.namespace and entry.namespace != self.namespace:
            return False
        return self.labels.empty or self.labels.matches(entry.labels)

    def matches(self, entry: Entry) -> bool:
        if not self.may_match(entry):
            return False
        return self.fields.empty or self.fields.matches(self._values(entry))

    def of(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Those of its namespace that it selects."""
        return entries if self.whole else [entry for entry in entries if self.matches(entry)]

    def _values(self, entry: Entry) -> Mapping[str, str]:
        if self.version is None or entry.layout.resource is self.version:
            return entry.fields
        found = {"metadata.name": entry.name, "metadata.namespace": entry.namespace}
        return {**found, **self.version.strategy.fields(crd.converted(entry.object, self.version))}

    @property
    def index(self) -> tuple[str, str] | None:
        """A field and the value it must have, if there is such a requirement that every entry can be asked for."""
        for requirement in self.fields.requirements:
            if requirement.operator == "=" and (self.version is None or requirement.field in _OF_ALL):
                return requirement.field, requirement.value
        return None

    @property
    def name(self) -> str:
        """The name that every object must have; "" when any will do."""
        return self.fields.exact_match("metadata.name") or ""

    def event_type(self, event: CacheEvent) -> str:
        """ADDED, MODIFIED, DELETED, or "" when the event does not concern it."""
        now = not event.deleted and self.matches(event.entry)
        before = event.previous is not None and self.matches(event.previous)
        if now:
            return "MODIFIED" if before else "ADDED"
        return "DELETED" if before else ""


def parse(resource: Resource, namespace: str, label_text: str, field_text: str) -> Selection:
    """The selection of query parameters. ApiError 400 when they cannot be understood."""
    try:
        selector = labels.parse(label_text) if label_text else labels.EVERYTHING
    except ValueError as error:
        raise errors.bad_request(str(error)) from error
    try:
        wanted = fields.parse(field_text) if field_text else fields.EVERYTHING
    except ValueError as error:
        raise errors.bad_request(str(error)) from error
    for requirement in wanted.requirements:
        if requirement.field not in field_names(resource):
            raise errors.bad_request(unknown_field(resource, requirement.field))
    return Selection(namespace, selector, wanted, _version_of(resource, wanted))


def _version_of(resource: Resource, wanted: fields.FieldSelector) -> CustomResource | None:
    """The version that a selector is about, if objects may be stored in others with other fields."""
    if not isinstance(resource, CustomResource) or resource.alone:
        return None
    return resource if any(requirement.field not in _OF_ALL for requirement in wanted.requirements) else None
