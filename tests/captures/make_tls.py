"""Makes tls.pcapng, tls.key.pem (the server's private key) and tshark's view of them.

testbed run tls; python tests/captures/make_tls.py runs/tls-…/scenarios/main
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FIELDS = (
    *("frame.number", "http.request.method", "http.request.uri", "http.response.code"),
    *("tls.handshake.type", "tls.alert_message.desc", "tls.handshake.extensions_server_name"),
)


def main(scenario: Path) -> None:
    """Copies the client's capture and asks tshark."""
    capture = HERE / "tls.pcapng"
    shutil.copy(scenario / "captures" / "h1-eth0.pcapng", capture)
    shutil.copy(scenario / "certificates" / "www.key", HERE / "tls.key.pem")
    fields = [word for name in FIELDS for word in ("-e", name)]
    argv = ["tshark", "-r", str(capture), "-T", "fields", "-E", "header=y", *fields]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    (HERE / "tls.tsv").write_text(done.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
