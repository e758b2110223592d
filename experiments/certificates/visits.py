"""What runs: h2's servers, the machine in the middle on r1, and the visits of h1."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import Action, in_order, program, tls_steps, unfilter, wait
from testbed.daemons import Daemon, certificate_cases
from testbed.daemons.certificate_cases import DOMAIN, ISSUING, ROOT, Case, host, server
from testbed.daemons.certificates import Certificate, Files, key_log
from testbed.daemons.nginx import Nginx

if TYPE_CHECKING:
    from testbed import RunningNetwork

SITE, SUBDOMAIN, OTHER = DOMAIN, f"www.{DOMAIN}", "example.net"
"""The site that wants HTTPS only, a name below it, and one that is not below it."""

HINT = host("hint")
"""Its server asks for HTTPS over plain HTTP."""

SECRET = "session=rosebud"
"""The cookie that nobody else should read."""

WILD = host("wild")
WILDCARDS = {"wildcard": f"one.{WILD}", "two-labels": f"one.two.{WILD}", "no-label": WILD}
"""Step → host; all have one certificate, for ``*.wild.example.org``."""

BY_OPENSSL = (certificate_cases.BAD_SIGNATURE, certificate_cases.OTHER_NAME)
"""Reasons that curl does not give: it compares names itself, when the handshake is over."""

CRL = "issuing.crl"
DAY_S = 86400.0
PLAIN, MIDDLE = 8080, 8443
"""Where r1 takes connections to ports 80 and 443."""

STAPLED, FORGOTTEN = "must-staple", "staple-forgotten"
"""Servers whose certificates say that an OCSP response comes with them: it does, it does not."""

_OF_GNUTLS = "NORMAL:-VERS-ALL:+VERS-TLS1.2:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1"

MALLORY = "mallory"

_MAIN = """
ssl_protocols TLSv1.2 TLSv1.3;
ssl_ciphers ALL:@SECLEVEL=0;
ssl_session_cache off;
ssl_session_tickets off;
server_names_hash_bucket_size 128;
"""

_HTTP = """
server {{
  listen 80 default_server;
  location = /{crl} {{
    root /srv;
  }}
  location / {{
    return 301 https://$host$request_uri;
  }}
}}
server {{
  listen 80;
  server_name {hint};
  root /srv;
  {header}
}}
"""

_MITM = """
log_format read '$msec $scheme $host $request_uri "$http_cookie"';
ssl_certificate {chain};
ssl_certificate_key {key};
server {{
  listen {plain};
  listen {middle} ssl;
  access_log {{log}} read;
  location / {{
    proxy_pass https://{target};
    proxy_ssl_protocols TLSv1.2;
    proxy_ssl_server_name on;
    proxy_ssl_name $host;
    proxy_set_header Host $host;
    proxy_hide_header Strict-Transport-Security;
  }}
}}
"""


def wanted(cases: Collection[Case], crl: str, life_s: float) -> list[Certificate]:
    """All certificates: of the cases, of the other servers, and of the machine in the middle."""
    days = life_s / DAY_S

    def sound(name: str, *names: str, status: float = 0.0) -> Certificate:
        return Certificate(
            name, names[0], issuer=ISSUING, names=names, key="p256", status_days=status
        )

    timed = replace(sound("timed", host("timed")), begins_days=days, lasts_days=days)
    return [
        *certificate_cases.wanted(cases, crl=crl),
        sound("wild", f"*.{WILD}"),
        timed,
        sound("stapled", host("stapled"), status=days),
        replace(sound(STAPLED, host(STAPLED), status=days), must_staple=True),
        replace(sound(FORGOTTEN, host(FORGOTTEN)), must_staple=True),
        sound("site", SITE, SUBDOMAIN, OTHER, HINT),
        Certificate(MALLORY, "Mallory's Root", ca=True, key="p256"),
        Certificate("middle", SITE, issuer=MALLORY, names=(SITE, SUBDOMAIN, OTHER), key="p256"),
    ]


def site(
    made: Mapping[str, Files], cases: Collection[Case], faults: Collection[str], max_age_s: int
) -> Nginx:
    """nginx on h2: all cases, and the other servers."""
    one = "one-certificate" in faults
    staple = "no-stapling" not in faults
    hsts = _header(f"max-age={max_age_s}; includeSubDomains")
    files = {name: made["valid"] if one else files for name, files in made.items()}
    blocks = [
        certificate_cases.servers(files, cases, staple=staple),
        server(" ".join(WILDCARDS.values()), made["wild"]),
        server(host("timed"), made["timed"]),
        *(
            server(host(name), made[name], staple=staple)
            for name in ("stapled", STAPLED, FORGOTTEN)
        ),
        server(f"{SITE} {SUBDOMAIN}", made["site"], more="" if "no-hsts" in faults else hsts),
        server(OTHER, made["site"]),
        server(HINT, made["site"], more=hsts),
        _HTTP.format(crl=CRL, hint=HINT, header=hsts),
    ]
    return Nginx(_MAIN + "".join(blocks), port=443)


def _header(value: str) -> str:
    return f'add_header Strict-Transport-Security "{value}" always;'


def middle(net: RunningNetwork, made: Mapping[str, Files]) -> Nginx:
    """nginx on r1: takes over connections, reads them, and passes them on to h2."""
    files, target = made["middle"], net.address("h2")
    text = _MITM.format(chain=files.chain, key=files.key, plain=PLAIN, middle=MIDDLE, target=target)
    return Nginx(_MAIN + text, port=MIDDLE)


def servers(
    net: RunningNetwork, nginx: Nginx, made: Mapping[str, Files]
) -> dict[str, list[Daemon]]:
    """h2's servers, and the machine in the middle, which gets no connection yet."""
    return {"h2": [nginx], "r1": [middle(net, made)]}


