"""`testbed verify RUN`: a run made again with its recorded inputs, and compared with itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from testbed import guard
from testbed import kernel as kernels
from testbed.cli.console import err, out
from testbed.compare import Difference, bytes_that_differ, numbers_that_differ
from testbed.errors import ConfigError, ExitCode, nearest
from testbed.experiment import experiment_files
from testbed.image import choice
from testbed.image.store import Image
from testbed.provenance import sources_hash, tool_versions
from testbed.replay import fingerprint
from testbed.rundir import RunDir, default_runs
from testbed.runner import Request, Watcher, run

_HOSTS = "none: the host's programs"


@dataclass(frozen=True)
class Comparison:
    """What verifying a run found.

    Attributes:
        versions: programs, libraries, kernel and sources that are others than the run's.
        differences: what differs in the run itself, causes before effects.
        again: the run made now.
    """

    versions: list[Difference]
    differences: list[Difference]
    again: RunDir

    @property
    def same(self) -> bool:
        """True if the run came out as it was recorded, whatever versions made it."""
        return not self.differences


def request_of(recorded: RunDir, target: Path, image: str = "") -> Request:
    """The inputs of a run, to make it again under `target`.

    Args:
        recorded: the run.
        target: where runs go.
        image: another image than that of the run, as `choice.choose` takes it; empty: the same.

    Raises:
        ConfigError: the run never came to its end.
    """
    meta = recorded.meta()
    if meta["status"] != "complete":
        raise ConfigError(f"{recorded.path}: is {meta['status']} ({meta['reason']}); run it again")
    name = meta["experiment"]
    return Request(
        experiment=name if name in experiment_files() else str(_own_copy(recorded)),
        parameters=meta["parameters"],
        seed=meta["seed"],
        runtime=meta["runtime"],
        clock=meta["clock"],
        out=target,
        only=tuple(meta["scenarios"]),
        image=image or _image_id(meta),
    )


def _image_id(meta: Mapping[str, Any]) -> str:
    return str((meta.get("image") or {"id": choice.NONE})["id"])


def _image_now(recorded: RunDir, asked: str) -> Image | None:
    """What the run is made again from: its own image, or the one asked for.

    Raises:
        ConfigError: it is not at hand.
    """
    own = _image_id(recorded.meta())
    try:
        return choice.choose(asked or own)[0]
    except ConfigError as error:
        if asked:
            raise
        reason = f"made from image {own}, which is not here: testbed image import FILE"
        raise ConfigError(
            f"{recorded.path}: {reason}, or --image NAME to compare with another ({error})"
        ) from None


def _own_copy(recorded: RunDir) -> Path:
    name = recorded.meta()["experiment"]
    copies = sorted(recorded.path.glob(f"scenarios/*/{name}.py"))
    if not copies:
        known = nearest(name, experiment_files())
        raise ConfigError(f"{recorded.path}: experiment '{name}' is nowhere to be found{known}")
    return copies[0]


def versions_that_differ(recorded: RunDir, asked: str = "") -> Iterator[Difference]:
    """Image, programs, libraries, kernel and sources of the run that are others now, or gone.

    Known before anything runs, so that it can be told first.
    """
    meta = recorded.meta()
    image = _image_now(recorded, asked)
    own, other = _image_id(meta), image.id if image else choice.NONE
    if own != other:
        yield Difference("image", *(n if n != choice.NONE else _HOSTS for n in (own, other)))
    then, now = dict(meta["tools"]), tool_versions(image)
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            yield Difference(name, then.get(name, "missing"), now.get(name, "missing"))
    found = image.kernel if image else kernels.find()
    built = found if meta["runtime"] == "guest" else None
    if built and built.sha256 != meta["kernel"]["sha256"]:
        then_kernel = f"{meta['kernel']['version']} {meta['kernel']['sha256'][:12]}"
        yield Difference("guest kernel", then_kernel, f"{built.version} {built.sha256[:12]}")
    if "sources" in meta and meta["sources"] != (today := sources_hash()):
        yield Difference("testbed's sources", meta["sources"][:12], today[:12])
    yield from _experiment_file(recorded)


def _experiment_file(recorded: RunDir) -> Iterator[Difference]:
    name = recorded.meta()["experiment"]
    if name not in experiment_files():
        return
    copy = _own_copy(recorded)
    if copy.read_bytes() != experiment_files()[name].read_bytes():
        where = copy.relative_to(recorded.path)
        yield Difference(f"experiments/{name}.py", f"as in {where}", "edited since")


def tampered(recorded: RunDir) -> Iterator[Difference]:
    """A run whose files are no longer those that its fingerprint was taken of."""
    noted = recorded.meta().get("fingerprint")
    if noted and noted != (now := fingerprint(recorded)):
        yield Difference("the recorded run's own files", f"fingerprint {noted[:16]}", now[:16])


def verify(
    recorded: RunDir,
    target: Path,
    watcher: Watcher | None = None,
    wall_limit_s: float = 600.0,
    image: str = "",
) -> Comparison:
    """Runs again under `target` and compares."""
    request = replace(request_of(recorded, target, image), wall_limit_s=wall_limit_s)
    versions = list(versions_that_differ(recorded, image))
    differences = list(tampered(recorded))
    again = run(request, watcher).run
    if again.meta()["clock"] != recorded.meta()["clock"]:
        differences.append(Difference("clock", recorded.meta()["clock"], again.meta()["clock"]))
    virtual = recorded.meta()["clock"] == again.meta()["clock"] == "virtual"
    compare = bytes_that_differ if virtual else numbers_that_differ
    found = compare(recorded, again)
    if versions:  # the report tells the versions, so it must differ; the rest need not
        found = (d for d in found if not d.where.startswith("report.html"))
    return Comparison(versions, [*differences, *found], again)


@click.command("verify")
@click.argument("run", default="latest")
@click.option("--out", "target", type=click.Path(path_type=Path), help="Keep the new run there.")
@click.option("--wall-limit-s", type=click.FloatRange(1, 86400), default=600.0, show_default=True,
              help="Wall-clock limit of each scenario, in s.")  # fmt: skip
@click.option("--image", default="", metavar="NAME|FILE|none",
              help="Another image than that of RUN; none: the host's programs.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def command(run: str, target: Path | None, wall_limit_s: float, image: str, as_json: bool) -> None:
    """Make RUN again with its recorded inputs and compare everything ('latest' by default).

    Virtual clock: byte by byte; the first packet that differs is named. Real clock: verdicts, and
    numbers within 10 %. Exit code 0: the same; 1: not the same.
    """
    from testbed.cli.show import RunView

    recorded = RunDir.open(run, default_runs())
    recorded.require_finished()
    with guard.folder("verify") as scratch, RunView(err) as view:
        found = verify(recorded, (target or scratch).resolve(), view, wall_limit_s, image)
        meta = found.again.meta()
    if as_json:
        click.echo(json.dumps(comparison_data(recorded, found, meta), indent=1))
    else:
        _print(recorded, found, meta)
    sys.exit(ExitCode.PASS if found.same else ExitCode.CLAIM_FAILED)


def comparison_data(recorded: RunDir, found: Comparison, meta: dict[str, Any]) -> dict[str, Any]:
    """The comparison as plain data; `meta` is the new run's."""
    return {
        "run": str(recorded.path),
        "same": found.same,
        "clock": meta["clock"],
        "fingerprints": [recorded.meta().get("fingerprint"), meta.get("fingerprint")],
        "versions": [vars(d) for d in found.versions],
        "differences": [vars(d) for d in found.differences],
    }


def _print(recorded: RunDir, found: Comparison, meta: dict[str, Any]) -> None:
    for title, rows in (
        ("Made by other versions", found.versions),
        ("Not the same", found.differences),
    ):
        if rows:
            table = Table(box=None, header_style="bold", pad_edge=False, title=title)
            table.title_justify = "left"
            for column in ("what", "recorded", "now"):
                table.add_column(column, overflow="fold")
            for row in rows:
                table.add_row(row.where, row.recorded, row.again)
            out.print(table)
    how = "byte by byte" if meta["clock"] == "virtual" else "verdicts, and numbers within 10 %"
    mark = "[green]the same[/]" if found.same else f"[red]{len(found.differences)} differ[/]"
    out.print(f"{recorded.path.name}: {mark} ({how})", highlight=False)
    if meta.get("fingerprint"):
        noted = (recorded.meta().get("fingerprint") or "none")[:16]
        out.print(f"fingerprint {noted} recorded, {meta['fingerprint'][:16]} now", highlight=False)
