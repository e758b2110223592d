"""The long commands: what each needs, and what must be the same each time."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from killing.place import PROJECT, Place, quietly
from testbed.cli.new import new_experiment
from testbed.core.cache import cache_base
from testbed.lifetime import guard

TESTBED = (sys.executable, "-m", "testbed")
EXPERIMENT, FILE = "question", "./question.py"
"""The skeleton experiment: all parts of one, and a ping."""

LAB = "letter"
IN_BOOK = ("arp", "subnetting")
"""What a small project has besides: an experiment and a lab."""

STUDENTS = ("ada", "bob", "cyd")
CACHE = cache_base()
"""The user's own."""

Results = Callable[[Place, str], str]
"""From the place and what was printed: what must be the same each time."""


@dataclass(frozen=True)
class Command:
    """What is killed.

    Attributes:
        argv: the line.
        results: what must be the same each time.
        prepare: makes what it needs, once for each place.
        again: undoes that before the next run.
        until: for commands that never end: what they have printed when they are ready.
        root: it needs root.
        online: it needs Debian's packages.
        own_project: in a small project of its own, which it may write to.
        stdin: what it reads.
        quick: is part of the tests.
    """

    argv: Sequence[str]
    results: Results
    prepare: Callable[[Place], None] = lambda _: None
    again: Callable[[Place], None] = lambda _: None
    until: str = ""
    root: bool = False
    online: bool = False
    own_project: bool = False
    stdin: str = ""
    quick: bool = False


def _hash(*paths: Path) -> str:
    """Of files and all files in folders, by their names."""
    total = hashlib.sha256()
    for root in paths:
        for path in sorted(p for p in (root, *root.rglob("*")) if p.is_file()):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.relative_to(root.parent)} {digest}\n".encode())
    return total.hexdigest()[:16]


def _newest(place: Place, pattern: str) -> Path:
    return max(place.root.glob(pattern), key=lambda path: path.stat().st_mtime_ns)


def _of_run(place: Place, _: str) -> str:
    run = _newest(place, "runs/*/run.json").parent
    return json.loads((run / "run.json").read_text())["fingerprint"][:16] + _judged(run)


def _judged(run: Path) -> str:
    return _hash(run / "verdicts.json", run / "tables", run / "plots")


def _of_repetition(place: Place, _: str) -> str:
    parent = _newest(place, "runs/*/repetition.json").parent
    return _hash(parent / "repetition.json", *(_judged_files(parent)))


def _judged_files(parent: Path) -> list[Path]:
    return [path for seed in sorted(parent.glob("seed-*")) for path in (seed / "verdicts.json",)]


def _of_replay(place: Place, _: str) -> str:
    return _judged(_newest(place, "runs/*/run.json").parent)


def _of_grades(place: Place, _: str) -> str:
    grades = place.work / "grades" / LAB
    return _hash(grades / "gradebook.csv", *sorted(grades.glob("students/*/result.json")))


def _printed(_: Place, text: str) -> str:
    """What was printed, without times, colours and the folder's name."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\[ *[0-9.]+\]|[0-9.]+ m?s\b|/\S+", "", text)
    return "\n".join(line.strip() for line in plain.splitlines() if line.strip())


def _of_verification(place: Place, text: str) -> str:
    if "not the same" in text:
        raise SystemExit(f"verify: {text}")
    return _printed(place, text)


def _of_site(place: Place, _: str) -> str:
    return _hash(place.project / "build/site")


def _of_scripts(place: Place, _: str) -> str:
    """What was sent and received."""
    return _hash(*sorted(place.work.glob("played/captures/*")))


def _of_page(place: Place, _: str) -> str:
    return _hash(place.work / "capture.html")


def _experiment(place: Place) -> None:
    new_experiment(EXPERIMENT, place.work)


def _one_run(place: Place) -> None:
    _experiment(place)
    quietly(place, [*TESTBED, "run", FILE])


def _small_project(place: Place) -> None:
    """The project with a few experiments and a lab: the same code, a shorter book."""
    skipped = shutil.ignore_patterns("__pycache__", ".*", "build", "runs", "tests")
    shutil.copytree(PROJECT, place.project, ignore=skipped)
    for folder in ("experiments", "labs"):
        for path in (place.project / folder).iterdir():
            if path.is_dir() and path.name not in IN_BOOK:
                shutil.rmtree(path)
    new_experiment(EXPERIMENT, place.project / "experiments")
    for file in place.project.glob("mkdocs*.yml"):  # pages link to what is not there
        file.write_text(file.read_text(encoding="utf-8").replace("strict: true", "strict: false"))


def _all_runs(place: Place) -> None:
    _small_project(place)
    quietly(place, [sys.executable, "-m", "testbed.book"])


def _without_one_run(place: Place) -> None:
    """The book lacks one run, which the command makes again."""
    for path in (place.root / "runs").glob(f"{EXPERIMENT}-*"):
        shutil.rmtree(path)


def _course(place: Place) -> None:
    quietly(place, [*TESTBED, "lab", "secret", "course.secret"])
    code = (
        "import sys; from pathlib import Path; from testbed.grading import library\n"
        f"lab = library.open_lab({LAB!r}); secret = library.read_secret(Path('course.secret'))\n"
        f"for name in {STUDENTS}:\n"
        "    for file, data in lab.solution(lab.variant(name, secret), name).items():\n"
        "        path = Path('submissions', name, file)\n"
        "        path.parent.mkdir(parents=True, exist_ok=True); path.write_bytes(data)\n"
    )
    (place.work / "course.secret").write_text("5" * 64 + "\n")
    quietly(place, [sys.executable, "-c", code])


def _student(place: Place) -> None:
    """A student's folder: the bundle with the solution in it."""
    _course(place)
    line = [*TESTBED, "lab", "export", LAB, "--student", STUDENTS[0], "--out", "bundle"]
    quietly(place, line)
    shutil.copytree(
        place.work / "submissions" / STUDENTS[0], place.work / "bundle", dirs_exist_ok=True
    )


