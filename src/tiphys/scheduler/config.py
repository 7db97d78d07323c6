"""The scheduler's configuration: which schedulers it is, with which plugins, and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tiphys.scheduler.plugins.table import DEFAULT_PLUGINS, Entry

DEFAULT_SCHEDULER = "default-scheduler"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One `schedulerName`. `disabled` plugins neither filter nor score; `weights` replace the default ones, by
    plugin name."""

    scheduler_name: str = DEFAULT_SCHEDULER
    disabled: frozenset[str] = frozenset()
    weights: Mapping[str, int] = field(default_factory=dict)

    def table(self) -> tuple[Entry, ...]:
        """The plugins of this profile. ValueError for names that are no plugin."""
        known = {entry.plugin.name for entry in DEFAULT_PLUGINS}
        unknown = sorted((self.disabled | set(self.weights)) - known)
        if unknown:
            raise ValueError(f"profile {self.scheduler_name!r} names unknown plugins: {', '.join(unknown)}")
        return tuple(
            Entry(entry.plugin, self.weights.get(entry.plugin.name, entry.weight))
            for entry in DEFAULT_PLUGINS
            if entry.plugin.name not in self.disabled
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerConfig:
    """`instance` names this process in events; `batch_limit` pods are decided before others get a turn; at most
    `binding_limit` bindings are under way at once."""

    profiles: tuple[Profile, ...] = (Profile(),)
    instance: str = ""
    batch_limit: int = 256
    binding_limit: int = 128
    event_limit: int = 16
    event_backlog_limit: int = 20_000
