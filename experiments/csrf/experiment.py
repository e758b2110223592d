"""Cross-site request forgery: a foreign page makes the browser act with its cookies."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.dissect import http
from analysis.plots import defences as plots
from testbed import AttackExperiment, LinkShape, Outcome, Tables, param, steps, tls_steps
from testbed.daemons import certificates, start
from testbed.daemons.bank import Bank
from testbed.daemons.browser import PROGRAMS, Browser
from testbed.daemons.certificates import Certificate
from testbed.daemons.nginx import Nginx
from testbed.programs.defences import BANK_FLAWS
from topologies.star import Star

from . import outcomes
from .curing import Curing
from .forging import Forging
from .outcomes import VICTIM, works
from .pages import (
    ALICES_PASSWORD,
    ATTACKS,
    BANK,
    CLICK_AT,
    DEFENCES,
    EVIL,
    OWN,
    SIBLING,
    VISITS,
    pages,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData
    from testbed.daemons.browser import Page

FAULTS = ("none", *BANK_FLAWS)


class Csrf(Forging, Curing, AttackExperiment):
    """Cross-site request forgery: a foreign page makes the browser act with its cookies.

    h1 is the victim, with Chromium, logged in to a bank on h2 (nginx before a web application). h3
    has the attacker's pages, on a foreign site and on a neighbour of the bank's own site. The bank
    has its pages once for each defence, under a path of its own: none, SameSite=Lax,
    SameSite=Strict, a check of the origin, a token in the form, no frames, the password with each
    payment, and all but the last together. The victim pays once by each bank's own form, then
    opens the attacker's pages, and does nothing else there but one click.

    All of it stays in a guest without any way out. `faults` break things on purpose.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(2.0, "delay of each link, one way", unit="ms", low=0, high=100)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    guest_only = True
    programs = (*PROGRAMS, "nginx")
    extras = ("browser",)
    attacks, defences = ATTACKS, DEFENCES

    # ---- in the network

    def topology(self) -> Star:
        """Victim, bank and attacker, each on a link of its own to r1."""
        return Star(3, LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """The victim logs in, then opens the attacker's pages for each defence."""
        made = self._serve(net)
        settle_s = 0.3 + self.params.delay_ms / 10  # in which a page and all it causes has come
        net.capture(VICTIM)
        hosts = {BANK: "h2", SIBLING: "h3", EVIL: "h3"}
        rules = ", ".join(f"MAP {name} {net.address(node)}" for name, node in hosts.items())
        flags = [f"--host-resolver-rules={rules}"]
        chromium = Browser(net, "h1", trusted=made["root"].certificate, flags=flags)
        page = chromium.page()
        steps.step(net, "login")
        page.visit("bank", f"https://{BANK}/none/")
        page.act("login", f"{_each(_login)}.then(() => {_each(_pay)}).then(() => 0)")
        for defence in DEFENCES:
            for name, host in VISITS.items():
                steps.step(net, outcomes.step(defence, name))
                url = f"https://{host}/{defence}/{name}.html"
                if (defence, name) in _RECORDED:
                    page.visit(f"{defence}-{name}", url)
                else:
                    _open(net, page, url, settle_s)
                if name == "frame":
                    _click(net, page, settle_s)
            steps.step(net, outcomes.step(defence, "after"))
            _open(net, page, f"https://{BANK}/{defence}/", settle_s)
        chromium.close()
        net.sleep(0.5)

    def _serve(self, net: RunningNetwork) -> dict[str, certificates.Files]:
        """Starts the bank and the attacker's pages; returns the certificates."""
        root = Certificate("root", ca=True, key="p256")
        bank = Certificate("bank", issuer="root", names=(BANK,), key="p256")
        kittens = Certificate("kittens", issuer="root", names=(EVIL, SIBLING), key="p256")
        made = certificates.make(net, "h2", [root, bank, kittens])
        for defence in DEFENCES:
            folder = Path(f"/srv/{defence}")
            folder.mkdir()
            for name, text in pages(defence).items():
                (folder / f"{name}.html").write_text(text)
        flaws = [fault for fault in self.params.faults if fault in BANK_FLAWS]
        to_bank = "location / { proxy_pass http://127.0.0.1:8000; proxy_set_header Host $host; }"
        bank_server = [Bank(flaws=flaws), _https(made["bank"], to_bank)]
        start(net, {"h2": bank_server, "h3": [_https(made["kittens"], "root /srv;")]})
        return made

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and messages by step, and what the browser did."""
        found = steps.measure(data, http.COLUMNS, {"http": outcomes.read})
        return found | data.browser()

    def outcome(self, tables: Tables, attack: str, defence: str) -> Outcome:
        """Whether alice paid, or goes on with mallory's account."""
        return Outcome.of(works(tables, defence, attack))

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure | str]:
        """The table of attacks and defences, and ladders.

        Figures:
            1_table: Which attack works against which defence.
            2_form: A form on a foreign site sends itself to the bank, and the browser adds the
                bank's cookie.
            3_preflight: A script's PUT: the browser asks first, and the bank does not allow it.
        """
        return {
            "1_table": plots.table(tables.of("defences"), DEFENCES),
            "2_form": _ladder(tables, "form"),
            "3_preflight": _ladder(tables, "page"),
        }


def _ladder(tables: Tables, name: str) -> str:
    """HTTP messages alone, as they are inside TLS."""
    said = outcomes.step("none", name)
    frames = set(outcomes.messages(tables, "none", name)["frame"])
    return steps.ladder(tables, said, VICTIM, hosts=("h1", "h2", "h3"), frame=frames)


def _https(certificate: certificates.Files, body: str) -> Nginx:
    lines = f"ssl_certificate {certificate.chain}; ssl_certificate_key {certificate.key};"
    lines += tls_steps.NGINX_GROUPS
    return Nginx(f"server {{ listen 443 ssl; {lines} {body} }}", port=443)


def _each(made: Callable[[str], str]) -> str:
    """JavaScript that does the same at all banks."""
    return f"Promise.all([{', '.join(map(made, DEFENCES))}])"


def _login(defence: str) -> str:
    body = f"new URLSearchParams({{user: 'alice', password: '{ALICES_PASSWORD}'}})"
    return f"fetch('/{defence}/login', {{method: 'POST', body: {body}}})"


def _pay(defence: str) -> str:
    """Alice fills in the bank's own form, as it comes, and sends it."""
    typed = {"to": OWN["to"], "amount": OWN["amount"], "password": ALICES_PASSWORD}
    return (
        f"fetch('/{defence}/').then(got => got.text()).then(text => {{"
        "const form = new DOMParser().parseFromString(text, 'text/html').forms[0];"
        f"for (const [name, value] of Object.entries({json.dumps(typed)}))"
        "if (form.elements[name]) form.elements[name].value = value;"
        "const body = new URLSearchParams(new FormData(form));"
        "return fetch(form.getAttribute('action'), {method: 'POST', body}).then(() => 0) })"
    )


def _open(net: RunningNetwork, page: Page, url: str, settle_s: float) -> None:
    """Goes to a page without a record of it, which would take most of the experiment's time."""
    page.call("Page.navigate", url=url)
    net.sleep(settle_s)
    page.call("Page.getFrameTree")  # reads what the browser told meanwhile


def _click(net: RunningNetwork, page: Page, settle_s: float) -> None:
    x, y = CLICK_AT
    for kind in ("mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    net.sleep(settle_s)


_RECORDED = (("none", "page"), ("framing", "frame"))
"""Visits whose console a claim reads."""
