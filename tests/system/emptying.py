"""A run whose data are gone, judged again."""

import json
import shutil

from testbed.core.rundir import RunDir
from testbed.results import replay

PCAP_HEADER_BYTES = 24


def _truncate(paths, size_bytes=0):
    found = list(paths)
    for path in found:
        with path.open("r+b") as file:
            file.truncate(size_bytes)
    return bool(found)


def _keep_the_start(folder):
    path = folder / "events.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if json.loads(line)["event"] == "start"))
    return len(lines) > 1


def _of_another_run(paths):
    """Key logs whose secrets belong to connections that nobody saw."""
    found = list(paths)
    for path in found:
        lines = [line.split() for line in path.read_text().splitlines() if line[:1] != "#"]
        path.write_text("".join(f"{label} {'ab' * 32} {secret}\n" for label, _, secret in lines))
    return bool(found)


EMPTY = {
    "captures": lambda folder: _truncate(folder.glob("captures/*.pcap"), PCAP_HEADER_BYTES),
    "events": _keep_the_start,
    "kernel-events": lambda folder: _truncate(folder.glob("traces/cpu*.raw")),
    "keys": lambda folder: _of_another_run(folder.glob("keys/*.log")),
    "logs": lambda folder: _truncate(folder.glob("logs/*.log")),
}
"""What of a scenario's folder is emptied, and how; each returns whether there was anything."""


def judged_without(path, what, target):
    """The verdicts by claim of a copy of the run, in which each scenario lacks something.

    Claims about scenarios that never had any of it are left out.
    """
    shutil.copytree(path, target)
    run = RunDir(target)
    emptied = {name for name in run.meta()["scenarios"] if EMPTY[what](run.scenario(name))}
    cls = replay.experiment_of(run)
    parsed = replay.Parsed.read(run, cls)
    tables = replay.measure(run, parsed)
    experiment = cls(parsed.params)
    verdicts = {
        claim.name: verdict
        for claim, verdict in replay.judge(run, experiment, tables)
        if emptied & set(claim.scenarios or emptied)
    }
    replay.save_plots(run, experiment, tables)
    return verdicts
