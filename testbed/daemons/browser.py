"""Chromium without a window, driven from `run`: loads pages, and records all that it does.

    browser = Browser(net, "h1", trusted=made["root"].certificate, resolver=net.address("v1"))
    page = browser.page()                                # own caches, cookies and connections
    page.visit("cold", "https://www.example.org/")
    page.visit("again", "https://www.example.org/")
    browser.close()

Each visit has a folder in the run directory, ``browser/<node>/<visit>/``: see `Page.visit`.
`analysis.browser` reads them. One browser serves any number of pages; a new one costs seconds.
`Browser.visit` is a visit by somebody new that is made again when the browser paused by itself.

The browser is Debian's ``chromium-headless-shell``. It looks up and contacts nothing by itself:
what else it would do in the background is off.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.core.errors import ConfigError, MissingPrerequisiteError
from testbed.daemons.certificates import key_log
from testbed.daemons.devtools import DevTools, Event
from testbed.machine.prerequisites import install_command

if TYPE_CHECKING:
    from testbed.author.running_network import RunningNetwork

PROGRAM = "/usr/lib/chromium/chromium-headless-shell"
"""The program itself: the script of this name in /usr/bin adds flags of the machine's owner."""

PROGRAMS = (PROGRAM, "certutil")
"""For an experiment's `programs`; its `extras` name ``browser``."""

FOLDER = "browser"
LEAST_MEMORY_MB = 900
"""Of a guest, as the kernel counts it: in less, V8 cannot reserve its address space and hangs."""

LOAD_S = 120.0
"""How long a page may take to load, in seconds of the run's clock."""

NAMES_S = 60
"""How long it remembers what a name's address is, whatever the record's time to live."""

WINDOW = (800, 600)

FLAGS = (
    "--no-sandbox",
    "--no-zygote",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable",
    "--net-log-capture-mode=IncludeSensitive",
)
"""A guest's user is root, has no graphics card and no shared memory. The rest keeps it silent, and
awake: it treats no page as one that nobody looks at."""

NO_QUIC = "--disable-quic"

ATTEMPTS = 3
"""How often somebody new visits a page at most, if the browser pauses by itself."""

_DOMAINS = ("Page", "Network", "Runtime", "Log")
_QUIET_S, _MOST_S = 0.5, 20.0
_STATE = """(async () => {
  const largest = [];
  new PerformanceObserver(list => largest.push(...list.getEntries()))
    .observe({type: 'largest-contentful-paint', buffered: true});
  await new Promise(resolve => setTimeout(resolve, 0));
  return JSON.stringify({url: location.href, title: document.title,
    entries: [...performance.getEntries(), ...largest].map(entry => entry.toJSON())});
})()"""


