"""The command `tiphys`: brings clusters up and down and hands over to kubectl.

Subcommands live in modules of their own and are imported when they are called: `tiphys kubectl` must cost no more
than kubectl.
"""

from __future__ import annotations

import importlib
import os
import pathlib
from typing import Any

import click

DEFAULT_STATE = "/var/lib/tiphys"

# command -> (module, attribute, one line of help for the overview)
COMMANDS: dict[str, tuple[str, str, str]] = {
    "up": ("tiphys.cli.up", "up", "Start the cluster, or resume it; ends by saying how to use it."),
    "down": ("tiphys.cli.down", "down", "Stop the cluster; --purge removes its state as well."),
    "status": ("tiphys.cli.status", "status", "Show the processes and nodes of the cluster."),
    "doctor": ("tiphys.cli.doctor", "doctor", "Say what this machine lacks and how to get it."),
    "kubectl": ("tiphys.cli.kubectl", "kubectl", "Run kubectl against the cluster."),
    "image": ("tiphys.cli.image", "image", "Load container images into the nodes."),
    "sample": ("tiphys.cli.sample", "sample", "Run the sample application and show its answer."),
    "run": ("tiphys.cli.run", "run", "Run one component alone."),
}


class LazyGroup(click.Group):
    """Knows its commands by name; imports one when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(importlib.import_module(entry[0]), entry[1])
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """What the user has to mend is a message, whichever command met it."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            from tiphys.launch.io.state import BadState
            from tiphys.launch.io.up import LaunchError

            if isinstance(error, BadState | LaunchError):
                raise click.ClickException(str(error)) from error
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry[2]) for name, entry in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=pathlib.Path),
    default=lambda: pathlib.Path(os.environ.get("TIPHYS_STATE", DEFAULT_STATE)),
    show_default=f"$TIPHYS_STATE or {DEFAULT_STATE}",
    help="The cluster's state directory; clusters with different ones run side by side.",
)
@click.version_option(package_name="tiphys")
@click.pass_context
def main(context: click.Context, state: pathlib.Path) -> None:
    """Tiphys: a complete Kubernetes in Python."""
    context.obj = state.absolute()
