"""Folders of one command's own, and what runs in them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


@dataclass
class Place:
    """Folders of one command's own.

    Attributes:
        root: everything is in it.
        images: where an image is made once for all.
        own_project: it has a small project of its own, and starts there.
    """

    root: Path
    images: Path
    own_project: bool = False

    @property
    def work(self) -> Path:
        """Where its files are."""
        return self.root / "work"

    @property
    def project(self) -> Path:
        """Whose code it runs."""
        return self.root / "project" if self.own_project else PROJECT

    @property
    def start(self) -> Path:
        """Where it starts."""
        return self.project if self.own_project else self.work

    def environment(self) -> dict[str, str]:
        """Its variables; the labs are those of the tests, which take less time."""
        for name in ("home", "cache", "tmp", "work"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TESTBED_", "JUPYTER"))}
        labs = {} if self.own_project else {"TESTBED_LABS": str(PROJECT / "tests/labs")}
        return (
            kept
            | labs
            | {
                "HOME": str(self.root / "home"),
                "XDG_CACHE_HOME": str(self.root / "home/cache"),
                "TESTBED_CACHE": str(self.root / "cache"),
                "TESTBED_RUNS": str(self.root / "runs"),
                "TMPDIR": str(self.root / "tmp"),
                "PYTHONPATH": str(self.project),
            }
        )

    def files(self) -> set[str]:
        """All files and folders in it."""
        return {
            os.path.relpath(os.path.join(path, name), self.root)  # noqa: PTH118
            for path, folders, names in os.walk(self.root)
            for name in (*folders, *names)
        }


def quietly(place: Place, argv: Sequence[str]) -> None:
    """Runs something that must succeed."""
    done = subprocess.run(
        argv, cwd=place.start, env=place.environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(argv)}: {done.stderr or done.stdout}")
