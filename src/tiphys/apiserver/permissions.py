"""The question that a request puts to authorization."""

from __future__ import annotations

from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.authz.interface import Attributes
from tiphys.apiserver.request import RequestInfo
from tiphys.apiserver.rest.call import Call


def attributes_of(user: UserInfo, info: RequestInfo, field_selector: str = "") -> Attributes:
    if not info.is_resource:
        return Attributes(user=user, verb=info.verb, path=info.path, is_resource=False)
    return Attributes(
        user=user,
        verb=info.verb,
        group=info.group,
        version=info.version,
        resource=info.resource,
        subresource=info.subresource,
        namespace=info.namespace,
        name=info.name,
        path=info.path,
        field_selector=field_selector,
    )


def creation_of(call: Call) -> Attributes:
    """The question whether a user may create the object that a call names."""
    resource = call.resource
    return Attributes(
        user=call.user,
        verb="create",
        group=resource.group,
        version=resource.version,
        resource=resource.plural,
        namespace=call.namespace,
        name=call.name,
    )
