"""One self-contained HTML page per run: claims first, then figures, network and provenance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from testbed.author.experiment import Experiment, source_of
from testbed.author.experiment_folder import texts
from testbed.core import parameters
from testbed.core.claims import Evidence, Judged, MissingDataError
from testbed.core.files import write_text
from testbed.core.language import Words
from testbed.core.parameters import parameters_of
from testbed.core.rundir import REPETITION, REPORT, SCENARIO, RunDir, read_json
from testbed.results.data import ScenarioData
from testbed.results.html import template
from testbed.results.pictures import Picture, drawings, figure_files

SAME_WITH_EVERY_SEED = ", the same with every seed"
"""Instead of an interval, where nothing was left to chance."""

SHOWN_FRAMES = 12
"""Number of packets of an evidence shown in the report, which lists the numbers of all."""


def write_report(run: RunDir, cls: type[Experiment], judged: list[Judged]) -> Path:
    """Writes ``report.html`` from the run directory; returns its path."""
    meta, captures = run.meta(), Captures(run)
    t = texts(source_of(cls))
    page = template("report.html.j2").render(
        t=t,
        meta=meta,
        title=t(cls.title()).rstrip(".。"),
        text=cls.paragraphs(),
        claims=[_claim_row(captures, claim, verdict) for claim, verdict in judged],
        plots=[_plot(cls, path, t) for path in figure_files(run.plots)],
        drawings=[{"svg": Markup(svg), "scenarios": names} for svg, names in drawings(run).items()],
        parameters=_parameters(cls, meta),
        scenarios=_scenarios(run, cls, meta),
        command=_command(cls, meta, [f"--scenario {name}" for name in _chosen(cls, meta)]),
    )
    write_text(run.path / REPORT, page)
    return run.path / REPORT


def write_repetition(path: Path, cls: type[Experiment], claims: list[dict[str, Any]]) -> Path:
    """Writes the page for several seeds; `claims` as in ``repetition.json``."""
    data = read_json(path / REPETITION)
    metas = {seed: RunDir(path / f"seed-{seed}").meta() for seed in data["seeds"]}
    any_meta = next(iter(metas.values()), None)
    runs = [
        {
            "seed": seed,
            "fingerprint": (meta.get("fingerprint") or "-")[:16],
            "others": ", ".join(
                c["claim"] for c in claims if c["statuses"].get(str(seed), "PASS") != "PASS"
            ),
        }
        for seed, meta in metas.items()
    ]
    t = texts(source_of(cls))
    page = template("repetition.html.j2").render(
        t=t,
        title=t(cls.title()).rstrip(".。"),
        experiment=cls.name,
        seeds=data["seeds"],
        failed=data["failed"],
        claims=[c | {"mean_text": mean_text(c)} for c in claims],
        runs=runs,
        plots=[_plot(cls, p, t) for p in figure_files(path / "plots")],
        meta=any_meta,
        parameters=_parameters(cls, any_meta) if any_meta else [],
        command=_command(cls, any_meta, [f"--repeat {len(metas)}"]) if any_meta else "",
    )
    write_text(path / REPORT, page)
    return path / REPORT


def _plot(cls: type[Experiment], path: Path, t: Words) -> dict[str, str]:
    title, text = cls.caption(path.stem)
    caption = t.pair(title, t(text)) if title and text else t(title or text)
    return {"caption": caption, "src": Picture(path.read_bytes()).src}


def _claim_row(captures: Captures, claim: Any, verdict: Any) -> dict[str, Any]:
    return {
        "claim": claim,
        "verdict": verdict,
        "evidence": [_evidence(captures, e) for e in verdict.evidence],
    }


def _evidence(captures: Captures, evidence: Evidence) -> dict[str, Any]:
    rows = [dict(row) for row in evidence.rows]
    if evidence.frames and evidence.capture:
        rows = packet_rows(captures.shown(evidence)) or rows
    return {"of": evidence, "rows": rows, "more": max(0, len(evidence.frames) - SHOWN_FRAMES)}


class Captures:
    """The packets of evidence, described in a few words (``what``). Each capture is read once."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._read: dict[tuple[str, str], pd.DataFrame] = {}

    def data(self, evidence: Evidence) -> ScenarioData:
        """The scenario of an evidence."""
        return ScenarioData(evidence.scenario, self._run.scenario(evidence.scenario), None)

    def shown(self, evidence: Evidence) -> pd.DataFrame:
        """The first packets of an evidence; none if the capture is unreliable."""
        from analysis import describe

        where = (evidence.scenario, evidence.capture)
        if where not in self._read:
            columns = ["time_ns", *describe.COLUMNS]
            try:
                self._read[where] = self.data(evidence).packets(evidence.capture, columns)
            except MissingDataError:
                return pd.DataFrame()
        packets = self._read[where]
        found = packets[packets["frame"].isin(evidence.frames[:SHOWN_FRAMES])]
        return found.assign(what=describe.packets(found))


