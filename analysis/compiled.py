"""The packet reader's compiled part, where it was built: `packets/straight.c`, by setup.py.

Without it everything is read by NumPy alone, to the same values, in several times the time.
"""

from __future__ import annotations

import ctypes
from functools import cache
from hashlib import sha256
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from testbed.core.errors import MissingPrerequisiteError

FOLDER = Path(__file__).parent / "packets"
NAME = "the packet reader's compiled part"
BUILD_COMMAND = ".venv/bin/pip install -e ."


@cache
def library() -> ctypes.CDLL | None:
    """The compiled functions; None where there are none that can be used."""
    try:
        return load(FOLDER)
    except MissingPrerequisiteError:
        return None


def load(folder: Path) -> ctypes.CDLL:
    """Loads the library that was built from the C source as it is in the folder.

    Raises:
        MissingPrerequisiteError: it was not built, cannot be loaded, or is another source's.
    """
    places = [folder / f"_straight{suffix}" for suffix in EXTENSION_SUFFIXES]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise MissingPrerequisiteError(NAME, BUILD_COMMAND)
    try:
        digest = sha256((folder / "straight.c").read_bytes()).hexdigest().encode()
        found = ctypes.CDLL(str(path))
        built_from = (ctypes.c_char * (len(digest) + 1)).in_dll(found, "source_sha256").value
    except (OSError, ValueError) as error:
        raise MissingPrerequisiteError(NAME, BUILD_COMMAND, str(error)) from error
    if built_from != digest:
        raise MissingPrerequisiteError(NAME, BUILD_COMMAND, "the one here is of another source")
    for name in ("walk", "count_usual", "put_usual"):
        getattr(found, name).restype = ctypes.c_int64
    return found
