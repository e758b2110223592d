"""What clients reported, what was said, and what r1 read, by step."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from testbed import MissingDataError, Tables, Verdict, all_of, first, pick, same, steps, tls_steps
from testbed.daemons import certificate_cases
from testbed.daemons.certificate_cases import Case

from . import visits

if TYPE_CHECKING:
    from testbed import ScenarioData

CLIENT, PATH = tls_steps.CLIENT, "r1-eth1"
"""Where packets are captured: at the client, and behind r1."""

CASES = {case.name: case for case in certificate_cases.cases()}

_REASON = re.compile(r"^verify error:num=(\d+):(.*)$", re.MULTILINE)
_STATUS = re.compile(r"^- Status: (.*\S)", re.MULTILINE)
_TRUSTED, _NOT_TRUSTED = "The certificate is trusted.", "The certificate is NOT trusted. "
_READ = re.compile(r'^(\d+\.\d+) (https?) (\S+) (\S+) "(.*)"$', re.MULTILINE)


def reports(data: ScenarioData) -> pd.DataFrame:
    """One row per visit: what the client reported.

    ``code`` is curl's exit code (of other clients 0 or 1), ``error`` OpenSSL's reason against the
    certificate (0: none), ``words`` the same in words, ``status`` that of HTTP.
    """
    logs = data.path / "logs"
    rows = [_by_curl(path) for path in sorted(logs.glob("curl-*.log"))]
    rows += [_by_openssl(path) for path in sorted(logs.glob("openssl-*.log"))]
    rows += [_by_gnutls(path) for path in sorted(logs.glob("gnutls-cli-*.log"))]
    columns = ["step", "code", "error", "words", "status"]
    return pd.DataFrame([row for row in rows if row], columns=columns)


def _by_curl(path: Path) -> dict[str, Any] | None:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return {
            "step": path.stem.removeprefix("curl-"),
            "code": int(said["exitcode"]),
            "error": int(said["ssl_verify_result"]),
            "words": str(said["errormsg"] or ""),
            "status": int(said["http_code"]),
        }
    except (ValueError, KeyError, TypeError):  # cut off: the visit has no report
        return None


def _by_openssl(path: Path) -> dict[str, Any] | None:
    text = path.read_text(encoding="utf-8", errors="replace")
    if not text.strip():  # it says something in any case
        return None
    reason = _REASON.search(text)
    return {
        "step": path.stem.removeprefix("openssl-"),
        "error": int(reason[1]) if reason else 0,
        "words": reason[2] if reason else "",
    }


def _by_gnutls(path: Path) -> dict[str, Any] | None:
    said = _STATUS.search(path.read_text(encoding="utf-8", errors="replace"))
    if said is None:  # it never saw a certificate
        return None
    words = said[1].removeprefix(_NOT_TRUSTED).strip()
    step, trusted = path.stem.removeprefix("gnutls-cli-"), said[1] == _TRUSTED
    return {"step": step, "code": int(not trusted), "words": "" if trusted else words}


def read_by_r1(data: ScenarioData, announced: pd.DataFrame) -> pd.DataFrame:
    """What the machine in the middle wrote down: ``step``, ``scheme``, ``host``, ``target``, …"""
    columns = ["time_s", "scheme", "host", "target", "cookie"]
    found = pd.DataFrame(_READ.findall(data.log("r1-nginx")), columns=columns)
    found["time_s"] = found["time_s"].astype(float) - data.t0_ns / 1e9
    found.insert(0, "step", steps.step_at(announced, found["time_s"]))
    return found


# ---- what claims ask


def report(tables: Tables, step: str) -> Any:
    """A visit's report; MissingDataError if there is none."""
    rows = tables.of("reports")
    return first(rows[rows["step"] == step], f"report of the client in step '{step}'")


