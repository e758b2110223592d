"""Makes tshark's view of websocket.pcap.

    python tests/captures/make_websocket.py

The capture holds three connections of a run of the experiment `websocket`: the steps push, unmasked
and proxy, as h1 saw them. Needs tshark.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

HERE = Path(__file__).parent
FIELDS = (
    "frame.number",
    "websocket.opcode",
    "websocket.fin",
    "websocket.mask",
    "websocket.payload_length",
    "websocket.payload.close.status_code",
)


def main() -> None:
    """Writes the table."""
    words = [word for field in FIELDS for word in ("-e", field)]
    argv = ["tshark", "-n", "-r", str(HERE / "websocket.pcap"), "-Y", "websocket", "-T", "fields"]
    argv += ["-E", "header=y", "-E", "aggregator=;", *words]
    text = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    (HERE / "websocket.tsv").write_text(text)


if __name__ == "__main__":
    main()