_ROW = ["frame", "time_s", "ip_src", "eth_src", "ip_dst", "eth_dst", "what"]


def packet_rows(packets: pd.DataFrame) -> list[dict[str, Any]]:
    """Packets as `Captures.shown` gives them, as rows of a table."""
    if packets.empty:
        return []
    return [
        {
            "packet": row.frame,
            "time (s)": f"{row.time_s:.6f}",
            "from": _address(row.ip_src, row.eth_src),
            "to": _address(row.ip_dst, row.eth_dst),
            "what": row.what,
        }
        for row in packets[_ROW].itertuples()
    ]


def _address(ip: Any, ethernet: Any) -> str:
    return str(ip) if isinstance(ip, str) else str(ethernet)


def _parameters(cls: type[Experiment], meta: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": p.name, "value": meta["parameters"].get(p.name, p.default), "spec": p.spec}
        for p in parameters_of(cls.Parameters)
    ]


def _command(cls: type[Experiment], meta: dict[str, Any], further: list[str]) -> str:
    """The command that makes such a run, with the options that are not the defaults."""
    given = [
        p.as_option(meta["parameters"][p.name])
        for p in parameters_of(cls.Parameters)
        if meta["parameters"].get(p.name, p.default) not in (p.default, _plain(p.default))
    ]
    clock = ["--clock real"] if meta["clock"] == "real" else []
    name = meta.get("file") or meta["experiment"]
    words = [f"testbed run {name}", *given, f"--seed {meta['seed']}", *clock, *further]
    return " ".join(words)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _chosen(cls: type[Experiment], meta: dict[str, Any]) -> list[str]:
    """The scenarios that were run, if these are not all."""
    params: Any = parameters.build(cls.Parameters, meta["parameters"])
    return [] if set(cls(params).scenarios()) <= set(meta["scenarios"]) else list(meta["scenarios"])


def mean_text(row: dict[str, Any]) -> str:
    """``9.55 ± 0.02 Mbit/s``, or nothing for a claim without a number.

    An interval of no width would say that nothing is in doubt, where nothing was varied.
    """
    if row["mean"] is None:
        return ""
    if len(row["values"]) > 1 and len(set(row["values"].values())) == 1:
        return f"{row['mean']:.4g} {row['unit']}".strip() + SAME_WITH_EVERY_SEED
    half = "" if row["half_95"] is None else f" ± {row['half_95']:.2g}"
    return f"{row['mean']:.4g}{half} {row['unit']}".strip()


def _scenarios(run: RunDir, cls: type[Experiment], meta: dict[str, Any]) -> dict[str, str]:
    """Scenario → the values that differ from the run's parameters."""
    found = {}
    for name in meta["scenarios"]:
        path = run.scenario(name) / SCENARIO
        own = read_json(path).get("parameters", {}) if path.is_file() else {}
        found[name] = ", ".join(
            f"{p.name} {p.shown(own[p.name])}"
            for p in parameters_of(cls.Parameters)
            if p.name in own and own[p.name] != meta["parameters"].get(p.name)
        )
    return found
