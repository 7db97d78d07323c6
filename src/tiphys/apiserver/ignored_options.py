"""Options of reads that this server knows and does nothing about: who sends one is told.

An answer that keeps to a shard says so in `metadata.shardInfo`; without that, clients have to expect all objects.
Specified in "API concepts", "Sharded list and watch".
"""

from __future__ import annotations

from collections.abc import Mapping

SHARD = "shardSelector is not supported by this server: the answer is not limited to a shard"


def warnings(verb: str, query: Mapping[str, str]) -> tuple[str, ...]:
    return (SHARD,) if verb in ("list", "watch", "deletecollection") and query.get("shardSelector") else ()
