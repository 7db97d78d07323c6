"""What clients are told is served: both forms of discovery, health, version, and the paths at /."""

from __future__ import annotations

import json

import pytest
import yaml

from tiphys.apiserver.discovery.document import accepted_types, json_document
from tiphys.apiserver.discovery.health import HealthAnswer, HealthChecks
from tiphys.apiserver.discovery.resources import ResourceDiscovery, storage_version_hash
from tiphys.apiserver.discovery.version import BuildInfo, version_document
from tiphys.kinds import protobuf, registry
from tiphys.kinds.resource import Resource, Subresource
from tiphys.machinery.errors import ApiError
from tiphys.machinery.versions import version_rank

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
DEPLOYMENTS = Resource(
    group="apps",
    version="v1",
    plural="deployments",
    singular="deployment",
    kind="Deployment",
    namespaced=True,
    verbs=("create", "get", "list"),
    short_names=("deploy",),
    categories=("all",),
    subresources={
        "scale": Subresource(name="scale", kind="Scale", group="autoscaling", version="v1", verbs=("get", "update")),
        "status": Subresource(name="status", kind="Deployment", group="apps", version="v1", verbs=("get",)),
    },
    storage="apps/deployments",
)
NODES = Resource(
    group="", version="v1", plural="nodes", singular="node", kind="Node", namespaced=False, verbs=("get",), storage="n"
)


def custom(version: str, group: str = "example.com") -> Resource:
    return Resource(
        group=group, version=version, plural="things", singular="thing", kind="Thing", namespaced=True, verbs=("get",)
    )


def discovery() -> ResourceDiscovery:
    return ResourceDiscovery((NODES, DEPLOYMENTS), "10.201.0.1:6443")


def content(found: ResourceDiscovery, path: str, accept: str = "") -> object:
    document = found.document(path, accept)
    return None if document is None else json.loads(document.body)


@pytest.mark.parametrize("path", ["/api", "/apis", "/apis/apps", "/apis/apps/v1", "/api/v1"])
def test_other_encodings_say_the_same(path: str) -> None:
    found = discovery()
    plain = content(found, path)
    assert isinstance(plain, dict)
    encoded, written = (found.document(path, accept) for accept in (protobuf.MEDIA_TYPE, "application/yaml"))
    assert encoded is not None and written is not None
    assert (encoded.content_type, written.content_type) == (protobuf.MEDIA_TYPE, "application/yaml")
    assert protobuf.decode(encoded.body) == {"apiVersion": "v1", **plain}
    assert yaml.safe_load(written.body) == plain
    assert b"&" not in written.body
    keys = [line.split(b":")[0] for line in written.body.splitlines() if line[:1].isalpha()]
    assert keys == sorted(keys)


def test_the_aggregated_list_in_protobuf() -> None:
    accept = AGGREGATED.replace("application/json", protobuf.MEDIA_TYPE)
    document = discovery().document("/apis", accept)
    assert document is not None
    assert document.content_type == accept
    plain = content(discovery(), "/apis", AGGREGATED)
    assert isinstance(plain, dict)
    assert protobuf.decode(document.body) == {key: value for key, value in plain.items() if key != "metadata"}


def test_the_classic_lists() -> None:
    found = discovery()
    version = {"groupVersion": "apps/v1", "version": "v1"}
    group = {"name": "apps", "versions": [version], "preferredVersion": version}
    assert content(found, "/api") == {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "10.201.0.1:6443"}],
    }
    assert content(found, "/apis") == {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]}
    assert content(found, "/apis/apps/") == {"kind": "APIGroup", "apiVersion": "v1", **group}
    assert content(found, "/apis/apps/v1") == {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "apps/v1",
        "resources": [
            {
                "name": "deployments",
                "singularName": "deployment",
                "namespaced": True,
                "kind": "Deployment",
                "verbs": ["create", "get", "list"],
                "shortNames": ["deploy"],
                "categories": ["all"],
                "storageVersionHash": storage_version_hash("apps", "v1", "Deployment"),
            },
            {
                "name": "deployments/scale",
                "singularName": "",
                "namespaced": True,
                "group": "autoscaling",
                "version": "v1",
                "kind": "Scale",
                "verbs": ["get", "update"],
            },
            {
                "name": "deployments/status",
                "singularName": "",
                "namespaced": True,
                "kind": "Deployment",
                "verbs": ["get"],
            },
        ],
    }
    assert [content(found, path) for path in ("/apis/batch", "/apis/apps/v2", "/api/v2", "/apis//v1", "/apiary")] == [
        None
    ] * 5


def test_the_aggregated_form() -> None:
    document = discovery().document("/apis", f"{AGGREGATED},application/json;q=0.9")
    assert document is not None
    assert document.content_type == AGGREGATED
    assert json.loads(document.body) == {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": "apps"},
                "versions": [
                    {
                        "version": "v1",
                        "resources": [
                            {
                                "resource": "deployments",
                                "responseKind": {"group": "", "version": "", "kind": "Deployment"},
                                "scope": "Namespaced",
                                "singularResource": "deployment",
                                "verbs": ["create", "get", "list"],
                                "shortNames": ["deploy"],
                                "categories": ["all"],
                                "subresources": [
                                    {
                                        "subresource": "scale",
                                        "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
                                        "verbs": ["get", "update"],
                                    },
                                    {
                                        "subresource": "status",
                                        "responseKind": {"group": "", "version": "", "kind": "Deployment"},
                                        "verbs": ["get"],
                                    },
                                ],
                            }
                        ],
                        "freshness": "Current",
                    }
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "APIGroupList"),
        ("*/*", "APIGroupList"),
        ("application/json", "APIGroupList"),
        (AGGREGATED, "APIGroupDiscoveryList"),
        (AGGREGATED.replace("v=v2", "v=v2beta1"), "APIGroupDiscoveryList"),
        (AGGREGATED.replace("v=v2", "v=v9") + ",application/json", "APIGroupList"),
        (f"{AGGREGATED};q=0.5,application/json", "APIGroupList"),
        ("application/vnd.kubernetes.protobuf,application/json;q=0.2", "APIGroupList"),
        ("text/html,application/json;q=0.2", "APIGroupList"),
    ],
)
def test_the_accept_header_chooses(accept: str, kind: str) -> None:
    found = content(discovery(), "/apis", accept)
    assert isinstance(found, dict)
    assert found["kind"] == kind


