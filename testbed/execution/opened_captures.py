"""Captures of runs with TLS that Wireshark shows in plain text."""

from __future__ import annotations

from pathlib import Path

from testbed.core.rundir import key_logs


def write(scenario: Path) -> None:
    """Writes each capture of a scenario once more, as pcapng with the secrets of all key logs.

    ``captures/h1-eth0.pcapng`` is next to ``captures/h1-eth0.pcap``, which stays as it is; without
    key logs, nothing is written.

    Args:
        scenario: the scenario's folder.

    Raises:
        ConfigError: a key log is damaged.
    """
    paths = key_logs(scenario)
    if not paths:
        return
    from analysis.packets import with_secrets
    from analysis.tls import KeyLog, key_log

    secrets = KeyLog.merged(map(key_log.read, paths)).text().encode()
    for capture in sorted((scenario / "captures").glob("*.pcap")):
        with_secrets.write(capture, capture.with_suffix(".pcapng"), secrets, capture.stem)
