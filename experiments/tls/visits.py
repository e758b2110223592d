"""What runs: the servers on h2, the relay on r1, and the clients' steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import Action, in_order, program, tls_steps, wait
from testbed.daemons import Daemon
from testbed.daemons.certificates import Certificate, Files, key_log
from testbed.daemons.nginx import Nginx
from testbed.daemons.openssl import OpensslServer
from testbed.daemons.tls_relay import TlsRelay

if TYPE_CHECKING:
    from testbed import RunningNetwork

NAME = "www.example.org"
MUTUAL = 8443
RELAY = {"record": 8444, "replay": 8445, "flip": 8446, "downgrade": 8447, "pass": 8448}
"""What r1 does with connections to its own ports."""

RSA_BITS = 2048
RSA, ECDHE = "AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"
RSA_FIRST, ECDHE_FIRST = f"{RSA}:{ECDHE}", f"{ECDHE}:{RSA}"
"""What clients offer; the server takes the first that it has."""
PAGE_BYTES = 3000
WORDS = (b"/account", b"session=rosebud", b"the balance is")
"""What nobody else should read: in the request line, in a header, in the body."""

CERTIFICATES = (
    Certificate("root", "Example Root", ca=True),
    Certificate("www", NAME, issuer="root", names=(NAME,), key=f"rsa{RSA_BITS}"),
    Certificate("alice", "alice", issuer="root", key="p256"),
    Certificate("stranger", "Another Root", ca=True, key="p256"),
)

SITE = """
log_format tls '$ssl_protocol $ssl_session_reused "$ssl_early_data" $request';
access_log {{log}} tls;
ssl_certificate {chain};
ssl_certificate_key {key};
ssl_protocols {protocols};
ssl_ciphers {ciphers};
ssl_session_cache {cache};
ssl_session_tickets {tickets};
ssl_early_data {early};
server {{
  listen 80;
  listen 443 ssl;
  server_name {name};
  root /srv;
}}
server {{
  listen 443 ssl default_server;
  ssl_reject_handshake on;
}}
"""

STRONG = {
    "protocols": "TLSv1.2 TLSv1.3",
    "ciphers": f"{ECDHE}:{RSA}",
    "cache": "shared:tls:1m",
    "tickets": "on",
    "early": "on",
}
WEAK = {
    "protocols": "TLSv1.2",
    "ciphers": RSA,
    "cache": "off",
    "tickets": "off",
    "early": "off",
}
NO_RSA = {**STRONG, "ciphers": ECDHE}
NOTHING_COMMON = {**WEAK, "ciphers": "ARIA128-GCM-SHA256"}


def site(made: Mapping[str, Files], settings: Mapping[str, str]) -> Nginx:
    """nginx with one page, in the clear and over TLS."""
    www = made["www"]
    return Nginx(SITE.format(name=NAME, chain=www.chain, key=www.key, **settings))


def write_page() -> None:
    """The page that all steps ask for, under several names."""
    text = (WORDS[2].decode() + " 1234 euros. ") * PAGE_BYTES
    for name in ("account", "again", "early"):
        Path("/srv", name).write_text(text[:PAGE_BYTES])


def servers(
    net: RunningNetwork, nginx: Nginx, made: Mapping[str, Files], mutual: bool
) -> dict[str, list[Daemon]]:
    """nginx, a server that asks clients for certificates if `mutual`, and the relay."""
    www = made["www"]
    asks = ("-Verify", "2", "-verify_return_error") if mutual else ()
    trusted = ("-CAfile", str(made["root"].certificate))
    asking = OpensslServer(str(www.chain), str(www.key), MUTUAL, (*trusted, *asks))
    return {"h2": [nginx, asking], "r1": [TlsRelay(net.address("h2"), RELAY)]}


class Client:
    """h1's programs, with the root certificate that they trust."""

    def __init__(self, net: RunningNetwork, made: Mapping[str, Files]) -> None:
        self.net, self.made = net, made
        self.keys = key_log(net, "h1")
        self.state = net.state_folder("h1")

    def curl(self, scheme: str) -> Action:
        """The page by curl."""
        port = {"http": 80, "https": 443}[scheme]
        words = ("--silent", "--show-error", "--cacert", str(self.made["root"].certificate))
        to = f"{NAME}:{port}:{self.net.address('h2')}:{port}"
        cookie = ("--cookie", WORDS[1].decode(), "--header", "Connection: close")

        def act(net: RunningNetwork) -> None:
            environment = {"SSLKEYLOGFILE": self.keys}
            argv = ("curl", *words, "--connect-to", to, *cookie, f"{scheme}://{NAME}/account")
            net.start("h1", *argv, environment=environment, log="h1-curl").wait(60)

        return act

    def visit(
        self,
        *options: str,
        ask: str = "/account",
        at: str = "h2",
        port: int = 443,
        trust: str = "root",
        name: str = NAME,
    ) -> Action:
        """One connection by openssl s_client, with a request in it."""
        script = self._script(options, ask, at, port, trust, name)
        return program("h1", "sh", "-c", script)

    def _script(
        self,
        options: Sequence[str],
        ask: str,
        at: str = "h2",
        port: int = 443,
        trust: str = "root",
        name: str = NAME,
    ) -> str:
        """The shell's line for `visit`."""
        request = f"GET {ask} HTTP/1.1\\r\\nHost: {NAME}\\r\\nConnection: close\\r\\n\\r\\n"
        words = [
            *("openssl", "s_client", "-quiet", "-connect", f"{self.net.address(at)}:{port}"),
            *("-servername", name, "-keylogfile", self.keys, "-groups", tls_steps.GROUPS),
            *("-CAfile", str(self.made[trust].certificate), "-verify_return_error", *options),
        ]
        line = " ".join(words)
        return f"printf '{request}' | {line}" if ask else f"{line} </dev/null"

    def session(self, name: str, *options: str, again: str = "") -> dict[str, Action]:
        """A connection, and another one that resumes its session."""
        file = self.state / f"{name}.session"
        second = again or f"{name}-resumed"
        return {
            name: self.visit(*options, "-sess_out", str(file)),
            second: self.visit(*options, _kept(file), ask="/again"),
        }

    def early(self) -> Action:
        """A request through the relay that records it: as early data, if there is a session."""
        request = f"GET /early HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n"
        file, session = self.state / "early.txt", self.state / "tls13.session"
        file.write_text(request)
        options = ("-sess_in", str(session), "-early_data", str(file))
        early = self._script(options, "", "r1", RELAY["record"])
        late = self._script((), "/early", "r1", RELAY["record"])
        told = f"openssl sess_id -in {session} -noout -text 2>/dev/null"
        allowed = f"{told} | grep -q 'Max Early Data: [1-9]'"
        return program("h1", "sh", "-c", f"if {allowed}; then {early}; else {late}; fi")


