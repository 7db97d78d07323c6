"""The array types of the scheduler, and growing arrays.

A column has one entry per row of the node table. Columns grow together by doubling, so `grown` is all they need.
"""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Mask: TypeAlias = npt.NDArray[np.bool_]
Column: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = slice | Column
"""The rows a plugin is asked about: a slice of the table or an array of row numbers."""

A = TypeVar("A", bound=npt.NDArray[Any])


def grown(array: A, capacity: int, fill: int = 0) -> A:
    """A copy whose last axis has `capacity` entries; the new ones hold `fill`."""
    wider = np.full((*array.shape[:-1], capacity), fill, dtype=array.dtype)
    wider[..., : array.shape[-1]] = array
    return wider  # type: ignore[return-value]


def one_row(row: int) -> slice:
    """The rows of a single node."""
    return slice(row, row + 1)
