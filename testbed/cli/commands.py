"""The commands of `testbed` that live in modules of their own, each imported on demand."""

from __future__ import annotations

import importlib
from typing import Any

import click

COMMANDS = {
    "capture": "testbed.cli.capture:capture",
    "check": "testbed.cli.grade:check_command",
    "clean": "testbed.cli.system:clean",
    "controller": "testbed.cli.controller:controller",
    "diff": "testbed.cli.runs:diff_command",
    "draw": "testbed.cli.topology:draw",
    "doctor": "testbed.cli.system:doctor",
    "fidelity": "testbed.cli.fidelity:fidelity",
    "grade": "testbed.cli.grade:grade_command",
    "image": "testbed.cli.image:image",
    "kernel": "testbed.cli.system:kernel",
    "lab": "testbed.cli.lab:lab_group",
    "mininet": "testbed.cli.mininet:mininet",
    "new": "testbed.cli.new:command",
    "packetdrill": "testbed.cli.packetdrill:packetdrill",
    "runs": "testbed.cli.runs:runs_group",
    "shell": "testbed.cli.topology:shell",
    "sweep": "testbed.cli.sweep:sweep_group",
    "topologies": "testbed.cli.topology:list_topologies",
    "topology": "testbed.cli.topology:topology_group",
    "verify": "testbed.cli.verify:command",
    "view": "testbed.cli.view:view",
}
"""Command → ``module:attribute`` of its click command."""


class UnreadOutputError(Exception):
    """Nobody reads what the command prints, as after `testbed … | head`."""


class Commands(click.Group):
    """The group's own commands, and those of `COMMANDS`."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command.

        Raises:
            UnreadOutputError: click would end with exit code 1, which means that a claim fails.
        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise UnreadOutputError from error

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
