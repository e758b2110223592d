"""Titles of pages that are in English only: navigation has them in the reader's language."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from testbed.core.project import PROJECT
from testbed.grading import library

DOCS = PROJECT / "docs"
_ABOVE = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}


def title(page: str) -> str:
    """A page's English title, by its address below ``docs``; empty where it has none of its own."""
    path = PROJECT / _ABOVE[page] if page in _ABOVE else DOCS / page
    if path.is_file():
        return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    folder, name = Path(page).parent, Path(page).stem
    if str(folder) == "labs" and name in library.names():
        return library.open_lab(name).manifest.title
    return ""


def texts() -> Iterator[tuple[str, str]]:
    """All of them that need a translation, each with where it is from."""
    for path in sorted(DOCS.rglob("*.md")):
        page = path.relative_to(DOCS)
        if page.parts[0] != "zh" and not (DOCS / "zh" / page).is_file():
            yield title(str(page)), f"docs/{page}"
    for address, file in _ABOVE.items():
        yield title(address), file
    for name in library.names():
        yield title(f"labs/{name}.md"), f"labs/{name}/lab.yaml"
