"""English text and its Chinese: a gettext catalogue, filled from the code.

Claims, titles and help texts are written once, in English, where they belong. The catalogue
``docs/zh/messages.po`` has a translation for each, found by the English text itself: a sentence
that changes loses its translation until somebody looks at it again, and shows in English till then.
"""

from __future__ import annotations

import inspect
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from testbed.author import experiment
from testbed.book import chapters, titles
from testbed.book.phrases import LABELS
from testbed.core.parameters import ALLOWED, parameters_of
from testbed.core.project import PROJECT

CATALOGUE = PROJECT / "docs" / "zh" / "messages.po"
LANGUAGES = ("en", "zh")

_HEADER = r"""# Chinese texts of the book. python -m testbed.docs keeps the English as in the code.
# Write the Chinese into msgstr; an empty one shows the English.
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\n"
"Language: zh_CN\n"

"""


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


def words(language: str) -> Words:
    """The texts of one language.

    Raises:
        KeyError: it is none of `LANGUAGES`.
    """
    if language not in LANGUAGES:
        raise KeyError(language)
    return Words(language, _catalogue={} if language == "en" else translations(read_catalogue()))


def paragraphs(cls: type[experiment.Experiment]) -> list[str]:
    """The text of an experiment's docstring below its title, a string a paragraph."""
    text = (inspect.getdoc(cls) or "").split("\n\n")[1:]
    return [" ".join(paragraph.split()) for paragraph in text if paragraph.strip()]


_CHINESE = r"[\u3000-\u9fff\uff00-\uffef]"
_MARK = (
    r"[\u3001\u3002\uff01-\uff0f\uff1a-\uff1f]"  # 、。！（），：；？: they bring their own space
)
_LINE_END = re.compile(
    rf"(?<={_CHINESE})\n {{0,3}}(?={_CHINESE})"
    rf"|(?<=\S)\n {{0,3}}(?={_MARK})|(?<={_MARK})\n {{0,3}}(?=[A-Za-z]|`(?!`))"
)


def joined(text: str) -> str:
    """Chinese text without the line ends that a browser would show as spaces."""
    return _LINE_END.sub("", text)


def messages() -> Iterator[tuple[str, str]]:
    """All texts of the book, each with where it is from."""
    for label in LABELS:
        yield label, "testbed/book/phrases.py"
    for text in ALLOWED:
        yield text, "testbed/core/parameters.py"
    yield from titles.texts()
    for text in chapters.texts():
        yield text, "docs/book.toml"
    for name, path in experiment.experiment_files().items():
        where = str(path.relative_to(PROJECT))
        cls = experiment.load(name)
        yield cls.title(), where
        for paragraph in paragraphs(cls):
            yield paragraph, where
        for claim in cls.claims():
            yield claim.sentence, where
        for caption in cls.captions().values():
            yield caption, where
        for p in parameters_of(cls.Parameters):
            if p.spec.help:
                yield p.spec.help, where


def read_catalogue() -> Catalog:
    """The catalogue as it is stored; an empty one if there is none."""
    if not CATALOGUE.is_file():
        return Catalog(locale="zh_CN")
    with CATALOGUE.open("rb") as file:
        return read_po(file, locale="zh_CN")


def translations(catalogue: Catalog) -> dict[str, str]:
    """English → Chinese, of what is translated and was not changed since."""
    return {str(m.id): str(m.string) for m in catalogue if m.id and m.string and not m.fuzzy}


def fresh_catalogue() -> str:
    """The catalogue's text with today's messages: new ones empty, unused ones gone."""
    old = read_catalogue()
    template = Catalog(locale="zh_CN")
    for text, where in messages():
        template.add(text, locations=[(where, None)])
    near = {str(m.id): m for m in old}
    template_ids = {str(m.id) for m in template}
    for message in template:
        if message.id and (known := near.get(str(message.id))):
            message.string, message.flags = known.string, set(known.flags)
        elif message.id:
            message.string = ""
    kept = [m for m in old if m.id and m.string and str(m.id) not in template_ids]
    for message in kept:  # a sentence that was changed: its old words help who translates it again
        template.obsolete[message.id] = message
    for key, message in old.obsolete.items():
        if key not in template_ids and message.string:
            template.obsolete[key] = message
    return _text(template)


def _text(catalogue: Catalog) -> str:
    buffer = io.BytesIO()
    write_po(buffer, catalogue, width=96, omit_header=True)
    return _HEADER + buffer.getvalue().decode().strip() + "\n"
