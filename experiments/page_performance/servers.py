"""The servers: one version of HTTP at port 443 of each host; other ways to it at other ports."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from testbed import tls_steps
from testbed.daemons import Daemon
from testbed.daemons.certificates import Certificate, Files
from testbed.daemons.http3 import Door, Http3Server
from testbed.daemons.nginx import Nginx

from .grid import HASTY_TLS, NO_TLS, OLD_TLS, Point

if TYPE_CHECKING:
    from testbed import RunningNetwork

NODE, INTERFACE = "h3", "h3-eth0"
ROOT = "/srv"
TLS_PORT = 443
_PORTS = {HASTY_TLS: 444, OLD_TLS: 445}
_CIPHERS = {HASTY_TLS: "ECDHE+AESGCM", OLD_TLS: "ECDHE-RSA-AES128-SHA"}

_SERVER = """
server {{
  listen {address}:80;
  listen {address}:{port} ssl{http2};
  server_name {host};
  ssl_protocols {protocols};
  ssl_certificate {chain};
  ssl_certificate_key {key};
  {site}
}}
"""
_OLD_SERVER = """
server {{
  listen {address}:{port} ssl;
  server_name {host};
  ssl_protocols TLSv1.2;
  ssl_ciphers {ciphers};
  ssl_certificate {chain};
  ssl_certificate_key {key};
  {site}
}}
"""
_SITE = f"""{tls_steps.NGINX_GROUPS}
  root {{root}}/{{host}};
  default_type "";
  keepalive_requests 10000;
  try_files $uri $uri/index.html =404;"""


def certificates(hosts: Collection[str]) -> tuple[Certificate, ...]:
    """One certificate for all hosts, each of which has an address of its own."""
    return (
        Certificate("root", "Example Root", ca=True, key="p256"),
        Certificate("site", issuer="root", names=tuple(hosts)),
    )


def addresses(net: RunningNetwork, hosts: Iterable[str]) -> dict[str, str]:
    """Host → its address; all but the first are added to the server's node."""
    own = net.address(NODE)
    network, _, last = own.rpartition(".")
    found = {host: f"{network}.{int(last) + place}" for place, host in enumerate(hosts)}
    for address in found.values():
        if address != own:
            net.exec(NODE, "ip", "address", "add", f"{address}/24", "dev", INTERFACE)
    return found


def daemons(
    net: RunningNetwork,
    version: str,
    hosts: Mapping[str, str],
    made: Files,
    faults: Collection[str],
) -> list[Daemon]:
    """The servers of a version.

    Args:
        net: the running network.
        version: of HTTP at port 443.
        hosts: host → its address.
        made: their certificate.
        faults: ``retry`` and ``old-tls`` cost a round trip more.
    """
    if version == "3":
        again = "retry" in faults
        doors = [Door(made, TLS_PORT, again, address) for address in hosts.values()]
        return [Http3Server(net, NODE, doors)]
    http2 = " http2" if version == "2" else ""
    old = "old-tls" in faults and version == "1.1"  # HTTP/2 forbids the old ciphers
    protocols = f"TLSv1.2;\n  ssl_ciphers {_CIPHERS[OLD_TLS]}" if old else "TLSv1.2 TLSv1.3"
    text = ""
    for host, address in hosts.items():
        own = {"host": host, "address": address, "chain": made.chain, "key": made.key}
        own["site"] = _SITE.format(root=ROOT, host=host)
        text += _SERVER.format(port=TLS_PORT, http2=http2, protocols=protocols, **own)
        for tls, port in _PORTS.items():
            text += _OLD_SERVER.format(port=port, ciphers=_CIPHERS[tls], **own)
    return [Nginx(text)]


def url(page: str, point: Point) -> str:
    """Where a visit goes.

    Args:
        page: host and path.
        point: of the grid.
    """
    if point.tls == NO_TLS:
        return f"http://{page}"
    host, _, path = page.partition("/")
    port = f":{_PORTS[point.tls]}" if point.tls in _PORTS else ""
    return f"https://{host}{port}/{path}"


def flags(hosts: Mapping[str, str], public_key: bytes, *, quic: bool) -> list[str]:
    """Chromium's: it knows where the hosts are, and no others; and that they speak HTTP/3.

    For HTTP/3 a certificate must lead to an authority that everybody knows; the exception is by
    the certificate's key.
    """
    rules = [f"MAP {host} {address}" for host, address in hosts.items()]
    found = [f"--host-resolver-rules={','.join([*rules, 'MAP * ~NOTFOUND'])}"]
    if quic:
        origins = ",".join(f"{host}:{TLS_PORT}" for host in hosts)
        key = base64.b64encode(hashlib.sha256(public_key).digest()).decode()
        found += [
            f"--origin-to-force-quic-on={origins}",
            f"--ignore-certificate-errors-spki-list={key}",
        ]
    return found
