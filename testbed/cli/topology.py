"""Commands about topologies: `testbed draw`, `testbed topologies`, `testbed topology`."""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path

import click
from rich.table import Table

from testbed.author import named_topologies
from testbed.author.topo import as_data
from testbed.cli.console import err
from testbed.cli.console import out as console
from testbed.core.errors import ConfigError, RunIncompleteError
from testbed.core.files import make_folder, write_text

_MOST_NAME_CHARS = 120
_MANY_NODES, _MOST_NODES = 200, 1000
"""Node counts: above the first, the layout takes a while; above the second, nothing is drawn."""


@click.command("topologies")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_topologies(as_json: bool) -> None:
    """List the topologies with their arguments."""
    rows = []
    for name in named_topologies.topology_files():
        cls = named_topologies.topology_class(name)
        title = (inspect.getdoc(cls) or name).splitlines()[0]
        rows.append({"name": name, "arguments": named_topologies.usage(cls), "title": title})
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    table = Table("topology", "arguments", "what it is", box=None, header_style="bold")
    for row in rows:
        table.add_row(row["name"], row["arguments"], row["title"])
    console.print(table)


@click.command()
@click.argument("topology")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="SVG file to write [default: TOPOLOGY.svg, e.g. tree-2-3.svg].",
)
def draw(topology: str, output: Path | None) -> None:
    """Draw TOPOLOGY as SVG, with names, addresses and link parameters.

    TOPOLOGY is a name with arguments, such as 'dumbbell', 'tree,2,3' or 'grid,side=4', or a file
    with a table topos: 'mine.py', 'mine.py,3', or 'mine.py:small' where it has several.
    """
    from testbed.results.drawing import draw as drawing

    path = output or Path(f"{_file_name(topology)}.svg")
    _check_target(path)
    topo = named_topologies.load(topology)
    count = len(topo.nodes())
    if count > _MOST_NODES:
        raise ConfigError(
            f"topology '{topology}': has {count} nodes, but a drawing shows at most {_MOST_NODES}; "
            "draw a smaller topology"
        )
    if count > _MANY_NODES:
        err.print(f"laying out {count} nodes, which takes a while", highlight=False)
    drawn = drawing(as_data(topo), named_topologies.plan_rows(topo))
    older = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    write_text(path, drawn, what="--output")
    if older not in ("", drawn):
        err.print(f"{path}: replaced an older drawing", highlight=False, soft_wrap=True)
    console.print(str(path), soft_wrap=True, highlight=False)


def _file_name(topology: str) -> str:
    """The file name of a topology's drawing, different for different arguments."""
    name, *words = (word.strip() for word in topology.split(","))
    plain = [re.sub(r"[^\w.=+-]", "_", word) for word in words]
    file, choice = named_topologies.path_and_choice(name)
    words = [Path(file).stem, *([choice] if choice else []), *plain]
    return "-".join(words)[:_MOST_NAME_CHARS]


def _check_target(path: Path) -> None:
    """A drawing may replace an older one, but nothing else."""
    if path.exists() and not path.is_dir() and not _is_drawing(path):
        raise ConfigError(f"--output {path}: exists and is not a drawing; choose another file")


def _is_drawing(path: Path) -> bool:
    """True for an SVG file or an empty one; a pipe or a device is not even opened."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            begin = file.read(100).lstrip()
    except OSError as error:
        raise ConfigError(f"--output {path}: {error.strerror}; choose another file") from None
    return not begin or begin.startswith((b"<svg", b"<?xml"))


@click.group("topology")
def topology_group() -> None:
    """Make topology files."""


@topology_group.command("from-configs")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="Python file to write [default: print it].",
)
def from_configs(folder: Path, output: Path | None) -> None:
    """Propose a topology from the addresses in FRR configurations.

    FOLDER contains a folder for each router, with frr.conf or a file for each daemon. Interfaces
    that share a subnet are linked. 'testbed shell FILE.py --configs FOLDER' starts it.
    """
    from testbed.author import from_configs as made

    topo = made.from_folder(folder)
    for ends in topo.ends:
        if len(ends) == 1:
            router, name = ends[0]
            err.print(f"{router} {name}: no other interface shares its subnet", highlight=False)
    text = made.as_file(topo, folder.name)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text, what="--output")
        console.print(str(output), soft_wrap=True, highlight=False)


@click.command()
@click.argument("topology")
@click.option(
    "--runtime",
    type=click.Choice(["auto", "guest", "host"]),
    default="auto",
    show_default=True,
    help="Where the network runs: in a guest or on the host's kernel.",
)
@click.option("--image", default="", help="Image to take programs from; none: the host's.")
@click.option(
    "--capture", "captures", multiple=True, help="Capture packets at INTERFACE (repeatable)."
)
@click.option(
    "--configs",
    default="",
    help="Run FRR on the routers: rip, ospf, or a folder of configurations.",
)
@click.option("--no-routes", is_flag=True, help="Give routers no routes beyond their own networks.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for captures and logs.")
def shell(
    topology: str,
    runtime: str,
    image: str,
    captures: tuple[str, ...],
    configs: str,
    no_routes: bool,
    out: Path | None,
) -> None:
    """Start TOPOLOGY and open Mininet's command line (real clock). Ctrl-D ends it.

    Commands can be piped in: echo pingall | testbed shell tree. With --configs, 'vtysh r1' is
    FRR's shell on a router.

    TOPOLOGY is a name with arguments, such as 'dumbbell', 'tree,2,3' or 'grid,side=4', or a file
    with a table topos: 'mine.py', 'mine.py,3', or 'mine.py:small' where it has several.
    """
    from testbed.core.rundir import RunDir, default_runs
    from testbed.execution.shell import Session, run

    routing = None if no_routes or configs else "static"
    session = Session(topology, runtime, routing, configs, captures, image=image)
    named_topologies.load(topology)
    name = Path(named_topologies.path_and_choice(topology.split(",", maxsplit=1)[0])[0]).stem
    folder = out or RunDir.create(default_runs(), f"shell-{name}").path
    with RunDir(make_folder(folder, what="--out")).in_use():
        outcome = run(session, folder.resolve())
    if outcome.status == "failed" and outcome.exit_code:
        sys.exit(outcome.exit_code)  # the program inside has printed the reason
    if not outcome.ok:
        raise RunIncompleteError(f"{outcome.reason or outcome.status} (see {folder})")
