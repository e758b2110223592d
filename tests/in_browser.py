"""Opens pages that we make in a real browser on this machine, and says what is wrong with them."""

import base64
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testbed.daemons.browser import FLAGS, NO_QUIC, PROGRAM
from testbed.daemons.devtools import DevTools

WIDTHS_PX = (390, 1440)
SCHEMES = ("light", "dark")
HEIGHT_PX = 900
LOCAL = ("file:", "data:", "blob:", "about:")

_NO_NAMES = "--host-resolver-rules=MAP * ~NOTFOUND"
_LOAD_S, _QUIET_S = 60.0, 0.3
_TOO_WIDE = """(() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return '';
  const wide = [...document.querySelectorAll('body *')]
    .filter(element => element.getBoundingClientRect().right > width + 1);
  const last = wide.at(-1);
  return `${document.documentElement.scrollWidth} px: ` + (last ? last.outerHTML.slice(0, 80) : '');
})()"""
_NOWHERE = """[...document.querySelectorAll('a[href^="#"]:not([href="#"])')]
  .map(link => decodeURIComponent(link.hash.slice(1)))
  .filter(name => name && !document.getElementById(name))"""
_UNTIL = "new Promise(done => { const look = () => { const found = %s; if (found) done(found); "
_UNTIL += "else setTimeout(look, 20); }; look(); })"


class Tab:
    """A page that is open.

    Attributes:
        events: of DevTools, since it was opened.
    """

    def __init__(self, tools: DevTools, page: Path, width_px: int, scheme: str) -> None:
        self._tools, self.events = tools, []
        tools.on_event = self.events.append
        self._target = tools.call("Target.createTarget", url="about:blank")["targetId"]
        attached = tools.call("Target.attachToTarget", targetId=self._target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        size = {"width": width_px, "height": HEIGHT_PX, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=media)
        self.call("Page.navigate", url=page.resolve().as_uri())
        loaded = {"Page.loadEventFired"}
        tools.wait("load", lambda: any(e["method"] in loaded for e in self.events), _LOAD_S)

    def call(self, method: str, **parameters: Any) -> dict:
        """A command of DevTools about this page."""
        return self._tools.call(method, self._session, **parameters)

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript gives; a promise is waited for."""
        found = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, expression: str) -> Any:
        """Waits until an expression is true, and gives its value."""
        return self.value(_UNTIL % expression)

    def click(self, selector: str) -> None:
        """Clicks the middle of the first element that a selector of CSS finds."""
        box = f"document.querySelector({selector!r}).getBoundingClientRect()"
        self.until(f"document.querySelector({selector!r}) !== null")
        self.value(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
        found = self.value(f"(() => {{ const b = {box}; return [b.x, b.y, b.width, b.height] }})()")
        self.click_at(found[0] + found[2] / 2, found[1] + found[3] / 2)

    def click_at(self, x: float, y: float) -> None:
        """Clicks a place of the window."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def key(self, key: str) -> None:
        """Presses a key, by its name of `KeyboardEvent.key`."""
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def picture(self, path: Path) -> None:
        """Writes what the window shows as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def problems(self) -> list[str]:
        """What a reader would stumble over, up to now."""
        self._tools.settle(_QUIET_S, _LOAD_S)
        wide = self.value(_TOO_WIDE)
        said = [text for event in self.events if (text := _wrong(event["method"], event["params"]))]
        said += [f"too wide, {wide}"] if wide else []
        return [*said, *(f"a link leads to no place, #{name}" for name in self.value(_NOWHERE))]

    def close(self) -> None:
        """Closes it."""
        self._tools.call("Target.closeTarget", targetId=self._target)


class Browser:
    """A browser that is running."""

    def __init__(self, tools: DevTools) -> None:
        self._tools = tools

    @contextmanager
    def opened(self, page: Path, width_px: int = 1440, scheme: str = "light") -> Iterator[Tab]:
        """A page, for the block."""
        tab = Tab(self._tools, page, width_px, scheme)
        yield tab
        tab.close()


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser without a network, for the block.

    Args:
        folder: for its own files; must exist.
    """
    tools = DevTools(folder, "browser")
    argv = tools.argv([PROGRAM, *FLAGS, NO_QUIC, _NO_NAMES, f"--user-data-dir={folder}/profile"])
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as process:
        tools.watch(lambda: process.poll() is None)
        try:
            yield Browser(tools)
            tools.call("Browser.close")
        finally:
            process.kill()
            tools.close()


def problems(page: Path, folder: Path) -> list[str]:
    """What a reader would stumble over: errors, requests to a network, links to no place of the
    page, and contents that are too wide, on a telephone and on a large screen, light and dark.

    Args:
        page: the file.
        folder: for the browser's own files; must exist.
    """
    found = []
    with browser(folder) as running:
        for width_px in WIDTHS_PX:
            for scheme in SCHEMES:
                with running.opened(page, width_px, scheme) as tab:
                    found += [f"{width_px} px, {scheme}: {one}" for one in tab.problems()]
    return list(dict.fromkeys(found))


def _wrong(method: str, told: dict) -> str:
    if method == "Network.requestWillBeSent":
        url = told["request"]["url"]
        return "" if url.startswith(LOCAL) else f"asks the network for {url}"
    if method == "Runtime.exceptionThrown":
        thrown = told["exceptionDetails"]
        return str(thrown.get("exception", {}).get("description", thrown["text"]))
    if method == "Runtime.consoleAPICalled" and told["type"] == "error":
        return " ".join(str(argument.get("value")) for argument in told["args"])
    if method == "Log.entryAdded" and told["entry"]["level"] == "error":
        return f"{told['entry']['text']} {told['entry'].get('url', '')}"
    return ""