@pytest.mark.parametrize("accept", ["text/html", f"{protobuf.MEDIA_TYPE};as=Table;g=meta.k8s.io;v=v1"])
def test_a_client_that_takes_no_form_of_it_is_told_so(accept: str) -> None:
    with pytest.raises(ApiError) as caught:
        discovery().document("/apis", accept)
    assert caught.value.code == 406


def test_custom_resources_come_and_go() -> None:
    found = discovery()
    before = found.document("/apis", AGGREGATED)
    found.set_custom((custom("v1beta1"), custom("v2"), custom("v1", "a.org"), custom("v1"), custom("v2alpha1")))
    assert found.group_versions() == [
        ("", "v1"),
        ("apps", "v1"),
        ("a.org", "v1"),
        ("example.com", "v2"),
        ("example.com", "v1"),
        ("example.com", "v1beta1"),
        ("example.com", "v2alpha1"),
    ]
    changed = found.document("/apis", AGGREGATED)
    assert before is not None and changed is not None and before.etag != changed.etag
    found.set_custom(())
    again = found.document("/apis", AGGREGATED)
    assert again is not None and again.etag == before.etag


def test_versions_are_ranked_as_kubernetes_does() -> None:
    words = ["v1", "foo1", "v3beta1", "v12alpha1", "v10", "v11beta2", "foo10", "v2", "v11alpha2", "v10beta3"]
    assert sorted(words, key=version_rank) == [
        "v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10",
    ]  # fmt: skip


def test_the_storage_version_hash_is_the_one_that_clients_compare() -> None:
    assert storage_version_hash("", "v1", "Pod") == "xPOwRZ+Yhw8="
    listed = content(ResourceDiscovery(registry.all_resources()), "/apis/autoscaling/v1")
    assert isinstance(listed, dict)
    hashes = [entry.get("storageVersionHash") for entry in listed["resources"]]
    assert hashes[0] == storage_version_hash("autoscaling", "v2", "HorizontalPodAutoscaler")


def test_a_document_is_matched_by_its_tag() -> None:
    document = json_document({"a": 1})
    assert document.matches(document.etag) and document.matches(f'"x", W/{document.etag}')
    assert not document.matches("") and not document.matches('"x"')


def test_accept_clauses_are_ranked() -> None:
    ranked = accepted_types("text/html;q=0.3, application/yaml;q=0, application/json;as=Table;q=0.9,*/*;q=0.1")
    assert [(accepted.media_type, dict(accepted.parameters)) for accepted in ranked] == [
        ("application/json", {"as": "Table"}),
        ("text/html", {}),
        ("*/*", {}),
    ]


def health(store: str = "") -> HealthChecks:
    checks = {"ping": lambda: "", "store": lambda: store}
    return HealthChecks({"healthz": checks, "livez": {"ping": checks["ping"]}, "readyz": checks})


def test_health() -> None:
    assert health().answer("/readyz") == HealthAnswer(200, "ok")
    assert health().answer("/readyz", verbose=True) == HealthAnswer(
        200, "[+]ping ok\n[+]store ok\nreadyz check passed\n"
    )
    assert health("disk full").answer("/readyz") == HealthAnswer(
        500, "[+]ping ok\n[-]store failed: reason withheld\nreadyz check failed\n", (("store", "disk full"),)
    )
    assert health("disk full").answer("/readyz/store") == HealthAnswer(
        500, "internal server error: disk full\n", (("store", "disk full"),)
    )
    assert health("disk full").answer("/readyz/ping") == HealthAnswer(200, "ok")
    assert health("disk full").answer("/livez") == HealthAnswer(200, "ok")
    assert health("disk full").answer("/readyz", exclude=("store", "x"), verbose=True) == HealthAnswer(
        200,
        "[+]ping ok\n[+]store excluded: ok\n"
        'warn: some health checks cannot be excluded: no matches for "x"\nreadyz check passed\n',
    )
    assert health().answer("/readyz/nothing") is None
    assert health().answer("/metrics") is None


def test_how_checks_went_is_counted() -> None:
    found = health("disk full")
    found.answer("/readyz", exclude=("ping",))
    found.answer("/readyz/store")
    found.answer("/livez")
    lines = [line for line in found.indicators().decode().splitlines() if not line.startswith("#")]
    assert lines == [
        'kubernetes_healthcheck{name="ping",type="livez"} 1',
        'kubernetes_healthcheck{name="store",type="readyz"} 0',
        'kubernetes_healthchecks_total{name="ping",status="success",type="livez"} 1',
        'kubernetes_healthchecks_total{name="store",status="error",type="readyz"} 2',
    ]


def test_version_is_what_clients_parse() -> None:
    found = json.loads(version_document(BuildInfo(version="0.1.0")).body)
    assert (found["major"], found["minor"], found["gitVersion"]) == ("1", "37", "v1.37.0+tiphys.0.1.0")
    assert int(found["minCompatibilityMinor"]) == int(found["emulationMinor"]) - 1 == int(found["minor"]) - 1
