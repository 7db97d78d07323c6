"""Reads a conformance run's logs: writes `results.tsv` and prints what failed. usage: results.py REPORT_DIRECTORY"""

from __future__ import annotations

import json
import pathlib
import sys

WORDS = {"PASSED": "pass", "FAILED": "FAIL"}


def results(report: pathlib.Path) -> dict[str, str]:
    """test name -> pass or FAIL, from the suite's progress lines. A test that failed before and passed later passed."""
    found: dict[str, str] = {}
    for path in (report / "parallel.log", report / "serial.log"):
        if not path.exists():
            continue
        for line in path.read_text(errors="replace").splitlines():
            if not line.startswith('{"msg":"'):
                continue
            word, _, name = json.loads(line)["msg"].partition(" ")
            if word in WORDS and "[Conformance]" in name:
                found[name.strip()] = WORDS[word]
    return found


def main() -> None:
    report = pathlib.Path(sys.argv[1])
    found = results(report)
    (report / "results.tsv").write_text("".join(f"{status}\t{name}\n" for name, status in sorted(found.items())))
    failed = [name for name, status in sorted(found.items()) if status == "FAIL"]
    for name in failed:
        sys.stdout.write(f"FAIL {name}\n")
    sys.stdout.write(f"{len(found) - len(failed)} passed, {len(failed)} failed\n")
    sys.exit(1 if failed or not found else 0)


if __name__ == "__main__":
    main()
