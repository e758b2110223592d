"""Which image a run uses, if any, and why."""

from __future__ import annotations

import os
from pathlib import Path

from testbed.core.errors import ConfigError
from testbed.machine.image import store
from testbed.machine.image.store import Image

AUTO, NONE = "auto", "none"
VARIABLE = "TESTBED_IMAGE"


def choose(asked: str = "") -> tuple[Image | None, str]:
    """The image to run from, locked, and why it was chosen; None: the host's programs.

    Args:
        asked: a file, the beginning of an image's name, `auto` or `none`. Empty: what the variable
            ``TESTBED_IMAGE`` says, else `auto`: the image that was imported last, because
            somebody imported it on purpose and it is the same on every machine; without any,
            the host's programs.

    Raises:
        ConfigError: there is no such image.
        ParseError: it is damaged.
    """
    given = os.environ.get(VARIABLE, "")
    word = asked or given or AUTO
    if word == NONE:
        return None, "asked for the host's programs"
    if word != AUTO:
        why = "asked for" if asked else f"set by {VARIABLE}"
        return _find(word), why
    known = store.ids()
    if not known:
        return None, "no image was imported"
    return store.get(
        known[0]
    ), "the newest import, the same on every machine (--image none for the host's programs)"


def _find(word: str) -> Image:
    path = Path(word).expanduser()
    if path.is_file():
        return store.bring_in(path)
    if "/" in word:
        raise ConfigError(f"{path}: no such file")
    return store.get(store.find(word))
