"""Mount points as the kernel lists them."""

from __future__ import annotations

from tiphys.linux.io.mounts import mounts_at_or_below, points_at_or_below

MOUNTINFO = [
    "21 1 0:20 / / rw - ext4 /dev/vda rw",
    "40 21 0:31 / /state/nodes rw - tmpfs tmpfs rw",
    "41 40 0:32 / /state/nodes/a\\040b rw - tmpfs tmpfs rw",
    "42 21 0:33 / /state/nodes-too rw - tmpfs tmpfs rw",
    "43 41 0:34 / /state/nodes/a\\040b/\u00fc rw - tmpfs tmpfs rw",
    "44 40 0:35 / /state/nodes rw - overlay overlay rw",
]


def test_points_come_in_the_order_in_which_they_can_be_unmounted() -> None:
    found = points_at_or_below("/state/nodes", MOUNTINFO)
    assert found == ["/state/nodes", "/state/nodes/a b/\u00fc", "/state/nodes/a b", "/state/nodes"]


def test_a_name_that_only_begins_alike_is_not_below() -> None:
    assert points_at_or_below("/state/node", MOUNTINFO) == []
    assert points_at_or_below("/state/nodes-too", MOUNTINFO) == ["/state/nodes-too"]


def test_this_process_has_a_root() -> None:
    assert "/proc" in mounts_at_or_below("/proc")
