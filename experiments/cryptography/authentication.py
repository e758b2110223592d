"""Authentication codes: what they refuse, who can make them, and what they do not stop."""

from __future__ import annotations

from testbed import Experiment, Tables, Verdict, all_of, claim, first, same
from testbed.programs.payments import CHANGED, PAYMENT

from .exchanges import BEHIND, accepted, fields, said, texts


class Authentication(Experiment):
    """Authentication codes: what they refuse, who can make them, and what they do not stop."""

    @claim(
        "A message authentication code fits only the text it was made for, and only with the key: "
        "a changed message is refused.",
        source="RFC 2104 §1–2",
    )
    def codes_refuse_changes(self, tables: Tables) -> Verdict:
        """The same message unchanged, and with another amount."""
        passed_on = {
            step: str(fields(tables, step, capture=BEHIND).get("text"))
            for step in ("mac", "mac-changed")
        }
        found = {step: _fits(tables, step, "MAC") for step in passed_on}
        return all_of(
            same(passed_on, {"mac": PAYMENT, "mac-changed": CHANGED}, "what arrives"),
            same(found, {"mac": True, "mac-changed": False}, "code fits"),
            same(accepted(tables, "mac"), [True], "accepted by h2"),
            same(accepted(tables, "mac-changed"), [False], "changed, accepted by h2"),
        ).because("what r1 sent on", said(tables, "mac-changed", capture=BEHIND))

    @claim(
        "Whoever can check a code can also make it; a signature can be checked by all and made by "
        "one. So only a signature proves to others who wrote a message.",
        source="RFC 4949, “digital signature”, “non-repudiation service”; RFC 2104 §1",
    )
    def only_signatures_prove_the_author(self, tables: Tables) -> Verdict:
        """h2 makes h1's code with the shared key; with its own key it makes no signature of h1."""
        found = {
            "h2 makes the same code": _fits(tables, "mac", "MAC"),
            "h1's signature fits": _fits(tables, "signed", "ECDSA", "h1's"),
            "h2's signature fits": _fits(tables, "signed", "ECDSA", "h2's"),
        }
        wanted = dict(zip(found, (True, True, False), strict=True))
        return same(found, wanted).because("code and signatures", said(tables, "signed"))

    @claim(
        "A code does not stop a replay: a recorded message, sent again, is accepted again. A "
        "counter under the code stops it.",
        source="RFC 3552 §3.3.1; RFC 4303 §3.4.3",
    )
    def counters_stop_replays(self, tables: Tables) -> Verdict:
        """What h2 says of a payment and of its copy, which r1 sends later."""
        found = {step: accepted(tables, step) for step in ("replay", "replay-counter")}
        copies = {step: _copies(tables, step) for step in found}
        return all_of(
            same(copies, dict.fromkeys(found, 2), "equal messages to h2"),
            same(found, {"replay": [True, True], "replay-counter": [True, False]}, "accepted"),
            same(texts(tables, "replay"), [PAYMENT, PAYMENT], "payments"),
        ).because("message and copy", said(tables, "replay", capture=BEHIND))


def _fits(tables: Tables, step: str, kind: str, key: str = "") -> bool:
    """A code or signature in the capture behind r1 fits the text beside it."""
    rows = tables.of("checked", step=step, kind=kind)
    rows = rows[rows["key"] == key] if key else rows
    return bool(first(rows, f"{kind} in step '{step}'")["valid"])


def _copies(tables: Tables, step: str) -> int:
    """How many messages of a step are equal, as r1 sends them to h2."""
    rows = said(tables, step, capture=BEHIND)
    first(rows, f"messages in step '{step}' at {BEHIND}")
    return int(rows["message"].value_counts().iloc[0])
