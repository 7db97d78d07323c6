"""What is asked of authorization, and what it answers."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from tiphys.apiserver.authn.identity import UserInfo


class Attributes(NamedTuple):
    """One question: may `user` do `verb` to this? For a resource request `group`, `version`, `resource`, `subresource`,
    `namespace` ("" for all namespaces or cluster scope), `name` ("" for collections, unless the field selector
    `metadata.name=x` names one object) and the `field_selector` of list, watch and deletecollection;
    otherwise `path` and a lower-case HTTP verb."""

    user: UserInfo
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    is_resource: bool = True
    field_selector: str = ""


class Decision(NamedTuple):
    """`reason` says why, for the audit log and for access reviews; it may be empty. `denied` is a refusal that no later
    authorizer may overrule (as against having no opinion)."""

    allowed: bool
    reason: str = ""
    denied: bool = False


NO_OPINION = Decision(False)


class Authorizer(Protocol):
    def authorize(self, attributes: Attributes) -> Decision: ...
