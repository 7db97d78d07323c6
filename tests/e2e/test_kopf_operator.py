"""A real kopf operator, in a process of its own, serves a custom resource; it is killed and comes back."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import kubernetes
import pytest
from kopf_operator import BOATS, GROUP, PLURAL, TICKS, VERSION
from loopback_control_plane import running

NAMESPACE = "default"
OPERATOR = pathlib.Path(__file__).with_name("kopf_operator.py")
FINALIZER = "kopf.zalando.org/KopfFinalizerMarker"
LAST_HANDLED = "kopf.zalando.org/last-handled-configuration"
MASTS = "set_masts/spec.masts"  # where kopf keeps what that handler returned
ANY = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
SPEC = {
    "type": "object",
    "required": ["masts", "image"],
    "properties": {
        "masts": {"type": "integer", "minimum": 1},
        "image": {"type": "string"},
        "crew": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}},
        "cargo": {"type": "string"},
        "lookout": {"type": "boolean", "default": False},
    },
}
DEFINITION = {
    "metadata": {"name": f"{PLURAL}.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": PLURAL, "singular": "boat", "kind": "Boat"},
        "versions": [
            {
                "name": VERSION,
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC, "status": ANY}}},
            }
        ],
    },
}


class Operator:
    """`kopf run` with the operator's file; what it says goes into `log`."""

    def __init__(self, kubeconfig: pathlib.Path, log: pathlib.Path) -> None:
        self._kubeconfig = kubeconfig
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = [sys.executable, "-m", "kopf", "run", "--standalone", "--namespace", NAMESPACE, str(OPERATOR)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                words, stdout=log, stderr=log, env={**os.environ, "KUBECONFIG": str(self._kubeconfig)}
            )

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)

    def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(30)

    @property
    def said(self) -> str:
        return self._log.read_text()


