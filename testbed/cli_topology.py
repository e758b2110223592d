"""Commands about topologies: `testbed draw`, `testbed topologies`."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import click
from rich.table import Table

from testbed import topologies
from testbed.console import out
from testbed.rundir import write_text
from testbed.topo import as_data


@click.command("topologies")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def list_topologies(as_json: bool) -> None:
    """List the topologies and their arguments."""
    rows = []
    for name in topologies.topology_files():
        cls = topologies.topology_class(name)
        title = (inspect.getdoc(cls) or name).splitlines()[0]
        rows.append({"name": name, "arguments": topologies.usage(cls), "title": title})
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    table = Table("topology", "arguments", "what it is", box=None, header_style="bold")
    for row in rows:
        table.add_row(row["name"], row["arguments"], row["title"])
    out.print(table)


@click.command()
@click.argument("topology")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="File; default NAME.svg.")
def draw(topology: str, output: Path | None) -> None:
    """Draw TOPOLOGY as SVG, with names, addresses and link shapes.

    TOPOLOGY is a name with arguments, such as 'dumbbell', 'tree,2,3' or 'grid,n=4'.
    """
    from testbed.draw import draw as drawing

    topo = topologies.load(topology)
    name = Path(topology.split(",", maxsplit=1)[0]).stem
    path = output or Path(f"{name}.svg")
    write_text(path, drawing(as_data(topo), topologies.plan_rows(topo)))
    out.print(str(path), soft_wrap=True, highlight=False)
