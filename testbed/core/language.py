"""The language of what people read at run time: terminal, reports, feedback, handouts, the viewer.

``--lang`` chooses it, else ``$TESTBED_LANG``, else the system's locale. Texts are written once, in
English, where they belong; gettext catalogues (``zh.po``) hold their Chinese. What has none is
shown in English. What programs read (JSON, CSV, exit codes, names, numbers, units) is the same in
every language.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "zh")

VARIABLE = "TESTBED_LANG"
"""Environment variable with the chosen language, which processes of a command inherit."""

COMMON = Path(__file__).with_name("zh.po")
"""The catalogue of all texts that belong to no experiment's and no lab's folder."""

_LOCALE = ("LC_ALL", "LC_MESSAGES", "LANG")
"""The system's, by precedence (POSIX, Base Definitions §8.2)."""


def chosen() -> str:
    """One of `LANGUAGES`."""
    named = os.environ.get(VARIABLE)
    if named in LANGUAGES:
        return named
    locale = next(filter(None, map(os.environ.get, _LOCALE)), "")
    return "zh" if locale.lower().startswith("zh") else "en"


def explicit() -> bool:
    """Whether the user chose: the system's locale alone says less than a browser's own language."""
    return os.environ.get(VARIABLE) in LANGUAGES


def choose(language: str) -> None:
    """Chooses for this process and those that it starts.

    Raises:
        KeyError: it is none of `LANGUAGES`.
    """
    if language not in LANGUAGES:
        raise KeyError(language)
    os.environ[VARIABLE] = language


@dataclass
class Words:
    """Text in one language.

    Attributes:
        language: one of `LANGUAGES`.
        missing: texts that were asked for and have no translation, in order.
    """

    language: str
    missing: list[str] = field(default_factory=list)
    _catalogue: dict[str, str] = field(default_factory=dict)

    def __call__(self, text: str) -> str:
        """`text` in this language; the English where there is no translation."""
        if self.language == "en" or not text:
            return text
        if text not in self._catalogue and text not in self.missing:
            self.missing.append(text)
        return self._catalogue.get(text, text)

    def pair(self, term: str, text: str) -> str:
        """A term and what it is, with this language's colon."""
        return f"{term}：{text}" if self.language == "zh" else f"{term}: {text}"

    def listed(self, items: Iterable[str]) -> str:
        """Items with this language's comma between them."""
        return ("、" if self.language == "zh" else ", ").join(items)


def words(*catalogues: Path, language: str = "") -> Words:
    """The texts of one language.

    Args:
        catalogues: those of an experiment or a lab; the common one has the last word.
        language: one of `LANGUAGES`; by default the chosen one.

    Raises:
        KeyError: it is none of them.
    """
    language = language or chosen()
    if language not in LANGUAGES:
        raise KeyError(language)
    found: dict[str, str] = {}
    if language != "en":
        for path in (*catalogues, COMMON):
            found |= translations(path)
    return Words(language, _catalogue=found)


@cache
def translations(path: Path) -> dict[str, str]:
    """English → Chinese, of what a catalogue translates and was not changed since.

    Empty if there is no such file, or it cannot be read: English is always there.
    """
    import polib

    try:
        entries = polib.pofile(str(path), encoding="utf-8") if path.is_file() else []
    except (OSError, UnicodeDecodeError, ValueError):
        return {}
    return {e.msgid: e.msgstr for e in entries if e.msgstr and not e.fuzzy and not e.obsolete}
