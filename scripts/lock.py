"""`make lock`: writes requirements/*.txt, every package with its version and hashes.

One file for what every user needs (``base``), one for each extra and each dependency group of
pyproject.toml, and ``build`` for what builds the project itself. All hold for every Python that
pyproject.toml allows, on every system. Packages have the same version in all of them, but in
groups, which are installed apart.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = ROOT / "pyproject.toml"
FOLDER = ROOT / "requirements"
_UV = [
    "uv",
    "pip",
    "compile",
    "--quiet",
    "--universal",
    "--fork-strategy",
    "fewest",
    "--generate-hashes",
    "--no-annotate",
    "--no-header",
]


def project() -> dict[str, Any]:
    """What pyproject.toml says."""
    return tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))


def ranges_digest(said: dict[str, Any]) -> str:
    """A hash over all ranges; it stands in each lock's first lines."""
    ranges = {
        "python": said["project"]["requires-python"],
        "base": said["project"]["dependencies"],
        "extras": said["project"]["optional-dependencies"],
        "groups": said["dependency-groups"],
        "build": said["build-system"]["requires"],
    }
    return hashlib.sha256(json.dumps(ranges, sort_keys=True).encode()).hexdigest()[:16]


def names(said: dict[str, Any]) -> list[str]:
    """The locks there should be."""
    extras, groups = said["project"]["optional-dependencies"], said["dependency-groups"]
    return sorted(["base", "build", *extras, *groups])


def make(said: dict[str, Any]) -> dict[str, str]:
    """The text of each lock, as the package index has it now."""
    python = said["project"]["requires-python"].removeprefix(">=")
    pyproject = [str(PYPROJECT)]

    def compiled(*words: str, ranges: str | None = None) -> str:
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name(_UV[0])),
                *_UV[1:],
                "--python-version",
                python,
                *words,
            ],
            cwd=ROOT,
            input=ranges,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    build = "\n".join(said["build-system"]["requires"])
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as everything:
        everything.write(compiled("--all-extras", *pyproject))
        everything.flush()
        same = ["--constraints", everything.name]
        made = {
            "base": compiled(*pyproject, *same),
            "build": compiled("-", *same, ranges=build),
        }
        for extra in said["project"]["optional-dependencies"]:
            made[extra] = compiled("--extra", extra, *pyproject, *same)
    for group in said["dependency-groups"]:
        made[group] = compiled("--group", group)
    return made


def main() -> int:
    """Writes all locks, or none."""
    said = project()
    head = f"# Made by `make lock` from pyproject.toml. Ranges: {ranges_digest(said)}\n"
    try:
        made = make(said)
    except subprocess.CalledProcessError as error:
        sys.stderr.write("the locks stay as they are: uv found no set of packages (see above)\n")
        return 3 if error.returncode else 1
    FOLDER.mkdir(exist_ok=True)
    for stale in FOLDER.glob("*.txt"):
        if stale.stem not in made:
            stale.unlink()
    for name, text in made.items():
        (FOLDER / f"{name}.txt").write_text(head + text, encoding="utf-8")
        sys.stdout.write(f"requirements/{name}.txt: {text.count('==')} packages\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
