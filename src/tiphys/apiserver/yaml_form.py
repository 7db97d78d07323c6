"""Answers in YAML: keys in order, and everything said where it stands."""

from __future__ import annotations

from typing import Any

import yaml


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """What stands in two places is written twice: readers of JSON know no anchors."""
        return True


def encode(plain: Any) -> bytes:
    """Plain values as a YAML document."""
    text: str = yaml.dump(plain, Dumper=_Dumper, default_flow_style=False, allow_unicode=True)
    return text.encode()
