"""Makes tls_kinds.pcapng: kinds of TLS that the experiments do not show; and tshark's view of it.

testbed run tests/captures/make_tls_kinds.py
python tests/captures/make_tls_kinds.py runs/make_tls_kinds-…/scenarios/main

Each kind is a connection between two programs of OpenSSL; the client's secrets are in the capture.
tls_kinds.tsv has tshark's fields by frame, tls_kinds.json what it decrypts of each connection, as
a hash per direction.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.dissect import tls_messages
from testbed import Experiment
from testbed.daemons import certificates
from testbed.daemons.certificates import Certificate
from topologies.line import Line

if TYPE_CHECKING:
    import pandas as pd

    from testbed import RunningNetwork, ScenarioData

HERE = Path(__file__).parent
CAPTURE = "h1-eth0"
PORT = 443
PSK = "00112233445566778899aabbccddeeff"

FIELDS = (
    *("frame.number", "tcp.stream", "http.request.uri", "http.response.code"),
    *("tls.handshake.type", "tls.alert_message.desc", "tls.record.content_type"),
)


@dataclass(frozen=True)
class Kind:
    """One connection.

    Attributes:
        client, server: further options of OpenSSL's programs.
        first: what the client's user types before the request, such as ``R`` (renegotiate) and
            ``K`` (update the keys of both sides).
        again: a second connection with these options follows to the same server.
        answers: the server answers; OpenSSL's does not if it takes early data.
    """

    client: Sequence[str]
    server: Sequence[str] = ()
    first: str = ""
    again: Sequence[str] = ()
    answers: bool = True


def old(cipher: str, *more: str, **changes: object) -> Kind:
    """A kind of TLS 1.2."""
    return Kind(("-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0", *more), **changes)  # type: ignore[arg-type]


def new(suite: str, *more: str, **changes: object) -> Kind:
    """A kind of TLS 1.3."""
    return Kind(("-tls1_3", "-ciphersuites", f"TLS_{suite}", *more), **changes)  # type: ignore[arg-type]


SESSION = "{state}/session"
KINDS = {
    "cbc-sha": old("AES128-SHA"),
    "cbc-sha-mac-inside": old("AES256-SHA", "-no_etm"),
    "cbc-sha256": old("DHE-RSA-AES128-SHA256"),
    "cbc-sha384": old("ECDHE-ECDSA-AES256-SHA384"),
    "cbc-sha384-mac-inside": old("ECDHE-RSA-AES256-SHA384", "-no_etm"),
    "gcm": old("ECDHE-ECDSA-AES128-GCM-SHA256"),
    "gcm-sha384": old("DHE-RSA-AES256-GCM-SHA384"),
    "chacha": old("ECDHE-RSA-CHACHA20-POLY1305"),
    "resumed": old(
        "ECDHE-RSA-AES128-GCM-SHA256", "-sess_out", SESSION, again=("-sess_in", SESSION)
    ),
    "renegotiated": old(
        "ECDHE-RSA-AES128-GCM-SHA256", server=("-client_renegotiation",), first="R"
    ),
    "renegotiated-cbc": old("AES128-SHA", server=("-client_renegotiation",), first="RR"),
    "tls13": new("AES_128_GCM_SHA256"),
    "tls13-sha384": new("AES_256_GCM_SHA384"),
    "tls13-chacha": new("CHACHA20_POLY1305_SHA256"),
    "tls13-ccm": new("AES_128_CCM_SHA256", server=("-ciphersuites", "TLS_AES_128_CCM_SHA256")),
    "tls13-ccm8": new("AES_128_CCM_8_SHA256", server=("-ciphersuites", "TLS_AES_128_CCM_8_SHA256")),
    "retried": new("AES_128_GCM_SHA256", "-groups", "P-256:X25519", server=("-groups", "X25519")),
    "key-update": new("AES_128_GCM_SHA256", first="kK"),
    "key-update-sha384": new("AES_256_GCM_SHA384", first="kkK"),
    "psk": new("AES_128_GCM_SHA256", "-psk", PSK, server=("-psk", PSK)),
    "psk-resumed": new("AES_256_GCM_SHA384", "-sess_out", SESSION, again=("-sess_in", SESSION)),
    "early": new(
        "AES_128_GCM_SHA256",
        *("-sess_out", SESSION),
        server=("-early_data", "-max_early_data", "4096"),
        again=("-sess_in", SESSION, "-early_data", "{state}/early"),
        answers=False,
    ),
    "early-retried": new(
        "AES_128_GCM_SHA256",
        *("-sess_out", SESSION, "-groups", "P-256:X25519"),
        server=("-groups", "X25519", "-early_data", "-max_early_data", "4096"),
        again=("-sess_in", SESSION, "-early_data", "{state}/early"),
        answers=False,
    ),
}


class Kinds(Experiment):
    """One page over each kind of TLS."""

    @dataclass(frozen=True)
    class Parameters:
        """None."""

    programs = ("openssl",)

    def topology(self) -> Line:
        """h1 and h2 with two routers between them."""
        return Line(2)

    def run(self, net: RunningNetwork) -> None:
        """One kind after the other."""
        names = ("www.example.org",)
        made = certificates.make(
            net,
            "h2",
            [Certificate("rsa", names=names), Certificate("ecdsa", names=names, key="p256")],
        )
        rsa, ecdsa = made["rsa"], made["ecdsa"]
        own = ("-cert", str(rsa.chain), "-key", str(rsa.key))
        own += ("-dcert", str(ecdsa.chain), "-dkey", str(ecdsa.key))
        self.keys, state = certificates.key_log(net, "h1"), net.state_folder("h1")
        (state / "early").write_text("GET /early HTTP/1.0\r\n\r\n")
        net.capture(CAPTURE)
        for name, kind in KINDS.items():
            options = ["-quiet", "-cipher", "ALL:@SECLEVEL=0", *own, *kind.server]
            options += ["-accept", str(PORT), "-naccept", str(1 + bool(kind.again))]
            line = " ".join(["openssl s_server", *options, *["-www"] * kind.answers])
            server = net.start("h2", "sh", "-c", f"sleep 3 | {line}")
            net.sleep(0.1)
            self._visit(net, kind.client, kind.first, name, str(state))
            if kind.again:
                kept = [word for word in kind.client if word not in ("-sess_out", SESSION)]
                self._visit(net, (*kept, *kind.again), "", f"{name}-again", str(state))
            server.wait(10)

    def _visit(
        self, net: RunningNetwork, options: Sequence[str], first: str, name: str, state: str
    ) -> None:
        words = [word.replace("{state}", state) for word in options]
        to = f"{net.address('h2')}:{PORT}"
        line = " ".join(["openssl", "s_client", "-connect", to, "-keylogfile", self.keys, *words])
        typed = "".join(f"sleep 0.1; echo {letter}; " for letter in first)
        asked = f"sleep 0.1; printf 'GET /{name} HTTP/1.0\\r\\n\\r\\n'; sleep 0.2"
        net.start("h1", "sh", "-c", f"({typed}{asked}) | {line}", log=f"h1-{name}").wait(30)

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """All messages."""
        return {"tls": tls_messages.read(data.packets(CAPTURE, tls_messages.COLUMNS))}


def tshark(*words: str) -> str:
    """What tshark says of the capture."""
    argv = ["tshark", "-n", "-r", str(HERE / "tls_kinds.pcapng"), *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def decrypted(stream: int) -> list[str]:
    """SHA-256 of what the client and the server say in a connection, as tshark decrypts it."""
    sides = [hashlib.sha256(), hashlib.sha256()]
    lines = tshark("-q", "-z", f"follow,tls,raw,{stream}").splitlines()
    swapped = lines[4].endswith(f":{PORT}")  # what the second node says is indented
    for line in lines[6:-1]:
        sides[line.startswith("\t") != swapped].update(bytes.fromhex(line.strip()))
    return [one.hexdigest() for one in sides]


def main(scenario: Path) -> None:
    """Copies the client's capture and asks tshark."""
    shutil.copy(scenario / "captures" / f"{CAPTURE}.pcapng", HERE / "tls_kinds.pcapng")
    fields = [word for name in FIELDS for word in ("-e", name)]
    told = tshark("-d", f"tls.port=={PORT},http", "-T", "fields", "-E", "header=y", *fields)
    (HERE / "tls_kinds.tsv").write_text(told)
    streams = max(int(row.split("\t")[1]) for row in told.splitlines()[1:] if row.split("\t")[1])
    hashes = [decrypted(stream) for stream in range(streams + 1)]
    (HERE / "tls_kinds.json").write_text(json.dumps(hashes, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
