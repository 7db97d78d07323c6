"""Answers are remembered for short texts only."""

from __future__ import annotations

from tiphys.machinery.bounded_cache import LONGEST, bounded_cache


def test_short_texts_are_remembered_and_long_ones_are_not() -> None:
    asked: list[str] = []

    @bounded_cache(2)
    def answer(text: str, times: int = 1) -> str:
        asked.append(text)
        return text * times

    for _ in range(3):
        assert answer("a", 2) == "aa"
        assert answer("b" * LONGEST) == "b" * LONGEST
        assert answer("c" * (LONGEST + 1)) == "c" * (LONGEST + 1)
    assert [text[0] for text in asked] == ["a", "b", "c", "c", "c"]
    answer("d"), answer("e"), answer("a", 2)
    assert [text[0] for text in asked[5:]] == ["d", "e", "a"]
