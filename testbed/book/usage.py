"""Reference pages of what the user types: commands with their options, topologies' arguments."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator

import click

from testbed.author import named_topologies
from testbed.book import docstrings, reference
from testbed.book.pages import cell


def commands() -> str:
    """Every command of `testbed`, with its arguments and options."""
    from testbed.cli.main import cli

    return reference.tidied("\n".join(_command(cli, "testbed")))


def _command(command: click.Command, path: str) -> Iterator[str]:
    given = [_argument(p) for p in command.params if isinstance(p, click.Argument)]
    yield f"{'#' * (2 + path.count(' '))} `{' '.join([path, *given])}`\n"
    yield inspect.cleandoc(command.help or "") + "\n"
    if path == "testbed run":
        from testbed.cli.options import run_options

        yield "All experiments also take (parameters: `testbed run EXPERIMENT --help`):\n"
        yield _options(run_options())
    elif path == "testbed sweep" and isinstance(command, click.Group):
        from testbed.cli.sweep import sweep_options

        yield "All experiments also take (parameters: `testbed sweep EXPERIMENT --help`):\n"
        yield _options(sweep_options())
        for name, own in command.commands.items():
            yield from _command(own, f"{path} {name}")
    elif isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            if (below := command.get_command(context, name)) and not below.hidden:
                yield from _command(below, f"{path} {name}")
        if _options(command.params):
            yield f"`{path}` itself takes, before the command's name:\n"
    yield _options(command.params)


def _argument(argument: click.Argument) -> str:
    name = argument.human_readable_name.upper().rstrip(".") + "…" * (argument.nargs != 1)
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _options(params: Iterable[click.Parameter]) -> str:
    options = [p for p in params if isinstance(p, click.Option) and not p.hidden]
    if not options:
        return ""
    rows = ["| option | meaning | default |", "| --- | --- | --- |"]
    for option in options:
        names = ", ".join((*option.opts, *option.secondary_opts))
        taken = "" if option.is_flag else f" {_taken(option)}"
        default = "" if option.is_flag or not option.show_default else f"`{option.default}`"
        taken = taken.replace("|", r"\|")
        rows.append(f"| `{names}{taken}` | {cell(option.help or '')} | {default} |")
    return "\n".join(rows) + "\n"


def _taken(option: click.Option) -> str:
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "/".join(map(str, option.type.choices))
    return (option.name or "").upper().removeprefix("AS_")


def topologies_list() -> str:
    """Every topology's drawing in characters, its arguments, and its names for experiments."""
    parts = []
    for name in named_topologies.topology_files():
        cls = named_topologies.topology_class(name)
        told = docstrings.markdown(inspect.getdoc(cls) or "")
        arguments = named_topologies.usage(cls) or "none"
        parts.append(
            f"## `{name}`\n\nClass `{cls.__name__}` of `topologies/{name}.py`; arguments: "
            f"`{arguments}`\n\n{told}\n"
        )
        if constants := reference.constants(f"topologies.{name}"):
            parts.append(constants)
    return reference.tidied("\n".join(parts))
