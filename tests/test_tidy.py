"""House rules that a machine can check: purity, lengths, orphans, generated files.

Lengths are a ratchet: what is longer than the limit today is listed in `tidy_ratchet.json` with its length and may
only shrink. `python tests/test_tidy.py` rewrites that file; a file or function that is not in it must keep the limit.
"""

from __future__ import annotations

import ast
import functools
import json
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "tiphys"
RATCHET = pathlib.Path(__file__).with_name("tidy_ratchet.json")
FILE_LIMIT = 500
FUNCTION_LIMIT = 60

BANNED_MODULES = {
    "asyncio", "aiohttp", "grpc", "sqlite3", "subprocess", "random", "socket", "uvloop", "pyroute2", "ctypes",
    "threading", "time", "secrets", "uuid",
}  # fmt: skip
BANNED_CALLS = {
    "open",
    "datetime.now",
    "datetime.utcnow",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "os.environ.get",
}
# Folders whose business is the outside world.
SHELL_FOLDERS = {"io", "drivers", "aio", "cli", "testing"}
SHELL_FILES = {"component.py", "__main__.py", "runner.py", "control_plane.py", "agent.py"}


def modules() -> list[pathlib.Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if "kinds/types" not in path.as_posix())


def is_shell(path: pathlib.Path) -> bool:
    parts = path.relative_to(SOURCE).parts
    return path.name in SHELL_FILES or bool(SHELL_FOLDERS & set(parts[:-1])) or path.name == "io.py"


@functools.cache
def parsed(path: pathlib.Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def impurities(path: pathlib.Path) -> list[str]:
    found = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.AsyncFunctionDef) and not is_protocol_method(path, node):
            found.append(f"line {node.lineno}: async def {node.name}")
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        found += [f"line {node.lineno}: import {n}" for n in names if n.split(".")[0] in BANNED_MODULES]
        if isinstance(node, ast.Call) and ast.unparse(node.func) in BANNED_CALLS:
            found.append(f"line {node.lineno}: {ast.unparse(node.func)}()")
    return found


@functools.cache
def protocol_methods(path: pathlib.Path) -> frozenset[ast.AST]:
    """Methods of Protocol classes say what a shell must offer; they do nothing themselves."""
    found: set[ast.AST] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases):
            found.update(node.body)
    return frozenset(found)


def is_protocol_method(path: pathlib.Path, node: ast.AST) -> bool:
    return node in protocol_methods(path)


def is_typed_face(path: pathlib.Path) -> bool:
    """`client/api.py` gives the transport's coroutines names and types; it decides nothing."""
    return path.relative_to(SOURCE).as_posix() == "client/api.py"


@pytest.mark.parametrize("path", [p for p in modules() if not is_shell(p)], ids=lambda p: str(p.relative_to(SOURCE)))
def test_pure_files_are_pure(path: pathlib.Path) -> None:
    if not is_typed_face(path):
        assert impurities(path) == []


def lengths() -> dict[str, int]:
    """Everything over the limit: `path` for files, `path::function` for functions."""
    found: dict[str, int] = {}
    for path in modules():
        name = path.relative_to(SOURCE).as_posix()
        lines = len(path.read_text().splitlines())
        if lines > FILE_LIMIT:
            found[name] = lines
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > FUNCTION_LIMIT:
                    found[f"{name}::{node.name}"] = size
    return found


def test_nothing_grows_past_its_limit() -> None:
    allowed: dict[str, int] = json.loads(RATCHET.read_text()) if RATCHET.exists() else {}
    too_long = {name: size for name, size in lengths().items() if size > allowed.get(name, 0)}
    assert too_long == {}, "split these, or shorten them"


def test_the_ratchet_is_tight() -> None:
    allowed: dict[str, int] = json.loads(RATCHET.read_text()) if RATCHET.exists() else {}
    now = lengths()
    loose = {name: size for name, size in allowed.items() if now.get(name, 0) < size}
    assert loose == {}, "these got shorter: run `python tests/test_tidy.py`"


def module_name(path: pathlib.Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names() -> set[str]:
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        package = module_name(path) if path.name == "__init__.py" else module_name(path).rsplit(".", 1)[0]
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    parent = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
                    base = f"{parent}.{base}" if base else parent
                found.add(base)
                found.update(f"{base}.{alias.name}" for alias in node.names)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("tiphys."):
                found.add(node.value.split(":")[0])  # a lazily imported module is named by a string
    for path in SOURCE.rglob("*.json"):
        found.update(re.findall(r'"(tiphys(?:\.\w+)+)"', path.read_text()))
    return found


def test_no_module_is_an_orphan() -> None:
    used = imported_names()
    shipped = {"tiphys.cli.main", "tiphys.testing", "tiphys.store.drivers.memory"}  # entry points, and what tests use
    orphans = [
        name
        for name in map(module_name, modules())
        if name not in used and not name.endswith("__main__") and name not in shipped
        and not (SOURCE.parent / name.replace(".", "/") / "__init__.py").exists()
        and not name.startswith("tiphys.testing.")
    ]  # fmt: skip
    assert orphans == []


@pytest.mark.parametrize("generator", sorted(p.name for p in (ROOT / "tools").glob("generate_*.py")))
def test_generated_files_are_up_to_date(generator: str) -> None:
    result = subprocess.run(
        [sys.executable, ROOT / "tools" / generator, "--check"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def tracked_text_files() -> list[pathlib.Path]:
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def test_no_file_names_a_place_of_one_machine() -> None:
    """No checkout path and no package registry address in anything that is committed."""
    pattern = re.compile(
        rb"/work/(?:main|shared|scratch)|pypi\.org|files\.pythonhosted|deb\.debian\.org|registry\.npmjs"
    )
    found = [
        str(path.relative_to(ROOT))
        for path in tracked_text_files()
        if path != pathlib.Path(__file__).resolve() and pattern.search(path.read_bytes())
    ]
    assert found == []


if __name__ == "__main__":
    RATCHET.write_text(json.dumps(lengths(), indent=1, sort_keys=True) + "\n")
