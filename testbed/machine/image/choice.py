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
            ``TESTBED_IMAGE`` says, else `auto`: the image that was chosen (`use`); without any, the
            host's programs.

    Raises:
        ConfigError: there is no such image, or the chosen one is gone.
        ParseError: it is damaged.
    """
    given = os.environ.get(VARIABLE, "")
    word = asked or given or AUTO
    if word == NONE:
        return None, "asked for the host's programs"
    if word != AUTO:
        why = "asked for" if asked else f"set by {VARIABLE}"
        return _find(word), why
    chosen = store.chosen()
    if not chosen:
        return None, "no image is chosen (testbed image use)"
    if chosen not in store.ids():
        raise ConfigError(
            f"image {chosen}: was chosen but no longer exists; testbed image use none"
        )
    return store.get(chosen), "chosen (testbed image use)"


def use(word: str) -> Image | None:
    """Chooses what runs use from now on, and returns it; None: the host's programs.

    Args:
        word: a file, the beginning of an image's name, or `none`.

    Raises:
        ConfigError: there is no such image.
        OutputError: the choice cannot be kept.
        ParseError: it is damaged.
    """
    image = None if word == NONE else _find(word)
    store.choose(image.id if image else "")
    return image


def _find(word: str) -> Image:
    path = Path(word).expanduser()
    if path.is_file():
        return store.bring_in(path)
    if "/" in word:
        raise ConfigError(f"{path}: no such file")
    return store.get(store.find(word))