def _kept(session: Path) -> str:
    """The option to resume a session; the shell drops it if the server let the client keep none."""
    return f"$(test ! -e {session} || echo -sess_in {session})"


def exchanges(client: Client) -> dict[str, Action]:
    """Handshakes of each kind, resumed sessions, ALPN and client certificates."""
    old = ("-tls1_2", "-cipher")
    alice = client.made["alice"]
    mine = ("-cert", str(alice.chain), "-key", str(alice.key))
    return {
        "rsa": client.visit(*old, RSA_FIRST),
        "ecdhe": client.visit(*old, ECDHE_FIRST),
        **client.session("id", *old, ECDHE_FIRST, "-no_ticket"),
        **client.session("ticket", *old, ECDHE_FIRST),
        **client.session("tls13", "-cipher", ECDHE_FIRST),
        "early": client.early(),
        "replay": _poke("r1", RELAY["replay"]),
        "alpn": client.visit("-tls1_2", "-cipher", RSA_FIRST, "-alpn", "h2,http/1.1"),
        "alpn13": client.visit("-cipher", ECDHE_FIRST, "-alpn", "h2,http/1.1"),
        "mutual": client.visit(*mine, ask="/mutual", port=MUTUAL),
    }


def refusals(client: Client, *, cause: bool) -> dict[str, Action]:
    """Connections that end with an alert, each with its cause, or without it."""

    def either(*options: str, **more: str | int) -> Action:
        return client.visit(*options, **more) if cause else client.visit()  # type: ignore[arg-type]

    old = ("-tls1_2", "-cipher")
    return {
        "old-version": either("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
        "no-cipher": either(*old, "ECDHE-ECDSA-AES128-GCM-SHA256"),
        "unknown-ca": either(trust="stranger"),
        "unknown-name": either(name="elsewhere.example.net"),
        "no-protocol": either("-alpn", "h9"),
        "fallback": either("-tls1_2", "-fallback_scsv"),
        "no-certificate": either(ask="/mutual", port=MUTUAL),
        "flipped": either(at="r1", port=RELAY["flip"]),
        "downgraded": either(at="r1", port=RELAY["downgrade"]),
    }


def _poke(node: str, port: int) -> Action:
    """Makes the relay replay what it recorded."""
    return in_order(program(node, "socat", "-u", f"TCP:127.0.0.1:{port}", "-"), wait(0.5))
