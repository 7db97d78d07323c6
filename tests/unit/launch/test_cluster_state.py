"""The settings file, and what a new cluster takes on a machine that has others."""

from __future__ import annotations

import pathlib
import socket

import pytest

from tiphys.launch.cluster import Cluster, Layout
from tiphys.launch.io import claims, state, up
from tiphys.launch.io.state import BadState
from tiphys.launch.io.up import LaunchError


@pytest.fixture(autouse=True)
def machine(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without clusters."""
    monkeypatch.setattr(claims, "CLAIMS", tmp_path / "claims")
    monkeypatch.setattr(state, "MACHINE_LOCK", tmp_path / "lock" / "tiphys.lock")


def make(directory: pathlib.Path, nodes: int = 1) -> Cluster:
    return up.prepare(Layout(directory), nodes, None)


def test_settings_are_read_as_they_were_written(tmp_path: pathlib.Path) -> None:
    layout = Layout(tmp_path / "a" / "b")
    assert state.load(layout) is None
    cluster = Cluster(number=3, nodes=2, api_port=16443, max_pods=20)
    state.save(layout, cluster)
    assert state.load(layout) == cluster
    assert [path.name for path in layout.state.iterdir()] == ["cluster.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff",
        b"[]",
        b'{"number":0,"nodes":1}',
        b'{"number":40,"nodes":1,"api_port":6443}',
        b'{"number":0,"nodes":0,"api_port":6443}',
        b'{"number":0,"nodes":1,"api_port":70000}',
        b'{"number":0,"nodes":1,"api_port":6443,"maxPods":20}',
    ],
)
def test_damaged_settings_are_refused_with_the_file_and_the_reason(tmp_path: pathlib.Path, content: bytes) -> None:
    layout = Layout(tmp_path)
    layout.cluster_file.write_bytes(content)
    with pytest.raises(BadState, match=f"^{layout.cluster_file} is damaged: ."):
        state.load(layout)


def test_a_state_directory_that_cannot_be_used_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    layout = Layout(tmp_path / "file" / "state")
    with pytest.raises(BadState, match=r"cannot write .*cluster\.json: Not a directory"):
        state.save(layout, Cluster(number=0, nodes=1, api_port=6443))
    with pytest.raises(BadState, match=r"cannot read .*cluster\.json: Not a directory"):
        state.load(layout)


def test_a_lock_that_cannot_be_taken_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with state.machine_lock():
        assert (tmp_path / "lock" / "tiphys.lock").exists()
    monkeypatch.setattr(state, "MACHINE_LOCK", tmp_path)
    with pytest.raises(BadState, match=f"cannot write {tmp_path}: Is a directory"), state.machine_lock():
        raise AssertionError("not reached")


def test_ports_that_somebody_listens_on_or_that_are_taken_are_passed_over() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not state.is_free(port)
        chosen = state.free_port(port)
        assert chosen > port
        assert state.free_port(port, taken={chosen}) > chosen


def test_numbers_whose_networks_have_routes_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    eth = "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    first = "tiphys-c0\t0000C90A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"  # 10.201.0.0/24
    assert state._routes(table + eth + first) == ["0.0.0.0/0.0.0.0", "10.201.0.0/255.255.255.0"]
    monkeypatch.setattr(pathlib.Path, "read_text", lambda path: table + eth + first)
    assert state.free_number() == 1
    assert state.free_number({1, 2}) == 3
    with pytest.raises(BadState, match="none of the address ranges"):
        state.free_number(range(40))


def test_a_new_cluster_leaves_a_stopped_one_its_number_and_its_port(tmp_path: pathlib.Path) -> None:
    first = make(tmp_path / "a")
    second = make(tmp_path / "b")
    assert second.number != first.number and second.api_port != first.api_port
    assert claims.claimed() == {tmp_path / "a": first, tmp_path / "b": second}
    assert make(tmp_path / "a", nodes=2) == Cluster(number=first.number, nodes=2, api_port=first.api_port)


def test_what_a_removed_cluster_had_is_free_again(tmp_path: pathlib.Path) -> None:
    first = make(tmp_path / "a")
    claims.release(first, tmp_path / "other")
    assert claims.claimed() == {tmp_path / "a": first}
    claims.release(first, tmp_path / "a")
    assert claims.claimed() == {}
    make(tmp_path / "b")
    Layout(tmp_path / "b").cluster_file.unlink()  # removed by hand
    assert claims.claimed() == {}
    Layout(tmp_path / "b").cluster_file.write_text("damaged")
    assert claims.claimed() == {}


def test_two_clusters_with_one_number_are_never_started_both(tmp_path: pathlib.Path) -> None:
    first = make(tmp_path / "a")
    state.save(Layout(tmp_path / "copy"), first)
    with pytest.raises(LaunchError, match=f"the cluster in {tmp_path / 'a'} has the networks of this one"):
        make(tmp_path / "copy")


def test_a_port_that_somebody_else_listens_on_is_named(tmp_path: pathlib.Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        state.save(Layout(tmp_path / "a"), Cluster(number=5, nodes=1, api_port=port))
        with pytest.raises(LaunchError, match=f"port {port}, this cluster's, is in use by another process"):
            make(tmp_path / "a")
