"""Packet exchanges, step by step, for experiments that measure and judge protocols.

`run` announces each step by `net.event("step", step="echo")`; `steps` and `packets` turn that and
the captures into tables; a claim picks the packets of a step and judges those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from testbed.core.claims import MissingDataError

if TYPE_CHECKING:
    import pandas as pd

    from testbed.author.actions import Action
    from testbed.author.running_network import RunningNetwork
    from testbed.core.tables import Tables
    from testbed.results.data import ScenarioData

    Change = Callable[[pd.DataFrame], pd.DataFrame]


def step(net: RunningNetwork, name: str, *, quiet_s: float = 0.0, **data: Any) -> None:
    """Begins a step of the experiment.

    Args:
        net: the running network.
        name: the step's name; packets from now on belong to it.
        quiet_s: pause first, so that traffic of the previous step can finish.
        data: what claims need to know about the step.
    """
    net.sleep(quiet_s)
    net.event("step", step=name, **data)


def play(net: RunningNetwork, steps: Mapping[str, Action], *, quiet_s: float = 0.0) -> None:
    """Runs steps one after another, each announced and preceded by a pause."""
    for name, act in steps.items():
        step(net, name, quiet_s=quiet_s)
        act(net)


def measure(
    data: ScenarioData,
    columns: Iterable[str],
    messages: Mapping[str, Change] | None = None,
    thin: Change | None = None,
    log: str = "",
) -> dict[str, pd.DataFrame]:
    """Tables ``steps`` and ``packets`` of a scenario.

    Args:
        data: the scenario's artefacts.
        columns: packet columns in addition to those of the description.
        messages: table → dissector: packets of one capture (with ``payload``) to messages, with
            ``frame``, and ``info`` that replaces the packet's.
        thin: leaves out packets of a flood; nobody reads sixty thousand similar ones.
        log: of a program that announced steps, too, as JSON with ``step``.

    Returns:
        ``steps`` (`time_s`, `step`, the step's data) and ``packets``: all captures' packets,
        with `capture`, `step` and `info`, a short description of the packet;
        ``addresses``: the interfaces' addresses.
    """
    import pandas as pd

    from analysis import describe

    steps = data.events("step").drop(columns=["time_ns", "event"], errors="ignore")
    if log:
        logged = _logged(data, log).reindex(columns=["time_s", "step"]).dropna(subset="step")
        steps = pd.concat([steps, logged] if len(steps) else [logged]).sort_values("time_s")
    if steps.empty:
        raise MissingDataError("the run announced no step")
    parts: list[pd.DataFrame] = []
    found_messages: dict[str, list[pd.DataFrame]] = {name: [] for name in messages or {}}
    for capture in data.captures():
        found = data.packets(capture, [*describe.COLUMNS, *columns])
        found = thin(found) if thin else found
        found.insert(0, "capture", capture)
        found.insert(1, "step", step_at(steps, found["time_s"]))
        found["info"] = describe.packets(found)
        for name, dissect in (messages or {}).items():
            said = _plain(dissect(found.drop(columns="info")))
            said.attrs = {}  # keys of TLS, for instance, which no table keeps
            found_messages[name].append(said)
            words = dict(zip(said["frame"], said["info"], strict=True))
            if words:
                found["info"] = found["frame"].map(words).fillna(found["info"])
        found.attrs = {}
        parts.append(found)
    table = pd.concat(_plain(p) for p in parts) if parts else pd.DataFrame()
    return {
        **{name: pd.concat(p, ignore_index=True) for name, p in found_messages.items() if p},
        "steps": steps,
        "packets": table.reset_index(drop=True),
        "addresses": pd.DataFrame(data.network["addresses"]),
    }


def step_at(steps: pd.DataFrame, time_s: pd.Series[float]) -> list[str]:
    """The step at each time; an empty name before the first."""
    import numpy as np

    names = ["", *steps["step"]]
    places = np.searchsorted(steps["time_s"].to_numpy(), time_s.to_numpy(), "right")
    return [names[place] for place in places]


def json_logs(
    data: ScenarioData, steps: pd.DataFrame, log: str, *, having: str = ""
) -> pd.DataFrame:
    """What a program logged as JSON, one object per line with ``time_ns``, in logs ``<log>*.log``.

    Args:
        data: the scenario's artefacts.
        steps: as announced.
        log: beginning of the logs' names.
        having: keep only rows with this key.

    Returns:
        One row per line, with `time_s` and `step`; other lines are left out, and a last one that
        is cut off.

    Raises:
        MissingDataError: no row has the key `having`.
    """
    # the lines that announce steps have a `step` of their own
    table = _logged(data, log, having).drop(columns="step", errors="ignore")
    table.insert(1, "step", step_at(steps, table["time_s"]))
    return table


def _logged(data: ScenarioData, log: str, having: str = "") -> pd.DataFrame:
    import pandas as pd

    from testbed.core.json_lines import json_lines

    rows: list[dict[str, Any]] = []
    for path in sorted((data.path / "logs").glob(f"{log}*.log")):
        rows += json_lines(path.read_text(encoding="utf-8", errors="replace"))
    table = pd.DataFrame(rows, columns=None if rows else ["time_ns"]).sort_values("time_ns")
    table.insert(0, "time_s", (table["time_ns"] - data.t0_ns) / 1e9)
    if having:
        if having not in table:
            raise MissingDataError(f"no line of the logs '{log}*' has '{having}'")
        table = table.dropna(subset=[having])
    return table.drop(columns="time_ns").reset_index(drop=True)


def address(tables: Tables, interface: str, version: int = 4, *, scenario: str = "main") -> str:
    """An interface's planned address, without prefix length."""
    row = tables.of("addresses", scenario=scenario, interface=interface).iloc[0]
    return str(row[f"ipv{version}"]).split("/")[0]


def mac(tables: Tables, interface: str, *, scenario: str = "main") -> str:
    """An interface's MAC address."""
    return str(tables.of("addresses", scenario=scenario, interface=interface).iloc[0]["mac"])


def _plain(packets: pd.DataFrame) -> pd.DataFrame:
    """Categories as strings: those of two captures differ."""
    found = packets.select_dtypes("category").columns
    return packets.astype(dict.fromkeys(found, "string"))


def pick(
    tables: Tables,
    name: str,
    capture: str | None = None,
    *,
    scenario: str = "main",
    table: str = "packets",
    silent: bool = False,
    **equals: Any,
) -> pd.DataFrame:
    """The packets of a step that have the given values; may be empty.

    A step in which no packet was captured anywhere says nothing, and neither does a capture without
    any packet; so a claim that counts packets there is INCONCLUSIVE, and does not count 0.

    Args:
        tables: of the run.
        name: the step.
        capture: where they were captured; None: anywhere.
        scenario: the scenario of the packets.
        table: ``packets``, or a table of messages.
        silent: for steps in which nobody may say anything: no packet at all is an answer, too.
        equals: column → value, or a collection of allowed values.

    Raises:
        MissingDataError: the step never began, or nothing was captured in it.
    """
    if not silent:
        _need_packets(tables, scenario, name, capture)
    packets = _of_step(tables, table, scenario, name)
    wanted = packets["step"] == name
    if capture:
        wanted &= packets["capture"] == capture
    for column, value in equals.items():
        if isinstance(value, list | tuple | set):
            wanted &= packets[column].isin(list(value)).fillna(False)
        else:
            wanted &= (packets[column] == value).fillna(False)
    return packets[wanted.astype(bool)].reset_index(drop=True)


def _need_packets(tables: Tables, scenario: str, name: str, capture: str | None) -> None:
    """Raises MissingDataError if nothing was captured in a step, or at `capture` in any step."""
    if _of_step(tables, "packets", scenario, name).empty:
        raise MissingDataError(f"step '{name}': no packet was captured")
    packets = tables["packets"]
    if capture and capture not in _captures(tables, packets, scenario):
        raise MissingDataError(f"no packet was captured at {capture}")


def _captures(tables: Tables, packets: pd.DataFrame, scenario: str) -> set[str]:
    """Where a scenario's packets were captured; found once, as the steps' rows."""
    kept: dict[str, tuple[pd.DataFrame, set[str]]]
    kept = tables.__dict__.setdefault("captures", {})
    if scenario not in kept or kept[scenario][0] is not packets:
        of_scenario = packets.loc[packets["scenario"] == scenario, "capture"]
        kept[scenario] = packets, set(of_scenario.unique())
    return kept[scenario][1]


def _of_step(tables: Tables, table: str, scenario: str, name: str) -> pd.DataFrame:
    """A step's rows; each table is split once, since claims pick from it hundreds of times."""
    kept: dict[str, tuple[pd.DataFrame, dict[Any, pd.DataFrame]]]
    kept = tables.__dict__.setdefault("by_step", {})
    for one in ("steps", table):
        rows = tables[one]
        if one not in kept or kept[one][0] is not rows:
            groups = rows.groupby(["scenario", "step"], sort=False, observed=True)
            kept[one] = rows, dict(iter(groups))
    if (scenario, name) not in kept["steps"][1]:
        tables.of("steps", scenario=scenario, step=name)  # says that it is missing
    return kept[table][1].get((scenario, name), tables[table].iloc[:0])


def ladder(
    tables: Tables,
    name: str,
    capture: str,
    *,
    scenario: str = "main",
    hosts: Iterable[str] = (),
    names: Mapping[str, str] | None = None,
    keep: int = 10,
    **equals: Any,
) -> str:
    """A step's packets at one capture as a ladder diagram (SVG text).

    Addresses are replaced by node names, except addresses outside the plan.

    Args:
        tables: of the run.
        name: the step.
        capture: where the packets were captured.
        scenario: the scenario of the packets.
        hosts: those to draw first, from left to right; others follow as they appear.
        names: labels for addresses outside the plan.
        keep: packets shown at the beginning and the end of a long run of similar ones.
        equals: column → value, as for `pick`.
    """
    from analysis import ladder as ladders

    packets = pick(tables, name, capture, scenario=scenario, **equals)
    packets = name_hosts(packets, tables.of("addresses", scenario=scenario).to_dict("records"))
    drawn = ladders.fold(ladders.messages(packets, packets["info"]), keep=keep)
    if not drawn:
        return _NOTHING_SEEN
    seen = [end for m in drawn for end in (m.source, m.target) if end is not None]
    order = dict.fromkeys([*(h for h in hosts if h in seen), *seen])
    return ladders.svg(drawn, hosts=list(order), names=names, title=f"{name}, seen at {capture}")


def name_hosts(packets: pd.DataFrame, addresses: Iterable[Mapping[Any, Any]]) -> pd.DataFrame:
    """Packets with node names instead of addresses, except addresses outside the plan.

    Args:
        packets: with ``ip_src``, ``ip_dst``, ``eth_src``, ``eth_dst``.
        addresses: rows with ``node``, ``ipv4``, ``ipv6`` and ``mac``, as in ``network.json``.
    """
    packets = packets.copy()
    owner: dict[str, str] = {}
    for row in addresses:
        for kind in ("ipv4", "ipv6", "mac"):
            if isinstance(row[kind], str):
                owner.setdefault(row[kind].split("/")[0], row["node"])
    for end in ("src", "dst"):
        by_mac = packets[f"eth_{end}"].astype(object).map(lambda a: owner.get(a, a))
        ip = packets[f"ip_{end}"].astype(object)
        by_ip = ip.map(lambda a: owner.get(a, a), na_action="ignore")
        moved = (ip == "0.0.0.0") | (by_ip == ip)  # not in the plan: identified by its MAC address
        by_ip = by_ip.where(ip.isna() | ~moved.fillna(False), by_mac)
        packets[f"ip_{end}"] = by_ip.where(ip != "255.255.255.255", ip)
        packets[f"eth_{end}"] = by_mac
    return packets


_NOTHING_SEEN = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="40">'
    '<text x="10" y="25">no packets in this step</text></svg>\n'
)
