"""Follows the directory with the node's own pods, runs them, and keeps their mirrors in the API."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tiphys.aio.backoff import Backoff
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kubelet.interface import is_mirror
from tiphys.kubelet.io.inotify import CLOSE_WRITE, CREATE, DELETE, MOVED_FROM, MOVED_TO, FileWatch
from tiphys.kubelet.io.node_context import NodeContext
from tiphys.kubelet.io.pod_workers import PodWorkers
from tiphys.kubelet.static_pods import mirror_of, mirrors, static_pod
from tiphys.machinery.errors import ApiError

log = logging.getLogger(__name__)
SUFFIXES = (".yaml", ".yml", ".json")


class StaticPods:
    """`node()` is this node's object. `object_changed` is a handler of the pods' informer."""

    def __init__(
        self,
        directory: Path,
        node_name: str,
        context: NodeContext,
        workers: PodWorkers,
        node: Callable[[], core_v1.Node | None],
        shown: Callable[[str, str], core_v1.Pod | None],
    ) -> None:
        self._directory = directory
        self._node_name = node_name
        self._context = context
        self._workers = workers
        self._node = node
        self._shown = shown
        self._pods: dict[str, core_v1.Pod] = {}
        self._dirty = asyncio.Event()
        self._backoff: Backoff[str] = Backoff(0.5, 30.0)

    def object_changed(self, old: core_v1.Pod | None, new: core_v1.Pod | None) -> None:
        """A mirror that was changed or removed by others is made anew."""
        if (old is not None and is_mirror(old)) or (new is not None and is_mirror(new)):
            self._dirty.set()

    async def load(self) -> None:
        """Take what is there now, before anybody asks whose the running pods are."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._take(await asyncio.to_thread(self._read))

    async def run(self) -> None:
        """For ever, after `load`."""
        watch = FileWatch([(self._directory, CREATE | CLOSE_WRITE | MOVED_TO | MOVED_FROM | DELETE)])
        self._context.owner.start(self._keep_mirrors(), "mirror pods")
        try:
            while True:
                self._take(await asyncio.to_thread(self._read))
                await watch.changed()
        finally:
            watch.close()

    def _read(self) -> dict[str, core_v1.Pod]:
        found: dict[str, core_v1.Pod] = {}
        for path in sorted(self._directory.iterdir()):
            if path.suffix not in SUFFIXES or path.name.startswith("."):
                continue
            try:
                pod = static_pod(_parsed(path), self._node_name, self._context.clock.now())
            except (ValueError, OSError, yaml.YAMLError) as error:
                log.error("static pod %s: %s", path, error)
                continue
            found[pod.metadata.uid or ""] = pod
        return found

    def _take(self, found: dict[str, core_v1.Pod]) -> None:
        for uid in [uid for uid in self._pods if uid not in found]:
            del self._pods[uid]
            worker = self._workers.worker(uid)
            if worker is not None:
                worker.remove()
        for uid, pod in found.items():
            if uid not in self._pods:
                self._pods[uid] = pod
                self._workers.add_static(pod)
        self._dirty.set()

    async def _keep_mirrors(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                for pod in [*self._pods.values()]:
                    await self._mirror(pod)
                await self._remove_stale()
                self._backoff.reset("mirrors")
            except ApiError as error:
                log.info("mirror pods: %s", error)
                await self._context.clock.sleep(self._backoff.next("mirrors"))
                self._dirty.set()

    async def _mirror(self, pod: core_v1.Pod) -> None:
        namespace, name = pod.metadata.namespace or "", pod.metadata.name or ""
        shown, node = self._shown(namespace, name), self._node()
        if node is None:
            return
        if shown is not None:
            if mirrors(shown, pod) and shown.metadata.deletionTimestamp is None:
                return
            await self._delete(shown)
        try:
            await self._context.client.create(mirror_of(pod, node))
        except ApiError as error:
            if error.code != 409:
                raise
        worker = self._workers.worker(pod.metadata.uid or "")
        if worker is not None:
            worker.poke()

    async def _remove_stale(self) -> None:
        """Mirrors whose pod has gone."""
        names = {(pod.metadata.namespace, pod.metadata.name) for pod in self._pods.values()}
        for shown in self._workers.mirrors():
            if (shown.metadata.namespace, shown.metadata.name) not in names:
                await self._delete(shown)

    async def _delete(self, shown: core_v1.Pod) -> None:
        meta = shown.metadata
        options = meta_v1.DeleteOptions(gracePeriodSeconds=0, preconditions=meta_v1.Preconditions(uid=meta.uid))
        try:
            await self._context.client.delete(core_v1.Pod, meta.namespace or "", meta.name or "", options)
        except ApiError as error:
            if error.code not in (404, 409):
                raise


def _parsed(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else yaml.load(text, Loader=yaml.CSafeLoader)