class Browser:
    """One browser in a node; call `close` when all pages are done, which completes its net-log."""

    def __init__(
        self,
        net: RunningNetwork,
        node: str,
        *,
        trusted: Path | None = None,
        resolver: str = "",
        quic: bool = False,
        untrusted: bool = False,
        flags: Sequence[str] = (),
    ) -> None:
        """Starts the browser and waits until it answers.

        Args:
            net: the running network.
            node: where it runs.
            trusted: certificate of an authority that it trusts, beside its own ones.
            resolver: address of the resolver that it asks.
            quic: whether it may speak HTTP/3.
            untrusted: pages' scripts may lie; so what visits record of pages is read apart from
                them (`Page.inspect`).
            flags: further ones of Chromium.

        Raises:
            MissingPrerequisiteError: it is not installed.
            ConfigError: the guest has too little memory, or the node already has a browser.
            ConvergenceError: it does not answer.
        """
        if not Path(PROGRAM).is_file():  # a shell starts it
            raise MissingPrerequisiteError(PROGRAM, install_command(PROGRAM))
        _check_memory()
        self.net, self.node, self.untrusted = net, node, untrusted
        self.path = net.path / FOLDER / node
        if self.path.exists():
            raise ConfigError(f"browser in {node}: there is one already")
        self.path.mkdir(parents=True)
        home = net.state_folder(node) / "browser"
        home.mkdir()
        if trusted:
            _trust(net, node, home, trusted)
        self._tools = DevTools(home, f"browser in {node}")
        self._tools.on_event = self._hear
        self._pages: dict[str, Page] = {}
        self._process = net.start(
            node,
            *_resolving(net, resolver),
            *self._tools.argv(self._command(home, quic, flags)),
            environment={"HOME": str(home), "SSLKEYLOGFILE": key_log(net, f"{node}-browser")},
            log=f"{node}-browser",
        )
        self._tools.watch(lambda: self._process.running)
        version = self._tools.call("Browser.getVersion")
        (self.path / "version.json").write_text(json.dumps(version, indent=1) + "\n")

    def _command(self, home: Path, quic: bool, flags: Sequence[str]) -> list[str]:
        folders = (f"--user-data-dir={home}/profile", f"--log-net-log={self.path}/net-log.json")
        size = f"--window-size={WINDOW[0]},{WINDOW[1]}"
        return [PROGRAM, *FLAGS, *folders, size, *([] if quic else [NO_QUIC]), *flags]

    def page(self) -> Page:
        """A blank page of a user who has never been anywhere.

        It has its own cache, cookies, connections, TLS sessions, resolved names and HSTS hosts.
        """
        context = self._tools.call("Target.createBrowserContext")["browserContextId"]
        wanted = {"url": "about:blank", "browserContextId": context}
        target = self._tools.call("Target.createTarget", **wanted)["targetId"]
        attached = self._tools.call("Target.attachToTarget", targetId=target, flatten=True)
        page = Page(self, self._tools, attached["sessionId"], target)
        self._pages[page.session] = page
        page.prepare()
        return page

    def visit(self, name: str, url: str, begin: Callable[[str], None] = lambda name: None) -> Page:
        """A visit by somebody new; made again by somebody else if the browser paused by itself.

        Such a visit says nothing of the network (`analysis.browser.requests.paused`). The next one
        is called ``<name>+2``; `analysis.browser.last_attempts` keeps the last one only.

        Args:
            name: of the visit.
            url: where to go.
            begin: is called with each visit's name before it, for instance to announce a step.

        Returns:
            the page, which is still open.

        Raises:
            ConvergenceError: it does not load within `LOAD_S`.
        """
        from analysis.browser import attempt_name

        for attempt in range(1, ATTEMPTS + 1):
            page, own = self.page(), attempt_name(name, attempt)
            begin(own)
            page.visit(own, url)
            if not page.paused or attempt == ATTEMPTS:
                break
            page.close()
        return page

    def close(self) -> None:
        """Ends the browser."""
        self._tools.call("Browser.close")
        self._process.wait(LOAD_S)
        self._tools.close()

    def _hear(self, event: Event) -> None:
        page = self._pages.get(event.get("sessionId", ""))
        if page is not None:
            page.hear(event)


