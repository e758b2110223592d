"""The fingerprint of a run: a hash over what must be the same in two runs with the same inputs."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path

from testbed.core.rundir import RunDir

_FILES = (
    *("captures/*.pcap", "events.jsonl", "topology.json", "network*.json"),
    *("browser/*/*/events.jsonl", "browser/*/*/load.har", "browser/*/*/state.json"),
)
"""What must be the same, byte for byte, in two virtual-clock runs with the same inputs."""


def fingerprint(run: RunDir) -> str:
    """SHA-256 over a run's scenarios (64 hex digits)."""
    return hash_of(run.path, (run.scenario(name) for name in sorted(run.meta()["scenarios"])))


def hash_of(root: Path, scenarios: Iterable[Path]) -> str:
    """SHA-256 over the parts of scenarios' folders that must not differ (64 hex digits).

    Args:
        root: what the files' names are relative to.
        scenarios: the folders, in order.
    """
    total = hashlib.sha256()
    for folder in scenarios:
        for path in (p for pattern in _FILES for p in sorted(folder.glob(pattern))):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.relative_to(root)} {digest}\n".encode())
    return total.hexdigest()


def warn_of_changed_files(run: RunDir) -> None:
    """Logs a warning if the run's captures or logs are not those that were recorded."""
    recorded = run.meta().get("fingerprint")
    if recorded and (now := fingerprint(run)) != recorded:
        logging.getLogger(__name__).warning(
            "the files of this run changed after it was made: fingerprint %s recorded, %s now",
            recorded[:16],
            now[:16],
        )
