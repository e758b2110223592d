"""Files handed in under almost the right name, such as ``R2.conf.txt`` for ``r2.conf``."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath

from testbed.grading.answers import shown
from testbed.grading.entries import DEEPEST, is_archive

_COPY = re.compile(r"^copy of |\s*\(\d+\)|\s+(-\s+)?copy(?=\.|$)")
"""What file managers and browsers add to the name of a second copy."""

_SAME_ENDING = {"yml": "yaml", "htm": "html"}
_MOST_NAMED = 3
_CLOSE = 0.75
"""Likeness of two names from which one is named as a misspelt other (`difflib`'s ratio)."""


def plain(name: str) -> str:
    """A file's name without what systems and editors change: case, copies' marks, ``.txt``."""
    name = unicodedata.normalize("NFKC", name).casefold().strip()
    name = _COPY.sub("", name.removesuffix(".txt"))
    stem, dot, ending = name.rpartition(".")
    return f"{stem}{dot}{_SAME_ENDING.get(ending, ending)}"


def candidates(
    missing: Collection[str], there: Iterable[PurePosixPath]
) -> dict[str, list[PurePosixPath]]:
    """For each missing file, the files with almost its name that are nearest to the top."""
    found: dict[str, list[PurePosixPath]] = {name: [] for name in missing}
    for path in there:
        for name in missing:
            if plain(path.name) == plain(name):
                found[name].append(path)
    return {
        name: [p for p in paths if len(p.parts) == min(len(q.parts) for q in paths)]
        for name, paths in found.items()
    }


def unmistakable(found: Mapping[str, list[PurePosixPath]]) -> dict[PurePosixPath, str]:
    """Path → missing file, where exactly one file fits a name and no other name."""
    every = [path for paths in found.values() for path in paths]
    return {
        paths[0]: name
        for name, paths in found.items()
        if len(paths) == 1 and every.count(paths[0]) == 1
    }


def used(name: str, path: PurePosixPath) -> str:
    """What to say if such a file was used."""
    mend = f"put it in at most {DEEPEST} folders" if path.name == name else f"rename it to {name}"
    return f"'{shown(path)}' was used; {mend}"


def instead(name: str, near: list[PurePosixPath], there: Collection[PurePosixPath]) -> str:
    """What to say after "was not handed in": files that may be meant; empty if there are none."""
    close = difflib.get_close_matches(name, [path.name for path in there], n=1, cutoff=_CLOSE)
    named = near[:_MOST_NAMED] or [PurePosixPath(found) for found in close]
    if named:
        words = " and ".join(f"'{shown(path)}'" for path in named)
        return f"; you handed in {words}: the name must be {name}"
    packed = next((path for path in there if is_archive(path)), None)
    return f"; archives in a submission ('{shown(packed)}') are not opened" if packed else ""