def intercept(net: RunningNetwork) -> None:
    """From now on r1 takes over what comes from h1 for ports 80 and 443."""
    chain = "add chain ip lab in { type nat hook prerouting priority -100; }"
    rules = [
        f'add rule ip lab in iifname "r1-eth0" tcp dport {port} redirect to :{own}'
        for port, own in ((80, PLAIN), (443, MIDDLE))
    ]
    net.exec("r1", "nft", "; ".join(["add table ip lab", chain, *rules]))


class Client:
    """h1's programs.

    Attributes:
        net: the running network.
        trust: what it may trust → a file of root certificates.
    """

    def __init__(
        self, net: RunningNetwork, made: Mapping[str, Files], faults: Collection[str]
    ) -> None:
        self.net, self.made, self.faults = net, made, faults
        self.keys = key_log(net, "h1")
        self.state = net.state_folder("h1")
        root = MALLORY if "wrong-root" in faults else ROOT
        self.trust = {
            "root": self._bundle("root", root),
            "with intermediate": self._bundle("intermediate", root, ISSUING),
            "with mallory": self._bundle("both", root, MALLORY),
            "mallory": self._bundle(MALLORY, MALLORY),
        }

    def _bundle(self, name: str, *names: str) -> str:
        """A file of certificates that a client trusts."""
        file = self.net.path / "certificates" / f"trusted-{name}.pem"
        file.write_text("".join(self.made[one].certificate.read_text() for one in names))
        return str(file)

    def curl(self, step: str, url: str, *options: str, trust: str = "root") -> dict[str, Action]:
        """A step: one visit by curl, whose report is its log."""
        lead = ("--connect-to", f"::{self.net.address('h2')}:")
        quiet = ("--silent", "--output", "/dev/null", "--write-out", "%{json}\\n")
        secure = ("--curves", tls_steps.GROUPS, "--cacert", self.trust[trust])
        return self._client(step, f"curl-{step}", "curl", *quiet, *lead, *secure, *options, url)

    def look(self, step: str, name: str, *options: str) -> dict[str, Action]:
        """A step of TLS 1.2, so that everybody on the path can read certificates and alerts."""
        return self.curl(step, f"https://{name}/", "--tls-max", "1.2", *options)

    def openssl(self, step: str, name: str, *options: str) -> dict[str, Action]:
        """The same with OpenSSL's own client, which checks names within the handshake."""
        words = (
            *("openssl", "s_client", "-tls1_2", "-connect", f"{self.net.address('h2')}:443"),
            *("-servername", name, "-verify_hostname", name, "-verify_return_error"),
            *("-CAfile", self.trust["root"], "-keylogfile", self.keys),
            *("-groups", tls_steps.GROUPS, "-brief", *options),
        )
        return {step: program("h1", *words, log=f"openssl-{step}")}

    def gnutls(self, step: str, name: str) -> dict[str, Action]:
        """The same with the client of GnuTLS, which knows must-staple (RFC 7633)."""
        words = (
            *("gnutls-cli", "--priority", _OF_GNUTLS, "--x509cafile", self.trust["root"]),
            *("--sni-hostname", name, "--verify-hostname", name),
            *("--port", "443", self.net.address("h2")),
        )
        # it writes errors, without their reason, into the middle of the lines on its output
        hidden = ("sh", "-c", 'exec "$@" 2>/dev/null', "sh")
        return self._client(step, f"gnutls-cli-{step}", *hidden, *words)

    def _client(self, step: str, log: str, *argv: str) -> dict[str, Action]:
        """A step: a program that takes the key log's place from its environment."""

        def act(net: RunningNetwork) -> None:
            environment = {"SSLKEYLOGFILE": self.keys}
            net.start("h1", *argv, environment=environment, log=log).wait(60)

        return {step: act}

    def pin(self) -> str:
        """The file with the public key that the client expects of the site."""
        file = self.state / "pin.pem"
        key = str(self.made["site"].key)
        self.net.exec("h1", "openssl", "pkey", "-in", key, "-pubout", "-out", str(file))
        return str(file)


