"""What students do not see of the HTTPS lab."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from labs.https.lab import FRESH_S, KEYS, LIMIT_S, SITES, Lab
from testbed import Action, Tables, Verdict, all_of, claim, holds, pick, program, share_of, shown
from testbed.daemons import certificates

if TYPE_CHECKING:
    import pandas as pd

    from testbed import RunningNetwork

VERSIONS = {"TLS 1.0": "-tls1", "TLS 1.1": "-tls1_1", "TLS 1.2": "-tls1_2", "TLS 1.3": "-tls1_3"}
NEW_ENOUGH = ("TLS 1.2", "TLS 1.3")
MODERN = "ECDHE+AESGCM:ECDHE+CHACHA20"
WEAK = {
    "without forward secrecy": "kRSA:!eNULL:@SECLEVEL=0",
    "without AEAD": "ECDHE:DHE:!AESGCM:!AESCCM:!ARIAGCM:!CHACHA20:!aNULL:!eNULL:@SECLEVEL=0",
    "without encryption": "eNULL:@SECLEVEL=0",
    "without a certificate": "aNULL:@SECLEVEL=0",
    "with DHE and AEAD": "DHE+AESGCM:DHE+CHACHA20:!aNULL:@SECLEVEL=0",
}
"""Kind → ciphers of TLS 1.2 that are offered, and no other."""

SESSIONS = {"session id": ("-tls1_2", "-no_ticket"), "PSK": ("-tls1_3",)}
"""How a session is resumed → the client's options."""

STATUS_HEADER_BYTES = 4
"""Kind and length, which come before the OCSP response in CertificateStatus (RFC 6066 §8)."""

_MAX_AGE = re.compile(r"max-age=\"?(\d{1,12})\"?", re.IGNORECASE | re.ASCII)


