"""The site, and curl as the victim and the attacker use it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import tls_steps
from testbed.daemons import certificates
from testbed.daemons.certificates import Certificate, Files
from testbed.daemons.nginx import Nginx

from .attacks import AGENT, SITE, TLS

if TYPE_CHECKING:
    from testbed import RunningNetwork

ROOT, SERVER = "root", "site"
_LIMIT_S = "5"

_SERVERS = """
ssl_certificate {chain};
ssl_certificate_key {key};
server {{
  listen 80;
  listen 443 ssl;
  location / {{
    proxy_pass http://127.0.0.1:8000;
    proxy_set_header Host $host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
  }}
}}
"""


def certify(net: RunningNetwork) -> Mapping[str, Files]:
    """Makes the site's certificate, and the root that clients trust."""
    root = Certificate(ROOT, ca=True, key="p256")
    site = Certificate(SERVER, SITE, issuer=ROOT, names=(SITE,), key="p256")
    return certificates.make(net, "h2", [root, site])


def front(made: Mapping[str, Files]) -> Nginx:
    """nginx before the application: plain, and with TLS."""
    files = made[SERVER]
    return Nginx(_SERVERS.format(chain=files.chain, key=files.key), port=443)


class Client:
    """curl in one node; it trusts the site's root.

    Attributes:
        node: where it runs.
    """

    def __init__(
        self, net: RunningNetwork, node: str, made: Mapping[str, Files], *, tls: bool
    ) -> None:
        self.net, self.node, self._tls = net, node, tls
        self._keys = certificates.key_log(net, node)
        self._common = (
            *("--silent", "--max-time", _LIMIT_S, "--connect-to", f"::{net.address('h2')}:"),
            *("--curves", tls_steps.GROUPS, "--cacert", str(made[ROOT].certificate)),
        )

    def url(self, defence: str, page: str = "", *, plain: bool = False) -> str:
        """A page's address, as the site links it; `plain`: without TLS in any case."""
        scheme = "https" if self._tls and defence in TLS and not plain else "http"
        return f"{scheme}://{SITE}/{defence}/{page}"

    def ask(self, *requests: Sequence[str], agent: str = AGENT) -> str:
        """Sends requests, one after another on one connection, and returns what curl prints."""
        words: list[str] = []
        for request in requests:
            words += ["--next"] * bool(words)
            words += [*self._common, "--user-agent", agent, *request]
        environment = {"SSLKEYLOGFILE": self._keys}
        process = self.net.start(self.node, "curl", *words, environment=environment)
        process.wait(60)
        return process.output()

    def jar(self, name: str) -> str:
        """A file of cookies, as a browser keeps one."""
        return str(self.net.state_folder(self.node) / f"{name}.cookies")


def with_jar(jar: str) -> tuple[str, ...]:
    """Options for a visit with cookies, which follows redirects."""
    return ("--location", "--cookie", jar, "--cookie-jar", jar)


def form(user: tuple[str, str]) -> tuple[str, ...]:
    """Options that send a user's name and password."""
    return ("--data", f"user={user[0]}&password={user[1]}")


def id_in(jar: str) -> str:
    """The session's id in a file of cookies; ``none`` if it has none."""
    lines = Path(jar).read_text().splitlines() if Path(jar).exists() else []
    found = [line.split("\t")[-1] for line in lines if line.count("\t") == 6]
    return found[-1] if found else "none"


def token_in(text: str) -> dict[str, str]:
    """What a response to a login or a renewal holds; without it, words that are no tokens."""
    nothing = {"token": "none", "refresh": "none"}
    for line in text.splitlines():
        if line.startswith("{"):
            return nothing | dict(json.loads(line))
    return nothing