class Harbour:
    """The API as the operator's user has it."""

    def __init__(self, client: kubernetes.client.ApiClient) -> None:
        self.core = kubernetes.client.CoreV1Api(client)
        self.apps = kubernetes.client.AppsV1Api(client)
        self.custom = kubernetes.client.CustomObjectsApi(client)

    def boat(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.custom.get_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL, name)
        return found

    def make(self, name: str, spec: dict[str, Any], **metadata: Any) -> str:
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "Boat",
            "metadata": {"name": name, **metadata},
            "spec": {"image": "example/hull:1", **spec},
        }
        made = self.custom.create_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL, body)
        uid: str = made["metadata"]["uid"]
        return uid

    def change(self, name: str, patch: dict[str, Any]) -> None:
        self.custom.patch_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL, name, patch)

    def delete(self, name: str) -> None:
        self.custom.delete_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL, name)

    def until(self, name: str, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The boat once it is as wanted: watched, not polled."""
        return self._watched(self.custom.list_namespaced_custom_object, (*BOATS[:2], NAMESPACE, PLURAL), name, reached)

    def until_map(self, name: str, reached: Callable[[dict[str, Any]], bool] = lambda found: True) -> dict[str, Any]:
        return self._watched(self.core.list_namespaced_config_map, (NAMESPACE,), name, reached)

    @staticmethod
    def _watched(
        listing: Any, places: tuple[str, ...], name: str, reached: Callable[[dict[str, Any]], bool]
    ) -> dict[str, Any]:
        watch, last = kubernetes.watch.Watch(), None
        options = {"field_selector": f"metadata.name={name}", "timeout_seconds": 45}
        for event in watch.stream(listing, *places, **options):
            last = event["raw_object"]
            if event["type"] != "DELETED" and reached(last):
                watch.stop()
                found: dict[str, Any] = last
                return found
        raise AssertionError(f"{name} did not become what was wanted; last seen: {last}")

    def until_gone(self, listing: Any, places: tuple[str, ...], name: str) -> None:
        """Returns when there is no such object any more."""
        options: dict[str, Any] = {"field_selector": f"metadata.name={name}"}
        found = listing(*places, **options)
        items, metadata = (
            (found["items"], found["metadata"])
            if isinstance(found, dict)
            else (found.items, {"resourceVersion": found.metadata.resource_version})
        )
        if not items:
            return
        options.update(resource_version=metadata["resourceVersion"], timeout_seconds=45)
        watch = kubernetes.watch.Watch()
        for event in watch.stream(listing, *places, **options):
            if event["type"] == "DELETED":
                watch.stop()
                return
        raise AssertionError(f"{name} did not go")


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pathlib.Path]:
    with running(tmp_path_factory.mktemp("harbour")) as path:
        yield path


@pytest.fixture(scope="module")
def harbour(kubeconfig: pathlib.Path) -> Iterator[Harbour]:
    with kubernetes.config.new_client_from_config(str(kubeconfig)) as client:
        kubernetes.client.ApiextensionsV1Api(client).create_custom_resource_definition(DEFINITION)
        yield Harbour(client)


@pytest.fixture(scope="module")
def operator(kubeconfig: pathlib.Path, harbour: Harbour) -> Iterator[Operator]:
    made = Operator(kubeconfig, kubeconfig.parent / "operator.log")
    made.start()
    yield made
    with contextlib.suppress(ProcessLookupError):
        assert made.stop() == 0, made.said
    assert "Unhandled" not in made.said


def settled(boat: dict[str, Any], **status: Any) -> bool:
    """All handlers have run, nothing is in progress, and the status is exactly what every boat's is and `status`."""
    annotations = boat["metadata"].get("annotations", {})
    ours = {name for name in annotations if name.startswith("kopf.zalando.org/")}
    name = boat["metadata"]["name"]
    wanted = {"build": {"deployment": name}, "ticks": TICKS, MASTS: [None, 1], **status}
    return ours == {LAST_HANDLED} and boat.get("status") == wanted


def owner(name: str, uid: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Boat",
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def test_life_of_a_resource(operator: Operator, harbour: Harbour) -> None:
    uid = harbour.make("argo", {"masts": 1, "crew": {"jason": "captain"}})
    boat = harbour.until("argo", settled)
    assert boat["spec"] == {"masts": 1, "image": "example/hull:1", "crew": {"jason": "captain"}, "lookout": False}
    assert boat["metadata"]["finalizers"] == [FINALIZER]
    crew = harbour.until_map("argo-crew")
    assert crew["data"] == {"jason": "captain"}
    assert crew["metadata"]["ownerReferences"] == [owner("argo", uid)]
    assert crew["metadata"]["labels"] == {"boat": "argo"}
    workload = harbour.apps.read_namespaced_deployment("argo", NAMESPACE)
    assert (workload.spec.replicas, workload.metadata.owner_references[0].uid) == (1, uid)

    harbour.change("argo", {"spec": {"masts": 2, "crew": {"orpheus": "singer"}}})
    changes = [["add", "spec.crew.orpheus", None, "singer"], ["change", "spec.masts", 1, 2]]
    harbour.until("argo", lambda found: settled(found, refitted=changes, **{MASTS: [1, 2]}))
    crew = harbour.until_map("argo-crew", lambda found: len(found["data"]) == 2)
    assert crew["data"] == {"jason": "captain", "orpheus": "singer"}
    assert harbour.apps.read_namespaced_deployment("argo", NAMESPACE).spec.replicas == 2

    harbour.delete("argo")
    assert harbour.until_map("argo-wreck")["data"] == {"masts": "2"}
    harbour.until_gone(harbour.custom.list_namespaced_custom_object, (*BOATS[:2], NAMESPACE, PLURAL), "argo")
    harbour.until_gone(harbour.core.list_namespaced_config_map, (NAMESPACE,), "argo-crew")
    harbour.until_gone(harbour.apps.list_namespaced_deployment, (NAMESPACE,), "argo")


def test_filters_retries_and_failures(operator: Operator, harbour: Harbour) -> None:
    harbour.make("plain", {"masts": 1})
    harbour.make("pirate", {"masts": 1, "cargo": "rum"}, labels={"flag": "pirate"})
    harbour.make("dry", {"masts": 1}, annotations={"launch": "never"})
    harbour.until("plain", settled)
    harbour.until("pirate", lambda boat: settled(boat, hide="hidden", **{"load/spec.cargo": {"attempts": 3}}))
    harbour.until("dry", settled)
    assert "there is no water" in operator.said


def test_events_and_indexes(operator: Operator, harbour: Harbour) -> None:
    harbour.make("indexed", {"masts": 1, "crew": {"tiphys": "helmsman", "ankaios": "second"}})
    harbour.until("indexed", settled)
    harbour.until_map("indexed-crew")
    labels = {"boat": "indexed", "muster": "yes"}
    harbour.core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "roll-call", "labels": labels}})
    harbour.until("indexed", lambda boat: settled(boat, muster=["ankaios", "tiphys"]))
    harbour.core.delete_namespaced_config_map("roll-call", NAMESPACE)


