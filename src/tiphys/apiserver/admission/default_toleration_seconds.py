"""A pod stays bound to an unreachable or not-ready node for five minutes unless it says otherwise."""

from __future__ import annotations

from typing import Any

from tiphys.apiserver.admission.interface import AdmissionRequest, Lookups, Resources
from tiphys.kinds.types import core_v1

TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
SECONDS = 300


def _tolerates(tolerations: list[core_v1.Toleration], taint: str) -> bool:
    return any(t.key in (taint, None, "") and t.effect in ("NoExecute", None, "") for t in tolerations)


class DefaultTolerationSeconds:
    name = "DefaultTolerationSeconds"
    resources: Resources = (("", "pods"),)

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        if request.operation not in ("CREATE", "UPDATE") or not request.on("", "pods"):
            return
        current = list(obj.spec.tolerations or ())
        missing = [taint for taint in TAINTS if not _tolerates(current, taint)]
        if not missing:
            return
        for taint in missing:
            current.append(
                core_v1.Toleration(key=taint, operator="Exists", effect="NoExecute", tolerationSeconds=SECONDS)
            )
        obj.spec.tolerations = current
