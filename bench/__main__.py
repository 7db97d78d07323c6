"""Run groups of rows: `python -m bench` for all, `python -m bench api scheduler` for some.

Each group is a module with `main()` that starts what it measures, loads it, and prints one line per figure through
`bench.figures`.
"""

from __future__ import annotations

import importlib
import platform
import sys

GROUPS = ("store", "api", "scheduler", "cluster")


def main() -> None:
    wanted = sys.argv[1:] or GROUPS
    unknown = sorted(set(wanted) - set(GROUPS))
    if unknown:
        sys.exit(f"unknown rows: {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    print(f"# {platform.platform()}, Python {platform.python_version()}", flush=True)
    for group in wanted:
        print(f"# {group}", flush=True)
        importlib.import_module(f"bench.{group}").main()


if __name__ == "__main__":
    main()
