"""Scripted peers: a host plays packets from a script against the real stack of another host.

    STRANGER = '''
        0     < S 0:0(0) win 1000 <mss 1460>
        +.02  > S. 0:0(0) ack 1 <mss 1460>
        +0    < R 1:1(0)
    '''

    def inputs(self):
        return packet_scripts.inputs({"stranger": STRANGER})

    def run(self, net):
        packet_scripts.play(net, "stranger", "h2", "h1", ports=(40_000, 80))

``<`` is sent to the tested end, ``>`` is expected from it; times are exact to 10 µs. The notation
is packetdrill's, described in ``docs/howto/packet-scripts.md``. The peer's own stack neither sees
nor answers what arrives at the ports that the script plays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from testbed import peers
from testbed.core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from testbed.author.actions import Action
    from testbed.author.process import Process
    from testbed.author.running_network import RunningNetwork
    from testbed.results.data import ScenarioData

_FOLDER = "scripts"
_LIMIT_S = 60.0
_LONGEST_S = 100_000.0
_PORTS = range(1, 1 << 16)
_OF_PEERS = {"send", "expect"}


def inputs(scripts: Mapping[str, str]) -> dict[str, str]:
    """Scripts, name → text, as an experiment's `inputs`.

    Raises:
        ConfigError: a script cannot be read, or has other steps than packets; names the line.
    """
    from testbed.peers import notation

    found = {}
    for name, text in scripts.items():
        script = notation.parse(text, name)
        others = [s for s in script.steps if s["do"] not in _OF_PEERS]
        if others or script.before or script.after:
            where = f"{name}:{others[0]['line']}" if others else name
            raise ConfigError(f"{where}: a peer's script has packets only, no calls and commands")
        found[f"{_FOLDER}/{name}.json"] = json.dumps(notation.plan(script), indent=1)
    return found


def start(
    net: RunningNetwork,
    name: str,
    node: str,
    against: str,
    *,
    ports: tuple[int, int | None],
    limit_s: float = _LIMIT_S,
) -> Process:
    """Starts a script and returns; `results` shows how it ended.

    Args:
        net: the running network.
        name: the script's, as in `inputs`.
        node: the host that is the peer.
        against: the host under test.
        ports: the peer's port and the tested host's; None: learnt from the first packet.
        limit_s: how long a packet that may come at any time (``*``) is waited for.

    Raises:
        ConfigError: no such script or host, or a number is out of range.
    """
    path = net.path / _FOLDER / f"{name}.json"
    if not path.is_file():
        raise ConfigError(f"packet script '{name}': is not among the experiment's inputs")
    own, other = ports
    if own not in _PORTS or (other is not None and other not in _PORTS):
        raise ConfigError(f"packet script '{name}': ports {ports} are out of range; 1 to 65535")
    if not 0 < limit_s <= _LONGEST_S:
        raise ConfigError(f"limit_s: {limit_s:g} is out of range; up to {_LONGEST_S:g}")
    plan = json.loads(path.read_text(encoding="utf-8"))
    if other is None and plan["steps"][0]["do"] == "send":
        raise ConfigError(
            f"packet script '{name}': sends first, so it needs the tested host's port"
        )
    played = _ports(plan, own)
    wire = {
        "peer": [net.address(node), own],
        "tested": [net.address(against), other or 0],
        "ports": played,
    }
    settings = {"tolerance_us": 0, "tolerance_percent": 0, "limit_s": limit_s, "folder": ""}
    file = net.state_folder(node) / f"{name}.json"
    file.write_text(json.dumps({**plan, **settings, "wire": wire}), encoding="utf-8")
    _silence(net, node, played)
    return net.start(node, *peers.argv(str(file)), log=f"{_FOLDER}-{name}")


def play(
    net: RunningNetwork,
    name: str,
    node: str,
    against: str,
    *,
    ports: tuple[int, int | None],
    limit_s: float = _LIMIT_S,
) -> bool:
    """Plays a script to its end; see `start`.

    Returns:
        True if everything came as the script says.
    """
    last_s = 2 * _LONGEST_S
    return start(net, name, node, against, ports=ports, limit_s=limit_s).wait(last_s) == 0


def action(name: str, node: str, against: str, *, ports: tuple[int, int | None]) -> Action:
    """`play` as a step of an experiment."""

    def act(net: RunningNetwork) -> None:
        play(net, name, node, against, ports=ports)

    return act


def results(data: ScenarioData) -> pd.DataFrame:
    """How each script of a scenario ended.

    Returns:
        One row per script: `script`, `verdict` (``pass``, ``differs``, ``unsupported`` or
        ``unfinished``), `line` of the script, `expected` and `came` where it differs.
    """
    import pandas as pd

    from testbed.core.json_lines import json_lines

    found: list[dict[str, Any]] = []
    for path in sorted((data.path / "logs").glob(f"{_FOLDER}-*.log")):
        lines = list(json_lines(path.read_text(encoding="utf-8", errors="replace")))
        end = lines[-1] if lines and lines[-1]["event"] == "end" else {"verdict": "unfinished"}
        found.append({"script": path.stem.removeprefix(f"{_FOLDER}-"), **end})
    columns = ["script", "verdict", "line", "expected", "came"]
    return pd.DataFrame(found, columns=columns)


def _ports(plan: dict[str, Any], own: int) -> list[int]:
    """The peer's ports that a script uses."""
    found = {own}
    for step in plan["steps"]:
        if ports := step["packet"].get("ports"):
            found.add(ports[0 if step["do"] == "send" else 1])
    return sorted(found)


def _silence(net: RunningNetwork, node: str, ports: list[int]) -> None:
    """Keeps the peer's own stack from seeing what arrives at its ports, and from answering."""
    table = "ip scripted_peer"
    hook = "type filter hook prerouting priority -300;"
    numbers = ", ".join(map(str, ports))
    rules = [f"add rule {table} arrived {p} dport {{ {numbers} }} drop" for p in ("tcp", "udp")]
    text = f"add table {table}; add chain {table} arrived {{ {hook} }}; {'; '.join(rules)}"
    net.exec(node, "nft", text)
