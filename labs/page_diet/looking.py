"""What somebody finds on the page: texts, pictures, and what happens on clicks and keys.

The scripts run apart from the page's own ones, which therefore cannot change what is found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from testbed import TestbedError, Verdict, holds

if TYPE_CHECKING:
    from testbed.daemons.browser import Page

    from .slow_page import Pixels, SlowPage

CELLS, SHOWN_PX = 4, 120
ALIKE = 24
"""By how much a colour may differ, of 255."""

_MOST_CHARACTERS, _MOST_PICTURES = 20_000, 40

_LOOK = """(async () => {
  const pictures = [...document.images].slice(0, MOST);
  for (const picture of pictures) {
    picture.scrollIntoView();
    await Promise.race([picture.decode().catch(() => 0), new Promise(d => setTimeout(d, 20000))]);
  }
  window.scrollTo(0, 0);
  const colours = picture => {
    const side = 16, canvas = document.createElement('canvas');
    canvas.width = canvas.height = side;
    const context = canvas.getContext('2d');
    context.imageSmoothingQuality = 'high';
    context.drawImage(picture, 0, 0, side, side);
    const found = [];
    for (let y = 1; y < side; y += side / CELLS) for (let x = 1; x < side; x += side / CELLS)
      found.push([...context.getImageData(x, y, 2, 2).data].slice(0, 3));
    return found;
  };
  return JSON.stringify({
    text: document.body.innerText.slice(0, CHARACTERS),
    pictures: pictures.map(picture => {
      const box = picture.getBoundingClientRect();
      const seen = picture.checkVisibility({opacityProperty: true, visibilityProperty: true});
      let cells = [];
      try { cells = colours(picture) } catch (error) {}
      return {alt: picture.alt, width: box.width, height: box.height, seen,
        natural: Math.min(picture.naturalWidth, picture.naturalHeight), cells};
    }),
  });
})()"""

_DO = """(async () => {
  const one = selector => document.querySelector(selector);
  const soon = () => new Promise(done => setTimeout(done, 100));
  const type = async (selector, text) => {
    const input = one(selector);
    input.value = text;
    input.dispatchEvent(new Event('input', {bubbles: true}));
    input.dispatchEvent(new Event('change', {bubbles: true}));
    await soon();
  };
  const shown = element => element.checkVisibility();
  const did = {};
  try {
    did.menu = [shown(one('#contents'))];
    for (let time = 0; time < 2; time++) {
      one('#menu').click();
      await soon();
      did.menu.push(shown(one('#contents')));
    }
  } catch (error) { did.menu = String(error) }
  try {
    await type('#search', WORD);
    did.search = [...document.querySelectorAll('#goods li')].filter(shown)
      .map(item => item.innerText.trim()).slice(0, 20);
  } catch (error) { did.search = String(error) }
  try {
    await type('#quantity', QUANTITY);
    did.order = one('#total').innerText.trim().slice(0, 200);
  } catch (error) { did.order = String(error) }
  return JSON.stringify(did);
})()"""


def look(page: Page, wanted: SlowPage) -> dict[str, Any]:
    """Looks at a page that has loaded, then clicks and types.

    Returns:
        ``text`` as shown; ``pictures`` with ``alt``, ``width`` and ``height`` as shown,
        ``natural`` (the smaller side of the file, in px), ``seen``, and the colours of 4 × 4
        ``cells``; ``did``: function → what was seen.
    """
    looking = _LOOK.replace("MOST", str(_MOST_PICTURES)).replace("CELLS", str(CELLS))
    looking = looking.replace("CHARACTERS", str(_MOST_CHARACTERS))
    doing = _DO.replace("WORD", json.dumps(wanted.word))
    doing = doing.replace("QUANTITY", json.dumps(str(wanted.quantity)))
    found: dict[str, Any] = {"text": "", "pictures": [], "did": {}}
    try:
        found |= json.loads(page.inspect(looking))
        found["did"] = json.loads(page.inspect(doing))
    except TestbedError as error:  # a page without a body, or one that hangs or leaves on a click
        found["error"] = str(error)
    return found


def judge(name: str, seen: Mapping[str, Any] | None, wanted: Pixels) -> Verdict:
    """One picture: shown as large as before, with enough pixels for that, and alike."""
    expected = f"{name}: shown, {SHOWN_PX} px or more, alike"
    if seen is None:
        return holds(False, observed=f"{name}: missing", expected=expected)
    size = min(float(seen["width"]), float(seen["height"]), float(seen["natural"]))
    faults = []
    if not seen["seen"]:
        faults.append("not visible")
    if size < SHOWN_PX - 1:
        faults.append(f"{size:.0f} px")
    if _difference(seen["cells"], wanted) > ALIKE:
        faults.append("looks different")
    return holds(
        not faults, observed=f"{name}: {', '.join(faults) or 'as before'}", expected=expected
    )


def _difference(cells: list[list[int]], wanted: Pixels) -> float:
    """The largest difference of a colour, of 255."""
    if len(cells) != len(wanted.cells):
        return 255.0
    pairs = zip(cells, wanted.cells, strict=True)
    return max(abs(a - b) for one, other in pairs for a, b in zip(one, other, strict=True))
