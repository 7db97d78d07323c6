"""What claims, templates, classes and taint rules ask of devices, and how allocations are recorded."""

from __future__ import annotations

from typing import Any

from documents import changed, create_findings, created, stored, told, update_findings

from tiphys.kinds import unserved
from tiphys.kinds.resource_api import device_class, device_taint_rule, resource_claim, resource_claim_template

API = "resource.k8s.io/v1"
CLAIM: dict[str, Any] = {
    "apiVersion": API,
    "kind": "ResourceClaim",
    "metadata": {"name": "a", "namespace": "default"},
    "spec": {
        "devices": {
            "requests": [
                {"name": "r", "exactly": {"deviceClassName": "c"}},
                {"name": "s", "firstAvailable": [{"name": "t", "deviceClassName": "c"}]},
            ]
        }
    },
}
REQUESTS = "spec.devices.requests"
EXACTLY = f"{REQUESTS}[0].exactly"
FIRST = f"{REQUESTS}[1].firstAvailable[0]"
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
UNKNOWN = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
FULL = "a fully qualified name must be a domain and a name separated by a slash"
DEVICE = {"driver": "gpu.example.com", "pool": "one", "device": "gpu-0"}
RESULT = {"request": "s/t", **DEVICE}
OPAQUE = {"driver": "example.com", "parameters": {"a": 1}}


def findings(changes: dict[str, Any]) -> list[tuple[str, str, str]]:
    return create_findings(changed(CLAIM, changes))


def invalid(path: str, value: str, detail: str) -> tuple[str, str, str]:
    return path, "Invalid", f"Invalid value: {value}: {detail}"


def needed(path: str, detail: str = "") -> tuple[str, str, str]:
    return path, "Required", f"Required value: {detail}" if detail else "Required value"


def too_many(path: str, count: int, limit: int) -> tuple[str, str, str]:
    return path, "TooMany", f"Too many: {count}: must have at most {limit} items"


def test_a_request_has_one_form() -> None:
    assert findings({}) == []
    assert findings({f"{REQUESTS}.0.firstAvailable": [{"name": "a"}], f"{REQUESTS}.1.firstAvailable": []}) == [
        invalid(
            f"{REQUESTS}[0]",
            "null",
            "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set",
        ),
        needed(f"{REQUESTS}[1]", "exactly one of `exactly` or `firstAvailable` is required"),
    ]


def test_names_of_requests() -> None:
    assert findings({f"{REQUESTS}.1.name": "r", f"{REQUESTS}.0.exactly.deviceClassName": ""}) == [
        needed(f"{EXACTLY}.deviceClassName"),
        (f"{REQUESTS}[1]", "Duplicate", 'Duplicate value: "r"'),
    ]
    assert findings({f"{REQUESTS}.1.firstAvailable.0.name": "T"}) == [invalid(f"{FIRST}.name", '"T"', LABEL)]
    many = [{"name": "", "exactly": {}}] * 33
    assert findings({REQUESTS: many}) == [too_many(REQUESTS, 33, 32)]
    assert findings({f"{REQUESTS}.1.firstAvailable": [{"name": "t"}] * 9}) == [
        too_many(f"{REQUESTS}[1].firstAvailable", 9, 8)
    ]


def test_alternatives_are_defaulted_and_checked() -> None:
    claim = created(CLAIM)
    alternative = claim.spec.devices.requests[1].firstAvailable[0]
    assert (alternative.allocationMode, alternative.count) == ("ExactCount", 1)
    assert findings(
        {f"{REQUESTS}.1.firstAvailable.0.allocationMode": "All", f"{REQUESTS}.1.firstAvailable.0.count": 1}
    ) == [invalid(f"{FIRST}.count", "1", "must not be specified when allocationMode is 'All'")]


def test_selectors() -> None:
    good = {"cel": {"expression": "a" * 10240}}
    assert findings({f"{REQUESTS}.0.exactly.selectors": [good]}) == []
    assert findings({f"{REQUESTS}.0.exactly.selectors": [{}, {"cel": {}}, {"cel": {"expression": "a" * 10241}}]}) == [
        needed(f"{EXACTLY}.selectors[0].cel"),
        needed(f"{EXACTLY}.selectors[1].cel.expression"),
        (f"{EXACTLY}.selectors[2].cel.expression", "TooLong", "Too long: may not be more than 10240 bytes"),
    ]
    assert findings({f"{REQUESTS}.0.exactly.selectors": [good] * 33}) == [too_many(f"{EXACTLY}.selectors", 33, 32)]


