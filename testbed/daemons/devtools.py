"""The DevTools protocol of Chromium over its pipe: commands, replies, events.

A browser that is started with ``--remote-debugging-pipe`` reads commands from descriptor 3 and
writes replies and events to descriptor 4, as JSON, each ended by a zero byte
(https://chromedevtools.github.io/devtools-protocol/). The packages that speak this protocol
(Playwright, Pyppeteer, Selenium) bring a server of their own, a WebSocket or compiled parts, none
of which a guest can use; what is needed of it is in this file.
"""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from testbed.core.errors import ConvergenceError, TestbedError

Event = dict[str, Any]
"""A message with ``method``, ``params``, and the ``sessionId`` of the page it is about."""

ANSWER_S = 60.0
"""How long a browser may take to answer a command, in seconds of the run's clock."""

_LOOK_S = 1.0
"""How often a silent browser is asked whether it still runs."""

_CHUNK_BYTES = 1 << 20
_PIPES = 'exec "$@" 3<>"$0/commands" 4<>"$0/messages"'


class DevTools:
    """Our end of one browser's pipe.

    Attributes:
        on_event: is called with each event, in order, as it is read.
    """

    def __init__(self, folder: Path, who: str) -> None:
        """Creates the two pipes.

        Args:
            folder: for the pipes' names; must exist.
            who: names the browser in errors.
        """
        self._who, self._folder = who, folder
        self._alive: Callable[[], bool] = lambda: True
        self.on_event: Callable[[Event], None] = lambda event: None
        self._number, self._unread = 0, b""
        self._awaited, self._reply = 0, Event()
        for name in ("commands", "messages"):
            os.mkfifo(folder / name)
        # for reading and writing: opening does not wait for the other side
        self._out = os.open(folder / "commands", os.O_RDWR | os.O_CLOEXEC)
        self._in = os.open(folder / "messages", os.O_RDWR | os.O_CLOEXEC)

    def argv(self, command: Sequence[str]) -> list[str]:
        """The command line that starts a browser with the pipes where it expects them."""
        return ["/bin/sh", "-c", _PIPES, str(self._folder), *command, "--remote-debugging-pipe"]

    def watch(self, alive: Callable[[], bool]) -> None:
        """From now on a wait ends as soon as `alive` says that the browser has ended."""
        self._alive = alive

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Sends a command and waits for its reply.

        Args:
            method: such as ``Page.navigate``.
            session: of a page; empty: the browser itself.
            parameters: of the command.

        Raises:
            TestbedError: the browser refuses the command, or has ended.
            ConvergenceError: it does not answer.
        """
        self.tell(method, session, **parameters)
        self._awaited, self._reply = self._number, {}
        self.wait(f"answer to {method}", lambda: bool(self._reply), ANSWER_S)
        if "error" in self._reply:
            words = self._reply["error"].get("message", self._reply)
            raise TestbedError(f"{self._who}: {method}: {words}")
        result: dict[str, Any] = self._reply["result"]
        return result

    def tell(self, method: str, session: str = "", **parameters: Any) -> None:
        """Sends a command and does not wait."""
        self._number += 1
        command: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session:
            command["sessionId"] = session
        os.write(self._out, json.dumps(command).encode() + b"\0")

    def wait(self, what: str, predicate: Callable[[], bool], timeout_s: float) -> None:
        """Reads messages until `predicate` holds.

        Raises:
            TestbedError: the browser has ended.
            ConvergenceError: not within `timeout_s`.
        """
        until_s = time.monotonic() + timeout_s
        while not predicate():
            if self._read(_LOOK_S):
                continue
            if not self._alive():
                raise TestbedError(f"{self._who}: has ended before: {what}")
            if time.monotonic() > until_s:
                raise ConvergenceError(f"{self._who}: {what}", timeout_s, "it does not come")

    def settle(self, quiet_s: float, most_s: float) -> None:
        """Reads messages until none has come for `quiet_s`, but no longer than `most_s`."""
        until_s = time.monotonic() + most_s
        while self._read(quiet_s) and time.monotonic() < until_s:
            pass

    def close(self) -> None:
        """Releases the pipes."""
        os.close(self._out)
        os.close(self._in)

    def _read(self, timeout_s: float) -> bool:
        """Handles the messages that are there, or come within a time; False: none came."""
        if not select.select([self._in], [], [], timeout_s)[0]:
            return False
        *messages, self._unread = (self._unread + os.read(self._in, _CHUNK_BYTES)).split(b"\0")
        for text in messages:
            message: Event = json.loads(text)
            if "id" not in message:
                self.on_event(message)
            elif message["id"] == self._awaited:
                self._reply = message
        return True