class Hidden(Lab):
    """The lab as the grader has it."""

    def clients(self, net: RunningNetwork) -> dict[str, Action]:
        """The public clients, then the hidden ones."""
        acts = super().clients(net)
        targets = {"secure": "/", "cached": f"/{self.params.folder}/list.txt", "missing": "/no"}
        for site in SITES:
            for kind, target in targets.items():
                step = f"{kind}-{site}"
                acts[step] = self.curl(net, step, [target], "--insecure")
            for kind, options in self._handshakes(net, site).items():
                acts[f"{kind}-{site}"] = self.openssl(net, f"{kind}-{site}", *options)
        return acts

    def _handshakes(self, net: RunningNetwork, site: str) -> dict[str, tuple[str, ...]]:
        """What openssl's client offers, in order."""
        old = ("-cipher", "ALL:@SECLEVEL=0")
        sessions = {kind: str(net.state_folder("h1") / f"{kind}-{site}") for kind in SESSIONS}
        return {
            **{
                version: (option, *(() if version in NEW_ENOUGH else old))
                for version, option in VERSIONS.items()
            },
            "modern": ("-tls1_2", "-cipher", MODERN, "-status"),
            **{kind: ("-tls1_2", "-cipher", ciphers) for kind, ciphers in WEAK.items()},
            **{f"{kind}, new": (*SESSIONS[kind], "-sess_out", f) for kind, f in sessions.items()},
            **{f"{kind}, again": (*SESSIONS[kind], "-sess_in", f) for kind, f in sessions.items()},
        }

    def openssl(self, net: RunningNetwork, step: str, *options: str) -> Action:
        """A visit by openssl's client to the site that the step's name ends with.

        It trusts the root alone.
        """
        name = self.sites[step.rsplit("-", 1)[1]]
        root = net.path / certificates.FOLDER / "root.pem"
        lead = ["openssl", "s_client", "-quiet", "-connect", f"{net.address('h2')}:443"]
        argv = [*lead, "-servername", name, "-CAfile", str(root), *options]
        ask = f"GET / HTTP/1.1\\r\\nHost: {name}\\r\\nConnection: close\\r\\n\\r\\n"
        script = 'printf "$0" | timeout "$@"'
        log = "openssl-" + step.replace(",", "").replace(" ", "-")
        return program("h1", "sh", "-c", script, ask, str(LIMIT_S), *argv, log=log)

    # ---- what claims ask

    def said(self, tables: Tables, step: str, message: str) -> pd.DataFrame:
        """The server's messages of one kind in a step.

        A client without a session to resume does not even connect.
        """
        silent = step.startswith(tuple(f"{kind}, again" for kind in SESSIONS))
        return pick(tables, step, table="tls", silent=silent, side="server", message=message)

    def hello(self, tables: Tables, step: str) -> dict[Any, Any]:
        """The server's answer to a step's hello; empty if it refuses."""
        rows = self.said(tables, step, "ServerHello")
        return dict(rows.iloc[0]) if len(rows) else {}

    def _sent(self, tables: Tables, site: str) -> list[str]:
        """The names of the certificates that a site sends; empty ones for unknown certificates."""
        made = tables.of("made")
        names = dict(zip(made["der"], made["name"], strict=True))
        rows = self.said(tables, f"modern-{site}", "Certificate")
        return [names.get(der, "") for der in rows.iloc[0]["certificates"]] if len(rows) else []

    # ---- hidden checks

    @claim(
        "The server sends its certificate, then the one of its issuer, and not the root.",
        source="RFC 5246 §7.4.2; RFC 8446 §4.4.2",
    )
    def chain(self, tables: Tables) -> Verdict:
        """The certificates on the wire, which TLS 1.2 does not encrypt."""
        cases = []
        for site, name in self.sites.items():
            rows = self.said(tables, f"modern-{site}", "Certificate")
            chain = self._sent(tables, site)
            own = [site, *(["old"] if site == "first" else [])]
            right = chain[:1] and chain[0] in own and chain[1:] == [self.issuer(site)]
            files = [self.certificate(one) if one else "an unknown one" for one in chain]
            expected = f"{self.certificate(site)}, {self.certificate(self.issuer(site))}"
            case = holds(
                bool(right),
                observed=f"{name}: {', '.join(files) or 'no certificate in TLS 1.2'}",
                expected=f"{name}: {expected}",
            )
            cases.append(case.because("certificates of the server", rows) if len(rows) else case)
        return share_of(cases)

    @claim(
        "If a client asks, the server brings its issuer's answer about the certificate along.",
        source="RFC 6066 §8; RFC 6960 §2.2",
    )
    def stapling(self, tables: Tables) -> Verdict:
        """The OCSP response on the wire, byte by byte the one about the certificate sent."""
        made = tables.of("made")
        about = dict(zip(made["status"], made["name"], strict=True))
        cases = []
        for site, name in self.sites.items():
            step = f"modern-{site}"
            rows = self.said(tables, step, "CertificateStatus")
            found = about.get(rows.iloc[0]["data"][STATUS_HEADER_BYTES:], "") if len(rows) else None
            word = "none" if found is None else self.status(found) if found else "an unknown one"
            wanted = self._sent(tables, site)[:1]
            about_it = self.status(wanted[0]) if wanted and wanted[0] in KEYS else "one about it"
            case = holds(
                found in KEYS and [found] == wanted,  # two unknown ones are not the same
                observed=f"{name}: {word}",
                expected=f"{name}: {about_it}",
            )
            cases.append(case.because("OCSP response", rows) if len(rows) else case)
        return share_of(cases)

    @claim(
        "The server speaks TLS 1.2 and 1.3, and nothing older.",
        source="RFC 8996 §4–5; RFC 9325 §3.1.1",
    )
    def versions(self, tables: Tables) -> Verdict:
        """A client per version."""
        return all_of(
            *(
                self._agreed(
                    tables,
                    f"{version}-{site}",
                    version if version in NEW_ENOUGH else "",
                    f"{name}, {version}",
                    "version",
                )
                for site, name in self.sites.items()
                for version in VERSIONS
            )
        )

    def _agreed(
        self, tables: Tables, step: str, wanted: str, what: str, column: str = "cipher"
    ) -> Verdict:
        """What a hello was answered with; an empty `wanted`: it must be refused."""
        answer = self.hello(tables, step)
        got = str(answer.get(column) or "")
        verdict = holds(
            got == wanted,
            observed=f"{what}: {got or 'refused'}",
            expected=f"{what}: {wanted or 'refused'}",
        )
        rows = self.said(tables, step, "ServerHello")
        return (
            verdict.because(f"answer to {what}", rows) if got != wanted and len(rows) else verdict
        )

    @claim(
        "With TLS 1.2, every cipher keeps old traffic secret and authenticates what it encrypts.",
        source="RFC 9325 §4.1–4.2",
    )
    def ciphers(self, tables: Tables) -> Verdict:
        """A client with good ciphers, and one for each kind of those that are not allowed."""
        cases = []
        for site, name in self.sites.items():
            answer = str(self.hello(tables, f"modern-{site}").get("cipher") or "refused")
            cases.append(
                holds(
                    answer.startswith("TLS_ECDHE_"),
                    observed=f"{name}, ECDHE with AES-GCM or ChaCha20: {answer}",
                    expected=f"{name}, ECDHE with AES-GCM or ChaCha20: one of them",
                )
            )
            cases += [
                self._agreed(tables, f"{kind}-{site}", "", f"{name}, only ciphers {kind}")
                for kind in WEAK
            ]
        return all_of(*cases)

    @claim(
        "Every response over HTTPS says for how long clients must use HTTPS; none over HTTP does.",
        source="RFC 6797 §6.1.1, §7.1–7.2",
    )
    def hsts(self, tables: Tables) -> Verdict:
        """The first page, one with a header of its own, one that is missing; and over HTTP."""
        cases = []
        for site, name in self.sites.items():
            for kind in ("secure", "cached", "missing"):
                got = self.response(tables, f"{kind}-{site}")
                rules = got.values("strict-transport-security")
                ages = [int(m[1]) if (m := _MAX_AGE.search(rule)) else 0 for rule in rules]
                cases.append(
                    holds(
                        len(ages) == 1 and ages[0] >= self.hsts_s,
                        observed=f"{name}, {got.status or 'no answer'}: "
                        f"{shown('; '.join(rules)) or 'no such header'}",
                        expected=f"{name}: max-age={self.hsts_s} or more, once",
                    )
                )
            cached = self.response(tables, f"cached-{site}")
            rule = ", ".join(cached.values("cache-control"))
            directives = [part.strip().lower() for part in rule.split(",")]
            url = f"{name}, /{self.params.folder}/list.txt"
            cases.append(
                holds(
                    cached.status == 200 and directives == [f"max-age={FRESH_S}"],
                    observed=f"{url}: {cached.status or 'no answer'}, Cache-Control: "
                    f"{shown(rule) or 'none'}",
                    expected=f"{url}: 200, Cache-Control: max-age={FRESH_S}",
                )
            )
            plain = self.response(tables, f"plain-{site}").values("strict-transport-security")
            cases.append(
                holds(
                    not plain,
                    observed=f"{name}, HTTP: {shown('; '.join(plain)) or 'no such header'}",
                    expected=f"{name}, HTTP: no such header",
                )
            )
        return all_of(*cases)

    @claim("A client that comes back resumes its session.", source="RFC 5246 §7.3; RFC 8446 §2.2")
    def resumption(self, tables: Tables) -> Verdict:
        """TLS 1.2 by session ids, TLS 1.3 by pre-shared keys; no certificate is sent again."""
        cases = []
        for site, name in self.sites.items():
            for kind in SESSIONS:
                resumed = self._resumed(tables, kind, site)
                case = holds(
                    resumed,
                    observed=f"{name}, {kind}: {'resumed' if resumed else 'not resumed'}",
                    expected=f"{name}, {kind}: resumed",
                )
                rows = self.said(tables, f"{kind}, again-{site}", "ServerHello")
                cases.append(case.because("the second answer", rows) if len(rows) else case)
        return share_of(cases)

    def _resumed(self, tables: Tables, kind: str, site: str) -> bool:
        """True if the second connection of a client needs no certificate."""
        answer = self.hello(tables, f"{kind}, again-{site}")
        if not answer or not self.hello(tables, f"{kind}, new-{site}"):
            return False
        if kind == "PSK":
            return "pre_shared_key" in str(answer["extensions"]).split(",")
        return self.said(tables, f"{kind}, again-{site}", "Certificate").empty
