"""Whether something is served where a request asks: the paths of a resource, and the verbs at each.

Nothing at a path is 404, a verb that the path lacks is 405. Custom resources have no paths of their own: what is wrong
with a request is said of the resource. Specified in "API concepts", "Resource URIs".
"""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.apiserver.request import RequestInfo, flag
from tiphys.apiserver.rest.call import Call
from tiphys.kinds.crd import CustomResource
from tiphys.kinds.resource import Resource
from tiphys.machinery import errors

PROXY = "proxy"
_ACROSS_NAMESPACES = frozenset({"list", "watch"})
_COLLECTION = frozenset({"list", "watch", "create", "deletecollection"})
_OBJECT = frozenset({"get", "update", "patch", "delete"})
_API_VERBS = _COLLECTION | _OBJECT
_NO_NAMES = {".": "may not be '.'", "..": "may not be '..'"}


def serves(resource: Resource, info: RequestInfo) -> bool:
    """Whether the resource is in this scope and has this subresource. ApiError 404 for a custom resource in its scope
    without it."""
    if info.namespace and not resource.namespaced and not _is_namespace(resource, info):
        return False
    if not info.subresource:
        return True
    if isinstance(resource, CustomResource):
        if info.subresource not in resource.subresources:
            raise errors.not_found(resource.plural, resource.group, info.name)
        return True
    return info.subresource in resource.subresources and (not info.rest or info.subresource == PROXY)


def _is_namespace(resource: Resource, info: RequestInfo) -> bool:
    """A namespace is in the namespace of its name."""
    return (resource.group, resource.plural) == ("", "namespaces") and info.namespace == info.name


def check(call: Call, method: str = "") -> None:
    """Whether the verb is served there. `method`: of the HTTP request, if it is one. ApiError 400, 404 or 405."""
    resource, verb = call.resource, call.verb
    if isinstance(resource, CustomResource):
        _check_custom(call, resource)
    elif method == "HEAD" or not _is_plainly_served(call):
        served = _served(call)
        if not served:
            raise errors.path_not_found(with_details=True)
        if verb not in served or (method == "HEAD" and call.subresource != PROXY):
            raise errors.method_not_allowed()
    if verb in _OBJECT and call.subresource != PROXY:
        _check_name(call.name)
    if verb == "get" and flag(call.query, "export"):
        raise errors.bad_request("the export parameter, deprecated since v1.14, is no longer supported")


def _is_plainly_served(call: Call) -> bool:
    """An object or a collection in its scope, with a verb that it has: so are nearly all requests."""
    resource = call.resource
    return (
        not call.subresource
        and (bool(call.namespace) or not resource.namespaced)
        and call.verb in (_OBJECT if call.name else _COLLECTION)
        and call.verb in resource.verbs
    )


def _served(call: Call) -> Sequence[str]:
    """The verbs at the path of a call."""
    resource = call.resource
    in_scope = bool(call.namespace) or not resource.namespaced
    if call.subresource:
        verbs = resource.subresources[call.subresource].verbs if in_scope else ()
        return (*verbs, "") if verbs and call.subresource == PROXY else verbs
    if call.name and call.verb not in ("list", "watch", "deletecollection"):
        possible = _OBJECT if in_scope else frozenset()
    else:
        possible = _COLLECTION if in_scope else _ACROSS_NAMESPACES
    return [verb for verb in resource.verbs if verb in possible]


def _check_custom(call: Call, resource: CustomResource) -> None:
    verb = call.verb
    if resource.namespaced and not call.namespace and verb not in _ACROSS_NAMESPACES:
        raise errors.path_not_found()
    verbs = resource.subresources[call.subresource].verbs if call.subresource else resource.verbs
    if verb not in verbs or (verb == "create" and call.name and not call.subresource):
        raise errors.method_not_supported(resource.plural, resource.group, verb if verb in _API_VERBS else "")
    if verb in ("update", "patch") and not call.name:
        raise errors.bad_request("name must be provided")


def _check_name(name: str) -> None:
    """A name that could be no piece of a path. ApiError 400."""
    found = _NO_NAMES.get(name, "may not contain '%'" if "%" in name else "")
    if found:
        raise errors.bad_request(f'Name parameter invalid: "{name}": {found}')
