"""What grading keeps of a run holds none of its secrets: no private key, no secret of TLS.

A run that is graded may have keys that no student must get, such as those of its certification
authority or of the other side of a connection. Measuring may use them; then they go, before anybody
sees the folder: `remove` is called for every lab. So do files that a lab itself calls secret, such
as captures that hidden checks look at.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from testbed.core.rundir import KEYS, key_logs
from testbed.grading.submission import FOLDER

REMOVED = b"[removed: a secret of this run]"
_PEM = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)", re.DOTALL)
"""A private key (RFC 7468 §10); one that is cut off goes to the end of the file."""

_KEPT_AS_IT_IS = ("captures", "traces", FOLDER)
"""What was on the wire or was handed in is no secret, and evidence names its packets."""


def remove(scenario: Path, patterns: Iterable[str] = ()) -> bool:
    """Removes key logs, private keys, captures with secrets inside, and copies of them in texts.

    Returns whether there was anything to remove.

    Args:
        scenario: a scenario's folder, already measured.
        patterns: of more files and folders that are removed, see `Assignment.secret_files`.
    """
    removed = (scenario / KEYS).is_dir()
    for pattern in patterns:
        for path in sorted(scenario.glob(pattern)):
            removed = True
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    secrets = [re.compile(re.escape(one), re.IGNORECASE) for one in tls_secrets(scenario)]
    shutil.rmtree(scenario / KEYS, ignore_errors=True)
    for capture in scenario.glob("captures/*.pcapng"):  # the .pcap next to it has no secrets
        capture.unlink()
        removed = True
    for path in sorted(_texts(scenario)):
        text = path.read_bytes()
        clean = _PEM.sub(REMOVED, text)
        for secret in secrets:
            clean = secret.sub(REMOVED, clean)
        removed |= clean != text
        if clean == REMOVED or clean == REMOVED + b"\n":
            path.unlink()
        elif clean != text:
            path.write_bytes(clean)
    return removed


def tls_secrets(scenario: Path) -> list[bytes]:
    """The secrets of a scenario's key logs, as they are written there."""
    lines = [line for path in key_logs(scenario) for line in path.read_bytes().splitlines()]
    return sorted({words[2] for line in lines if len(words := line.split()) == 3})


def _texts(scenario: Path) -> Iterator[Path]:
    for path in scenario.rglob("*"):
        top = path.relative_to(scenario).parts[0]
        if top not in _KEPT_AS_IT_IS and path.is_file() and not path.is_symlink():
            yield path
