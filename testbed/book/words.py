"""English text and its Chinese: gettext catalogues, filled from the code.

Claims, titles and help texts are written once, in English, where they belong. The folders of
experiments and labs have catalogues of their own texts, ``zh.po``; all others are in
``testbed/core/zh.po``. A translation is found by the English text: a sentence that changes loses
its translation until somebody looks at it again, and is shown in English until then.
`testbed.core.language` reads them at run time.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from testbed.author import experiment, experiment_folder
from testbed.author.defences import AttackExperiment, Layer, Outcome
from testbed.book import chapters, runtime_texts, titles
from testbed.book.phrases import LABELS
from testbed.core.language import COMMON, LANGUAGES, Words
from testbed.core.parameters import ALLOWED, parameters_of
from testbed.core.project import PROJECT
from testbed.grading import library, loading

CATALOGUE = COMMON

_HEADER = r"""# Chinese texts of the book. python -m testbed.docs keeps the English as in the code.
# Write the Chinese into msgstr; an empty one shows the English.
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\n"
"Language: zh_CN\n"

"""


def words(language: str) -> Words:
    """The texts of one language, of all catalogues.

    Raises:
        KeyError: it is none of `LANGUAGES`.
    """
    if language not in LANGUAGES:
        raise KeyError(language)
    return Words(language, _catalogue={} if language == "en" else all_translations())


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


def messages() -> dict[Path, list[tuple[str, str]]]:
    """All texts by catalogue, each with where it is from.

    An experiment that is a single file has its texts in the common catalogue.
    """
    common = [(label, "testbed/book/phrases.py") for label in LABELS]
    common += [(text, "testbed/core/parameters.py") for text in ALLOWED]
    common += [(str(one), "testbed/author/defences.py") for one in (*Outcome, *Layer)]
    common += titles.texts()
    common += [(text, "docs/book.toml") for text in chapters.texts()]
    common += runtime_texts.marked()
    found = {CATALOGUE: common}
    known = {text for text, _ in common}
    for name, root in experiment.experiment_files().items():
        where = str(root.relative_to(PROJECT))
        catalogue = experiment_folder.catalogue(root) if root.is_dir() else CATALOGUE
        texts = [text for text in _texts(experiment.load(name)) if text not in known]
        found.setdefault(catalogue, []).extend((text, where) for text in texts)
    for catalogue, told in runtime_texts.of_labs().items():
        found[catalogue] = [(text, name) for text, name in told if text not in known]
    return found


def _texts(cls: type[experiment.Experiment]) -> Iterator[str]:
    yield cls.title()
    yield from cls.paragraphs()
    for claim in cls.claims():
        yield claim.sentence
    yield from cls.captions().values()
    for p in parameters_of(cls.Parameters):
        if p.spec.help:
            yield p.spec.help
    if issubclass(cls, AttackExperiment):
        yield from cls.attacks.values()
        yield from (defence.label for defence in cls.defences.values())


def catalogues() -> list[Path]:
    """The files with translations: the common one, and those of experiments' and labs' folders."""
    roots = [root for root in experiment.experiment_files().values() if root.is_dir()]
    of_labs = [p for name in library.names() for p in loading.catalogues(library.folder(name))]
    return [CATALOGUE, *map(experiment_folder.catalogue, roots), *of_labs]


def read_catalogue(path: Path) -> Catalog:
    """A catalogue as it is stored; an empty one if there is none."""
    if not path.is_file():
        return Catalog(locale="zh_CN")
    with path.open("rb") as file:
        return read_po(file, locale="zh_CN")


def translations(catalogue: Catalog) -> dict[str, str]:
    """English → Chinese, of what is translated and was not changed since."""
    return {str(m.id): str(m.string) for m in catalogue if m.id and m.string and not m.fuzzy}


def untranslated() -> Iterator[tuple[Path, str]]:
    """The texts that are shown in English to Chinese readers, each with its catalogue."""
    for path in catalogues():
        for message in read_catalogue(path):
            if message.id and (not message.string or message.fuzzy):
                yield path, str(message.id)


def all_translations() -> dict[str, str]:
    """English → Chinese, of all catalogues; the common one has the last word."""
    found: dict[str, str] = {}
    for path in reversed(catalogues()):
        found |= translations(read_catalogue(path))
    return found


def fresh_catalogues() -> dict[Path, str]:
    """Each catalogue's text with today's messages: new ones empty, unused ones gone.

    What another catalogue translates already is taken from there.
    """
    known = all_translations()
    today = messages()
    used = {text for texts in today.values() for text, _ in texts}
    return {path: _fresh(path, texts, known, used) for path, texts in today.items()}


def _fresh(path: Path, texts: list[tuple[str, str]], known: dict[str, str], used: set[str]) -> str:
    old = read_catalogue(path)
    template = Catalog(locale="zh_CN")
    for text, where in texts:
        template.add(text, locations=[(where, None)] if path == CATALOGUE else [])
    before = {str(m.id): m for m in old}
    for message in template:
        if message.id and (there := before.get(str(message.id))) and there.string:
            message.string, message.flags = there.string, set(there.flags)
        elif message.id:
            message.string = known.get(str(message.id), "")
    kept = [m for m in old if m.id and m.string and str(m.id) not in used]
    for message in kept:  # a sentence that was changed: its old words help who translates it again
        template.obsolete[message.id] = message
    for key, message in old.obsolete.items():
        if key not in used and message.string:
            template.obsolete[key] = message
    return _text(template)


def _text(catalogue: Catalog) -> str:
    buffer = io.BytesIO()
    write_po(buffer, catalogue, width=96, omit_header=True)
    return _HEADER + buffer.getvalue().decode().strip() + "\n"
