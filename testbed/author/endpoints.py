"""Conversations between two nodes, a step each: what either end's program does with its socket.

    talks = {"greeting": Conversation([["write", 5]], [["read", 5]])}
    endpoints.listen(net, "h2", talks)
    steps.play(net, endpoints.actions(talks, "h1", "h2"))

The scripts are those of `testbed/programs/endpoint.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbed import programs
from testbed.author import steps

if TYPE_CHECKING:
    import pandas as pd

    from testbed.author.actions import Action
    from testbed.author.process import Process
    from testbed.author.running_network import RunningNetwork
    from testbed.results.data import ScenarioData

Script = list[list[Any]]

FIRST_PORT = 5001
"""Of the first conversation; the others follow."""

_LISTENS_S, _ENDS_S = 20.0, 300.0


@dataclass(frozen=True)
class Conversation:
    """One connection, or one flow of datagrams.

    Attributes:
        client: what the end does that opens it.
        server: what the other end does.
        kind: ``tcp`` or ``udp``.
    """

    client: Script
    server: Script
    kind: str = "tcp"


def port(talks: Mapping[str, Conversation], name: str) -> int:
    """The server's port of a conversation."""
    return FIRST_PORT + list(talks).index(name)


def listen(net: RunningNetwork, node: str, talks: Mapping[str, Conversation]) -> None:
    """Starts the server of all conversations; it listens when this returns.

    Raises:
        ConvergenceError: it does not listen within 20 s; its output says why.
    """
    doors = {f"{t.kind}:{port(talks, name)}": t.server for name, t in talks.items()}
    argv = programs.argv("endpoint", "listen", json.dumps(doors))
    server = net.start(node, *argv, log=f"{node}-endpoint")
    net.wait_until(
        f"{node} listening",
        lambda: "listening" in server.output(),
        _LISTENS_S,
        every_s=0.01,
        state=server.output,
    )


def connect(
    net: RunningNetwork, talks: Mapping[str, Conversation], name: str, client: str, server: str
) -> Process:
    """Starts the client of a conversation, and returns."""
    kind, script = talks[name].kind, json.dumps(talks[name].client)
    target = f"{kind}:{net.address(server)}:{port(talks, name)}"
    argv = programs.argv("endpoint", "connect", target, script)
    return net.start(client, *argv, log=f"{client}-endpoint")


def actions(talks: Mapping[str, Conversation], client: str, server: str) -> dict[str, Action]:
    """An action for each conversation: its client, until that ends."""

    def talk(name: str) -> Action:
        def act(net: RunningNetwork) -> None:
            connect(net, talks, name, client, server).wait(_ENDS_S)

        return act

    return {name: talk(name) for name in talks}


def calls(data: ScenarioData, begun: pd.DataFrame, nodes: Iterable[str]) -> pd.DataFrame:
    """What the ends reported: `time_s`, `step`, `node`, `op` and the operation's numbers.

    Args:
        data: the scenario's artefacts.
        begun: its steps.
        nodes: where the ends were.
    """
    import pandas as pd

    found = [steps.json_logs(data, begun, f"{n}-endpoint").assign(node=n) for n in nodes]
    return pd.concat(found, ignore_index=True)
