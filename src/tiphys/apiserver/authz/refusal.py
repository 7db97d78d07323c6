"""The error that a refused request gets, in the words that clients and tests match on."""

from __future__ import annotations

from tiphys.apiserver.authz.interface import Attributes
from tiphys.machinery import errors
from tiphys.machinery.errors import ApiError


def sentence(attributes: Attributes) -> str:
    """`User "x" cannot list resource "pods" in API group "" in the namespace "default"`."""
    user, verb = attributes.user.name, attributes.verb
    if not attributes.is_resource:
        return f'User "{user}" cannot {verb} path "{attributes.path}"'
    resource = attributes.resource
    if attributes.subresource:
        resource = f"{resource}/{attributes.subresource}"
    what = f'User "{user}" cannot {verb} resource "{resource}" in API group "{attributes.group}"'
    if attributes.namespace:
        return f'{what} in the namespace "{attributes.namespace}"'
    return f"{what} at the cluster scope"


def forbidden(attributes: Attributes, reason: str = "") -> ApiError:
    """The 403 for a request that authorization did not allow."""
    detail = sentence(attributes)
    if reason:
        detail = f"{detail}: {reason}"
    if not attributes.is_resource:
        return errors.forbidden("", "", "", detail)
    return errors.forbidden(attributes.resource, attributes.group, attributes.name, detail)