class Page:
    """A tab of a browser, with a user's memory of its own.

    Attributes:
        paused: in the latest visit the browser did nothing for a while, by itself.
    """

    def __init__(self, browser: Browser, tools: DevTools, session: str, target: str) -> None:
        self.session, self._browser, self._tools, self._target = session, browser, tools, target
        self._events: list[Event] = []
        self._folder: Path | None = None
        self._frames, self.paused = 0, False

    def prepare(self) -> None:
        """Asks for the events that are recorded; `Browser.page` does this."""
        for domain in _DOMAINS:
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)
        self.call("Page.startScreencast", format="png", everyNthFrame=1)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command of the DevTools protocol to this page, and returns its result."""
        return self._tools.call(method, self.session, **parameters)

    def visit(self, name: str, url: str) -> None:
        """Goes to a page as if its address had been typed, and waits until it has loaded.

        The visit's folder gets ``events.jsonl`` (events of DevTools), ``load.har`` (HTTP Archive
        1.2), ``state.json`` (address, title, the script's performance entries, cookies),
        ``screenshot.png``, and ``film/``, a picture whenever something was painted. The run's
        events say when it began (``visit``).

        Args:
            name: of the visit; each can be used once in a node.
            url: where to go. An address that cannot be reached shows the browser's error page.

        Raises:
            ConvergenceError: it does not load within `LOAD_S`.
        """
        self.call("Page.navigate", url="about:blank")  # the same address again would be a reload
        self._tools.settle(_QUIET_S, _MOST_S)

        def go() -> None:
            self.call("Page.navigate", url=url)
            self._tools.wait(f"load of {url}", self._loaded, LOAD_S)

        self._record(name, url, go)

    def act(self, name: str, script: str) -> Any:
        """Runs JavaScript in the page, as a user's click would; recorded as a visit.

        Returns:
            the script's value; what comes of it later is recorded until the page is quiet.

        Raises:
            ConfigError: the script raises an exception.
        """
        result: list[Any] = []
        self._record(name, "", lambda: result.append(self.evaluate(script)))
        return result[0]

    def evaluate(self, script: str) -> Any:
        """Value of a JavaScript expression in the page; promises are waited for.

        Raises:
            ConfigError: the script raises an exception.
        """
        return self._value(script)

    def inspect(self, script: str) -> Any:
        """As `evaluate`, but apart from the page's scripts, which cannot change what it finds.

        It sees the same document, and events that it sends reach the page's scripts.

        Raises:
            ConfigError: the script raises an exception.
        """
        frame = self.call("Page.getFrameTree")["frameTree"]["frame"]["id"]
        world = self.call("Page.createIsolatedWorld", frameId=frame, worldName="testbed")
        return self._value(script, contextId=world["executionContextId"])

    def _value(self, script: str, **where: Any) -> Any:
        options = {"awaitPromise": True, "returnByValue": True, "userGesture": True, **where}
        reply = self.call("Runtime.evaluate", expression=script, **options)
        if "exceptionDetails" in reply:
            thrown = reply["exceptionDetails"]
            words = thrown.get("exception", {}).get("description") or thrown.get("text")
            raise ConfigError(f"browser in {self._browser.node}: script: {words}")
        return reply["result"].get("value")

    def cookies(self) -> list[dict[str, Any]]:
        """The cookies that this page's address would be sent."""
        found: list[dict[str, Any]] = self.call("Network.getCookies")["cookies"]
        return found

    def close(self) -> None:
        """Closes the tab; what its user remembers is forgotten."""
        self._tools.call("Target.closeTarget", targetId=self._target)

    def hear(self, event: Event) -> None:
        """Keeps an event of this page; the browser calls this."""
        method, parameters = event["method"], event["params"]
        if method == "Page.screencastFrame":
            self._tools.tell(
                "Page.screencastFrameAck", self.session, sessionId=parameters.pop("sessionId")
            )
            self._keep_frame(parameters)
        elif method == "Page.javascriptDialogOpening":
            self._tools.tell("Page.handleJavaScriptDialog", self.session, accept=True)
        self._events.append({"method": method, "params": parameters})

    def _keep_frame(self, parameters: dict[str, Any]) -> None:
        picture = base64.b64decode(parameters.pop("data"))
        if self._folder is not None:
            self._frames += 1
            parameters["file"] = f"film/{self._frames:03}.png"
            (self._folder / parameters["file"]).write_bytes(picture)

    def _loaded(self) -> bool:
        return any(event["method"] == "Page.loadEventFired" for event in self._events)

    def _record(self, name: str, url: str, act: Callable[[], None]) -> None:
        if not re.fullmatch(r"[\w][\w.+-]*", name):
            raise ConfigError(f"visit '{name}': letters, digits, '.', '+' and '-' only")
        folder = self._browser.path / name
        if folder.exists():
            raise ConfigError(f"visit '{name}': there is one already in {self._browser.node}")
        (folder / "film").mkdir(parents=True)
        self._events.clear()
        self._frames, self._folder = 0, folder
        self._browser.net.event("visit", visit=name, node=self._browser.node, url=url)
        act()
        self._tools.settle(_QUIET_S, _MOST_S)
        events = list(self._events)
        self._folder = None
        self._save(folder, events)

    def _save(self, folder: Path, events: Sequence[Mapping[str, Any]]) -> None:
        from analysis.browser import har, requests

        lines = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
        _write(folder / "events.jsonl", lines)
        read = self.inspect if self._browser.untrusted else self.evaluate
        state = json.loads(read(_STATE)) | {"cookies": self.cookies()}
        _write(folder / "state.json", _indented(state))
        picture = self.call("Page.captureScreenshot", format="png")["data"]
        (folder / "screenshot.png").write_bytes(base64.b64decode(picture))
        found = requests.of_events(events)
        _write(folder / "load.har", _indented(har.archive(found, state)))
        self.paused = requests.paused(events)


def _indented(data: Any) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _write(path: Path, text: str) -> None:
    """A page's strings may have halves of characters, for which UTF-8 has no bytes."""
    path.write_text(text, encoding="utf-8", errors="replace")


def _check_memory() -> None:
    total = re.search(r"MemTotal: *(\d+) kB", Path("/proc/meminfo").read_text())
    found_mb = int(total[1]) // 1024 if total else 0
    if found_mb < LEAST_MEMORY_MB:
        raise ConfigError(
            f"memory_mb: {found_mb} MB are too little for a browser; use the default of 1024"
        )


def _trust(net: RunningNetwork, node: str, home: Path, certificate: Path) -> None:
    """Puts an authority's certificate where the browser looks for its user's own ones."""
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    words = ("-A", "-d", f"sql:{store}", "-n", "authority", "-t", "C,,", "-i", str(certificate))
    net.exec(node, "certutil", *words, "--empty-password", log=f"{node}-certutil")


def _resolving(net: RunningNetwork, resolver: str) -> list[str]:
    """What comes before a command whose look-ups go to a resolver."""
    if not resolver:
        return []
    conf = net.path / "configs" / "browser-resolv.conf"
    conf.parent.mkdir(exist_ok=True)
    conf.write_text(f"nameserver {resolver}\n")
    script = f'mount --bind {conf} /etc/resolv.conf; exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "browser"]
