"""``python -m testbed.book.site``: builds the documentation in one step."""

from __future__ import annotations

import testbed.lifetime.early  # noqa: F401  # isort: skip
import os
import shutil
import sys
from pathlib import Path

from testbed.lifetime import guard, start

PROJECT = Path(__file__).resolve().parents[2]
BUILD = PROJECT / "build"
SITE = BUILD / "site"
_LANGUAGES = {"mkdocs.yml": "", "mkdocs.zh.yml": "zh"}
"""Configuration → folder in the site."""


def main() -> int:
    """Builds all languages; returns the exit code."""
    BUILD.mkdir(exist_ok=True)
    with guard.alone_in(BUILD, _tell_waiting):
        for stale in BUILD.glob(f"{guard.WORK}*"):
            shutil.rmtree(stale, ignore_errors=True)
        with guard.folder(within=BUILD) as work:
            for configuration, folder in _LANGUAGES.items():
                if code := _build(PROJECT / configuration, work / "site" / folder):
                    return code
            guard.put_in_place(work / "site", SITE)
    sys.stdout.write("build/site/index.html, 中文 build/site/zh/index.html\n")
    return 0


def _build(configuration: Path, target: Path) -> int:
    argv = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--quiet",
        "--config-file",
        str(configuration),
        "--site-dir",
        str(target),
    ]
    return guard.run(argv, cwd=PROJECT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})


def _tell_waiting(folder: Path) -> None:
    sys.stderr.write(f"another command is writing to {folder}; waiting for its end\n")


if __name__ == "__main__":
    start.command("docs", lambda: sys.exit(main()))
