"""Hooks of MkDocs: pages made from experiments, from runs, and from files above this folder.

The site is built once for each language (``mkdocs.yml``, ``mkdocs.zh.yml``), with the same
addresses below ``/`` and ``/zh/``. A page that is not translated shows the English.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from testbed.author import experiment
from testbed.book import chapters, defence_in_depth, labs, pages, phrases, titles
from testbed.book.words import Words, joined, words
from testbed.core.project import PROJECT
from testbed.grading import library

DOCS = PROJECT / "docs"
ABOVE = {
    "en": {
        "README.md": "index.md",
        "CONTRIBUTING.md": "contributing.md",
        "CHANGELOG.md": "changelog.md",
    },
    "zh": {"README.zh.md": "index.md"},
}
"""Files of the project's root → their pages; other languages fall back on ``en``."""

CELL = re.compile(r"<(t[dh])\b[^>]*>.*?</\1>", re.S)
CODE = re.compile(r"(?<=<code>)[^<]+(?=</code>)")
TEXT = re.compile(r"(?<=>)[^<]+(?=<)")
HANDOUT = re.compile(r"\]\((?:[\w./]*experiments|\.\.)/(\w+)/handout(?:\.\w+)?\.md")
ITEM = re.compile(r"^\d+\. .*\n(?:(?:   .*)?\n)+", re.M)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts the book's chapters into the navigation, and its words into the language."""
    logging.getLogger("jieba").setLevel(logging.WARNING)  # the Chinese search index
    text = _words(config)
    for section in config.nav or []:
        if isinstance(section, dict) and phrases.BOOK in section:
            depth = {phrases.DEPTH: defence_in_depth.PAGE}
            section[phrases.BOOK] = ["experiments/index.md", *_chapters(text), depth]
        elif isinstance(section, dict) and phrases.LABS in section:
            section[phrases.LABS] = ["labs/index.md", *(f"labs/{n}.md" for n in library.names())]
    if not library.names():
        config.nav = [item for item in config.nav or [] if phrases.LABS not in item]
    config.nav = _translated(config.nav, text)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made."""
    text = _words(config)
    for name, content in made_pages(text, files).items():
        if (there := files.get_file_from_path(name)) is not None:
            files.remove(there)
        files.append(File.generated(config, name, content=content))
    if text.language == "en":  # the other languages' pages show the same files
        for name in experiment.experiment_files():
            for place, what in pages.files(name):
                given = {"abs_src_path": str(what)} if isinstance(what, Path) else {"content": what}
                files.append(File.generated(config, f"experiments/{place}", **given))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links to handouts lead to the book's pages; items of numbered lists are 4 columns in."""
    return ITEM.sub(_item, to_pages(markdown, page.file.src_uri))


def to_pages(markdown: str, address: str) -> str:
    """Links between the project's files as links between the site's pages.

    Args:
        markdown: of the page.
        address: the page's, below the site.
    """
    up = "../" * address.count("/")
    markdown = HANDOUT.sub(rf"]({up}experiments/\1.md", markdown)
    if address.startswith("experiments/"):
        markdown = re.sub(r"\]\(\.\./\.\./docs/(?:zh/)?", f"]({up}", markdown)
    return markdown


def _item(found: re.Match[str]) -> str:
    item = found[0].replace("\n   ", "\n    ")
    ends_in_paragraph = "\n\n" in item and not item.endswith("\n\n")
    return item + "\n" * ends_in_paragraph  # without, the next item would go on with it


def on_page_content(html: str, **_: Any) -> str:
    """Long names in tables may be broken behind an underscore (in code: a dot), nowhere else."""
    return CELL.sub(lambda cell: TEXT.sub(_breakable, CODE.sub(_code, cell[0])), html)


def _code(code: re.Match[str]) -> str:
    text = code[0].replace(r"\|", "|")  # a stroke that stands in a table, as GitHub wants it
    text = re.sub(r"\.(?=\w)", ".<wbr>", text)
    return re.sub(r"^--\w+", r'<span class="option">\g<0></span>', text)  # not only its dashes


def _breakable(text: re.Match[str]) -> str:
    return re.sub(r"_(?=\w)", "_<wbr>", text[0])


def made_pages(text: Words, files: Files) -> dict[str, str]:
    """Page → its Markdown."""
    made = {page: above(name) for name, page in ABOVE["en"].items()}
    made |= {f"labs/{name}.md": labs.page(name) for name in library.names()}
    if text.language != "en":
        made = {page: noted(english, text) for page, english in made.items()}
        made |= {page: joined(above(name)) for name, page in ABOVE[text.language].items()}
        made |= {f"labs/{n}.md": joined(t) for n, t in labs.translated(text.language).items()}
        made |= translated_pages(text, {*made, *(f.src_uri for f in files.documentation_pages())})
    for name in experiment.experiment_files():
        made[f"experiments/{name}.md"] = pages.page(name, text)
    made["experiments/index.md"] = pages.contents(text)
    made[defence_in_depth.PAGE] = defence_in_depth.page(text)
    if library.names():
        made["labs/index.md"] = labs.contents(text)
    return made


def translated_pages(text: Words, names: set[str]) -> dict[str, str]:
    """What stands in this language's folder; other pages get a note before the English."""
    made = {}
    for name in sorted(names - set(ABOVE[text.language].values())):
        own = DOCS / text.language / name
        if own.is_file():
            made[name] = inside(joined(own.read_text(encoding="utf-8")), name.count("/"))
        elif (DOCS / name).is_file():
            made[name] = noted((DOCS / name).read_text(encoding="utf-8"), text)
    return made


def noted(english: str, text: Words) -> str:
    """An English page that tells other languages' readers that it is not translated."""
    title, _, body = english.partition("\n")
    return f'{title}\n\n!!! note "{text(phrases.NOT_TRANSLATED)}"\n{body}'


def above(name: str) -> str:
    """A page from the project's root, its links as they are seen from here."""
    text = (PROJECT / name).read_text(encoding="utf-8")
    text = re.sub(r"\]\(docs/(?:zh/)?", "](", text)
    for files in ABOVE.values():
        for file, page in files.items():
            text = text.replace(f"]({file}", f"]({page}")
    # the site's header leads to the other language
    text = re.sub(r"\A(# .*\n\n)\[[^]]*\]\(index\.md\)\n", r"\1", text)
    return text.replace("[LICENSE](LICENSE)", "`LICENSE`")


def inside(text: str, depth: int) -> str:
    """A page from a language's folder: links out of that folder lead to its own pages."""
    up = "../" * (depth + 1)
    return text.replace(f"]({up}", f"]({'../' * depth}")


# ---- navigation


def _words(config: MkDocsConfig) -> Words:
    language = config.theme["language"]
    return words(str(language))


def _chapters(text: Words) -> Iterator[Any]:
    placed: set[str] = set()
    for chapter in chapters.read():
        names = [n for n in chapter.experiments if n not in placed]
        placed |= set(names)
        if names:
            title = pages.numbered(chapter.number, text(chapter.title))
            yield {title: [f"experiments/{name}.md" for name in names]}


def _translated(nav: Any, text: Words) -> Any:
    """Headings, and titles of pages that are themselves in English still, in this language."""
    if (
        isinstance(nav, str)
        and text.language != "en"
        and not (DOCS / text.language / nav).is_file()
    ):
        title = titles.title(nav)
        return {text(title): nav} if text(title) != title else nav
    if isinstance(nav, list):
        return [_translated(item, text) for item in nav]
    if isinstance(nav, dict):
        return {text(title): _translated(item, text) for title, item in nav.items()}
    return nav
