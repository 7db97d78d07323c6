"""Leader election: take, renew, follow, give up."""

from __future__ import annotations

from tiphys.aio.clock import VirtualClock, settle
from tiphys.client.io.leader import LeaderElector
from tiphys.client.lease import CreateLease, Election, Follow, LeaseTimes, UpdateLease
from tiphys.kinds.types import coordination_v1
from tiphys.machinery.errors import ApiError
from tiphys.testing.fake_api import FakeApi


def election(identity: str) -> Election:
    return Election(namespace="kube-system", name="lock", identity=identity, times=LeaseTimes())


def test_a_free_lease_is_taken_and_anothers_is_followed_until_it_stands_still() -> None:
    first, second = election("a"), election("b")
    created = first.decide(None, 100.0, 0.0)
    assert isinstance(created, CreateLease)
    spec = created.lease.spec
    assert spec is not None
    assert (spec.holderIdentity, spec.leaseDurationSeconds, spec.leaseTransitions) == ("a", 15, 0)
    assert second.decide(created.lease, 100.0, 50.0) == Follow(holder="a")
    assert second.decide(created.lease, 114.0, 64.9) == Follow(holder="a")
    taken = second.decide(created.lease, 116.0, 65.1)
    assert isinstance(taken, UpdateLease)
    assert taken.lease.spec is not None
    assert (taken.lease.spec.holderIdentity, taken.lease.spec.leaseTransitions) == ("b", 1)


def test_renewing_keeps_the_time_of_taking() -> None:
    holder = election("a")
    created = holder.decide(None, 100.0, 0.0)
    assert isinstance(created, CreateLease)
    renewed = holder.decide(created.lease, 102.0, 2.0)
    assert isinstance(renewed, UpdateLease)
    spec, before = renewed.lease.spec, created.lease.spec
    assert spec is not None
    assert before is not None
    assert spec.acquireTime == before.acquireTime
    assert spec.renewTime == "1970-01-01T00:01:42.000000Z"
    assert spec.leaseTransitions == 0


async def test_a_leader_without_a_server_stops_before_another_may_start() -> None:
    clock = VirtualClock()
    api = FakeApi(clock)
    heard: list[str] = []

    def elector(name: str) -> LeaderElector:
        return LeaderElector(
            api.client(name), clock, election(name),
            on_started=lambda: heard.append(f"{name} started"), on_lost=lambda: heard.append(f"{name} lost"),
        )  # fmt: skip

    import asyncio

    tasks = [asyncio.create_task(elector(name).run()) for name in ("a", "b")]
    await settle()
    await clock.advance(60)
    assert heard == ["a started"]
    api.fail(ApiError(0, "Unreachable", "away"), user="a", times=1000)
    await clock.advance(60)
    assert heard == ["a started", "a lost", "b started"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_released_lease_is_free_at_once() -> None:
    clock = VirtualClock()
    api = FakeApi(clock)
    first = LeaderElector(api.client(), clock, election("a"), on_started=lambda: None, on_lost=lambda: None)
    await first._attempt()
    first.leading = True
    await first.release()
    lease = api.get(coordination_v1.Lease, "kube-system", "lock")
    assert lease is not None
    assert isinstance(election("b").decide(lease, clock.now(), clock.monotonic()), UpdateLease)
