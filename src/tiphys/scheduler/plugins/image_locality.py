"""ImageLocality: prefers nodes that have the pod's images already, counted by size and by how widely they are spread.

An image that few nodes have counts less, so that not all pods of a kind end on the one node that pulled first.
"""

from __future__ import annotations

import numpy as np

from tiphys.scheduler.cluster import Cluster
from tiphys.scheduler.columns import Column, Mask, Rows
from tiphys.scheduler.framework import MAXIMUM_SCORE, Plugin, Scope
from tiphys.scheduler.pods import PodShape

MEBIBYTE = 1024 * 1024
SMALLEST_BYTES = 23 * MEBIBYTE
LARGEST_BYTES_PER_CONTAINER = 1000 * MEBIBYTE


class ImageLocality(Plugin):
    name = "ImageLocality"
    score_scope = Scope.NODE

    def scores(self, shape: PodShape, cluster: Cluster) -> bool:
        return any(image in cluster.nodes.images for image in shape.images)

    def score(self, shape: PodShape, cluster: Cluster, rows: Rows, feasible: Mask, placed: int = 0) -> Column:
        table = cluster.nodes
        total = np.zeros(table.size, dtype=np.int64)
        for image in shape.images:
            holders = table.images.get(image, {})
            for row, size_bytes in holders.items():
                total[row] += int(size_bytes * (len(holders) / table.alive_count))
        largest = LARGEST_BYTES_PER_CONTAINER * max(shape.image_count, 1)
        score: Column = MAXIMUM_SCORE * (np.clip(total, SMALLEST_BYTES, largest) - SMALLEST_BYTES)
        return (score // (largest - SMALLEST_BYTES))[rows]
