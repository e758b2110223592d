"""`testbed view`: a run played back in the browser; `testbed capture view`: any capture."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.cli.browser import open_page
from testbed.cli.capture_file import FILE, KEYS, CaptureFile, refuse_itself, stem
from testbed.cli.console import err, out
from testbed.cli.options import with_language
from testbed.core.errors import ConfigError
from testbed.core.files import write_text
from testbed.core.rundir import RunDir, default_runs

if TYPE_CHECKING:
    from testbed.viewer.of_run import Collected

VIEW = "view.html"
"""The page's name in a run's folder."""


@with_language
@click.command()
@click.argument("run", default="latest")
@click.option(
    "--scenario", "scenarios", multiple=True, help="Show this scenario only. Can be repeated."
)
@click.option("--from-s", type=float, help="Leave out packets sent before this second.")
@click.option("--to-s", type=float, help="Leave out packets sent after this second.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help=f"HTML file to write [default: {VIEW} in RUN].",
)
@click.option("--open", "open_it", is_flag=True, help="Open the page in the browser.")
def view(
    run: str,
    scenarios: tuple[str, ...],
    from_s: float | None,
    to_s: float | None,
    output: Path | None,
    open_it: bool,
) -> None:
    """Write one HTML page that plays RUN back, packet by packet.

    It needs no server and no network: packets move along the links, with a time bar on which steps,
    claims and losses are marked; packets, links, nodes and claims open with a click.
    """
    from testbed.viewer import of_run

    if from_s is not None and to_s is not None and from_s > to_s:
        raise ConfigError(f"--from-s {from_s:g}: is after --to-s {to_s:g}")
    rundir = RunDir.open(run, default_runs())
    choice = of_run.Choice(scenarios, from_s, to_s)
    _write(lambda: of_run.collect(rundir, choice), output or rundir.path / VIEW, open_it)


@click.command("view")
@FILE
@KEYS
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="HTML file to write [default: the capture's name with -view.html, in this folder].",
)
@click.option("--open", "open_it", is_flag=True, help="Open the page in the browser.")
def capture_view(file: Path, output: Path | None, open_it: bool) -> None:
    """Write one HTML page that plays the capture back; addresses are its nodes."""
    target = output or Path(f"{stem(file)}-view.html")
    refuse_itself(file, target)
    capture = CaptureFile(file)

    def collect() -> Collected:
        from analysis import packets
        from testbed.viewer import of_capture, words

        table = capture.table()
        some = table.head(words.MOST_DESCRIBED)
        dissected = packets.with_payloads(capture.source, some) if len(some) else some
        said = words.describe(dissected, some["frame"])
        read = partial(packets.read_raw_many, capture.source)
        return of_capture.collect(capture.name, table, said, read)

    _write(collect, target, open_it)


def _write(collect: Callable[[], Collected], target: Path, open_it: bool) -> None:
    """Writes a page; the bundle comes first, as without it all work is in vain."""
    from testbed.viewer import bundle, page

    built = bundle.find()
    collected = collect()
    made = page.render(collected, built)
    write_text(target, made, what="--output")
    for note in filter(None, [*collected.notes, page.too_large(made)]):
        said = f"left out: {note}" if note in collected.notes else note
        err.print(said, markup=False, highlight=False)
    out.print(str(target), soft_wrap=True, markup=False, highlight=False)
    if open_it:
        open_page(target)
