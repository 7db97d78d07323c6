"""What the kubelet keeps of earlier statuses, its own and the object's."""

from __future__ import annotations

from tiphys.kinds.types import core_v1
from tiphys.kubelet.status_history import known_restarts, with_foreign_changes


def container(name: str, restarts: int, container_id: str | None) -> core_v1.ContainerStatus:
    return core_v1.ContainerStatus(
        name=name, image="i", imageID="", ready=False, restartCount=restarts, containerID=container_id
    )


def condition(kind: str, status: str) -> core_v1.PodCondition:
    return core_v1.PodCondition(type=kind, status=status)


def test_restarts_of_all_groups_are_known_but_not_of_what_never_began() -> None:
    status = core_v1.PodStatus(
        initContainerStatuses=[container("setup", 1, "c://1")],
        containerStatuses=[container("app", 4, "c://2"), container("late", 0, None)],
        ephemeralContainerStatuses=[container("debug", 0, "c://3")],
    )
    assert known_restarts(status) == {"setup": 1, "app": 4, "debug": 0}
    assert known_restarts(core_v1.PodStatus()) == {}


def test_own_conditions_win_and_foreign_ones_come_from_the_object() -> None:
    own = core_v1.PodStatus(
        phase="Running", conditions=[condition("Ready", "True"), condition("gate", "False"), condition("gone", "True")]
    )
    shown = core_v1.PodStatus(
        phase="Pending",
        conditions=[condition("Ready", "False"), condition("gate", "True"), condition("new", "True")],
        nominatedNodeName="n2",
    )
    assert with_foreign_changes(own, shown) == core_v1.PodStatus(
        phase="Running",
        conditions=[condition("Ready", "True"), condition("gate", "True"), condition("new", "True")],
        nominatedNodeName="n2",
    )