def test_a_daemon_lives_as_long_as_its_field_says(operator: Operator, harbour: Harbour) -> None:
    harbour.make("watched", {"masts": 1, "lookout": True})
    harbour.until_map("watched-lookout", lambda found: found["data"] == {"log": "on watch"})
    harbour.change("watched", {"spec": {"lookout": False}})
    harbour.until_map("watched-lookout", lambda found: found["data"] == {"log": "off watch"})
    harbour.change("watched", {"spec": {"lookout": True}})
    harbour.until_map("watched-lookout", lambda found: found["data"] == {"log": "on watch"})
    harbour.delete("watched")
    harbour.until_map("watched-lookout", lambda found: found["data"] == {"log": "off watch"})
    harbour.until_gone(harbour.custom.list_namespaced_custom_object, (*BOATS[:2], NAMESPACE, PLURAL), "watched")


def test_a_killed_operator_goes_on_where_it_was(operator: Operator, harbour: Harbour) -> None:
    harbour.make("steady", {"masts": 1, "crew": {"zetes": "rower"}})
    harbour.make("leaving", {"masts": 1})
    harbour.make("gated", {"masts": 1}, annotations={"launch": "gated"})
    harbour.until("steady", settled)
    harbour.until("leaving", settled)
    progress = "kopf.zalando.org/pass_gate"
    harbour.until("gated", lambda boat: progress in boat["metadata"].get("annotations", {}))
    operator.kill()
    harbour.change("steady", {"spec": {"masts": 2}})
    harbour.delete("leaving")
    leaving = harbour.boat("leaving")  # only the operator can let it go
    assert leaving["metadata"]["finalizers"] == [FINALIZER]
    assert "deletionTimestamp" in leaving["metadata"]
    harbour.make("newcomer", {"masts": 1})
    harbour.core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "gated-gate"}})
    operator.start()

    changes = [["change", "spec.masts", 1, 2]]
    harbour.until("steady", lambda boat: settled(boat, refitted=changes, resumed=1, **{MASTS: [1, 2]}))
    assert harbour.apps.read_namespaced_deployment("steady", NAMESPACE).spec.replicas == 2
    assert harbour.until_map("leaving-wreck")["data"] == {"masts": "1"}
    harbour.until_gone(harbour.custom.list_namespaced_custom_object, (*BOATS[:2], NAMESPACE, PLURAL), "leaving")
    harbour.until("newcomer", settled)
    harbour.until("gated", lambda boat: settled(boat, pass_gate="passed"))
    crews = harbour.core.list_namespaced_config_map(NAMESPACE, label_selector="boat=gated").items
    assert [found.metadata.name for found in crews] == ["gated-crew"]  # what was done before the kill is done once
