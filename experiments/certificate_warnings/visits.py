"""What runs: h2's servers, and the visits of a user with a browser on h1."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import Action, in_order, program, tls_steps, wait
from testbed.daemons import certificate_cases
from testbed.daemons.browser import Browser, Page
from testbed.daemons.certificate_cases import DOMAIN, ISSUING, ROOT, Case, host, server
from testbed.daemons.certificates import Certificate, Files
from testbed.daemons.nginx import Nginx

if TYPE_CHECKING:
    from testbed import RunningNetwork

DAY_S = 86_400
LIFE_S = 300
"""When the certificate of ``timed`` begins to be valid, and for how long."""

TIMES = ("too-early", "in-time", "too-late")
"""Visits to ``timed``, before, while and after its certificate is valid."""

FORGOTTEN, SILENT, ONLY_COMMON = "staple-forgotten", "revoked-silent", "only-common-name"

ANSWER, CRL = "answer.ocsp", f"{ISSUING}.crl"
"""What the issuer's web server, on h2's port 80, says about revocation to those who ask."""

WHAT = {
    "valid": "nothing is wrong",
    "short-key": "has an RSA key of 1024 bits",
    SILENT: "revoked by its issuer; the server brings no answer that says so",
    FORGOTTEN: "says that an OCSP response comes with it; none comes",
    ONLY_COMMON: "has the right common name, and no DNS name",
}
"""Further visits, and those to cases that are no reason to refuse → what is wrong."""

WARNED = "self-signed"
"""The site whose warning the user ignores, in the visit `IGNORED`."""

IGNORED, FIRST, LATER, OTHER = "warning-ignored", "first", "later", "other-site"
OTHER_SITE = "example.net"
"""A site that does not ask for HTTPS."""

_MAIN = f"""
{tls_steps.NGINX_GROUPS}
ssl_protocols TLSv1.2 TLSv1.3;
ssl_ciphers ALL:@SECLEVEL=0;
ssl_session_cache off;
ssl_session_tickets off;
server_names_hash_bucket_size 128;
server {{
  listen 80 default_server;
  root /srv;
  location /ocsp {{
    error_page 403 404 405 =200 /{ANSWER};
  }}
  location = /{ANSWER} {{
    default_type application/ocsp-response;
  }}
}}
"""
_HSTS = 'add_header Strict-Transport-Security "max-age=31536000" always;'


def wanted(cases: Collection[Case], issuer: str) -> list[Certificate]:
    """All certificates: of the cases, and of the other servers.

    Args:
        cases: the cases.
        issuer: address of the issuer's web server. What was revoked, and what must be stapled,
            says that clients can ask there.
    """

    def asked(one: Certificate) -> Certificate:
        return replace(one, crl=f"http://{issuer}/{CRL}", ocsp=f"http://{issuer}/ocsp")

    def sound(name: str, *names: str) -> Certificate:
        return Certificate(name, names[0], issuer=ISSUING, names=names, key="p256")

    timed = replace(
        sound("timed", host("timed")), begins_days=LIFE_S / DAY_S, lasts_days=LIFE_S / DAY_S
    )
    forgotten = asked(replace(sound(FORGOTTEN, host(FORGOTTEN)), must_staple=True))
    silent = asked(replace(sound(SILENT, host(SILENT)), revoked=True, status_days=1.0))
    only = replace(sound(ONLY_COMMON, host(ONLY_COMMON)), names=())
    stranger = Certificate("another-root", "Another Root", ca=True, key="p256")
    site = sound("site", DOMAIN, OTHER_SITE)
    of_cases = [asked(c) if c.revoked else c for c in certificate_cases.wanted(cases)]
    return [*of_cases, timed, forgotten, silent, only, site, stranger]


def site(made: Mapping[str, Files], cases: Collection[Case], faults: Collection[str]) -> Nginx:
    """nginx on h2: all cases, and the other servers."""
    blocks = [
        certificate_cases.servers(made, cases, staple="no-stapling" not in faults),
        server(host("timed"), made["timed"]),
        *(server(host(n), made[n], staple=False) for n in (FORGOTTEN, SILENT, ONLY_COMMON)),
        server(DOMAIN, made["site"], more="" if "no-hsts" in faults else _HSTS),
        server(OTHER_SITE, made["site"]),
    ]
    return Nginx(_MAIN + "".join(blocks), port=443)


def write_pages(made: Mapping[str, Files]) -> None:
    """What all servers show, in a folder whose dates are the run's, and what the issuer says."""
    text = "<!doctype html><title>Account</title><p>The balance is 1234 euros."
    for name in ("index.html", "account.html"):
        Path("/srv", name).write_text(text + "\n")
    Path("/srv", ANSWER).write_bytes(made[SILENT].status.read_bytes())
    Path("/srv", CRL).write_bytes(made[ISSUING].crl.read_bytes())


def browser(net: RunningNetwork, made: Mapping[str, Files], faults: Collection[str]) -> Browser:
    """Chromium on h1, which trusts one root and finds all sites on h2."""
    root = "another-root" if "wrong-root" in faults else ROOT
    rules = f"MAP * {net.address('h2')}"
    flags = [f"--host-resolver-rules={rules}"]
    return Browser(net, "h1", trusted=made[root].certificate, flags=flags)


def asking(net: RunningNetwork, made: Mapping[str, Files]) -> Action:
    """A client that does ask the issuer, as browsers did once."""
    trusted = str(made[ROOT].certificate)
    words = (
        *("gnutls-cli", "--ocsp", "--x509cafile", trusted, "--port", "443"),
        *("--sni-hostname", host(SILENT), "--verify-hostname", host(SILENT), net.address("h2")),
    )
    return program("h1", *words, log="h1-asking")


def visits(
    chromium: Browser, cases: Collection[Case], faults: Collection[str], ask: Action
) -> dict[str, Action]:
    """Each visit is a step; `ask` follows on one of them.

    Chromium remembers for half an hour what it thinks of a certificate, so that each of the three
    visits to one certificate is a user's of its own.
    """
    page = chromium.page()

    def visit(name: str, url: str, by: Page = page) -> Action:
        return lambda _: by.visit(name, url)

    def warned(name: str, *, ignore: bool) -> Action:
        def act(_: RunningNetwork) -> None:
            page.call("Security.setIgnoreCertificateErrors", ignore=ignore)
            page.visit(name, f"https://{host(WARNED)}/")
            page.call("Security.setIgnoreCertificateErrors", ignore=False)

        return act

    def timed(name: str) -> Action:
        return visit(name, f"https://{host('timed')}/", chromium.page())

    return {
        TIMES[0]: timed(TIMES[0]),
        **{case.name: visit(case.name, f"https://{case.host}/") for case in cases},
        **{one: visit(one, f"https://{host(one)}/") for one in (FORGOTTEN, ONLY_COMMON)},
        SILENT: in_order(visit(SILENT, f"https://{host(SILENT)}/"), ask),
        IGNORED: warned(IGNORED, ignore="careful-user" not in faults),
        FIRST: visit(FIRST, f"https://{DOMAIN}/"),
        LATER: visit(LATER, f"http://{DOMAIN}/account.html"),
        OTHER: visit(OTHER, f"http://{OTHER_SITE}/account.html"),
        TIMES[1]: wait(LIFE_S, timed(TIMES[1])),
        TIMES[2]: wait(LIFE_S, timed(TIMES[2])),
    }
