"""Plugins say truly which resources they have something to say about."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tiphys.apiserver.admission.interface import AdmissionRequest, Resources
from tiphys.apiserver.admission.pod_certificates import NodePodCertificates
from tiphys.apiserver.admission.table import PLUGINS, AdmissionTable
from tiphys.apiserver.admission.token_audiences import NodeTokenAudiences
from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.authz.interface import Attributes, Decision
from tiphys.kinds import registry
from tiphys.kinds.resource import Resource

KUBELET = UserInfo("system:node:n", "", ("system:nodes", "system:authenticated"))


class Untouched:
    """Nobody may look at it."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"asked for {name}")


class Refusing:
    def authorize(self, attributes: Attributes) -> Decision:
        return Decision(False)


ALL = (*PLUGINS, NodeTokenAudiences(Refusing()), NodePodCertificates(Refusing()))


def request(resource: Resource, operation: str, subresource: str) -> AdmissionRequest:
    return AdmissionRequest(
        operation=operation, resource=resource, subresource=subresource, namespace="a" if resource.namespaced else "",
        name="x", user=KUBELET, now=0.0, new_suffix=lambda: "x",
    )  # fmt: skip


@pytest.mark.parametrize("plugin", [plugin for plugin in ALL if plugin.resources], ids=lambda plugin: plugin.name)
def test_what_a_plugin_does_not_name_it_does_not_look_at(plugin: Any) -> None:
    served = registry.all_resources()
    assert set(plugin.resources) <= {(resource.group, resource.plural) for resource in served}
    for resource in served:
        if (resource.group, resource.plural) in plugin.resources:
            continue
        for operation, subresource in itertools.product(("CREATE", "UPDATE", "DELETE"), ("", *resource.subresources)):
            plugin.admit(request(resource, operation, subresource), Untouched(), Untouched(), Untouched())


def test_plugins_are_asked_in_their_order_about_what_they_name() -> None:
    asked: list[str] = []

    class Noting:
        def __init__(self, name: str, resources: Resources) -> None:
            self.name = name
            self.resources = resources

        def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Any) -> None:
            asked.append(self.name)

    table = AdmissionTable(
        (Noting("pods", (("", "pods"),)), Noting("all", ()), Noting("both", (("", "nodes"), ("", "pods"))))
    )
    for plural, names in (("pods", ["pods", "all", "both"]), ("nodes", ["all", "both"]), ("secrets", ["all"])):
        resource = registry.find("", "v1", plural)
        assert resource is not None
        asked.clear()
        table.admit(request(resource, "CREATE", ""), None, None, Untouched())
        assert asked == names
