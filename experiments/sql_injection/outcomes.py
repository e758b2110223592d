"""What came of each step: what claims ask of pages, statements and log."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.dissect import http
from testbed import MissingDataError, Tables, pick

from .attacks import ATTACKS, BITS, FIRST_LETTERS, HONEST, UNIT_MS, VICTIM, step

ATTACKER, SERVER = "h1-eth0", "h2-eth0"
"""Where packets are captured: at the attacker, and at the web server, which sees both sides."""

PORT = 8000

_NOT_IN_SQLITE = ("error", "truth", "time")
"""Attacks that use functions and conversions of PostgreSQL."""


def fits(defence: str, name: str) -> bool:
    """False if the attack is made for another database."""
    return defence != "sqlite" or name not in _NOT_IN_SQLITE


def answers(tables: Tables, defence: str, name: str) -> list[dict[Any, Any]]:
    """The responses of a step, at the attacker.

    Raises:
        MissingDataError: some of its requests have no response.
    """
    found = pick(tables, step(defence, name), ATTACKER, table="http", kind="response")
    wanted = len((HONEST | ATTACKS)[name](defence))
    if len(found) < wanted:
        raise MissingDataError(
            f"step '{step(defence, name)}': {len(found)} of {wanted} responses were captured"
        )
    rows: list[dict[Any, Any]] = found.to_dict("records")
    return rows


def codes(tables: Tables, defence: str, *names: str) -> dict[str, int]:
    """Step's name → status of its last response."""
    return {name: int(answers(tables, defence, name)[-1]["status"]) for name in names}


def works(tables: Tables, defence: str, attack: str) -> bool:
    """True if the attack got what it is made for."""
    rows = answers(tables, defence, attack)
    if attack == "truth":
        return from_truth(tables, defence) == VICTIM[:FIRST_LETTERS]
    if attack == "time":
        return from_pauses(tables, defence) == VICTIM
    if attack == "write":
        return int(rows[1]["status"]) == 200
    if attack in ("comment", "hidden-comment", "password"):
        return http.text(rows[0]) == "welcome alice"
    return VICTIM in http.text(rows[0])


def working(tables: Tables, defence: str) -> list[str]:
    """The attacks that get through a defence, in the order of `ATTACKS`."""
    return [name for name in ATTACKS if fits(defence, name) and works(tables, defence, name)]


def from_truth(tables: Tables, defence: str) -> str:
    """The word that yes (200) and no (404) spell; empty if a page said something else."""
    said = [int(row["status"]) for row in answers(tables, defence, "truth")]
    if not set(said) <= {200, 404}:
        return ""
    bits = [code == 200 for code in said]
    letters = [bits[begin : begin + BITS] for begin in range(0, BITS * FIRST_LETTERS, BITS)]
    return _word([sum(1 << place for place, bit in enumerate(one) if bit) for one in letters])


def from_pauses(tables: Tables, defence: str) -> str:
    """The word that the answers' delays spell."""
    return _word([round(pause / UNIT_MS) for pause in pauses_ms(tables, defence)])


def pauses_ms(tables: Tables, defence: str) -> list[float]:
    """How much longer each answer of the attack by time took than the first one, in ms."""
    rows = answers(tables, defence, "time")
    asked = pick(tables, step(defence, "time"), ATTACKER, table="http", kind="request")
    begun = dict(zip(asked["frame"], asked["time_s"], strict=True))
    if any(row["request_frame"] not in begun for row in rows):
        raise MissingDataError("the requests of the attack by time were not captured")
    took_ms = [(row["time_s"] - begun[row["request_frame"]]) * 1e3 for row in rows]
    return [float(one - took_ms[0]) for one in took_ms[1:]]


def _word(numbers: list[int]) -> str:
    """Letters up to the first 0; empty if one is none."""
    ended = numbers[: numbers.index(0)] if 0 in numbers else numbers
    return "".join(map(chr, ended)) if all(32 < number < 127 for number in ended) else ""


def asked(tables: Tables, defence: str, name: str) -> list[dict[Any, Any]]:
    """The statements of a step, on the wire to the database.

    Raises:
        MissingDataError: none was captured.
    """
    found = pick(tables, step(defence, name), SERVER, table="statements")
    if found.empty:
        raise MissingDataError(f"step '{step(defence, name)}': no statement was captured")
    rows: list[dict[Any, Any]] = found.to_dict("records")
    return rows


def beside(tables: Tables, defence: str) -> pd.DataFrame:
    """Of each attack: its first request, and the statement of it on the wire and in the log.

    The last column is empty if the log does not have the wire's statements in their order.
    """
    sent = tables.of("statements", capture=SERVER).reset_index(drop=True)
    log = tables.of("log").reset_index(drop=True)
    alike = list(log["text"]) == list(sent["text"])
    sent["log"] = log["user"] + ": " + log["text"] if alike else ""
    rows = []
    for name in ATTACKS:
        asked = pick(tables, step(defence, name), SERVER, table="http", kind="request")
        became = sent[sent["step"] == step(defence, name)]
        if len(asked) and len(became):
            first = became.iloc[0]
            told = {"on the wire": first["info"], "in the database's log": first["log"]}
            rows.append({"request": asked.iloc[0]["info"], **told})
    return pd.DataFrame(rows)


def shown(tables: Tables, defence: str, *names: str, most: int = 12) -> pd.DataFrame:
    """Requests, answers and statements of steps, as evidence."""
    found = [
        pick(tables, step(defence, name), SERVER, table=table)
        for name in names
        for table in ("http", "statements")
    ]
    return pd.concat(part.head(most) for part in found)
