"""Has objects of custom resources converted by their webhook before they are needed in another version.

`ready` is awaited ahead of everything that shows objects in a version they are not stored in; what comes back is kept
with the object, so that each revision is converted once a version, and `forms.converted` finds it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tiphys.apiserver import conversion_review
from tiphys.apiserver.io.http import in_task
from tiphys.apiserver.io.webhooks import WebhookAddress, WebhookFailed, Webhooks
from tiphys.apiserver.selection import Selection
from tiphys.apiserver.watch_cache import Entry
from tiphys.kinds.crd import CustomResource
from tiphys.kinds.resource import Resource
from tiphys.kinds.types.apiextensions_v1 import WebhookClientConfig
from tiphys.kinds.unstructured import Unstructured

TIMEOUT_SECONDS = 30.0
BATCH = 500


class Conversions:
    def __init__(self, webhooks: Webhooks, new_uid: Callable[[], str]) -> None:
        self._webhooks = webhooks
        self._new_uid = new_uid

    def needed(self, resource: Resource, entries: Iterable[Entry]) -> list[Unstructured]:
        """The objects that a webhook has to convert first. (Nearly always none: no other kind has one.)"""
        if not isinstance(resource, CustomResource) or resource.webhook is None:
            return []
        return [e.object for e in entries if e.layout.resource is not resource and resource not in e.object.versions]

    async def ready(self, resource: Resource, entries: Iterable[Entry]) -> None:
        """Return when all entries can be shown as `resource`. ApiError 500."""
        needed = self.needed(resource, entries)
        if needed:
            assert isinstance(resource, CustomResource)
            await self.convert(needed, resource)

    async def selectable(self, selection: Selection, entries: Iterable[Entry]) -> bool:
        """Return when the selection can be made among these entries: whether that took its time. ApiError 500."""
        if selection.version is None:
            return False
        needed = self.needed(selection.version, filter(selection.may_match, entries))
        if needed:
            await self.convert(needed, selection.version)
        return bool(needed)

    async def ready_object(self, resource: Resource, obj: object) -> None:
        """The same for one object that is not stored."""
        if not isinstance(resource, CustomResource) or resource.webhook is None or not isinstance(obj, Unstructured):
            return
        if obj.apiVersion != resource.api_version and resource not in obj.versions:
            await self.convert([obj], resource)

    async def convert(self, objects: list[Unstructured], wanted: CustomResource) -> None:
        await in_task()
        config = wanted.webhook
        assert config is not None and config.clientConfig is not None
        version = conversion_review.review_version(config.conversionReviewVersions)
        address = address_of(config.clientConfig)
        for start in range(0, len(objects), BATCH):
            some = objects[start : start + BATCH]
            uid = self._new_uid()
            body = conversion_review.request(version, uid, wanted.api_version, some)
            try:
                data = await self._webhooks.post(address, body, TIMEOUT_SECONDS)
                converted = conversion_review.answer(data, version, uid, wanted, some)
            except (WebhookFailed, conversion_review.Unusable) as error:
                what = f"failed: {error}" if isinstance(error, WebhookFailed) else str(error)
                raise conversion_review.failed(some[0], what) from error
            for old, new in zip(some, converted, strict=True):
                old.versions[wanted] = new


def address_of(config: WebhookClientConfig) -> WebhookAddress:
    service = config.service
    if service is None:
        return WebhookAddress(url=config.url or "", authority=config.caBundle or b"")
    return WebhookAddress(
        namespace=service.namespace, name=service.name, port=service.port or 443, path=service.path or "",
        authority=config.caBundle or b"",
    )  # fmt: skip
