import pytest

from tiphys.store.interface import KeyValue
from tiphys.store.mvcc import MvccState, Released, delete_event, prefix_end, put_event


@pytest.mark.parametrize(
    ("prefix", "end"),
    [
        ("", None),
        ("/a/", "/a0"),
        ("a\U0010ffff", "b"),
        ("\U0010ffff", None),
        ("a\ud7ff", "a\ue000"),
        ("a\uffff", "a\U00010000"),
    ],
)
def test_prefix_end(prefix, end):
    assert prefix_end(prefix) == end


def test_a_compaction_says_which_revisions_nobody_needs():
    state = MvccState()
    state.apply(put_event("/a", b"1", 2, None))
    state.apply(put_event("/a", b"22", 3, state.get("/a")))
    state.apply(put_event("/b", b"3", 4, None))
    state.apply(delete_event(5, state.current["/b"]))
    state.apply(put_event("/b", b"4", 6, None))
    assert state.superseded_bytes == 2
    assert state.compact(3) == Released(3, [2])
    assert state.compact(3) == Released(3, ())
    assert state.compact(6) == Released(6, [4, 5])
    assert state.superseded_bytes == 0
    assert state.log == []
    assert state.range("/").items == [KeyValue("/a", b"22", 2, 3), KeyValue("/b", b"4", 6, 6)]
    state.apply(delete_event(7, state.current["/b"]))
    assert state.at("/b", 6) == KeyValue("/b", b"4", 6, 6)
    assert state.at("/b", 7) is None
    assert state.compact(7) == Released(7, [6, 7])
