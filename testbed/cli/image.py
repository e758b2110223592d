"""`testbed image`: the testbed as one file. Also `testbed kernel export|import`."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from testbed.cli.console import err, out
from testbed.execution.runtime.sources import prepare
from testbed.machine.image import choice, container, manifest, store, transfer
from testbed.machine.image.container import OnFraction
from testbed.machine.image.manifest import Manifest

_FILE = click.Path(path_type=Path)


@click.group()
def image() -> None:
    """Manage images: kernel, programs and libraries in one file, the same on every machine."""


@image.command()
def build() -> None:
    """Build an image from Debian's packages and the guest kernel; needs mmdebstrap."""
    from testbed.machine.image import builder

    began_s = time.monotonic()

    def tell(stage: str) -> None:
        err.print(f"image: {stage} ({time.monotonic() - began_s:.0f} s)", highlight=False)

    made = builder.build(tell)
    out.print(
        f"{made.id}  {_size_mb(made.folder):.0f} MB; testbed image export FILE", highlight=False
    )
    _tell_use(made.id)


@image.command("export")
@click.argument("file", type=_FILE, required=False)
@click.option("--image", "word", default="", help="Image to export [default: the newest].")
def export(file: Path | None, word: str) -> None:
    """Write an image to FILE, compressed [default: testbed-image-NAME.xz]."""
    with _shown("packing") as on_fraction:
        path = transfer.export_image(_name(word), file, on_fraction)
    _tell_file(path)


@image.command("import")
@click.argument("file", type=_FILE)
@click.option(
    "--expect", default="", metavar="SHA256", help="Refuse any image whose hash is not this one."
)
@click.option("--use", "use_it", is_flag=True, help="Choose the image for runs, like `use`.")
def import_(file: Path, expect: str, use_it: bool) -> None:
    """Import the image in FILE into the cache, checking every byte."""
    began_s = time.monotonic()
    with _shown("unpacking") as on_fraction:
        made = store.bring_in(file, on_fraction, expect)
        prepare(made)
    took_s = time.monotonic() - began_s
    out.print(f"{made.id}  {_size_mb(made.folder):.0f} MB, {took_s:.1f} s", highlight=False)
    if use_it:
        choice.use(made.id)
    _tell_use(made.id)


@image.command()
@click.argument("word", metavar="NAME|FILE|none")
def use(word: str) -> None:
    """Choose the image that runs use from now on; `none`: this system's programs."""
    made = choice.use(word)
    _tell_use(made.id if made else "")
    if os.environ.get(choice.VARIABLE):
        err.print(f"the variable {choice.VARIABLE} is set and takes precedence", highlight=False)


