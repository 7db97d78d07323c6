"""StorageVersionMigrations: every object of a resource is written anew, and so comes into its present storage version.

One migration of a resource runs at a time, the oldest first. A custom resource's definition says meanwhile that it is
being migrated, and afterwards that its objects are stored in one version only, unless it was changed in between. What
a migration does is patch each object with nothing: the server writes it if its bytes would be others. Specified in
"Migrate Kubernetes Objects Using Storage Version Migration" and in KEP-4192.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tiphys.client.interface import ApiRequest, ObjectKey, PatchType
from tiphys.controllers.actions import Action, Answer, Ask, Call, Failure, Patch, RequeueAfter, UpdateStatus
from tiphys.controllers.conditions import with_condition
from tiphys.controllers.controller import Controller, View, Watch
from tiphys.controllers.namespaced_resources import stored_version
from tiphys.kinds import codec, registry
from tiphys.kinds.types import meta_v1
from tiphys.kinds.types.apiextensions_v1 import CustomResourceDefinition, CustomResourceDefinitionCondition
from tiphys.kinds.types.storagemigration_v1 import StorageVersionMigration
from tiphys.machinery import timestamps
from tiphys.machinery.errors import ApiError

RUNNING, SUCCEEDED, FAILED = "Running", "Succeeded", "Failed"
MIGRATING = "StorageMigrating"
PAGE_LIMIT = 5000
RETRY_SECONDS = 5.0
EXPIRED, NOT_SERVED = 410, 404


def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
    migration = view.get(StorageVersionMigration, "", key.name)
    if migration is None or migration.metadata.deletionTimestamp is not None:
        return []
    if _has_ended(migration):
        return []
    if not _is(migration, RUNNING):
        return _begin(view, migration, now) if _is_next(view, migration) else []
    if not migration.status.resourceVersion:
        return _look(view, migration, "revision", now, limit="1")
    return _look(view, migration, "objects", now, limit=str(PAGE_LIMIT))


def _is(migration: StorageVersionMigration, kind: str) -> bool:
    return any(c.type == kind and c.status == "True" for c in migration.status.conditions or ())


def _has_ended(migration: StorageVersionMigration) -> bool:
    return _is(migration, SUCCEEDED) or _is(migration, FAILED)


def _is_next(view: View, migration: StorageVersionMigration) -> bool:
    """No other migration of the resource runs, and none has waited longer."""
    others = [m for m in view.list(StorageVersionMigration) if m.spec.resource == migration.spec.resource]
    waiting = [m for m in others if not _has_ended(m) and m.metadata.deletionTimestamp is None]
    first = min(waiting, key=lambda m: (not _is(m, RUNNING), m.metadata.creationTimestamp or "", m.metadata.name or ""))
    return first.metadata.name == migration.metadata.name


def _begin(view: View, migration: StorageVersionMigration, now: float) -> list[Action]:
    message = f"Migration {migration.metadata.name} is running"
    about_definition = _tell(view, migration, "True", "MigrationRunning", message, now, settled=False)
    return [*about_definition, _with(migration, now, (RUNNING, "True", "MigrationRunning", "The migration is running"))]


def _succeed(view: View, migration: StorageVersionMigration, now: float) -> list[Action]:
    definition = _definition(view, migration)
    settled = definition is not None and _unchanged_since_begin(definition)
    message = "The migration has succeeded and the stored versions have been updated"
    if not settled:
        message = (
            "The migration has succeeded but the stored versions have not been updated due to a generation mismatch"
        )
    about_definition = _tell(view, migration, "False", "MigrationSucceeded", message, now, settled=settled)
    return [*about_definition, _ended(migration, now, (SUCCEEDED, "True", "StorageVersionMigrationSucceeded", ""))]


def _fail(view: View, migration: StorageVersionMigration, message: str, now: float) -> list[Action]:
    about_definition = _tell(
        view, migration, "False", "MigrationFailed", "The migration has failed", now, settled=False
    )
    return [*about_definition, _ended(migration, now, (FAILED, "True", "StorageVersionMigrationFailed", message))]


def _ended(migration: StorageVersionMigration, now: float, how: tuple[str, str, str, str]) -> UpdateStatus:
    return _with(migration, now, (RUNNING, "False", "MigrationCompleted", "Migration completed"), how)


# -- the definition of a custom resource


def _definition(view: View, migration: StorageVersionMigration) -> CustomResourceDefinition | None:
    resource = migration.spec.resource
    return view.get(CustomResourceDefinition, "", f"{resource.resource}.{resource.group}")


def _unchanged_since_begin(definition: CustomResourceDefinition) -> bool:
    conditions = definition.status.conditions or ()
    return any(c.type == MIGRATING and c.observedGeneration == definition.metadata.generation for c in conditions)


def _tell(
    view: View, migration: StorageVersionMigration, status: str, reason: str, message: str, now: float, *, settled: bool
) -> list[Action]:
    """`settled`: all objects are stored in the definition's present storage version."""
    definition = _definition(view, migration)
    if definition is None:
        return []
    changed = codec.copy(definition)
    told = CustomResourceDefinitionCondition(
        type=MIGRATING,
        status=status,
        reason=reason,
        message=message,
        lastTransitionTime=timestamps.time_of(now),
        observedGeneration=definition.metadata.generation,
    )
    changed.status.conditions = with_condition(changed.status.conditions, told)
    if settled:
        changed.status.storedVersions = [version.name for version in changed.spec.versions if version.storage]
    patch = {
        "metadata": {"resourceVersion": definition.metadata.resourceVersion},
        "status": codec.plain(changed)["status"],
    }
    return [
        Patch(
            kind=CustomResourceDefinition,
            namespace="",
            name=definition.metadata.name or "",
            patch=patch,
            subresource="status",
        )
    ]


