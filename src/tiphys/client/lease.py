"""Who leads: decisions over a Lease object, from what this candidate has seen of it. Pure.

A candidate trusts its own clock alone: the holder is gone when this candidate has not seen the Lease change for the
holder's lease duration. A leader that could not renew within the renew deadline must stop leading before others may
start.
"""

from __future__ import annotations

from dataclasses import dataclass

from tiphys.kinds import codec
from tiphys.kinds.types import coordination_v1, meta_v1
from tiphys.machinery import timestamps


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTimes:
    """How long a lease holds, by when a leader must have renewed, how often everybody tries; in seconds."""

    lease_seconds: float = 15.0
    renew_deadline_seconds: float = 10.0
    retry_seconds: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateLease:
    lease: coordination_v1.Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateLease:
    """Take or renew: with the resourceVersion that was seen, so that only one candidate succeeds."""

    lease: coordination_v1.Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """Somebody else leads."""

    holder: str


@dataclass(slots=True, kw_only=True)
class Election:
    """One candidate's memory of a Lease."""

    namespace: str
    name: str
    identity: str
    times: LeaseTimes
    _seen: tuple[str | None, str | None] = (None, None)
    _seen_at: float = float("-inf")
    _renewed_at: float = float("-inf")

    def decide(
        self, lease: coordination_v1.Lease | None, now: float, monotonic: float
    ) -> CreateLease | UpdateLease | Follow:
        """What to do about the Lease as it is (None: there is none)."""
        if lease is None:
            meta = meta_v1.ObjectMeta(namespace=self.namespace, name=self.name)
            return CreateLease(lease=coordination_v1.Lease(metadata=meta, spec=self._spec(None, now)))
        spec = lease.spec or coordination_v1.LeaseSpec()
        seen = (spec.holderIdentity, spec.renewTime)
        if seen != self._seen:
            self._seen, self._seen_at = seen, monotonic
        holder = spec.holderIdentity or ""
        holds_seconds = spec.leaseDurationSeconds or self.times.lease_seconds
        if holder and holder != self.identity and monotonic < self._seen_at + holds_seconds:
            return Follow(holder=holder)
        taken = codec.copy(lease)
        taken.spec = self._spec(spec, now)
        return UpdateLease(lease=taken)

    def renewed(self, monotonic: float) -> None:
        """The server has accepted our lease, which was sent at this moment."""
        self._renewed_at = monotonic

    def leads(self, monotonic: float) -> bool:
        """Whether this candidate may act as the leader now."""
        return monotonic < self._renewed_at + self.times.renew_deadline_seconds

    def released(self, lease: coordination_v1.Lease, now: float) -> coordination_v1.Lease:
        """The Lease as a leader leaves it when it stops, so that the next need not wait."""
        free = codec.copy(lease)
        spec = free.spec or coordination_v1.LeaseSpec()
        spec.holderIdentity, spec.leaseDurationSeconds = "", 1
        spec.renewTime = spec.acquireTime = timestamps.micro_time_of(now)
        free.spec = spec
        self._renewed_at = float("-inf")
        return free

    def _spec(self, old: coordination_v1.LeaseSpec | None, now: float) -> coordination_v1.LeaseSpec:
        moment = timestamps.micro_time_of(now)
        ours = old is not None and old.holderIdentity == self.identity
        transitions = (old.leaseTransitions or 0) if old is not None else 0
        return coordination_v1.LeaseSpec(
            holderIdentity=self.identity,
            leaseDurationSeconds=int(self.times.lease_seconds),
            acquireTime=old.acquireTime if old is not None and ours else moment,
            renewTime=moment,
            leaseTransitions=transitions if ours or old is None else transitions + 1,
        )
