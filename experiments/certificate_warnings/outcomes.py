"""What became of each visit, and what claims ask of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from testbed import MissingDataError, Tables, Verdict, first, last, pick, same, steps, tls_steps
from testbed.daemons import certificate_cases

from . import visits

if TYPE_CHECKING:
    from typing import Any

CLIENT, SERVER = tls_steps.CLIENT, "h2-eth0"
SHOWN = "shown"

AUTHORITY = "net::ERR_CERT_AUTHORITY_INVALID"
DATE = "net::ERR_CERT_DATE_INVALID"
NAME = "net::ERR_CERT_COMMON_NAME_INVALID"
INVALID = "net::ERR_CERT_INVALID"
REVOKED = "net::ERR_CERT_REVOKED"

REASONS = {
    "self-signed": AUTHORITY,
    "unknown-issuer": AUTHORITY,
    "root-sent": AUTHORITY,
    "missing-intermediate": AUTHORITY,
    "damaged": AUTHORITY,
    "expired": DATE,
    "not-yet-valid": DATE,
    "wrong-name": NAME,
    "common-name": NAME,
    "weak-hash": INVALID,
    "issued-by-server": INVALID,
    "path-too-long": INVALID,
    "outside-its-domain": INVALID,
    "wrong-usage": INVALID,
    "revoked": REVOKED,
}
"""Case → why Chromium refuses it."""

_WHAT = {
    **{case.name: case.what for case in certificate_cases.cases()},
    **visits.WHAT,
}


def document(tables: Tables, visit: str) -> pd.Series[Any]:
    """The request for the page itself, behind all redirections.

    Raises:
        MissingDataError: there was no such visit.
    """
    tables.row("visits", visit=visit)
    return last(tables.rows("requests", visit=visit, type="Document"), f"page in visit '{visit}'")


def outcome(tables: Tables, visit: str) -> str:
    """`SHOWN`, or Chromium's reason to show nothing of the page.

    Raises:
        MissingDataError: there was no such visit, or nothing of it was captured.
    """
    pick(tables, visit, CLIENT)
    request = document(tables, visit)
    return SHOWN if request["status"] == 200 else str(request["error"])


def outcomes(tables: Tables, names: Iterable[str]) -> dict[str, str]:
    """Visit → its outcome."""
    return {name: outcome(tables, name) for name in names}


def are(tables: Tables, wanted: Mapping[str, str]) -> Verdict:
    """The visits end as they should."""
    return same(outcomes(tables, wanted), dict(wanted), "page")


def chain(tables: Tables, visit: str) -> pd.DataFrame:
    """The certificates that a server sent, its own first.

    Raises:
        MissingDataError: it sent none.
    """
    rows = pick(tables, visit, CLIENT, table="certificates")
    first(rows, f"certificate in visit '{visit}'")
    return rows


def handshake(tables: Tables, visit: str) -> pd.DataFrame:
    """The TLS messages of a visit."""
    return tls_steps.said(tables, visit)


def requests(tables: Tables, visit: str) -> int:
    """How many requests reached the network."""
    return len(pick(tables, visit, CLIENT, table="http", kind="request"))


def ports(tables: Tables, visit: str) -> list[int]:
    """The ports that the browser connects to, each once."""
    sent = pick(tables, visit, CLIENT, protocol="TCP")
    to = sent.loc[sent["ip_src"] == steps.address(tables, CLIENT), "tcp_dport"]
    return sorted({int(port) for port in to})


def table(tables: Tables) -> pd.DataFrame:
    """One row per visit: what is wrong, what the browser says, and the alert on the wire."""
    rows = []
    for name in [*REASONS, *visits.WHAT]:
        try:
            said = outcome(tables, name)
        except MissingDataError:
            continue
        _, alert = tls_steps.alert(tables, name)
        words = "accepted" if said == SHOWN else said.removeprefix("net::")
        row = {"case": name, "what is wrong": _WHAT[name], "the client says": words}
        rows.append({**row, "alert": alert or "none"})
    return pd.DataFrame(rows, columns=["case", "what is wrong", "the client says", "alert"])