def reason_step(case: Case) -> str:
    """The step that shows why a case is refused."""
    return f"{case.name}-openssl" if case.error in BY_OPENSSL else case.name


def refusals(client: Client, cases: Collection[Case]) -> dict[str, Action]:
    """One visit to each case by curl; where that gives no reason, one by OpenSSL, too."""
    found: dict[str, Action] = {}
    for case in cases:
        found |= client.look(case.name, case.host)
        if case.error in BY_OPENSSL:
            found |= client.openssl(reason_step(case), case.host)
    trusting = ("--cacert", client.trust["with intermediate"])
    found |= client.look("with-intermediate", host("missing-intermediate"), *trusting)
    for step, name in WILDCARDS.items():
        found |= client.look(step, name)
    return found


def revocation(client: Client) -> dict[str, Action]:
    """Ways to learn that a certificate was revoked; the visit without any is among the cases."""
    fetching = ("-crl_check", "-crl_download")
    asking = "--cert-status"
    return {
        **client.openssl("revoked-list", host("revoked"), *fetching),
        **client.look("revoked-status", host("revoked"), asking),
        **client.look("good-status", host("stapled"), asking),
        **client.look("no-status", host("valid"), asking),
        **client.gnutls(STAPLED, host(STAPLED)),
        **client.gnutls(FORGOTTEN, host(FORGOTTEN)),
        **client.look(f"{FORGOTTEN}-curl", host(FORGOTTEN)),
    }


def in_the_middle(client: Client, attack: Action) -> dict[str, Action]:
    """r1 takes over connections: of careful, deceived, careless and pinning clients."""
    url, cookie, pin = f"https://{SITE}/account", ("--cookie", SECRET), client.pin()
    pinned = (*cookie, "--pinnedpubkey", pin)
    acts = {
        **client.curl("pinned", url, *pinned),
        **client.curl("middle", url, *cookie),
        **client.curl("middle-trusted", url, *cookie, trust="with mallory"),
        **client.curl("middle-ignored", url, *cookie, "--insecure"),
        **client.curl("middle-pinned", url, *pinned, trust="with mallory"),
    }
    return {**acts, "middle": in_order(attack, acts["middle"])}


def https_only(client: Client, attack: Action, life_s: float) -> dict[str, Action]:
    """HSTS: a client that remembers who wants HTTPS, with and without somebody in the middle."""
    memory, late = str(client.state / "hsts.txt"), client.state / "never.txt"
    keep = ("--location", "--cookie", SECRET, "--hsts", memory)
    hint = f"{'https' if 'hint-over-https' in client.faults else 'http'}://{HINT}/"
    account = f"http://{SITE}/account"

    def visit(step: str, url: str) -> dict[str, Action]:
        return client.curl(step, url, *keep)

    acts = {
        **client.curl("hint", hint, "--hsts", str(late)),
        **client.curl("hint-again", f"http://{HINT}/", "--hsts", str(late)),
        **visit("first-attacked", account),
        **visit("first", account),
        **visit("later-attacked", account),
        **visit("subdomain", f"http://{SUBDOMAIN}/account"),
        **visit("other-domain", f"http://{OTHER}/account"),
        **visit("forgotten", account),
    }
    stop = unfilter("r1") if attack is intercept else in_order()
    return {
        **acts,
        "hint": in_order(stop, acts["hint"]),
        "first-attacked": in_order(attack, acts["first-attacked"]),
        "first": in_order(stop, acts["first"]),
        "later-attacked": in_order(attack, acts["later-attacked"]),
        "forgotten": wait(life_s, in_order(acts["forgotten"], stop)),
    }


def over_time(client: Client, life_s: float) -> dict[str, Action]:
    """The last visits: the clock goes to where the certificate is valid, and on to its end."""
    in_time = client.look("in-time", host("timed"))["in-time"]
    too_late = client.look("too-late", host("timed"))["too-late"]
    return {
        "in-time": in_time,
        "too-late": wait(life_s, too_late),
        **client.look("old-status", host("stapled"), "--cert-status"),
    }


def write_pages(made: Mapping[str, Files]) -> None:
    """What nginx serves, in a folder whose dates are the run's: a page, and a list."""
    for name in ("index.html", "account"):
        Path("/srv", name).write_text("The balance is 1234 euros.\n" * 20)
    if made[ISSUING].crl.is_file():
        Path("/srv", CRL).write_bytes(made[ISSUING].crl.read_bytes())
