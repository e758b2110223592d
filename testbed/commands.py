"""The commands of `testbed` that live in modules of their own, each imported on demand."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "capture": "testbed.cli_capture:capture",
    "clean": "testbed.cli_system:clean",
    "controller": "testbed.cli_controller:controller",
    "draw": "testbed.cli_topology:draw",
    "doctor": "testbed.cli_system:doctor",
    "fidelity": "testbed.cli_fidelity:fidelity",
    "kernel": "testbed.cli_system:kernel",
    "shell": "testbed.cli_topology:shell",
    "topologies": "testbed.cli_topology:list_topologies",
    "verify": "testbed.verify:command",
}
"""Command → ``module:attribute`` of its click command."""


class Commands(click.Group):
    """The group's own commands, and those of `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All command names, sorted."""
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name, its module imported now."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, attribute = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command
