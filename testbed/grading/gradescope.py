"""Gradescope's autograder: a bundle that sets itself up, and the program that grades one submission
there.

The platform runs ``setup.sh`` once, when it builds the image, and ``run_autograder`` for each
submission, as root of a container without privileges, in 768 MB and half a processor. The bundle
holds the project, the lab, the course's secret, and what guests need: the image that runs use here,
else the built guest kernel and the list of Debian packages. Only the platform may have it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from testbed.core.errors import ConfigError, MissingPrerequisiteError, TestbedError
from testbed.core.project import PROJECT
from testbed.core.rundir import read_json, write_json
from testbed.grading import accept, library, loading, pages, questions
from testbed.grading.classroom import not_judged
from testbed.grading.grade import Task, grade, grading_runtime
from testbed.grading.library import LabFolder
from testbed.grading.result import Result
from testbed.lifetime import guard
from testbed.machine import kernel
from testbed.machine.image import choice, transfer
from testbed.machine.image.store import Image

SETUP, RUN = "setup.sh", "run_autograder"

_PACKAGES = ("analysis", "controller", "experiments", "testbed", "topologies")
_SKIPPED = ("__pycache__", ".pyc", ".so")
_INSTALLS = "scripts/install-python.sh"
_SETS_UP = (
    "pyproject.toml",
    "setup.py",
    "README.md",
    "LICENSE",
    _INSTALLS,
    "requirements/base.txt",
    "requirements/build.txt",
)
_TRIES = 2
"""Inconclusive submissions are graded once more before a person has to look."""

_SETUP_HEAD = """\
#!/bin/sh
# Run once, as root, when Gradescope builds the autograder's image (Debian or Ubuntu).
set -eu
python=/usr/bin/python3
if [ -x "$python" ] && ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "setup.sh: the testbed needs Python 3.11 or newer: choose Ubuntu 24.04 (or a later one, or" \
    "Debian 12) as this autograder's base image" >&2
  exit 1
fi
source="${AUTOGRADER:-/autograder}/source"
export DEBIAN_FRONTEND=noninteractive
apt-get update
"""

_SETUP = f"""\
{_SETUP_HEAD}\
sed -n 's/^\\([a-z][a-z0-9.+-]*\\) *|.*|.*/\\1/p' "$source/packages.txt" \\
  | xargs apt-get install -y --no-install-recommends