def test_derived_attributes_are_compared() -> None:
    derived = {f"{REQUESTS}.1.firstAvailable.0.derivedAttributes": [{"name": "d/numa", "expression": "1"}]}
    unused = "must be referenced by at least one matchAttribute or distinctAttribute constraint targeting this request"
    assert findings(derived) == [invalid(f"{FIRST}.derivedAttributes[0].name", '"d/numa"', unused)]
    for requests in ([], ["s"], ["s/t"]):
        constraints = [{"matchAttribute": "d/numa", "requests": requests}]
        assert findings({**derived, "spec.devices.constraints": constraints}) == []
    constraints = [{"distinctAttribute": "d/numa", "requests": ["r"]}]
    assert len(findings({**derived, "spec.devices.constraints": constraints})) == 1
    assert findings({f"{REQUESTS}.0.exactly.derivedAttributes": [{"name": ""}, {"name": ""}]}) == [
        needed(f"{EXACTLY}.derivedAttributes[0].name"),
        needed(f"{EXACTLY}.derivedAttributes[0].expression"),
        needed(f"{EXACTLY}.derivedAttributes[1].name"),
        needed(f"{EXACTLY}.derivedAttributes[1].expression"),
        (f"{EXACTLY}.derivedAttributes[1]", "Duplicate", 'Duplicate value: ""'),
    ]


def test_constraints() -> None:
    at = "spec.devices.constraints"
    assert findings({at: [{"requests": ["r", "s", "s/t"], "matchAttribute": "a.com/b"}]}) == []
    assert findings({at: [{"requests": ["r", "r", "s/u", "a/b/c"], "matchAttribute": "b"}, {}]}) == [
        invalid(f"{at}[0].requests[2]", '"s/u"', UNKNOWN),
        invalid(f"{at}[0].requests[3]", '"a/b/c"', UNKNOWN),
        (f"{at}[0].requests[1]", "Duplicate", 'Duplicate value: "r"'),
        invalid(f"{at}[0].matchAttribute", '"b"', FULL),
        needed(
            f"{at}[1]",
            'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set',
        ),
    ]
    assert findings({at: [{}] * 33}) == [too_many(at, 33, 32)]


def test_configurations() -> None:
    at = "spec.devices.config"
    large = {"a": "x" * 10240}
    assert findings({at: [{"requests": ["r"], "opaque": OPAQUE}]}) == []
    assert findings(
        {at: [{"requests": ["u"]}, {"opaque": {}}, {"opaque": {**OPAQUE, "parameters": large}},
              {"opaque": {**OPAQUE, "parameters": 1}}]}
    ) == [
        invalid(f"{at}[0].requests[0]", '"u"', UNKNOWN),
        needed(f"{at}[0].opaque"),
        needed(f"{at}[1].opaque.driver"),
        needed(f"{at}[1].opaque.parameters"),
        (f"{at}[2].opaque.parameters", "TooLong", "Too long: may not be more than 10240 bytes"),
        invalid(f"{at}[3].opaque.parameters", '"<value omitted>"', "must be a valid JSON object"),
    ]  # fmt: skip


def test_specs_do_not_change_and_are_not_looked_at_again() -> None:
    other = changed(CLAIM, {f"{REQUESTS}.0.name": "R"})
    for strategy in (resource_claim.STRATEGY, resource_claim_template.STRATEGY):
        assert strategy.validate_changed is not None
        assert strategy.validate_changed(stored(other), stored(other)) == []
    assert [found[0] for found in update_findings(stored(CLAIM), other) if "immutable" in found[2]] == ["spec"]


def test_templates_give_labels_and_annotations_alone() -> None:
    template = {
        "apiVersion": API,
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": "a", "namespace": "default"},
        "spec": {"metadata": {"labels": {"a": "b"}, "name": "c"}, "spec": CLAIM["spec"]},
    }
    assert create_findings(template) == [("spec.metadata.name", "Forbidden", "Forbidden: cannot be set")]


