"""Whole numbers of the size that the API has for them: most fields hold 32 bits, and more is refused on decoding."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
