"""Completion indexes of Indexed Jobs: in pods, in the status text ("0-3,7"), and in names."""

from __future__ import annotations

from collections.abc import Iterable

from tiphys.kinds.types import core_v1
from tiphys.machinery.digits import is_number

INDEX = "batch.kubernetes.io/job-completion-index"
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"


def index_of(pod: core_v1.Pod) -> int | None:
    """The pod's completion index; None when it has none that is a number."""
    text = (pod.metadata.annotations or {}).get(INDEX, "")
    return int(text) if is_number(text) else None


def parse(text: str | None, completions: int) -> set[int]:
    """The numbers of `1-3,7` that are below the number of completions: of a Job that shrank, the others are no more."""
    found: set[int] = set()
    for part in filter(None, (text or "").split(",")):
        first, _, last = part.partition("-")
        if is_number(first) and (not last or is_number(last)):
            found.update(range(int(first), min(int(last or first) + 1, completions)))
    return found


def text_of(numbers: Iterable[int]) -> str:
    """`1-3,7`; two neighbours are written `1,2`."""
    parts: list[str] = []
    ordered = sorted(numbers)
    start = 0
    while start < len(ordered):
        end = start
        while end + 1 < len(ordered) and ordered[end + 1] == ordered[end] + 1:
            end += 1
        if end - start >= 2:
            parts.append(f"{ordered[start]}-{ordered[end]}")
        else:
            parts += [str(number) for number in ordered[start : end + 1]]
        start = end + 1
    return ",".join(parts)


def indexed(pod: core_v1.Pod, job_name: str, index: int) -> core_v1.Pod:
    """Give a fresh pod its index: name, hostname, label, annotation and variable."""
    meta, spec = pod.metadata, pod.spec
    meta.generateName = f"{job_name}-{index}-"
    meta.annotations = {**(meta.annotations or {}), INDEX: str(index)}
    meta.labels = {**(meta.labels or {}), INDEX: str(index)}
    spec.hostname = f"{job_name}-{index}"
    source = core_v1.EnvVarSource(fieldRef=core_v1.ObjectFieldSelector(fieldPath=f"metadata.labels['{INDEX}']"))
    for container in [*spec.containers, *(spec.initContainers or ())]:
        if not any(variable.name == INDEX_VARIABLE for variable in container.env or ()):
            variable = core_v1.EnvVar(name=INDEX_VARIABLE, valueFrom=source)
            container.env = [*(container.env or ()), variable]
    return pod
