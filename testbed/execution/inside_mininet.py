"""The program behind `testbed mininet` in a guest: runs a script, and hands back what it wrote.

``python -m testbed.execution.inside_mininet FOLDER`` reads ``mininet.json`` in the folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypedDict, cast

from testbed.core.errors import TestbedError
from testbed.core.rundir import read_json, write_json
from testbed.execution.inside_shell import GUEST_TERMINAL, take_terminal
from testbed.guest_init import LENT_FDS, PROJECT, SITE, lent

REQUEST, RESULT = "mininet.json", "result.json"
INPUT, OUTPUT, ERRORS = "input", "output", "errors"
"""Where the script does not talk to a terminal: what it reads and prints."""

FILES, WRITTEN = "files", "written"
"""Folders: files for folders of the system, by number; what was written, by number of folder."""

_RUN = (
    "import pathlib, sys; _, project, site, folder = sys.argv; sys.path[:1] = [project, site]; "
    "from testbed.execution.inside_mininet import run_script; run_script(pathlib.Path(folder))"
)
"""An interpreter of the script's own: it ends as the script is used to, and sees all packages."""

_PYTHON_PACKAGES = "/usr/lib/python3/dist-packages"


class Request(TypedDict):
    """What to run.

    ``script``, ``arguments``; ``here``: the working directory; ``folders``: the user's, in the
    order of `LENT_FDS`; ``links``: other paths by which they are named; ``files``: where those of
    `FILES` belong; ``captures``: interfaces; ``seed``; ``umask``: the user's; ``terminal``: talk to
    the user's, whose kind is ``term``.
    """

    script: str
    arguments: list[str]
    here: str
    folders: list[str]
    links: dict[str, str]
    files: list[str]
    captures: list[str]
    seed: int
    umask: int
    terminal: bool
    term: str


class Result(TypedDict):
    """What was written.

    ``kept``: for each folder, paths below it of files and folders that are to be brought back, and
    their modes; ``lost``: what is lost; ``removed``: what was removed in the user's folders.
    """

    kept: list[dict[str, int]]
    lost: list[str]
    removed: list[str]


def main(folder: Path) -> int:
    """Runs the script in a process of its own, and keeps what it wrote, however it ended."""
    request = cast(Request, read_json(folder / REQUEST))
    folders = [lent.lend(fd, p) for fd, p in zip(LENT_FDS, request["folders"], strict=False)]
    for link, target in request["links"].items():
        if not os.path.lexists(link):
            Path(link).parent.mkdir(parents=True, exist_ok=True)
            Path(link).symlink_to(target)
    lent.show_all_programs()
    for number, name in enumerate(request["files"]):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / FILES / str(number), name)
    before = set(lent.lost())
    _connect(request, folder)
    script = subprocess.Popen([sys.executable, "-c", _RUN, PROJECT, SITE, str(folder)])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the script's
    code = script.wait()
    write_json(folder / RESULT, dict(_kept(folders, folder, before)))
    return code if code >= 0 else 128 - code


def _kept(folders: Sequence[lent.Lent], folder: Path, before: set[str]) -> Result:
    """Hands the user's files over, first of all, and says what became of all others."""
    kept, failed = [], []
    for number, each in enumerate(folders):
        done, not_done = lent.keep(each, str(folder / WRITTEN / str(number)))
        kept.append(done)
        failed += [f"{each.path}/{name}" for name in not_done]
    return {
        "kept": kept,
        "lost": failed + [name for name in lent.lost() if name not in before],
        "removed": [f"{each.path}/{name}" for each in folders for name in each.removed()],
    }


def _connect(request: Request, folder: Path) -> None:
    """Standard input and output: the user's terminal, or files of the run."""
    if request["terminal"]:
        os.environ["TERM"] = request["term"]
        take_terminal(GUEST_TERMINAL)
        return
    for number, name in ((1, OUTPUT), (2, ERRORS)):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_APPEND), number)
    reader, writer = os.pipe()
    if os.fork() == 0:  # a pipe, as Mininet's command line takes what a file has for keys
        try:
            os.close(reader)
            with (
                suppress(BrokenPipeError),  # the script need not read it
                (folder / INPUT).open("rb") as given,
                os.fdopen(writer, "wb") as pipe,
            ):
                shutil.copyfileobj(given, pipe)
        finally:
            os._exit(0)
    os.close(writer)
    os.dup2(reader, 0)
    os.close(reader)


def run_script(folder: Path) -> None:
    """Runs the script in this process, a Python like any other.

    Args:
        folder: see `main`.
    """
    import mininet

    from testbed.execution.script_captures import capturing
    from testbed.net import dropin

    request = cast(Request, read_json(folder / REQUEST))
    mininet.__path__.append(f"{_PYTHON_PACKAGES}/mininet")  # `mn` imports its examples
    os.umask(request["umask"])
    os.chdir(request["here"] if Path(request["here"]).is_dir() else "/root")
    sys.excepthook = partial(_print_traceback, request["script"])
    dropin.session.seed = request["seed"]
    try:
        with capturing(request["captures"], folder):
            dropin.run(request["script"], request["arguments"])
    except TestbedError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(int(error.exit_code))


def _print_traceback(
    script: str, kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """From the script's own first line on."""
    start = trace
    while start and start.tb_frame.f_code.co_filename != script:
        start = start.tb_next
    traceback.print_exception(kind, error, start or trace)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
