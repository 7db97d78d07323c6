"""Storage version migrations over a whole API server with the controller in the same process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from whole_server import Whole, whole_server

from tiphys.client.cache import Cache
from tiphys.client.interface import ApiRequest, ListResult, ObjectKey
from tiphys.controllers import storage_version_migration
from tiphys.controllers.actions import Answer, Call, Failure, Patch
from tiphys.controllers.controller import View
from tiphys.kinds import codec
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kinds.types.apiextensions_v1 import CustomResourceDefinition, CustomResourceDefinitionCondition
from tiphys.kinds.types.storagemigration_v1 import StorageVersionMigration, StorageVersionMigrationSpec
from tiphys.machinery.errors import ApiError


@pytest_asyncio.fixture
async def whole() -> AsyncIterator[Whole]:
    async with whole_server("storage-version-migrator") as made:
        yield made


def definition(storage: str, limit: int = 100) -> CustomResourceDefinition:
    names = {"plural": "sails", "singular": "sail", "kind": "Sail", "listKind": "SailList"}
    area = {"type": "integer", "maximum": limit}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"area": area}}}}
    versions = [
        {"name": name, "served": True, "storage": name == storage, "schema": {"openAPIV3Schema": schema}}
        for name in ("v1", "v2")
    ]
    spec = {"group": "boat.example.com", "scope": "Namespaced", "names": names, "versions": versions}
    plain = {"metadata": {"name": "sails.boat.example.com"}, "spec": spec}
    return codec.decode(msgspec.json.encode(plain), CustomResourceDefinition)


async def change(whole: Whole, **options: Any) -> None:
    current = codec.copy(await whole.client.get(CustomResourceDefinition, "", "sails.boat.example.com"))
    current.spec = definition(**options).spec
    await whole.client.update(current)
    await whole.quiet()


def sails(verb: Any, version: str = "v1", name: str = "", body: Any = None) -> ApiRequest:
    return ApiRequest(
        verb=verb, group="boat.example.com", version=version, resource="sails", namespace="team", name=name, body=body
    )


async def boat(whole: Whole, *areas: int) -> None:
    await whole.client.create(definition("v1"))
    await whole.later(1.0)
    for number, area in enumerate(areas):
        body = {"metadata": {"name": f"s{number}"}, "spec": {"area": area}}
        made = {"apiVersion": "boat.example.com/v1", "kind": "Sail", **body}
        await whole.client.transport.call(sails("create", body=made))


async def migrated(whole: Whole, name: str, resource: str, group: str = "") -> StorageVersionMigration:
    spec = StorageVersionMigrationSpec(resource=meta_v1.GroupResource(group=group, resource=resource))
    await whole.client.create(StorageVersionMigration(metadata=meta_v1.ObjectMeta(name=name), spec=spec))
    await whole.later(1.0)
    return await whole.client.get(StorageVersionMigration, "", name)


def view_of(*objects: Any) -> View:
    caches: dict[type[Any], Cache[Any]] = {kind: Cache() for kind in storage_version_migration.CONTROLLER.kinds}
    for obj in objects:
        caches[type(obj)].apply(obj)
    return View(caches)


def conditions(obj: Any) -> dict[str, tuple[str, str]]:
    return {c.type: (c.status, c.reason) for c in obj.status.conditions or ()}


async def stored_versions(whole: Whole) -> list[str]:
    """Of each object, as it lies in the store."""
    found = await whole.store.range("/registry/boat.example.com/sails/")
    return [msgspec.json.decode(item.value)["apiVersion"].rpartition("/")[2] for item in found.items]


COMPLETED = {"Running": ("False", "MigrationCompleted"), "Succeeded": ("True", "StorageVersionMigrationSucceeded")}


async def test_objects_come_into_the_new_storage_version(whole: Whole, monkeypatch: Any) -> None:
    monkeypatch.setattr(storage_version_migration, "PAGE_LIMIT", 2)
    await boat(whole, 1, 2, 3, 4, 5)
    await change(whole, storage="v2")
    assert await stored_versions(whole) == ["v1"] * 5
    done = await migrated(whole, "m", "sails", "boat.example.com")
    assert conditions(done) == COMPLETED
    assert int(done.status.resourceVersion or 0) > 0
    assert await stored_versions(whole) == ["v2"] * 5
    told = await whole.client.get(CustomResourceDefinition, "", "sails.boat.example.com")
    assert conditions(told)["StorageMigrating"] == ("False", "MigrationSucceeded")
    assert told.status.storedVersions == ["v2"]
    again = await migrated(whole, "again", "sails", "boat.example.com")
    assert conditions(again) == COMPLETED


async def test_built_in_objects_stay_as_they_are(whole: Whole) -> None:
    made = await whole.client.create(core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="a", namespace="team")))
    assert conditions(await migrated(whole, "m", "configmaps")) == COMPLETED
    after = await whole.client.get(core_v1.ConfigMap, "team", "a")
    assert after.metadata.resourceVersion == made.metadata.resourceVersion


async def test_what_is_not_served_cannot_be_migrated(whole: Whole) -> None:
    done = await migrated(whole, "m", "ropes", "boat.example.com")
    assert conditions(done)["Failed"] == ("True", "StorageVersionMigrationFailed")
    assert conditions(done)["Running"] == ("False", "MigrationCompleted")
    (failed,) = (c for c in done.status.conditions or () if c.type == "Failed")
    assert failed.message == "the resource ropes.boat.example.com is not served"


async def test_objects_that_broke_newer_rules_are_migrated_too(whole: Whole) -> None:
    await boat(whole, 50)
    await change(whole, storage="v2", limit=10)
    assert conditions(await migrated(whole, "m", "sails", "boat.example.com")) == COMPLETED
    assert await stored_versions(whole) == ["v2"]


async def test_a_change_of_the_definition_meanwhile_keeps_its_stored_versions(whole: Whole) -> None:
    """What a migration has not seen, it does not vouch for."""
    await boat(whole, 1)
    await change(whole, storage="v2")
    before = await whole.client.get(CustomResourceDefinition, "", "sails.boat.example.com")
    started = codec.copy(before)
    spec = StorageVersionMigrationSpec(resource=meta_v1.GroupResource(group="boat.example.com", resource="sails"))
    migration = StorageVersionMigration(metadata=meta_v1.ObjectMeta(name="m", resourceVersion="1"), spec=spec)
    told = CustomResourceDefinitionCondition(type="StorageMigrating", status="True", observedGeneration=1)
    started.status.conditions = [*(started.status.conditions or ()), told]
    page = Answer(request=sails("list"), result=ListResult(items=[], resource_version="1"))
    view = view_of(migration, started)
    (about_definition, _) = storage_version_migration.answered(view, ObjectKey("", "m"), 0.0, [page], "objects")
    assert isinstance(about_definition, Patch)
    assert about_definition.patch["status"]["storedVersions"] == ["v1", "v2"]
    assert about_definition.patch["status"]["conditions"][-1]["message"] == (
        "The migration has succeeded but the stored versions have not been updated due to a generation mismatch"
    )


@pytest.mark.parametrize(("code", "fails"), [(422, True), (403, True), (409, False), (500, False), (0, False)])
def test_what_is_refused_for_good_fails_the_migration(code: int, fails: bool) -> None:
    spec = StorageVersionMigrationSpec(resource=meta_v1.GroupResource(group="boat.example.com", resource="sails"))
    view = view_of(StorageVersionMigration(metadata=meta_v1.ObjectMeta(name="m", resourceVersion="1"), spec=spec))
    failure = Failure(action=Call(request=sails("patch", name="s1")), error=ApiError(code, "Why", "why"))
    actions = storage_version_migration.after_failure(view, ObjectKey("", "m"), 0.0, [failure])
    told = [c.message for action in actions for c in action.object.status.conditions if c.type == "Failed"]
    assert told == (["sails.boat.example.com team/s1 cannot be written: why"] if fails else [])


async def test_one_migration_of_a_resource_at_a_time(whole: Whole) -> None:
    await boat(whole, 1)
    spec = StorageVersionMigrationSpec(resource=meta_v1.GroupResource(group="boat.example.com", resource="sails"))
    for name in ("a", "b"):
        await whole.client.create(StorageVersionMigration(metadata=meta_v1.ObjectMeta(name=name), spec=spec))
    await whole.later(1.0)
    for name in ("a", "b"):
        assert conditions(await whole.client.get(StorageVersionMigration, "", name)) == COMPLETED