# -- the status of the migration


def _with(
    migration: StorageVersionMigration, now: float, *conditions: tuple[str, str, str, str], revision: str = ""
) -> UpdateStatus:
    """The migration with conditions: (type, status, reason, message)."""
    changed = codec.copy(migration)
    for kind, status, reason, message in conditions:
        told = meta_v1.Condition(
            type=kind,
            status=status,
            reason=reason,
            message=message,
            lastTransitionTime=timestamps.time_of(now),
            observedGeneration=migration.metadata.generation,
        )
        changed.status.conditions = with_condition(changed.status.conditions, told)
    changed.status.resourceVersion = revision or changed.status.resourceVersion
    return UpdateStatus(object=changed)


# -- the objects


def _version(view: View, migration: StorageVersionMigration) -> str | None:
    """A version in which the resource's objects can be asked for; None when it is not served."""
    wanted = migration.spec.resource
    for resource in registry.all_resources():
        if (resource.group, resource.plural) == (wanted.group, wanted.resource) and "patch" in resource.verbs:
            return resource.version
    definition = _definition(view, migration)
    return stored_version(definition) if definition is not None else None


def _look(view: View, migration: StorageVersionMigration, step: str, now: float, **options: str) -> list[Action]:
    resource, version = migration.spec.resource, _version(view, migration)
    if version is None:
        return _fail(view, migration, f"the resource {_named(migration)} is not served", now)
    request = ApiRequest(
        verb="list", group=resource.group, version=version, resource=resource.resource, options=options
    )
    return [Ask(requests=(request,), memo=step)]


def _named(migration: StorageVersionMigration) -> str:
    resource = migration.spec.resource
    return f"{resource.resource}.{resource.group}" if resource.group else resource.resource


def answered(view: View, key: ObjectKey, now: float, answers: Sequence[Answer], memo: str) -> list[Action]:
    """A page of objects: they are written, and the next page is asked for."""
    migration = view.get(StorageVersionMigration, "", key.name)
    if migration is None:
        return []
    request, listed, error = answers[0].request, answers[0].result, answers[0].error
    if error is not None:
        if error.code == NOT_SERVED:
            return _fail(view, migration, str(error), now)
        return [RequeueAfter(seconds=0.0 if error.code == EXPIRED else RETRY_SECONDS)]
    if memo == "revision":
        return [_with(migration, now, revision=listed.resource_version)]
    writes: list[Action] = [_rewrite(request, item) for item in listed.items]
    if listed.continue_token:
        return [
            *writes,
            *_look(view, migration, memo, now, limit=str(PAGE_LIMIT), **{"continue": listed.continue_token}),
        ]
    return [*writes, *_succeed(view, migration, now)]


def _rewrite(listed: ApiRequest, item: Any) -> Call:
    """An object that is gone, or was made anew, needs nothing more."""
    meta = codec.convert(item["metadata"], meta_v1.ObjectMeta) if isinstance(item, dict) else item.metadata
    request = ApiRequest(
        verb="patch",
        group=listed.group,
        version=listed.version,
        resource=listed.resource,
        namespace=meta.namespace or "",
        name=meta.name or "",
        patch_type=PatchType.MERGE,
        body={"metadata": {"uid": meta.uid}},
    )
    return Call(request=request, tolerate_missing=True)


def after_failure(view: View, key: ObjectKey, now: float, failures: Sequence[Failure]) -> list[Action]:
    """An object that the server refuses to write will be refused again."""
    migration = view.get(StorageVersionMigration, "", key.name)
    refused = [(f.action.request, f.error) for f in failures if isinstance(f.action, Call) and _is_final(f.error)]
    if migration is None or not refused:
        return []
    request, error = refused[0]
    name = ObjectKey(request.namespace, request.name)
    return _fail(view, migration, f"{_named(migration)} {name} cannot be written: {error}", now)


def _is_final(error: ApiError) -> bool:
    return error.code in (400, 403, 404, 405, 413, 422)


def _of_resource(
    view: View, old: StorageVersionMigration | None, new: StorageVersionMigration | None
) -> list[ObjectKey]:
    """The migrations of a resource wait for each other."""
    changed = new if new is not None else old
    assert changed is not None
    found = [m for m in view.list(StorageVersionMigration) if m.spec.resource == changed.spec.resource]
    return [ObjectKey("", migration.metadata.name or "") for migration in found]


CONTROLLER = Controller(
    name="storage-version-migrator",
    reconcile=reconcile,
    answered=answered,
    after_failure=after_failure,
    watches=(Watch(kind=StorageVersionMigration, keys=_of_resource),),
    reads=(CustomResourceDefinition,),
)
