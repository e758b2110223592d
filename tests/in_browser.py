"""Opens pages that we make in a real browser on this machine, and says what is wrong with them."""

import subprocess
from pathlib import Path

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


def problems(page: Path, folder: Path) -> list[str]:
    """What a reader would stumble over: errors, requests to a network, and contents that are too
    wide, on a telephone and on a large screen, with a light and a dark scheme.

    Args:
        page: the file.
        folder: for the browser's own files; must exist.
    """
    tools = DevTools(folder, "browser")
    argv = tools.argv([PROGRAM, *FLAGS, NO_QUIC, _NO_NAMES, f"--user-data-dir={folder}/profile"])
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as process:
        tools.watch(lambda: process.poll() is None)
        try:
            found = [
                f"{width_px} px, {scheme}: {problem}"
                for width_px in WIDTHS_PX
                for scheme in SCHEMES
                for problem in _problems(tools, page, width_px, scheme)
            ]
            tools.call("Browser.close")
        finally:
            process.kill()
            tools.close()
    return list(dict.fromkeys(found))


def _problems(tools: DevTools, page: Path, width_px: int, scheme: str) -> list[str]:
    events = []
    tools.on_event = events.append
    target = tools.call("Target.createTarget", url="about:blank")["targetId"]
    session = tools.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Network", "Runtime", "Log"):
        tools.call(f"{domain}.enable", session)
    size = {"width": width_px, "height": HEIGHT_PX, "deviceScaleFactor": 1, "mobile": False}
    tools.call("Emulation.setDeviceMetricsOverride", session, **size)
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    tools.call("Emulation.setEmulatedMedia", session, features=media)
    tools.call("Page.navigate", session, url=page.resolve().as_uri())
    loaded = {"Page.loadEventFired"}
    tools.wait("load", lambda: any(e["method"] in loaded for e in events), _LOAD_S)
    tools.settle(_QUIET_S, _LOAD_S)
    wide = tools.call("Runtime.evaluate", session, expression=_TOO_WIDE)["result"]["value"]
    tools.call("Target.closeTarget", targetId=target)
    said = [text for event in events if (text := _wrong(event["method"], event["params"]))]
    return [*said, *([f"too wide, {wide}"] if wide else [])]


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
