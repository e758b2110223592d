"""Cryptography: hashes, ciphers, signatures, and how two strangers agree on a key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis import tls
from analysis.dissect import json_messages
from analysis.plots import cryptography as draw
from testbed import LinkShape, MissingPrerequisiteError, Tables, param, steps
from testbed.daemons import start
from topologies.line import Line

from . import checking, exchanges, facts, hashing, opening, parties, speeds
from .agreement import Agreement
from .asymmetric import Asymmetric
from .authentication import Authentication
from .hashing import Hashing
from .speeds import Speeds
from .symmetric import Symmetric

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

FAULTS = (
    "none",
    "encoded",
    "no-salt",
    "changed-pair",
    "aes-only",
    "all-ecb",
    "short-rsa",
    "shared-signer",
    "clear",
    "fresh-nonces",
    "weak-exponent",
    "no-check",
    "no-attacker",
    "fast-hash",
    "swapped-ciphers",
)

MODES = {"plain": "picture", "ecb": "AES-ECB", "cbc": "AES-CBC", "ctr": "AES-CTR"}


class Cryptography(Speeds, Agreement, Authentication, Asymmetric, Symmetric, Hashing):
    """Cryptography: hashes, ciphers, signatures, and how two strangers agree on a key.

    h1 tries hashes and symmetric ciphers out, then sends messages to h2, each protected in another
    way: with a common key, with h2's public key, with both, with codes, with signatures, with a key
    agreed on by Diffie and Hellman. r1, on the path, captures all of it; in some steps it changes
    messages, sends them again, or pretends to each side to be the other. The keys stay in the run
    directory, so that each key can be tried on what r1 captured.

    Speeds are measured on the host before the network starts: computation takes no time on the
    virtual clock.

    `faults` break things on purpose.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(5.0, "delay of the path, one way", unit="ms", low=0, high=1000)
        pbkdf2_rounds: int = param(
            100_000, "rounds of the slow hash", unit="rounds", low=1000, high=10_000_000
        )
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    programs = ("nft",)
    extras = ("tls",)

    # ---- on the host

    def inputs(self) -> Mapping[str, str]:
        """The speeds; none without the library, so that their claims are INCONCLUSIVE."""
        if not tls.library_is_there():
            return {}
        return {speeds.FILE: speeds.measured(self.params.pbkdf2_rounds, self.params.faults)}

    # ---- in the network

    def topology(self) -> Line:
        """h1 and h2 in LANs of their own, two routers between them."""
        return Line(2, LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """Makes keys, tries hashes and ciphers out, then sends all messages."""
        faults, h2 = self.params.faults, net.address("h2")
        parties.alone(net.path, faults)(net)
        folder = net.path / parties.SECRETS
        start(net, parties.daemons(folder, h2, faults))
        if "no-attacker" not in faults:
            parties.divert()(net)
        net.capture(exchanges.BEFORE, exchanges.BEHIND)
        parties.send(folder, h2, faults)(net)
        net.sleep(0.5)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and messages by step, what the programs told, and who can open what."""
        import pandas as pd

        if not tls.library_is_there():
            raise MissingPrerequisiteError(
                "Python's cryptography", "make extra-tls", "messages are opened with it"
            )
        found = steps.measure(
            data, json_messages.COLUMNS, {"messages": exchanges.read}, log=exchanges.CLIENT
        )
        logs = (exchanges.CLIENT, exchanges.SERVER, exchanges.ATTACKS)
        parts = [steps.json_logs(data, found["steps"], log).assign(log=log) for log in logs]
        told = pd.concat(parts, ignore_index=True)
        return {
            **found,
            **facts.read(data, found["steps"]),
            "told": told,
            "opened": opening.read(data.path, found["messages"], told),
            "checked": checking.read(data.path, found["messages"]),
            "keys": checking.keys(data.path),
            "speeds": speeds.read(data.path),
        }

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure | str]:
        """Figures and ladders of some of the steps.

        Figures:
            1_picture: A picture, encrypted by AES in three modes. ECB hides the colours, not the
                drawing.
            2_birthdays: How soon two inputs have the same hash. Searches with short hashes follow
                the birthday formula; half of them end after 1.18 · 2^(n/2) tries.
            3_speeds: Measured on the host, on one processor. Ciphers on the left, hashes on the
                right; the axes are logarithmic.
            4_hybrid: Hybrid encryption. The public key, then a new key under it, and the letter
                under that key.
            5_replay: r1 sends a recorded message again, and h2 accepts it once more.
            6_dh: Diffie and Hellman. r1 sees group, public values and ciphertext.
            7_dh_before: A man in the middle, seen between h1 and r1, which answers in h2's name.
            8_dh_behind: The same step between r1 and h2. r1 has sent public values of its own.
            9_dh_signed: The same with signatures. h1 ends the exchange before the payment.
        """
        return {
            "1_picture": self._pictures(tables),
            "2_birthdays": draw.birthdays(
                {n: rows["tries"] for n, rows in hashing.by_bits(tables.of("collision")).items()}
            ),
            "3_speeds": draw.speeds(tables.of("speeds")),
            "4_hybrid": _ladder(tables, "hybrid", exchanges.BEFORE),
            "5_replay": _ladder(tables, "replay", exchanges.BEHIND),
            "6_dh": _ladder(tables, "dh", exchanges.BEFORE),
            "7_dh_before": _ladder(tables, "dh-middle", exchanges.BEFORE),
            "8_dh_behind": _ladder(tables, "dh-middle", exchanges.BEHIND),
            "9_dh_signed": _ladder(tables, "dh-signed-middle", exchanges.BEFORE),
        }

    def _pictures(self, tables: Tables) -> Figure:
        rows = tables.of("pictures")
        found = {title: facts.picture(tables, mode) for mode, title in MODES.items()}
        size = int(rows["width"].iloc[0]), int(rows["height"].iloc[0])
        return draw.pictures(found, *size)


def _ladder(tables: Tables, step: str, capture: str) -> str:
    """All packets of a step."""
    return steps.ladder(tables, step, capture, hosts=("h1", "r1", "h2"), keep=20, protocol="TCP")