def words(tables: Tables, step: str) -> str:
    """What the client said against the certificate; ``accepted`` if nothing."""
    said = str(report(tables, step)["words"]) or "accepted"
    return said.removeprefix("SSL certificate problem: ").removeprefix("SSL: ")


def requests(tables: Tables, step: str, capture: str = CLIENT) -> list[str]:
    """What a step asks for, with the scheme, such as ``https /account``."""
    rows = pick(tables, step, capture, table="http", kind="request")
    ports = rows["tcp_dport"].astype(int)
    schemes = ["http" if port == 80 else "https" for port in ports]
    return [f"{scheme} {target}" for scheme, target in zip(schemes, rows["target"], strict=True)]


def ports(tables: Tables, step: str) -> list[int]:
    """The ports that the client connects to, each once."""
    opening = pick(tables, step, CLIENT, protocol="TCP")
    if opening.empty:
        raise MissingDataError(f"the capture shows no connection in step '{step}'")
    to = opening.loc[opening["ip_src"] == steps.address(tables, CLIENT), "tcp_dport"]
    return sorted({int(port) for port in to})


def certificates(tables: Tables, step: str, capture: str = CLIENT) -> pd.DataFrame:
    """The chain that the client of a step got, its own first.

    Raises:
        MissingDataError: the capture shows no certificate.
    """
    rows = pick(tables, step, capture, table="certificates")
    first(rows, f"certificate in step '{step}'")
    return rows


def statuses(tables: Tables, step: str) -> list[str]:
    """What the issuer's answers in a step's handshake say: ``good``, ``revoked``."""
    certificates(tables, step)  # without a capture there is nothing to say
    if "statuses" not in tables:
        return []
    return [str(x) for x in pick(tables, step, CLIENT, table="statuses")["status"]]


def read(tables: Tables, step: str) -> list[str]:
    """What r1 read in a step: scheme, host, target and cookie."""
    report(tables, step)  # without logs there is nothing to say
    if "read" not in tables:
        return []
    rows = pick(tables, step, table="read").to_dict("records")
    return [f"{row['scheme']} {row['host']}{row['target']} {row['cookie']}" for row in rows]


def accepted(tables: Tables, *names: str) -> Verdict:
    """The clients of these steps got their page."""
    found = {name: int(report(tables, name)["code"]) for name in names}
    return same(found, dict.fromkeys(names, 0), "curl's exit code").because(
        "handshake", tls_steps.said(tables, names[0])
    )


def refused(tables: Tables, cases: Iterable[str]) -> Verdict:
    """The cases are refused: for their reason, with its alert, and before anything is asked for."""
    return all_of(*(_refused(tables, CASES[name]) for name in cases))


def _refused(tables: Tables, case: Case) -> Verdict:
    step = visits.reason_step(case)
    sent = certificates(tables, step)
    outcome = "refused" if int(report(tables, case.name)["code"]) else "accepted"
    reason = int(report(tables, step)["error"])
    sender, alert = tls_steps.alert(tables, step)
    asked = len(requests(tables, case.name))
    return same(
        f"{outcome}, reason {reason}, alert {alert or 'none'} {sender}, {asked} requests",
        f"refused, reason {case.error}, alert {case.alert} client, 0 requests",
        f"{case.name} ({words(tables, step)})",
    ).because("certificate", sent)


def table_of_refusals(tables: Tables) -> pd.DataFrame:
    """One row per case: what is wrong, what curl and OpenSSL say, and the alert on the wire."""
    rows = []
    reported = set(tables["reports"]["step"]) if "reports" in tables else set()
    for name, case in CASES.items():
        step = visits.reason_step(case)
        if step not in reported:
            continue
        _, alert = tls_steps.alert(tables, step)
        rows.append(
            {
                "case": name,
                "what is wrong": case.what,
                "the client says": words(tables, step),
                "alert": alert or "none",
            }
        )
    return pd.DataFrame(rows, columns=["case", "what is wrong", "the client says", "alert"])
