"""Gives commands that write places where they cannot: ``python outputs.py FOLDER``.

Every case runs in a process of its own, in a mount namespace that ends with it. Prints one JSON
object: ``command place`` → exit code, what was printed, and what is left in the place.
"""

import ctypes
import json
import os
import resource
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_PRIVATE, _RDONLY, _REMOUNT = 1 << 18 | 1 << 14, 1, 32
_libc = ctypes.CDLL(None, use_errno=True)

OLD = "<svg>an older drawing</svg>\n"
CAPTURE = Path(__file__).parents[1] / "captures" / "layers.pcap"

# TARGET stands for a file in the place, FOLDER for a new folder there, RUN for a run there
COMMANDS = {
    "draw": "draw single -o TARGET.svg",
    "ladder": f"capture ladder {CAPTURE} -o TARGET.svg",
    "page": f"capture report {CAPTURE} -o TARGET.html",
    "stats": f"capture stats {CAPTURE} --format html -o TARGET.html",
    "csv": f"capture export {CAPTURE} TARGET.csv",
    "json": f"capture export {CAPTURE} TARGET.json",
    "parquet": f"capture export {CAPTURE} TARGET.parquet",
    "bundle": "lab export letter --student ada --secret SECRET --out TARGET.zip",
    "bundle-folder": "lab export letter --student ada --secret SECRET --out FOLDER",
    "gradescope": "lab gradescope letter --secret SECRET --out TARGET.zip",
    "secret": "lab secret TARGET.secret",
    "image": "image export TARGET.xz",
    "diff": "diff ONE TWO --html TARGET.html",
    "replay": "replay RUN",
    "report": "report RUN",
}
KEEPS_OLD = ("draw", "ladder", "page", "stats", "csv", "json", "parquet", "image", "diff")
"""Commands that replace a file: the old one must be there, untouched, if they fail."""

PLACES = ("good", "full", "read-only", "missing", "in a file", "a folder")


def mount(target: Path, flags: int, options: str = "") -> None:
    """Mounts a file system in memory."""
    words = (b"none", str(target).encode(), b"tmpfs", flags, options.encode())
    if _libc.mount(*words) != 0:
        raise OSError(ctypes.get_errno(), f"mount {target}")


def make_place(name: str, root: Path) -> Path:
    """A folder to write to, as its name says; and an older file in it."""
    place = root / "place"
    place.mkdir()
    if name == "missing":
        return place / "nowhere"
    if name == "in a file":
        (place / "file").write_text("")
        return place / "file"
    if name in ("full", "read-only"):
        mount(place, 0, "size=256k")
    for suffix in ("svg", "csv", "json", "parquet", "xz", "html", "zip", "secret"):
        if name == "a folder":
            (place / f"target.{suffix}").mkdir()
        elif name != "good" and suffix not in ("zip", "secret"):  # those replace nothing
            (place / f"target.{suffix}").write_text(OLD)
    return place


def close_place(name: str, place: Path) -> None:
    """Fills it, or takes the right to write away."""
    if name == "read-only":
        mount(place, _REMOUNT | _RDONLY)
    if name == "full":
        try:
            with (place / "filler").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        except OSError:
            pass


def listing(root: Path) -> list[str]:
    """All files and folders below a place."""
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*"))


def run_case(command: str, place_name: str, scratch: Path) -> dict[str, object]:
    """One command in one place, in this process; never returns normally from `main`."""
    root = scratch / f"{command} {place_name}".replace(" ", "-")
    root.mkdir()
    _libc.unshare(_NEWNS)
    _libc.mount(b"none", b"/", None, _PRIVATE, None)
    place = make_place(place_name, root)
    words = {
        "TARGET": str(place / "target"),
        "FOLDER": str(place / "folder"),
        "RUN": str(place / "run"),
        "SECRET": str(scratch / "secret"),
        "ONE": str(scratch / "one"),
        "TWO": str(scratch / "two"),
    }
    if "RUN" in COMMANDS[command] and place.is_dir():
        shutil.copytree(scratch / "run", place / "run")
    close_place(place_name, place)
    top = root / "place"
    before = listing(top)
    argv = []
    for word in COMMANDS[command].split():
        stem, dot, suffix = word.partition(".")
        argv.append(words.get(stem, stem) + dot + suffix if stem in words else word)
    code, said = in_child(argv)
    old = place / f"target.{argv[-1].rpartition('.')[2]}"
    return {
        "code": code,
        "said": said,
        "new": sorted(set(listing(top)) - set(before)),
        "gone": sorted(set(before) - set(listing(top))),
        "old": old.read_text(errors="replace") == OLD if old.is_file() else None,
    }


def in_child(argv: list[str]) -> tuple[int, str]:
    """`testbed ARGV` in a child; its exit code and what it printed on standard error."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            os.dup2(theirs, 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.argv = ["testbed", *argv]
            from testbed.cli.main import main

            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        except BaseException:  # noqa: BLE001 (what escapes `main` is what is tested)
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        said = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def isolated(work: Callable[[], dict[str, object]]) -> dict[str, object]:
    """What `work` gives, in a process of its own."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            result: dict[str, object] = work()
        except BaseException:  # noqa: BLE001 (told by the result)
            result = {"code": 98, "said": traceback.format_exc()}
        os.write(theirs, json.dumps(result).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return json.loads(text)


def main(scratch: Path) -> None:
    """Runs every case."""
    from testbed.cli import capture, lab, runs, topology  # noqa: F401  (loaded once)
    from testbed.grading import gradescope

    # the real one packs the guest kernel, which takes long and need not be there
    gradescope._kernel_and_packages = lambda: {"setup.sh": b"#!/bin/sh\n", "big": bytes(300_000)}
    gradescope._image = lambda image: gradescope._kernel_and_packages()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    found = {}
    for command in COMMANDS:
        for place in PLACES:
            case = f"{command} {place}"
            found[case] = isolated(lambda c=command, p=place: run_case(c, p, scratch))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
