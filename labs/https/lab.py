"""The HTTPS lab: nginx for two sites, their certificates and keys, judged by real clients."""

from __future__ import annotations

import re
import shutil
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from analysis.dissect import tls_messages
from testbed import (
    Action,
    Assignment,
    LinkShape,
    SeededRandom,
    Tables,
    Verdict,
    all_of,
    claim,
    holds,
    param,
    program,
    share_of,
    shown,
    steps,
)
from testbed.daemons import certificates
from testbed.daemons.certificates import Certificate
from topologies.single import Single

if TYPE_CHECKING:
    import pandas as pd

    from testbed import RunningNetwork, ScenarioData

CLIENT = "h1-eth0"
WIRE = LinkShape(rate_mbps=10, delay_ms=1)
LIMIT_S = 20
"""For one client, whatever the server does."""

SITES = ("first", "second")
NAMES = (
    ("www.lakeside.example", "shop.orchard.example"),
    ("news.harbour.example", "www.mill.example"),
    ("library.hill.example", "mail.meadow.example"),
    ("www.bridge.example", "files.garden.example"),
)
FOLDERS = ("pictures", "downloads", "papers")
CERTIFICATES = ("root", "issuing-1", "issuing-2", "first", "second", "old")
KEYS = ("first", "second", "old")
FRESH_S = 3600
QUERY = "page=2&sort=name%20up"
_ORDERS = tuple(permutations(range(len(CERTIFICATES))))
_KEY_ORDERS = tuple(permutations(range(len(KEYS))))
_MOST_PATHS = 12
"""Places where clients look for keys."""

_SCHEMES = ("http", "https")
_PRIVATE_KEY = b"PRIVATE KEY-----"

_MOST_CHARACTERS = 20_000
_HEAD = re.compile(r"HTTP/[\d.]+ (\d{3})[^\n]*\n((?:[^\r\n]+\r?\n)*)\r?\n", re.ASCII)