@image.command()
@click.argument("word", metavar="[NAME|FILE]", default="")
@click.option("--check", is_flag=True, help="Read every file and compare its hash.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(word: str, check: bool, as_json: bool) -> None:
    """Show what is in an image (kernel, packages, libraries) [default: the newest]."""
    if Path(word).is_file():
        read = transfer.check_file if check else container.read_manifest
        made, size = read(Path(word)), Path(word).stat().st_size
    else:
        held = store.get(_name(word))
        made, size = held.manifest, store.size_bytes(held.folder)
        if check:
            store.check(held)
    if as_json:
        click.echo(
            json.dumps({"id": made.id, "sha256": made.sha256, "bytes": size, **made.data}, indent=1)
        )
        return
    _print_info(made, size, check)


@image.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List the images in the cache, and show which one runs use."""
    rows, chosen = [], store.chosen()
    for name in store.ids():
        folder = store.images_root() / name
        raw = (folder / container.MANIFEST).read_bytes()
        data = manifest.parse(raw, f"image {name}").data
        rows.append(
            {
                "id": name,
                "used": name == chosen,
                "suite": data["suite"],
                "kernel": data["kernel"]["version"],
                "packages": len(data["packages"]),
                "bytes": store.size_bytes(folder),
            }
        )
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    if not rows:
        err.print("no image; testbed image import FILE, or testbed image build")
    table = Table(
        "image", "used", "suite", "kernel", "packages", "MB", box=None, header_style="bold"
    )
    for row in rows:
        size_mb, used = f"{row['bytes'] / 1e6:.0f}", "yes" if row["used"] else ""
        table.add_row(row["id"], used, row["suite"], row["kernel"], str(row["packages"]), size_mb)
    out.print(table)


@image.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove an image from the cache, unless it is in use."""
    found = store.find(name)
    was_used = store.chosen() == found
    store.remove(found)
    click.echo(f"removed {found}")
    if was_used:
        _tell_use("")


@click.command("export")
@click.argument("file", type=_FILE, required=False)
def export_kernel(file: Path | None) -> None:
    """Write the guest kernel to FILE, compressed [default: testbed-kernel-VERSION.xz]."""
    with _shown("packing") as on_fraction:
        path = transfer.export_kernel(file, on_fraction)
    _tell_file(path)


@click.command("import")
@click.argument("file", type=_FILE)
@click.option(
    "--expect", default="", metavar="SHA256", help="Refuse any kernel whose hash is not this one."
)
def import_kernel(file: Path, expect: str) -> None:
    """Import the guest kernel in FILE into the cache, checking every byte."""
    found, current = transfer.import_kernel(file, expect)
    click.echo(f"{found.version} ({found.source}) {found.path}")
    if not current:
        err.print(
            "it was built with different options or patches than this version of the testbed uses, "
            "so runs ignore it; testbed kernel build"
        )
        sys.exit(3)


def _name(word: str) -> str:
    if word:
        return store.find(word)
    known = store.ids()
    return known[0] if known else store.find("")


def _tell_use(name: str) -> None:
    """Shows which image runs use, after a command on the one of this name."""
    chosen = store.chosen()
    if chosen:
        text = f"runs use image {chosen}; for this system's programs: testbed image use none"
    else:
        text = "runs use this system's programs"
    if name and name != chosen:
        text += f"; to use this image: testbed image use {name}"
    out.print(text, highlight=False, soft_wrap=True)


def _size_mb(folder: Path) -> float:
    return store.size_bytes(folder) / 1e6


def _tell_file(path: Path) -> None:
    made = container.read_manifest(path)
    out.print(
        f"{escape(str(path))}  {path.stat().st_size / 1e6:.1f} MB, name {made.id}\n"
        f"hash {made.sha256}; publish it separately from the file (--expect)",
        highlight=False,
        soft_wrap=True,
    )


def _print_info(made: Manifest, size: int, checked: bool) -> None:
    data = made.data
    kernel = data["kernel"]
    rows = {
        "name": made.id + ("  (every byte checked)" if checked else ""),
        "hash": made.sha256,
        "kind": made.kind,
        "size": f"{size / 1e6:.1f} MB; {made.content_bytes / 1e6:.0f} MB unpacked",
        "files": str(data["listing"]["entries"]),
        "kernel": f"{kernel['version']}, {kernel['source']}, {kernel['compiler']}",
        "kernel hash": kernel["sha256"],
        "patches": ", ".join(kernel["patches"]),
        "options": f"recipe {kernel['recipe']}; the file 'kernel/config' in it",
    }
    if made.kind == manifest.LAB:
        rows |= {
            "suite": f"Debian's {data['suite']}",
            "libraries": ", ".join(f"{k} {v}" for k, v in sorted(data["libraries"].items())),
            "packages": ", ".join(f"{k} {v}" for k, v in sorted(data["packages"].items())),
        }
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, text in rows.items():
        table.add_row(f"[bold]{name}[/]", escape(text))
    out.print(table)


@contextmanager
def _shown(what: str) -> Iterator[OnFraction]:
    """A bar on a terminal, nothing elsewhere."""
    columns = (TextColumn(what), BarColumn())
    live = err.is_terminal
    with Progress(*columns, console=err, transient=True, disable=not live) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda fraction: bar.update(task, completed=fraction)
