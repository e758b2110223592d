"""Diffie and Hellman: a common secret of two strangers, and the third one between them."""

from __future__ import annotations

from testbed import Experiment, Tables, Verdict, all_of, claim, first, presuming, same
from testbed.programs.payments import CHANGED, PAYMENT

from .exchanges import (
    ATTACKS,
    BEFORE,
    BEHIND,
    CLIENT,
    SERVER,
    accepted,
    fields,
    octets,
    readable,
    said,
    texts,
    told,
)
from .opening import LISTENER, opens

KNOWN_TO_ALL = ("prime", "generator", "public")


class Agreement(Experiment):
    """Diffie and Hellman: a common secret of two strangers, and the third one between them."""

    @claim(
        "Diffie and Hellman: each side sends a public value and computes the same secret, which "
        "itself is never sent. A key derived from it encrypts the message.",
        source="RFC 2631 §2.1; RFC 7919 §3–4; RFC 5869",
    )
    def both_compute_one_secret(self, tables: Tables) -> Verdict:
        """The secrets that both programs tell, and the packets between them."""
        secrets = {name: _secret(tables, "dh", log) for name, log in _SIDES.items()}
        sent = fields(tables, "dh")
        values = {"h1": sent.get("public"), "h2": fields(tables, "dh", "server").get("public")}
        stated = {name: _told_public(tables, "dh", log) for name, log in _SIDES.items()}
        return all_of(
            same(secrets["h1"] == secrets["h2"], True, "same secret"),
            same(values == stated, True, "public values seen at r1"),
            same(readable(tables, "dh", PAYMENT), False, "payment readable at r1"),
            same(_seen(tables, "dh", secrets["h1"]), False, "secret seen at r1"),
            same(_by_ends(tables, "dh"), {"h1": [PAYMENT], "h2": [PAYMENT]}, "opened"),
            same(accepted(tables, "dh"), [True], "accepted by h2"),
        ).because("public values and message", said(tables, "dh"))

    @claim(
        "Who only listens sees the group and both public values, and cannot compute the secret: "
        "trying exponents is hopeless if they are drawn from enough.",
        source="RFC 2631 §2.1.1; RFC 7919 §5.2",
    )
    def listening_is_not_enough(self, tables: Tables) -> Verdict:
        """65,536 exponents tried on what r1 captured. ffdhe2048 has 2^225 or more."""
        sent = fields(tables, "dh")
        opened = opens(tables, "dh")
        return presuming(
            same(LISTENER in opened, True, "group and public values captured"),
            same([name in sent for name in KNOWN_TO_ALL], [True] * 3, "seen at r1"),
            same(opened.get(LISTENER), [], "opened by trying"),
        ).because("all that r1 sees", said(tables, "dh"))

    @claim(
        "A man in the middle agrees on a secret with each side. He reads and changes the messages, "
        "and neither side notices.",
        source="RFC 3552 §3.3.5; RFC 2631 §2",
    )
    def middle_has_two_secrets(self, tables: Tables) -> Verdict:
        """Public values before and behind r1, the secrets of all three, and what h2 reads."""
        step = "dh-middle"
        first(said(tables, step, capture=BEHIND), f"messages in step '{step}' at {BEHIND}")
        values = [fields(tables, step, capture=where).get("public") for where in (BEFORE, BEHIND)]
        secrets = [_secret(tables, step, log) for log in _SIDES.values()]
        pair = _pair(tables, step)
        return all_of(
            same(values[0] != values[1], True, "h2 gets another public value"),
            same(secrets[0] != secrets[1], True, "h1 and h2 have different secrets"),
            same(pair == secrets, True, "r1 has both"),
            same(opens(tables, step).get("r1 with h1"), [PAYMENT], "r1 reads"),
            same(texts(tables, step), [CHANGED], "h2 reads"),
            same(accepted(tables, step), [True], "accepted by h2"),
        ).because("public values", said(tables, step))

    @claim(
        "If both sides sign the public values, the man in the middle is noticed before a message "
        "is sent; without him the exchange works as before.",
        source="RFC 8446 §4.4.3, appendix E.1; NIST SP 800-56A §5.6.2.2",
    )
    def signatures_stop_the_middle(self, tables: Tables) -> Verdict:
        """The same exchange with signatures, without r1's interference and with it."""
        step = "dh-signed-middle"
        values = [fields(tables, step, capture=where).get("public") for where in (BEFORE, BEHIND)]
        rows = told(tables, step, CLIENT)
        refusals = rows.get("refused", rows["step"].iloc[:0]).dropna()
        return all_of(
            same(texts(tables, "dh-signed"), [PAYMENT], "alone: h2 reads"),
            same(values[0] != values[1], True, "h2 gets another public value"),
            same(len(refusals), 1, "refused by h1"),
            same(octets(tables, step, "ciphertext"), [], "messages"),
            same(accepted(tables, step), [False], "accepted by h2"),
        ).because("the exchange that ends", said(tables, step))


_SIDES = {"h1": CLIENT, "h2": SERVER}


def _secret(tables: Tables, step: str, log: str) -> str:
    """The secret that a side computed."""
    rows = told(tables, step, log).dropna(subset="dh_secret")
    return str(first(rows, f"secret of {log} in step '{step}'")["dh_secret"])


def _told_public(tables: Tables, step: str, log: str) -> str:
    rows = told(tables, step, log).dropna(subset="public")
    return str(first(rows, f"public value of {log} in step '{step}'")["public"])


def _pair(tables: Tables, step: str) -> list[str]:
    """The secrets of r1: with h1, and with h2; none if it had no part in the exchange."""
    rows = told(tables, step, ATTACKS)
    found = rows.get("secrets", rows["step"].iloc[:0]).dropna()
    return [str(one) for one in found.iloc[0]] if len(found) else []


def _seen(tables: Tables, step: str, secret: str) -> bool:
    """True if a secret occurs in a message."""
    rows = [*said(tables, step)["message"], *said(tables, step, "server")["message"]]
    return any(secret in str(message) for message in rows)


def _by_ends(tables: Tables, step: str) -> dict[str, list[str]]:
    opened = opens(tables, step)
    return {name: opened.get(name, []) for name in _SIDES}
