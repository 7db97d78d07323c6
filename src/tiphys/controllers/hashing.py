"""Short names from content: FNV-1a, written with letters that make no words."""

from __future__ import annotations

SAFE_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def fnv32a(data: bytes) -> int:
    """The 32 bit FNV-1a hash."""
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def safe_encoded(text: str) -> str:
    """Each character replaced by one of SAFE_LETTERS."""
    return "".join(SAFE_LETTERS[ord(letter) % len(SAFE_LETTERS)] for letter in text)
