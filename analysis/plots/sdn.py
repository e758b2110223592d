"""Figures of software-defined networks: latency, flow tables, rates, paths over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.plots.sdn_control import (
    _short,
    control_ladder,
    first_packet,
    flow_lives,
    flows_over_time,
)
from analysis.plots.style import COLOURS, LINES, mark, moments

if TYPE_CHECKING:
    from testbed.core.tables import Tables


def learning(tables: Tables, control_delay_ms: float) -> dict[str, Figure | str]:
    """The learning switch: what the first packet pays, the messages for it, the flow tables."""
    found: dict[str, Figure | str] = {}
    asked = tables["pings"][tables["pings"]["step"] == "first"]
    series = {str(name): group for name, group in asked.groupby("scenario", sort=False)}
    if series:
        found["1_first_packet"] = first_packet(series, control_delay_ms)
    if "changes" in tables and "learning" in set(tables["changes"]["scenario"]):
        changes = tables.of("changes", scenario="learning")
        found["3_flow_tables"] = flows_over_time(changes, tables.of("steps", scenario="learning"))
        found["4_flow_lives"] = flow_lives(changes[changes["switch"] == "s1"], "s1")
    if "messages" in tables and "learning" in set(tables["messages"]["scenario"]):
        said = tables["messages"]
        said = said[(said["scenario"] == "learning") & (said["step"] == "first")]
        found["2_first_ping_messages"] = control_ladder(said)
    lonely = [s for s in ("secure", "standalone") if s in set(tables["pings"]["scenario"])]
    if lonely:
        found["5_controller_dies"] = controller_dies(
            {s: (tables.of("pings", scenario=s), tables.of("steps", scenario=s)) for s in lonely}
        )
    return found


def controller_dies(runs: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]]) -> Figure:
    """Answered and lost pings around a controller's death and return.

    Args:
        runs: fail mode → (pings with `host`, `time_s`, `rtt_ms`; steps).
    """
    figure = Figure(figsize=(9, 2.0 + 1.1 * len(runs)), layout="constrained")
    panels = figure.subplots(len(runs), 1, sharex=True, squeeze=False)[:, 0]
    for panel, (name, (asked, steps)) in zip(panels, runs.items(), strict=True):
        hosts = sorted(asked["host"].unique())
        for row, host in enumerate(hosts):
            mine = asked[asked["host"] == host]
            lost = mine["rtt_ms"].isna()
            panel.plot(mine[~lost]["time_s"], [row] * int((~lost).sum()), "|", color=COLOURS[2])
            panel.plot(mine[lost]["time_s"], [row] * int(lost.sum()), "x", color=COLOURS[1])
        panel.set_yticks(range(len(hosts)), [f"from {h}" for h in hosts])
        panel.set(title=f"fail-mode {name}", ylim=(-0.6, len(hosts) - 0.4))
        mark(panel, moments(steps), inside=True)
    panels[-1].set_xlabel(
        "time in s (| answered, × lost; where there is nothing, even ARP had no answer)"
    )
    return figure


def failover(tables: Tables) -> dict[str, Figure]:
    """Outages of all scenarios, and the round-trip times around each failure."""
    found: dict[str, Figure] = {}
    if "outages" not in tables:
        return found
    outages = tables["outages"]
    figure = Figure(figsize=(8, 1.2 + 0.5 * len(outages)), layout="constrained")
    panel = figure.subplots()
    rows: list[Any] = list(outages.itertuples())
    for number, row in enumerate(rows):
        colour = COLOURS[0] if row.scenario.startswith("sdn") else COLOURS[1]
        panel.barh(number, max(row.outage_s, 1e-3), color=colour, height=0.6)
        panel.annotate(
            f"{row.outage_s:.3g} s",
            (max(row.outage_s, 1e-3), number),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    panel.set_yticks(range(len(rows)), [row.scenario for row in rows])
    panel.set_xscale("log")
    panel.set_xlim(1e-3, 200)
    panel.set(xlabel="time without traffic in s (logarithmic)")
    found["1_outages"] = figure
    found["2_pings"] = pings_around(
        {str(name): group for name, group in tables["pings"].groupby("scenario", sort=False)}
    )
    return found


def pings_around(series: Mapping[str, pd.DataFrame]) -> Figure:
    """Round-trip times before and after a failure; lost pings at the bottom.

    Args:
        series: name → ``after_s``, ``rtt_ms``.
    """
    figure = Figure(figsize=(9, 1.0 + 1.3 * len(series)), layout="constrained")
    panels = figure.subplots(len(series), 1, squeeze=False)[:, 0]
    for panel, (name, table) in zip(panels, series.items(), strict=True):
        lost = table[table["rtt_ms"].isna()]
        panel.plot(table["after_s"], table["rtt_ms"].astype(float), ".", markersize=3)
        panel.plot(lost["after_s"], [0.0] * len(lost), "x", color=COLOURS[1], markersize=4)
        panel.axvline(0, color="0.5", linewidth=0.8)
        panel.set_ylim(bottom=-0.5)
        panel.set_ylabel("RTT in ms")
        panel.set_title(f"{name} (× lost)", fontsize=10)
    panels[-1].set_xlabel("seconds after the failure")
    return figure


def flood(tables: Tables, limit_pps: float) -> dict[str, Figure]:
    """Service and packet rates over time, one column a scenario."""
    names = list(dict.fromkeys(tables["service"]["scenario"])) if "service" in tables else []
    if not names:
        return {}
    figure = Figure(figsize=(5.0 * len(names) + 0.5, 5.2), layout="constrained")
    panels = figure.subplots(2, len(names), squeeze=False, sharex=True, sharey="row")
    for column, name in enumerate(names):
        service = tables.of("service", scenario=name)
        lost = service[service["rtt_ms"].isna()]
        top, bottom = panels[0][column], panels[1][column]
        top.plot(service["time_s"], service["rtt_ms"].astype(float), ".", markersize=4)
        top.plot(lost["time_s"], [0.0] * len(lost), "x", color=COLOURS[1], markersize=4)
        top.set_title(f"{name}: the service (× lost)")
        rates = tables["port_rates"]
        rates = rates[rates["scenario"] == name]
        for (port, group), line in zip(rates.groupby("port"), LINES, strict=False):
            bottom.step(
                group["time_s"], group["pkts_per_s"], line, where="pre", label=f"port {int(port)}"
            )
        bottom.axhline(limit_pps, color="0.4", linewidth=1, linestyle=":")
        bottom.annotate(
            "limit",
            (0.01, limit_pps),
            xycoords=("axes fraction", "data"),
            va="bottom",
            fontsize=8,
        )
        for panel in (top, bottom):
            mark(panel, moments(tables.of("steps", scenario=name)), inside=True)
        deeds = tables.get("deeds", pd.DataFrame(columns=["scenario", "time_s", "event"]))
        words = {"isolated": "isolated", "let-back": "let back"}
        if name == "undefended":  # seen, and nothing done
            words = {"isolated": "seen", "let-back": "calm"}
        for deed in deeds[deeds["scenario"] == name].to_dict("records"):
            bottom.axvline(deed["time_s"], color=COLOURS[1], linewidth=1.2)
            bottom.annotate(
                words.get(deed["event"], ""),
                (deed["time_s"], 0.6),
                xycoords=("data", "axes fraction"),
                color=COLOURS[1],
                fontsize=8,
                rotation=90,
                ha="right",
            )
        bottom.set_xlabel("time in s")
    for panel, *_ in panels:  # the steps' names stand above what is drawn; rows share their scale
        panel.set_ylim(top=1.25 * panel.get_ylim()[1])
    figure.legend(*panels[1][0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    panels[0][0].set_ylabel("round-trip time in ms")
    panels[1][0].set_ylabel("packets received per s")
    return {"1_flood": figure}


def firewall(tables: Tables) -> dict[str, Figure]:
    """Packets sent and arrived of each trial; packets caught by each rule."""
    found: dict[str, Figure] = {}
    if "trials" in tables:
        found["1_trials"] = trials(tables["trials"])
    if "paths" in tables:
        found["3_paths"] = paths(tables["paths"])
    if "flows" in tables:
        rules = tables.of("flows", table=0).sort_values("priority", ascending=False)
        figure = Figure(figsize=(9, 0.8 + 0.4 * len(rules)), layout="constrained")
        panel = figure.subplots()
        rows: list[Any] = list(rules.itertuples())
        for number, row in enumerate(rows):
            passes = row.actions != "drop"
            panel.barh(number, row.packets, color=COLOURS[2] if passes else COLOURS[1], height=0.6)
            word = "pass" if passes else "drop"
            panel.annotate(
                f"{row.packets} {word}",
                (row.packets, number),
                xytext=(4, 0),
                va="center",
                textcoords="offset points",
                fontsize=8,
            )
        names = [_short(row.match) for row in rows]
        panel.set_yticks(range(len(rows)), names, fontsize=8)
        panel.invert_yaxis()
        panel.margins(x=0.15)
        panel.set(xlabel="packets caught", title="Rules in s1, the first that matches decides")
        found["2_rules"] = figure
    return found


def paths(table: pd.DataFrame) -> Figure:
    """The way of each packet through a switch's tables, one row a packet.

    Args:
        table: ``packet``, ``table``, ``match``, ``actions``; a packet's rows in its order.
    """
    packets = list(dict.fromkeys(table["packet"]))
    columns = sorted(table["table"].unique())
    figure = Figure(
        figsize=(2.4 + 2.9 * len(columns), 0.9 + 0.36 * len(packets)), layout="constrained"
    )
    panel = figure.subplots()
    for y, packet in enumerate(packets):
        met: list[Any] = list(table[table["packet"] == packet].itertuples())
        dropped = met[-1].actions in {"", "drop"}
        colour = COLOURS[1] if dropped else COLOURS[2]
        stops = [
            (columns.index(row.table), _short(row.match) if row.match else "all others")
            for row in met
        ]
        end = "dropped" if dropped else met[-1].actions.replace("output:", "out by port ")
        stops.append((len(columns), end))
        places = [x for x, _ in stops]
        panel.plot(places, [y] * len(places), color=colour, zorder=1)
        between = [(one + other) / 2 for one, other in pairwise(places)]
        panel.plot(between, [y] * len(between), ">", color=colour, zorder=1)
        for x, words in stops:
            panel.text(
                x,
                y,
                words,
                ha="center",
                va="center",
                fontsize=7,
                bbox={"boxstyle": "round", "fc": "white", "ec": colour},
            )
    panel.grid(visible=False)
    panel.set_yticks(range(len(packets)), packets, fontsize=8)
    panel.set_xticks(range(len(columns) + 1), [*(f"table {n}" for n in columns), "end"])
    panel.set(xlim=(-0.5, len(columns) + 0.3), ylim=(len(packets) - 0.5, -0.5))
    panel.set_title("Way of each packet through s1's tables, and the flow that caught it")
    return figure


def trials(table: pd.DataFrame) -> Figure:
    """Which packets arrived, as a table of coloured cells.

    Args:
        table: ``client``, ``trial``, ``sent``, ``arrived``.
    """
    sent = table.pivot(index="client", columns="trial", values="sent")
    arrived = table.pivot(index="client", columns="trial", values="arrived")
    figure = Figure(figsize=(6.5, 0.9 + 0.6 * len(sent)), layout="constrained")
    panel = figure.subplots()
    panel.grid(visible=False)
    for y, client in enumerate(sent.index):
        for x, trial in enumerate(sent.columns):
            through = arrived.loc[client, trial] > 0
            panel.barh(
                y,
                0.96,
                left=x - 0.48,
                height=0.9,
                alpha=0.35,
                color=COLOURS[2] if through else COLOURS[1],
            )
            text = f"{arrived.loc[client, trial]} of {sent.loc[client, trial]}"
            panel.annotate(text, (x, y), ha="center", va="center")
    panel.set_xticks(range(len(sent.columns)), list(sent.columns))
    panel.set_yticks(range(len(sent.index)), list(sent.index))
    panel.invert_yaxis()
    panel.set_title("Packets that arrived at the server")
    return figure


def balance(tables: Tables, servers: Sequence[str]) -> dict[str, Figure]:
    """Connections of each server by client, one panel a scenario."""
    if "connections" not in tables:
        return {}
    names = list(dict.fromkeys(tables["connections"]["scenario"]))
    figure = Figure(figsize=(4.2 * len(names) + 1, 3.4), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    for panel, name in zip(panels, names, strict=True):
        found = tables.of("connections", scenario=name)
        floor = [0] * len(servers)
        for client, colour in zip(sorted(found["client"].unique()), COLOURS, strict=False):
            mine = found[found["client"] == client]["server"].value_counts()
            counts = [int(mine.get(server, 0)) for server in servers]
            panel.bar(servers, counts, bottom=floor, color=colour, label=client, width=0.6)
            floor = [a + b for a, b in zip(floor, counts, strict=True)]
        panel.set_title(name.replace("_", " "))
        panel.set_xlabel("server")
    panels[0].set_ylabel("connections")
    panels[0].yaxis.get_major_locator().set_params(integer=True)
    figure.legend(
        *panels[-1].get_legend_handles_labels(), title="client", loc="outside right upper"
    )
    return {"1_shares": figure}