def allocated(**status: Any) -> list[tuple[str, str, str]]:
    """A claim that had nothing gets this status."""
    return told(resource_claim.STRATEGY.validate_status_update(stored(CLAIM, status), stored(CLAIM)))


def results(**fields: Any) -> list[tuple[str, str, str]]:
    return allocated(allocation={"devices": {"results": [{**RESULT, **fields}]}})


def test_results_name_requests_and_devices() -> None:
    at = "status.allocation.devices.results[0]"
    assert results(shareID="0c4f4b3e-64b0-4d4f-9f0c-0123456789ab", bindingConditions=["a"],
                   bindingFailureConditions=["b"], skipNodeOperations=["*"]) == []  # fmt: skip
    uid = (
        "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal"
        " characters"
    )
    assert results(request="u", driver="", pool="", device="D", shareID="1") == [
        invalid(f"{at}.request", '"u"', UNKNOWN),
        needed(f"{at}.driver"),
        needed(f"{at}.pool"),
        invalid(f"{at}.device", '"D"', LABEL),
        invalid(f"{at}.shareID", '"1"', uid),
    ]
    assert allocated(allocation={"devices": {"results": [RESULT] * 33}}) == [
        too_many("status.allocation.devices.results", 33, 32)
    ]


def test_results_bring_tolerations_and_configurations() -> None:
    claim = created(CLAIM)
    claim.status = stored(CLAIM, {"allocation": {"devices": {"results": [{**RESULT, "tolerations": [{}]}]}}}).status
    resource_claim.STRATEGY.default(claim)
    assert claim.status.allocation.devices.results[0].tolerations[0].operator == "Equal"
    at = "status.allocation.devices.config"
    assert allocated(allocation={"devices": {"config": [{"source": "", "opaque": OPAQUE}, {"source": "A"}]}}) == [
        needed(f"{at}[0].source"),
        (f"{at}[1].source", "NotSupported", 'Unsupported value: "A": supported values: "FromClaim", "FromClass"'),
        needed(f"{at}[1].opaque"),
    ]
    assert allocated(allocation={"devices": {"config": [{}] * 65}}) == [too_many(at, 65, 64)]
    assert allocated(allocation={"nodeSelector": {"nodeSelectorTerms": []}}) == [
        needed("status.allocation.nodeSelector.nodeSelectorTerms", "must have at least one node selector term")
    ]


def test_an_allocation_does_not_change() -> None:
    old = stored(CLAIM, {"allocation": {"devices": {"results": [{**RESULT, "request": "gone"}]}}})
    same, none = stored(CLAIM), stored(CLAIM)
    same.status = old.status
    check = resource_claim.STRATEGY.validate_status_update
    assert check(same, old) == []
    assert check(none, old) == []
    other = stored(CLAIM, {"allocation": {"devices": {"results": [RESULT]}}})
    assert told(check(other, old)) == [invalid("status.allocation", "null", "field cannot be modified once set")]


def test_users() -> None:
    allocation = {"devices": {"results": [RESULT]}}
    user = {"resource": "pods", "name": "a", "uid": "u"}
    assert allocated(allocation=allocation, reservedFor=[user]) == []
    assert allocated(allocation=allocation, reservedFor=[user, user, {}]) == [
        needed("status.reservedFor[2].resource"),
        needed("status.reservedFor[2].name"),
        needed("status.reservedFor[2].uid"),
        ("status.reservedFor[1]", "Duplicate", 'Duplicate value: "u"'),
    ]
    assert allocated(reservedFor=[user] * 257) == [
        too_many("status.reservedFor", 257, 256),
        ("status.reservedFor", "Forbidden", "Forbidden: may not be specified when `allocated` is not set"),
    ]


def test_no_new_users_of_a_claim_that_goes() -> None:
    first, second = ({"resource": "pods", "name": name, "uid": name} for name in "ab")
    allocation = {"devices": {"results": [RESULT]}}
    old = stored(CLAIM, {"allocation": allocation, "reservedFor": [first]})
    for users, expected in (([], 0), ([first], 0), ([second], 1), ([first, second], 1)):
        new = stored(CLAIM, {"allocation": allocation, "reservedFor": users})
        new.metadata.deletionTimestamp = "2026-01-01T00:00:00Z"
        assert len(resource_claim.STRATEGY.validate_status_update(new, old)) == expected