class Response(NamedTuple):
    """What curl got.

    Attributes:
        status: 0 if nothing came.
        headers: (name in lower case, value).
        body: or what curl said instead.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str

    def values(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key == name]


class Lab(Assignment):
    """A web server for two names, over HTTPS."""

    @dataclass(frozen=True)
    class Parameters:
        """The variant."""

        names: int = param(0, "which names the sites have", low=0, high=len(NAMES) - 1)
        order: int = param(0, "order of the given certificates", low=0, high=len(_ORDERS) - 1)
        key_order: int = param(0, "order of the given keys", low=0, high=len(_KEY_ORDERS) - 1)
        rsa: str = param("first", "the site with an RSA key", choices=SITES)
        issuing: int = param(1, "which authority issued the first site's", low=1, high=2)
        folder: str = param("pictures", "what may be cached", choices=FOLDERS)
        hsts_days: int = param(365, "how long clients use HTTPS only", unit="d", low=30, high=730)

    params: Parameters
    programs = ("nginx", "curl", "openssl")

    @classmethod
    def variant(cls, random: SeededRandom) -> Mapping[str, Any]:
        """Names, kinds of keys, issuers, and in which files all that is."""
        return {
            "names": random.integer(0, len(NAMES) - 1),
            "order": random.integer(0, len(_ORDERS) - 1),
            "key_order": random.integer(0, len(_KEY_ORDERS) - 1),
            "rsa": random.choice(SITES),
            "issuing": random.integer(1, 2),
            "folder": random.choice(FOLDERS),
            "hsts_days": random.integer(180, 730),
        }

    # ---- the variant

    @property
    def sites(self) -> dict[str, str]:
        """Site → its name."""
        return dict(zip(SITES, NAMES[self.params.names], strict=True))

    @property
    def hsts_s(self) -> int:
        """For how long clients must use HTTPS only, in seconds."""
        return self.params.hsts_days * 86_400

    def issuer(self, site: str) -> str:
        """The authority that issued a site's certificate."""
        other = 3 - self.params.issuing
        return f"issuing-{other if site == 'second' else self.params.issuing}"

    def certificate(self, name: str) -> str:
        """The given file with a certificate."""
        return f"cert-{1 + _ORDERS[self.params.order].index(CERTIFICATES.index(name))}.pem"

    def status(self, name: str) -> str:
        """The given file with what a certificate's issuer says of it; it has the same number."""
        return self.certificate(name).replace("cert", "status").replace("pem", "der")

    def key(self, name: str) -> str:
        """The given file with a certificate's key."""
        return f"key-{1 + _KEY_ORDERS[self.params.key_order].index(KEYS.index(name))}.pem"

    def _wanted(self) -> list[Certificate]:
        kinds = {site: "rsa2048" if site == self.params.rsa else "p256" for site in SITES}
        above = {"issuer": "root", "ca": True, "path_length": 0, "key": "p256"}
        sites = [
            Certificate(site, name, self.issuer(site), (name,), key=kinds[site], status_days=30.0)
            for site, name in self.sites.items()
        ]
        return [
            Certificate("root", "Example Root", ca=True, key="p256"),
            *(Certificate(f"issuing-{n}", f"Example Issuing {n}", **above) for n in (1, 2)),  # type: ignore[arg-type]
            *sites,
            replace(sites[0], name="old", begins_days=-400.0),
        ]

    def page(self, site: str) -> str:
        """What a site's first page says."""
        return f"Welcome to {self.sites[site]}"

    # ---- in the network

    def topology(self) -> Single:
        """A client and a server."""
        return Single(2, WIRE)

    def run(self, net: RunningNetwork) -> None:
        """Makes certificates, starts the student's server, then clients, one after another."""
        certificates.make(net, "h2", self._wanted())
        net.capture(CLIENT)
        given = self._given(net)
        self.submission.start_nginx(net, "h2", "site.conf", script="install.sh", given=given)
        steps.play(net, self.clients(net), quiet_s=0.3)
        net.sleep(0.5)

    def _given(self, net: RunningNetwork) -> Path:
        """The folder that the student's script gets: certificates, OCSP responses, keys, pages."""
        made, given = net.path / certificates.FOLDER, net.state_folder("h2") / "given"
        given.mkdir()
        for name in CERTIFICATES:
            shutil.copyfile(made / f"{name}.pem", given / self.certificate(name))
        for name in KEYS:
            shutil.copyfile(made / f"{name}.key", given / self.key(name))
            shutil.copyfile(made / f"{name}.ocsp", given / self.status(name))
        for site, name in self.sites.items():
            folder = given / "pages" / name / self.params.folder
            folder.mkdir(parents=True)
            (folder.parent / "index.html").write_text(f"<h1>{self.page(site)}</h1>\n")
            (folder / "list.txt").write_text("one\ntwo\n")
        return given

    def clients(self, net: RunningNetwork) -> dict[str, Action]:
        """Step → the client that does it; in the public part."""
        keys = self.submission.private_keys()
        for path, mode in keys.items():
            net.event("private-key", path=path, mode=f"{mode:04o}")
        looked_for = list(_targets(keys))[:_MOST_PATHS]
        acts: dict[str, Action] = {}
        for site in SITES:
            trust = ("--cacert", str(self._all_authorities(net)))
            acts[f"page-{site}"] = self.curl(net, f"page-{site}", ["/"], *trust)
            target = f"/{self.params.folder}/?{QUERY}"
            acts[f"plain-{site}"] = self.curl(net, f"plain-{site}", [target], scheme="http")
            for scheme in _SCHEMES if looked_for else ():
                step = f"keys-{scheme}-{site}"
                acts[step] = self.look_for_keys(net, step, looked_for, scheme)
        return acts

    def look_for_keys(
        self, net: RunningNetwork, step: str, targets: Sequence[str], scheme: str
    ) -> Action:
        """A visit by curl to places where a key might be; only the places of keys are kept."""
        folder = net.state_folder("h1") / step
        files = {target: folder / str(number) for number, target in enumerate(targets)}
        output = [word for file in files.values() for word in ("--output", str(file))]
        ask = self.curl(net, step, targets, "--insecure", *output, scheme=scheme, include=False)

        def act(net: RunningNetwork) -> None:
            folder.mkdir()
            ask(net)
            for target, file in files.items():
                if file.is_file() and _PRIVATE_KEY in file.read_bytes():
                    url = f"{scheme}://{self.sites[step.rsplit('-', 1)[1]]}{target}"
                    net.event("served-key", url=url)
            shutil.rmtree(folder)

        return act

    def _all_authorities(self, net: RunningNetwork) -> Path:
        """The certificates that a client knows that has met all authorities before."""
        made, file = net.path / certificates.FOLDER, net.state_folder("h1") / "all.pem"
        names = ("root", "issuing-1", "issuing-2")
        file.write_text("".join((made / f"{name}.pem").read_text() for name in names))
        return file

    def curl(
        self,
        net: RunningNetwork,
        step: str,
        targets: Sequence[str],
        *options: str,
        scheme: str = "https",
        include: bool = True,
    ) -> Action:
        """A visit by curl to the site that the step's name ends with.

        Args:
            net: the running network.
            step: its log is ``curl-<step>``.
            targets: paths on the server.
            options: of curl.
            scheme: ``http`` or ``https``.
            include: log the response, too.
        """
        name = self.sites[step.rsplit("-", 1)[1]]
        port = {"http": 80, "https": 443}[scheme]
        lead = ["curl", "--silent", "--show-error", "--globoff", "--path-as-is"]
        lead += ["--max-time", str(LIMIT_S), *(["--include"] if include else [])]
        resolve = ["--resolve", f"{name}:{port}:{net.address('h2')}"]
        urls = [f"{scheme}://{name}{target}" for target in targets]
        return program("h1", *lead, *resolve, *options, *urls, log=f"curl-{step}")

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """TLS messages and curl's words by step; installed keys; the certificates made."""
        import pandas as pd

        found = steps.measure(data, tls_messages.COLUMNS, {"tls": _messages})
        found["packets"] = found["packets"].drop(columns="payload")
        logs = sorted((data.path / "logs").glob("curl-*.log"))
        texts = [p.read_text(encoding="utf-8", errors="replace")[:_MOST_CHARACTERS] for p in logs]
        steps_of = [p.stem.removeprefix("curl-") for p in logs]
        made = sorted((data.path / certificates.FOLDER).glob("*.pem"))
        made = [p for p in made if p.stem in CERTIFICATES]
        return {
            **found,
            "said": pd.DataFrame({"step": steps_of, "text": texts}),
            "keys": data.events("private-key").reindex(columns=["path", "mode"]),
            "served": data.events("served-key").reindex(columns=["url"]),
            "made": pd.DataFrame(
                {
                    "name": [p.stem for p in made],
                    "der": [ssl.PEM_cert_to_DER_cert(p.read_text()) for p in made],
                    "status": [_bytes(p.with_suffix(".ocsp")) for p in made],
                }
            ),
        }

    def response(self, tables: Tables, step: str) -> Response:
        """What curl got in a step."""
        text = str(tables.row("said", step=step)["text"])
        match = _HEAD.match(text)
        if match is None:
            return Response(0, (), text.strip())
        lines = (line.partition(":") for line in match[2].splitlines())
        headers = tuple((name.strip().lower(), value.strip()) for name, _, value in lines)
        return Response(int(match[1]), headers, text[match.end() :])

    # ---- public checks

    @claim(
        "Each of the two names has its own page and its own valid certificate.",
        source="RFC 6066 §3; RFC 9110 §4.3.4",
    )
    def pages(self, tables: Tables) -> Verdict:
        """curl, which checks certificates; it knows all authorities."""
        cases = []
        for site, name in self.sites.items():
            got = self.response(tables, f"page-{site}")
            right = got.status == 200 and self.page(site) in got.body
            words = shown(got.body.splitlines()[0] if got.body else "")
            observed = f"https://{name}/: {got.status or 'no answer'}, {words}"
            expected = f"https://{name}/: 200, {self.page(site)}"
            cases.append(holds(right, observed=observed, expected=expected))
        return share_of(cases)

    @claim(
        "Visitors over HTTP are sent permanently to the same place over HTTPS.",
        source="RFC 9110 §15.4.2, §15.4.9",
    )
    def redirect(self, tables: Tables) -> Verdict:
        """A path with a query, at both names."""
        cases = []
        for site, name in self.sites.items():
            target = f"{name}/{self.params.folder}/?{QUERY}"
            got = self.response(tables, f"plain-{site}")
            locations = got.values("location")
            right = got.status in (301, 308) and locations == [f"https://{target}"]
            to = ", ".join(map(shown, locations)) or "nowhere"
            observed = f"http://{target}: {got.status or 'no answer'} to {to}"
            expected = f"301 or 308 to https://{target}"
            cases.append(holds(right, observed=observed, expected=expected))
        return share_of(cases)

    @claim(
        "Private keys can be read by the server alone, and no client can get them.",
        source="RFC 5280 §8",
    )
    def keys(self, tables: Tables) -> Verdict:
        """The files' modes, and attempts to get them from both sites, over HTTP and HTTPS."""
        found = tables.rows("keys")
        open_ones = [
            f"/out/{shown(row['path'])} has mode {row['mode']}"
            for row in found.to_dict("records")
            if int(row["mode"], 8) & 0o077
        ]
        served = list(tables.rows("served")["url"])
        return all_of(
            holds(
                len(found) >= len(SITES),
                observed=f"{len(found)} private keys below /out",
                expected=f"{len(SITES)} private keys below /out, or more",
            ),
            holds(
                not open_ones,
                observed="; ".join(open_ones) or "modes without rights for others",
                expected="0600 or 0400",
            ),
            holds(
                not served,
                observed=shown(f"served: {'; '.join(served[:2])}") if served else "none is served",
                expected="no key is served",
            ),
        )


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _targets(paths: Iterable[str]) -> Iterator[str]:
    """Where files might be served: each end of each path."""
    for path in paths:
        parts = PurePosixPath(path).parts
        for at in range(len(parts)):
            yield "/" + quote("/".join(parts[at:]))


def _messages(packets: pd.DataFrame) -> pd.DataFrame:
    found = tls_messages.read(packets)
    return found.assign(info="TLS " + found["text"].astype("string"))
