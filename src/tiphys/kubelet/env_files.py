"""Files that hold environment variables, as `fileKeyRef` names them: how they are written, and which ones a container
needs.

One `NAME='value'` after the other, each from the beginning of a line. What is between the quotes counts as it stands,
line ends too. Blank lines and lines that begin with `#` say nothing. Specified in "Define Environment Variable Values
Using An Init Container".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tiphys.kinds.types import core_v1
from tiphys.machinery.names import env_var_name

LIMIT_BYTES = 64 * 1024
_SILENT = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")
_VARIABLE = re.compile(r"[ \t]*(?P<name>[^=\n]*?)[ \t]*=[ \t]*'(?P<value>[^']*)'[ \t]*(?:\r?\n|\Z)")


class EnvFile(NamedTuple):
    """Where it is: a volume of the pod, and the path in it."""

    volume: str
    path: str


def needed_files(container: core_v1.Container) -> list[EnvFile]:
    """Each once, in the order of their mention."""
    references = (variable.valueFrom.fileKeyRef for variable in container.env or () if variable.valueFrom is not None)
    return list(dict.fromkeys(EnvFile(found.volumeName, found.path) for found in references if found is not None))


def parse(text: str) -> dict[str, str]:
    """The last of equal names counts. ValueError that names the first line that is not understood."""
    return dict(_variables(text))


def _variables(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        silent = _SILENT.match(text, position)
        if silent is not None:
            position = silent.end()
            continue
        found = _VARIABLE.match(text, position)
        if found is None or env_var_name(found["name"]):
            line = text.count("\n", 0, position) + 1
            raise ValueError(f"line {line} is not of the form NAME='value'")
        yield found["name"], found["value"]
        position = found.end()
