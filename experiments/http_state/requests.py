"""What the clients do, step by step, and what claims ask of it."""

from __future__ import annotations

import json
import re
from typing import Any

import pandas as pd

from analysis.dissect import http
from testbed import MissingDataError, Tables, pick

CLIENT, PATH = "h1-eth0", "r1-eth1"
"""Where packets are captured: at the client, and on the path."""

LOGIN = "user=alice&password=rosebud"

COOKIES = {
    "plain": "",
    "path": "Path=/echo/deep",
    "domain": "Domain=example.org",
    "foreign": "Domain=example.net",
    "secure": "Secure",
    "short": "Max-Age=10",
    "dated": "Expires=Fri, 14 Nov 2031 00:00:00 GMT",
    "past": "Expires=Fri, 14 Nov 2003 00:00:00 GMT",
}
"""Name → attributes of the cookies that the application sets in the step ``set``."""

_PAIR = re.compile(r"([^=; ]+)=([^;]*)")


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """HTTP messages as `analysis.dissect.http.read` gives them, and `info`."""
    found = http.read(packets, ports=(8000,))
    found["info"] = [_words(row) for row in found.to_dict("records")]
    return found.drop_duplicates("frame", keep="last")


def _words(row: dict[Any, Any]) -> str:
    parts = [
        *(
            f"Cookie: {', '.join(n for n, _ in _PAIR.findall(v))}"
            for v in http.header_values(row, "Cookie")
        ),
        *(
            f"Set-Cookie: {value.split('=', 1)[0]}"
            for value in http.header_values(row, "Set-Cookie")
        ),
        *("Authorization: Bearer …" for _ in http.header_values(row, "Authorization")),
    ]
    more = f" ({', '.join(parts).replace(', Set-Cookie:', ',')})" * bool(parts)
    if row["kind"] == "request":
        return f"{row['method']} {str(row['target']).split('?', maxsplit=1)[0]}{more}"
    return f"{row['status']} {row['reason']}{more}"


def messages(tables: Tables, step: str, kind: str, capture: str = CLIENT) -> list[dict[Any, Any]]:
    """The requests or responses of a step, as rows.

    Raises:
        MissingDataError: no client asked anything.
    """
    found = pick(tables, step, capture, table="http")
    if not (found["kind"] == "request").any():
        raise MissingDataError(f"step '{step}': no request was captured")
    return found[found["kind"] == kind].to_dict("records")


def sent_cookies(tables: Tables, step: str, capture: str = CLIENT) -> dict[str, str]:
    """Name → value of the cookies in a step's last request."""
    asked = messages(tables, step, "request", capture)
    return dict(_PAIR.findall(http.header(asked[-1], "Cookie")))


def names(tables: Tables, step: str) -> list[str]:
    """Names of the cookies in a step's last request, in order."""
    return sorted(sent_cookies(tables, step))


def given_cookies(tables: Tables, step: str) -> dict[str, str]:
    """Name → value and attributes of the cookies that a step's responses set."""
    answers = messages(tables, step, "response")
    lines = [value for row in answers for value in http.header_values(row, "Set-Cookie")]
    return dict(line.split("=", 1) for line in lines)


def outcome(tables: Tables, step: str, capture: str = CLIENT) -> tuple[int, str]:
    """Status and body of a step's last response; 0 without one."""
    answers = messages(tables, step, "response", capture)
    if not answers:
        return 0, ""
    return int(answers[-1]["status"]), bytes(answers[-1]["body"]).decode("latin-1").strip()


def status(tables: Tables, step: str, capture: str = CLIENT) -> int:
    """The status alone."""
    return outcome(tables, step, capture)[0]


def shown(tables: Tables, *steps: str, capture: str = CLIENT) -> pd.DataFrame:
    """The messages of steps, as evidence."""
    return pd.concat(pick(tables, step, capture, table="http") for step in steps)


def token_of(text: str) -> str:
    """The token in a response; empty if there is none."""
    try:
        return str(json.loads(text)["token"])
    except (ValueError, KeyError, TypeError):
        return ""
