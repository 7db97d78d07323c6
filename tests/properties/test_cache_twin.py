"""The cache against a naive twin: any interleaving of own writes with a delayed watch ends where the server is."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tiphys.client.cache import Cache
from tiphys.client.interface import ObjectKey
from tiphys.kinds.types import core_v1, meta_v1

NAMES = ("a", "b", "c")


def made(name: str, version: int, uid: int) -> core_v1.ConfigMap:
    meta = meta_v1.ObjectMeta(name=name, namespace="n", uid=str(uid), resourceVersion=str(version))
    return core_v1.ConfigMap(metadata=meta, data={"at": str(version)})


def by_parity(obj: core_v1.ConfigMap) -> tuple[int]:
    return (int(obj.metadata.resourceVersion or 0) % 2,)


steps = st.lists(
    st.tuples(st.sampled_from(("write", "delete", "deliver", "relist")), st.sampled_from(NAMES), st.booleans()),
    max_size=40,
)


@settings(max_examples=150)
@given(steps)
@example([("write", "a", True), ("delete", "a", False), ("write", "a", False), ("delete", "a", True)])
def test_the_cache_never_goes_back_and_ends_at_the_truth(script: list[tuple[str, str, bool]]) -> None:
    cache: Cache[core_v1.ConfigMap] = Cache()
    cache.add_index("parity", by_parity)
    truth: dict[str, core_v1.ConfigMap] = {}
    pending: list[tuple[str, core_v1.ConfigMap]] = []
    told: dict[str, core_v1.ConfigMap] = {}
    revision = uid = 0

    def tell(changes: object) -> None:
        for old, new in changes:  # type: ignore[attr-defined]
            name = (new or old).metadata.name
            assert told.get(name) is old
            told.pop(name, None)
            if new is not None:
                told[name] = new

    for action, name, is_own in script:
        if action == "write":
            revision += 1
            uid += name not in truth
            obj = made(name, revision, int(truth[name].metadata.uid or 0) if name in truth else uid)
            truth[name] = obj
            pending.append(("MODIFIED", obj))
            if is_own:
                tell(cache.apply(obj))
        elif action == "delete" and name in truth:
            revision += 1
            gone = truth.pop(name)
            pending.append(("DELETED", made(name, revision, int(gone.metadata.uid or 0))))
            if is_own:
                tell(
                    cache.remove_own(
                        ObjectKey("n", name), int(gone.metadata.resourceVersion or 0), gone.metadata.uid or ""
                    )
                )
                assert cache.get("n", name) is None
        elif action == "deliver" and pending:
            kind, obj = pending.pop(0)
            if kind == "DELETED":
                key = ObjectKey("n", obj.metadata.name or "")
                tell(cache.remove(key, int(obj.metadata.resourceVersion or 0), obj.metadata.uid or ""))
            else:
                tell(cache.apply(obj))
            cache.advance(obj.metadata.resourceVersion or "")
        elif action == "relist":
            pending.clear()
            tell(cache.replace(truth.values(), str(revision)))
    for kind, obj in pending:
        if kind == "DELETED":
            key = ObjectKey("n", obj.metadata.name or "")
            tell(cache.remove(key, int(obj.metadata.resourceVersion or 0), obj.metadata.uid or ""))
        else:
            tell(cache.apply(obj))
        cache.advance(obj.metadata.resourceVersion or "")
    assert {o.metadata.name: o.data for o in cache} == {name: o.data for name, o in truth.items()}
    assert told == truth
    for parity in (0, 1):
        wanted = sorted(n for n, o in truth.items() if by_parity(o) == (parity,))
        assert sorted(o.metadata.name or "" for o in cache.by_index("parity", parity)) == wanted
    assert cache._tombstones == {}
    assert cache._removed_uids == set()