VENV="$source/venv" sh "$source/project/scripts/install-python.sh"
chmod +x "$source/run_autograder" "$source"/cache/kernels/*/linux
"""

_SETUP_FROM_IMAGE = f"""\
{_SETUP_HEAD}\
apt-get install -y --no-install-recommends python3-venv libstdc++6
VENV="$source/venv" sh "$source/project/scripts/install-python.sh"
TESTBED_CACHE="$source/cache" "$source/venv/bin/testbed" image import --use "$source/image.xz" \\
  --expect "$(cat "$source/image.sha256")"
rm "$source/image.xz"
chmod +x "$source/run_autograder"
"""

_RUN = """\
#!/bin/sh
# Run for each submission; writes results/results.json.
root="${AUTOGRADER:-/autograder}"
export TESTBED_CACHE="$root/source/cache"
cd "$root/source/project"
exec "$root/source/venv/bin/python" -m testbed.grading.gradescope "$root"
"""

_UNUSED_PACKAGES = frozenset(
    {
        "tshark",
        "gcc",
        "libc6-dev",
        "make",
        "flex",
        "bison",
        "bc",
        "patch",
        "xz-utils",
        "binutils",
        "debian-archive-keyring",
    }
)
"""For tests and for building the kernel, which is in the bundle."""


def bundle(lab: LabFolder, secret: bytes) -> dict[str, bytes]:
    """The files of an autograder, by path.

    Raises:
        MissingPrerequisiteError: there is no image, and the guest kernel is not built here.
    """
    image, _ = choice.choose()
    files = _image(image) if image else _kernel_and_packages()
    files |= {RUN: _RUN.encode()} | {f"project/{name}": data for name, data in _project()}
    files |= {f"labs/{lab.name}/{name}": data for name, data in lab.sources.items()}
    files |= {f"labs/{lab.name}/{name}": data for name, data in _questions(lab).items()}
    texts = (path for path in loading.catalogues(lab.path) if path.is_file())
    files |= {f"labs/{lab.name}/{path.name}": path.read_bytes() for path in texts}
    files["course.secret"] = secret
    files["lab.txt"] = f"{lab.name}\n".encode()
    return files


def _questions(lab: LabFolder) -> dict[str, bytes]:
    """The starter's file of answers, needed for notes on keys that were not asked for."""
    name = questions.answers_file(lab.manifest)
    found = (lab.path / "starter").glob(f"{name}*") if name else ()
    return {f"starter/{path.name}": path.read_bytes() for path in found}


def _image(image: Image) -> dict[str, bytes]:
    with guard.folder("image") as scratch:
        path = transfer.export_image(image.id, scratch / "image.xz", lambda _: None)
        return {
            SETUP: _SETUP_FROM_IMAGE.encode(),
            "image.xz": path.read_bytes(),
            "image.sha256": f"{image.manifest.sha256}\n".encode(),
        }


def _kernel_and_packages() -> dict[str, bytes]:
    built = kernel.find()
    if built is None:
        raise MissingPrerequisiteError("the guest kernel", kernel.BUILD_COMMAND)
    files = {SETUP: _SETUP.encode(), "packages.txt": _packages().encode()}
    for path in sorted(built.path.parent.iterdir()):
        files[f"cache/kernels/{built.path.parent.name}/{path.name}"] = path.read_bytes()
    return files


def executables(files: Iterable[str]) -> frozenset[str]:
    """Which of the bundle's files are programs; ``setup.sh`` marks them again."""
    programs = {SETUP, RUN, f"project/{_INSTALLS}"}
    return frozenset(programs | {n for n in files if n.startswith("cache/kernels/")})


def _packages() -> str:
    text = (PROJECT / "testbed" / "machine" / "packages.txt").read_text(encoding="utf-8")
    lines = [x for x in text.splitlines() if x.split("|")[0].strip() not in _UNUSED_PACKAGES]
    return "\n".join(lines) + "\n"


def _project() -> Iterator[tuple[str, bytes]]:
    for package in _PACKAGES:
        for path in sorted((PROJECT / package).rglob("*")):
            name = path.relative_to(PROJECT).as_posix()
            if path.is_file() and not any(word in name for word in _SKIPPED):
                yield name, path.read_bytes()
    for name in _SETS_UP:
        yield name, (PROJECT / name).read_bytes()


# ---- on the platform


def student_of(metadata: Any) -> str:
    """The student's id: the e-mail address, for a group the first one.

    Raises:
        ConfigError: the platform's data names no user.
    """
    try:
        users = sorted(str(user["email"]) for user in metadata["users"])
        return library.student_id(users[0])
    except (KeyError, TypeError, IndexError):
        raise ConfigError(
            "submission_metadata.json: names no user with an e-mail address"
        ) from None


def run(root: Path) -> Result:
    """Grades the submission that the platform put under `root`; writes its results."""
    source = root / "source"
    name = (source / "lab.txt").read_text(encoding="utf-8").strip()
    lab = library.open_folder((source / "labs" / name).resolve())
    student = student_of(read_json(root / "submission_metadata.json"))
    params = lab.variant(student, library.read_secret(source / "course.secret"))
    handed = accept.read(root / "submission", lab.manifest)
    with guard.folder("grading") as scratch:
        result = _tried(Task(lab, student, params, handed, scratch / "student"))
    results = pages.gradescope_results(result)
    write_json(root / "results" / "results.json", results)
    return result


def _tried(task: Task) -> Result:
    for _ in range(_TRIES):
        try:
            result = grade(task, grading_runtime(task.lab))
        except TestbedError as error:
            result = not_judged(task.lab, task.student, str(error))
        if result.conclusive:
            break
    return result


def main(root: Path) -> None:
    """Grades; if anything goes wrong, the platform gets a file that says so, without a score."""
    (root / "results").mkdir(exist_ok=True)
    try:
        run(root)
    except Exception as error:  # noqa: BLE001 (the program's top level)
        said = {"output": f"The autograder failed: {type(error).__name__}: {error}", "tests": []}
        write_json(root / "results" / "results.json", said)
        sys.stderr.write(json.dumps(said) + "\n")
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
