"""The page that students get: too many files, too many bytes, and all in the wrong order."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SIDE_PX, CELLS = 240, 4
"""Pictures are squares of 4 × 4 coloured cells, twice as large as they are shown."""

SHOWN_PX = 120
ITEMS = ("apples", "pears", "plums", "quinces", "cherries", "currants", "grapes", "walnuts")
_ADJECTIVES = ("quiet", "green", "old", "windy", "bright", "narrow", "golden", "distant")
_PLACES = ("harbour", "orchard", "valley", "bridge", "market", "lighthouse", "meadow", "tower")
_LIBRARY_FUNCTIONS = 400
_CSS_RULES = 300
_GRAIN = 4

Colour = tuple[int, int, int]


class Pixels(NamedTuple):
    """A picture: the colours of its cells, row by row."""

    cells: tuple[Colour, ...]

    def bitmap(self) -> bytes:
        """As a Windows bitmap, which no one has packed; with grain, as photographs have."""
        side = SIDE_PX // CELLS
        chance = random.Random(str(self.cells))
        pixels = bytearray()
        for y in reversed(range(SIDE_PX)):  # the lowest row comes first
            grain = chance.choices(range(-_GRAIN, _GRAIN + 1), k=SIDE_PX)
            for x, light in enumerate(grain):
                red, green, blue = self.cells[y // side * CELLS + x // side]
                pixels += bytes((blue + light, green + light, red + light))
        head = struct.pack("<2sIHHI", b"BM", 54 + len(pixels), 0, 0, 54)
        about = (40, SIDE_PX, SIDE_PX, 1, 24, 0, len(pixels), 0, 0, 0, 0)
        return head + struct.pack("<IiiHHIIiiII", *about) + bytes(pixels)


class SlowPage:
    """One student's page."""

    def __init__(self, name: str, pictures: int, pattern: int) -> None:
        self.name = name
        self._count, self._pattern = pictures, pattern
        chance = random.Random(pattern)
        places = chance.sample(_PLACES, 4)
        self.texts = [
            f"The {chance.choice(_ADJECTIVES)} {place} number {chance.randint(100, 999)} is open "
            f"from {chance.randint(6, 11)} to {chance.randint(16, 22)}."
            for place in places
        ]
        self.prices = {item: chance.randint(2, 9) for item in ITEMS}
        self.word = chance.choice(ITEMS)
        self.quantity = chance.randint(3, 9)

    def pictures(self) -> Iterator[tuple[str, Pixels]]:
        """Name (its alternative text) and contents of each picture."""
        chance = random.Random(self._pattern + 1)
        for number in range(1, self._count + 1):
            cells = (
                tuple(chance.randrange(10, 245, 5) for _ in range(3)) for _ in range(CELLS * CELLS)
            )
            yield f"picture {number}", Pixels(tuple(cells))  # type: ignore[arg-type]

    @property
    def functions(self) -> dict[str, object]:
        """What somebody sees who clicks and types: see `looking`."""
        return {
            "menu": [False, True, False],
            "search": [self.word],
            "order": f"{self.quantity * self.prices[self.word]} coins",
        }

    def html(self) -> str:
        """The page itself."""
        scripts = "".join(f'<script src="/js/{n}.js"></script>\n' for n in ("library", "page"))
        styles = '<link rel="stylesheet" href="/css/theme.css">\n'
        texts = "".join(f"<p>{text}</p>\n" for text in self.texts)
        images = "".join(
            f'<img src="/pictures/{number}.bmp" alt="picture {number}" width="{SHOWN_PX}" '
            f'height="{SHOWN_PX}">\n'
            for number in range(1, self._count + 1)
        )
        goods = "".join(
            f'<li data-price="{price}">{item}</li>\n' for item, price in self.prices.items()
        )
        return (
            f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f"<title>{self.name}</title>\n{styles}{scripts}</head>\n<body>\n<h1>{self.name}</h1>\n"
            '<button id="menu">Contents</button>\n<nav id="contents" hidden>Texts, pictures, goods'
            f"</nav>\n{texts}{images}\n"
            '<input id="search" placeholder="Search">\n<ul id="goods">\n'
            f"{goods}</ul>\n"
            '<input id="quantity" type="number" value="0"> <output id="total">0 coins</output>\n'
            "</body>\n</html>\n"
        )

    def write(self, root: Path) -> None:
        """The page as a folder."""
        files = {
            "index.html": self.html(),
            "css/theme.css": '@import "layout.css";\n' + _THEME + _rules("theme"),
            "css/layout.css": '@import "reset.css";\n' + _LAYOUT + _rules("layout"),
            "css/reset.css": _RESET + _rules("reset"),
            "js/library.js": library(),
            "js/page.js": SCRIPT,
        }
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        (root / "pictures").mkdir()
        for number, (_, pixels) in enumerate(self.pictures(), 1):
            (root / "pictures" / f"{number}.bmp").write_bytes(pixels.bitmap())


def _rules(name: str) -> str:
    """Rules for elements that the page does not have."""
    return "".join(f".{name}-{n} {{ margin: {n}px; padding: {n}px }}\n" for n in range(_CSS_RULES))


def library() -> str:
    """A library of which the page uses one function."""
    unused = "".join(
        f"/* Computes number {n}, which no page has ever asked for. */\n"
        f"function compute{n}(value) {{ return value * {n} + {n * n} }}\n"
        for n in range(_LIBRARY_FUNCTIONS)
    )
    return unused + HELPER


HELPER = """function on(selector, kind, handle) {
  document.querySelector(selector).addEventListener(kind, handle);
}
"""
SCRIPT = """window.addEventListener('load', () => {
  const goods = [...document.querySelectorAll('#goods li')];
  on('#menu', 'click', () => {
    const contents = document.querySelector('#contents');
    contents.hidden = !contents.hidden;
  });
  on('#search', 'input', event => {
    for (const item of goods) item.hidden = !item.textContent.includes(event.target.value);
  });
  on('#quantity', 'input', event => {
    const item = goods.find(item => !item.hidden);
    document.querySelector('#total').textContent =
      `${event.target.value * item.dataset.price} coins`;
  });
});
"""
_RESET = "* { margin: 0; padding: 0; box-sizing: border-box }\n"
_LAYOUT = "body { max-width: 700px; margin: 20px auto }\np, ul, nav { margin: 8px 0 }\n"
_THEME = "body { font: 18px sans-serif; background: #eef6fb }\nh1 { color: #0b6a8f }\n"
