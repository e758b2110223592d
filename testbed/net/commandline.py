"""Mininet's command line, which names errors and goes on, and knows IPv6."""

from __future__ import annotations

import string
from typing import Any

from testbed.core.errors import TestbedError, nearest
from testbed.net import rtnl
from testbed.net.mininet_api import cli, log

_IPV6_PROGRAMS = ("ping6", "traceroute6", "tracepath6")


class CLI(cli.CLI):  # type: ignore[misc]
    """Mininet's command line."""

    identchars = string.ascii_letters + string.digits + "_-.+"  # as names of nodes have them

    def onecmd(self, line: str) -> Any:
        """Runs a line; an error of ours is shown, and the next line can be typed."""
        try:
            return super().onecmd(line)
        except TestbedError as error:
            log.error(f"error: {error}\n")
            return None

    def do_why(self, line: str) -> None:
        """The first thing that keeps two hosts from talking: why h1 h2."""
        names = line.split()
        if len(names) != 2:
            log.error("usage: why HOST HOST\n")
            return
        from testbed.net.why import why  # only where it is asked for

        found = why(self.mn, names[0], names[1], lambda text: log.output(f"{text}\n"))
        log.output(f"{found or f'{names[0]} and {names[1]} reach each other'}\n")

    def default(self, line: str) -> None:
        """A program in a node, or a mistake."""
        first, args, _ = self.parseline(line)
        if first not in self.mn or not args:
            if first not in self.mn:
                known = [*self.mn, *(n[3:] for n in self.get_names() if n.startswith("do_"))]
                log.error(f"*** Unknown command: {line}{nearest(str(first), known)}\n")
            else:
                super().default(line)
            return
        words = args.split(" ")
        version = 6 if "-6" in words or words[0] in _IPV6_PROGRAMS else 4
        words = [self._address(w, version) if w in self.mn else w for w in words]
        self.mn[first].sendCmd(" ".join(words))
        self.waitForNode(self.mn[first])

    def _address(self, name: str, version: int) -> str:
        """An address of a node as the kernel has it now; its name where it has none."""
        node = self.mn[name]
        found = node.engine.ask(node.namespace, lambda s: list(rtnl.addresses(s)))
        usable = [(i, a) for i, a in found if a.version == version and _is_global(a)]
        first = node.defaultIntf()
        usable.sort(key=lambda row: row[0] != (first.index if first else 0))
        return str(usable[0][1].ip) if usable else name


def _is_global(address: Any) -> bool:
    return not (address.ip.is_loopback or address.ip.is_link_local)
