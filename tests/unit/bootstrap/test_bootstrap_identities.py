"""Every controller has an identity that some role is bound to: without one it could do nothing."""

from __future__ import annotations

from tiphys.apiserver.authn.identity import service_account_name
from tiphys.apiserver.bootstrap import access
from tiphys.controllers.config import ControllersConfig
from tiphys.controllers.registry import controllers
from tiphys.kinds.types.rbac_v1 import ClusterRoleBinding


def test_every_controller_is_bound_to_a_role() -> None:
    bound = {
        service_account_name(subject.namespace or "", subject.name)
        for obj in access.wanted_access()
        if isinstance(obj, ClusterRoleBinding)
        for subject in obj.subjects or ()
        if subject.kind == "ServiceAccount"
    }
    assert {controller.user for controller in controllers(ControllersConfig())} <= bound