def test_what_drivers_report() -> None:
    at = "status.devices[0]"
    allocation = {"devices": {"results": [RESULT]}}
    network = {"interfaceName": "eth0", "ips": ["192.0.2.1/24", "2001:db8::1/64"], "hardwareAddress": "aa:bb"}
    assert allocated(allocation=allocation, devices=[{**DEVICE, "networkData": network}]) == []
    network = {
        "interfaceName": "a" * 257,
        "hardwareAddress": "b" * 129,
        "ips": ["192.0.2.1", "2001:DB8::1/64", "192.0.2.1/24", "192.0.2.1/24"],
    }
    form = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"
    assert allocated(
        allocation=allocation,
        devices=[{**DEVICE, "networkData": network, "data": {"a": "x" * 10240}}],
    ) == [
        (f"{at}.data", "TooLong", "Too long: may not be more than 10240 bytes"),
        (f"{at}.networkData.interfaceName", "TooLong", "Too long: may not be more than 256 bytes"),
        (f"{at}.networkData.hardwareAddress", "TooLong", "Too long: may not be more than 128 bytes"),
        invalid(f"{at}.networkData.ips[0]", '"192.0.2.1"', form),
        invalid(f"{at}.networkData.ips[1]", '"2001:DB8::1/64"', 'must be in canonical form ("2001:db8::1/64")'),
        (f"{at}.networkData.ips[3]", "Duplicate", 'Duplicate value: "192.0.2.1/24"'),
    ]


def test_conditions_of_devices_are_bounded() -> None:
    allocation = {"devices": {"results": [RESULT]}}
    found = allocated(allocation=allocation, devices=[{**DEVICE, "conditions": [{"type": "a"}] * 9}])
    assert found[0] == too_many("status.devices[0].conditions", 9, 8)


def test_classes() -> None:
    document = {"apiVersion": API, "kind": "DeviceClass", "metadata": {"name": "a"}, "spec": {}}
    large = {"opaque": {"driver": "Example.com", "parameters": {"a": "x" * 10240}}}
    assert create_findings(changed(document, {"spec.extendedResourceName": "example.com/gpu"})) == []
    for name in ("gpu", "kubernetes.io/gpu", "example.com/g u"):
        assert create_findings(changed(document, {"spec.extendedResourceName": name})) == [
            invalid("spec.extendedResourceName", f'"{name}"', "must be a valid extended resource name")
        ]
    grown = stored(changed(document, {"spec.config": [large]}))
    strategy = device_class.STRATEGY
    assert len(strategy.validate(grown)) == 1
    assert strategy.validate_changed is not None
    assert strategy.validate_changed(grown, grown) == []
    assert strategy.warnings(grown, None) == [
        unserved.DEVICES,
        'spec.config[0].opaque.driver: driver names should be lowercase; "Example.com" contains uppercase characters',
    ]


def test_taint_rules_keep_effects_of_later_releases() -> None:
    rule = {"apiVersion": API, "kind": "DeviceTaintRule", "metadata": {"name": "a"},
            "spec": {"taint": {"key": "k", "effect": "Later"}}}  # fmt: skip
    strategy = device_taint_rule.STRATEGY
    assert [found.field for found in strategy.validate(stored(rule))] == ["spec.taint.effect"]
    assert strategy.validate_changed is not None
    assert strategy.validate_changed(stored(rule), stored(rule)) == []
    assert not strategy.allow_unconditional_update


def test_conditions_of_taint_rules() -> None:
    rule = {"apiVersion": API, "kind": "DeviceTaintRule", "metadata": {"name": "a"},
            "spec": {"taint": {"key": "k", "effect": "None"}}}  # fmt: skip
    condition = {"status": "True", "reason": "A", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    new = stored(rule, {"conditions": [{**condition, "type": f"t{i}"} for i in range(9)]})
    assert told(device_taint_rule.STRATEGY.validate_status_update(new, stored(rule))) == [
        too_many("status.conditions", 9, 8)
    ]
