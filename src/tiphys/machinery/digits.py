"""Texts that are whole numbers."""

from __future__ import annotations

# What `int` reads in time that nobody notices; it refuses longer ones.
LONGEST = 4300


def is_number(text: str) -> bool:
    """Whether `int` reads it as what it looks like: ASCII digits, not too many. (`str.isdigit` takes ² as well,
    `str.isdecimal` the digits of all scripts.)"""
    return text.isascii() and text.isdigit() and len(text) <= LONGEST
