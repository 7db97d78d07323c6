"""What has no effect yet says so."""

from __future__ import annotations

import pytest

from tiphys.kinds import registry, unserved

UNSERVED = {
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): unserved.WEBHOOKS,
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"): unserved.POLICIES,
    ("apiregistration.k8s.io", "apiservices"): unserved.AGGREGATION,
    ("networking.k8s.io", "networkpolicies"): unserved.NETWORK_POLICIES,
    ("resource.k8s.io", "devicetaintrules"): unserved.DEVICES,
    ("resource.k8s.io", "resourceclaimtemplates"): unserved.DEVICES,
    ("flowcontrol.apiserver.k8s.io", "flowschemas"): unserved.FAIRNESS,
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"): unserved.FAIRNESS,
    ("storage.k8s.io", "csistoragecapacities"): unserved.STORAGE_CAPACITY,
    ("storage.k8s.io", "csidrivers"): unserved.STORAGE_DRIVERS,
    ("autoscaling", "horizontalpodautoscalers"): unserved.AUTOSCALING,
}


@pytest.mark.parametrize("key", UNSERVED, ids=str)
def test_a_warning_comes_with_every_write(key: tuple[str, str]) -> None:
    found = [r for r in registry.all_resources() if (r.group, r.plural) == key]
    assert found
    for resource in found:
        assert resource.strategy.warnings(resource.type(), None) == [UNSERVED[key]]
