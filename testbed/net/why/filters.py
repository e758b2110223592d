"""Which rule of nftables (or iptables) drops a packet: the kernel tells by a trace."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from testbed.net.why.finding import Finding
from testbed.net.why.state import Address, State

_TABLE = "testbed_why"
_DROPPED = re.compile(
    r"^trace id \S+ (?P<chain>\S+ \S+ \S+) (?P<what>rule .*\(verdict drop\)|policy drop)", re.M
)
_MARKING = "icmp type { echo-request, echo-reply } meta nftrace set 1"
_ENDS_IN_S = 2.0


def dropping(state: State, source: str, to: Address, nodes: Sequence[str]) -> Finding | None:
    """The first rule on the way of a ping and its answer that drops it; None if none does.

    Rules that mark the packets are added for a moment, and removed.
    """
    filtering = [node for node in nodes if _has_rules(state, node)]
    with ExitStack() as stack:
        said = {node: stack.enter_context(_watched(state, node)) for node in filtering}
        state.run(source, "ping", "-c1", "-W1", str(to))
    for node, texts in said.items():
        if found := _DROPPED.search("".join(texts)):
            rule = re.sub(r" \(verdict drop\)$", "", found["what"]).removeprefix("rule ")
            what = "its policy (drop)" if found["what"] == "policy drop" else f"the rule '{rule}'"
            return Finding(
                node,
                f"{node}'s filter drops the packets: {what} of chain {found['chain']}",
                f"{node} nft list ruleset",
            )
    return None


def _has_rules(state: State, node: str) -> bool:
    return "hook" in state.run(node, "nft", "list", "ruleset")


@contextmanager
def _watched(state: State, node: str) -> Iterator[list[str]]:
    """Follows packets through a node's filter; the list gets what it said when the block ends."""
    said: list[str] = []
    chains = " ".join(
        f"chain {hook} {{ type filter hook {hook} priority -450; {_MARKING}; }};"
        for hook in ("prerouting", "output")
    )
    process: subprocess.Popen[str] = state.net[node].popen(
        ["nft", "monitor", "trace"], stderr=subprocess.DEVNULL, text=True
    )
    try:
        state.run(node, "nft", f"table ip {_TABLE} {{ {chains} }};")
        yield said
    finally:
        said.append(_end(state, node, process))


def _end(state: State, node: str, process: subprocess.Popen[str]) -> str:
    state.run(node, "nft", "delete", "table", "ip", _TABLE)
    process.terminate()
    try:
        return process.communicate(timeout=_ENDS_IN_S)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0]