_MAKES_IMAGE = """
from testbed.machine import kernel
from tests.system import small_image
small_image.make(kernel.find())
"""
"""A small image, of this machine's own files: a real one would take minutes to pack."""


def _image(place: Place) -> None:
    """A file with an image, made once."""
    file = place.images / "image.xz"
    place.images.mkdir(exist_ok=True)
    with guard.alone_in(place.images, lambda _: None):
        if not file.is_file():
            own = Place(place.images / "place", place.images)
            lend_cache(own)
            quietly(own, [sys.executable, "-c", _MAKES_IMAGE])
            quietly(own, [*TESTBED, "image", "export", str(file)])
    (place.work / "image.xz").unlink(missing_ok=True)
    (place.work / "image.xz").symlink_to(file)


def _with_image(place: Place) -> None:
    _image(place)
    quietly(place, [*TESTBED, "image", "import", "image.xz"])


def _drop_images(place: Place) -> None:
    for path in (place.root / "cache/images").glob("*/"):
        shutil.rmtree(path)


def lend_cache(place: Place) -> None:
    """What takes long to make and never changes: the user's guest kernel, and copies of sources."""
    place.environment()
    for name in ("kernels", "sources"):
        if (CACHE / name).is_dir():
            left_out = shutil.ignore_patterns(f"{guard.WORK}*")
            shutil.copytree(
                CACHE / name, place.root / "cache" / name, ignore=left_out, dirs_exist_ok=True
            )


def _forget(*names: str) -> Callable[[Place], None]:
    """Removes results in the folder where the command starts."""

    def forget(place: Place) -> None:
        for name in names:
            path = place.work / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    return forget


_SCRIPT = """
from mininet.net import Mininet
from mininet.topo import SingleSwitchTopo
net = Mininet(topo=SingleSwitchTopo(3), waitConnected=True)
net.start()
print("lost", net.pingAll(), "%")
net.stop()
"""


def _mininet_script(place: Place) -> None:
    (place.work / "script.py").write_text(_SCRIPT)


def _packet_scripts(place: Place) -> None:
    source = PROJECT / "tests/system/scripts/handshake_and_close.pkt"
    (place.work / "scripts").mkdir()
    for number in range(8):
        shutil.copy2(source, place.work / f"scripts/{number}.pkt")


def _capture(place: Place) -> None:
    shutil.copy2(PROJECT / "tests/captures/tcp-sender.pcap.gz", place.work / "capture.pcap.gz")


COMMANDS = {
    "run": Command([*TESTBED, "run", FILE], _of_run, _experiment, quick=True),
    "repeat": Command([*TESTBED, "run", FILE, "--repeat", "2"], _of_repetition, _experiment),
    "replay": Command([*TESTBED, "replay"], _of_replay, _one_run, quick=True),
    "verify": Command([*TESTBED, "verify"], _of_verification, _one_run),
    "grade": Command(
        [*TESTBED, "grade", LAB, "submissions"], _of_grades, _course, _forget("grades"), quick=True
    ),
    "check": Command(
        [*TESTBED, "check", "--folder", "bundle", "--trust", "--json"],
        _printed,
        _student,
        quick=True,
    ),
    "lab-test": Command(
        [*TESTBED, "lab", "test", LAB, "--only", "solution", "--only", "starter"], _printed
    ),
    "image-build": Command([*TESTBED, "image", "build"], _printed, again=_drop_images, online=True),
    "image-export": Command(
        [*TESTBED, "image", "export", "out.xz"],
        lambda place, _: _hash(place.work / "out.xz"),
        _with_image,
        _forget("out.xz"),
    ),
    "image-import": Command(
        [*TESTBED, "image", "import", "image.xz"], _printed, _image, _drop_images
    ),
    "packetdrill": Command(
        [*TESTBED, "packetdrill", "scripts", "--out", "played"],
        _of_scripts,
        _packet_scripts,
        quick=True,
    ),
    "capture-report": Command(
        [*TESTBED, "capture", "report", "capture.pcap.gz", "-o", "capture.html"],
        _of_page,
        _capture,
        _forget("capture.html"),
        quick=True,
    ),
    "docs": Command(
        [sys.executable, "-m", "testbed.book.site"], _of_site, _small_project, own_project=True
    ),
    "book": Command(
        [sys.executable, "-m", "testbed.book"],
        _of_run,
        _all_runs,
        _without_one_run,
        own_project=True,
    ),
    "shell": Command(
        [*TESTBED, "shell", "tree,2", "--out", "shell"],
        _printed,
        again=_forget("shell"),
        stdin="pingall\n",
        quick=True,
    ),
    "shell-host": Command(
        [*TESTBED, "shell", "tree,2", "--runtime", "host", "--out", "shell"],
        _printed,
        again=_forget("shell"),
        stdin="pingall\n",
        root=True,
        quick=True,
    ),
    "mininet": Command(
        [*TESTBED, "mininet", "--runtime", "host", "script.py"],
        _printed,
        _mininet_script,
        root=True,
        quick=True,
    ),
    "notebook": Command(
        [
            sys.executable,
            "-m",
            "testbed.cli.jupyter",
            "--no-browser",
            "--port-retries=200",
            *["--allow-root"] * (os.geteuid() == 0),
        ],
        lambda _, text: str("is running at" in text),
        _one_run,
        until="is running at",
    ),
}
