"""The site, a third party, and the name servers above them."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import name_service, tls_steps
from testbed.daemons import Daemon
from testbed.daemons.apache import Apache
from testbed.daemons.certificates import Certificate, Files
from testbed.daemons.nginx import Nginx
from testbed.daemons.nsd import Nsd
from testbed.daemons.unbound import Unbound

if TYPE_CHECKING:
    from testbed import RunningNetwork

WWW, CDN = "www.example.org", "cdn.example.net"
SITE, THIRD = f"https://{WWW}", f"https://{CDN}"
OLD_PORT = 444
"""Where the site speaks HTTP/1.1 only."""

MADE_PORT, THINKING_S = 445, 0.2
"""Where a program makes the pages, and how long it takes for one."""

KEPT_S = 86_400
"""How long the site's files may be kept; its pages must be validated each time."""

KEEP_ALIVE_S, SESSION_S = 5, 25
"""How long the servers keep idle connections, and TLS sessions."""

IMAGES = 12
LONG_LINES = 3000
BELOW_PX = 20_000
"""Farther below the window than Chromium looks for lazy images."""

CERTIFICATES = (
    Certificate("root", "Example Root", ca=True, key="p256"),
    Certificate("site", WWW, issuer="root", names=(WWW, CDN)),
)

BASELINES = {
    "async": "blocking",
    "preload": "chain",
    "packed": "unpacked",
    "lazy": "eager",
    "hinted": "made",
}
"""Page → the page that differs from it in one word."""

PAGES = ("blocking", "late-style", "chain", "unpacked", "eager", "many", "made")
MADE = ("made", "hinted")
"""Those that a program makes."""

_HTTP = """
ssl_certificate {chain};
ssl_certificate_key {key};
{groups}
ssl_session_cache {cache};
ssl_session_tickets {tickets};
ssl_session_timeout {session_s}s;
keepalive_timeout {keep_alive_s}s;
gzip_types text/css;
server {{
  listen 443 ssl http2;
  listen {old_port} ssl;
  root /srv/{folder};
  add_header Cache-Control {page_cache};
  {hsts}
  location /kept/ {{
    add_header Cache-Control {file_cache};
  }}
  location /packed/ {{
    gzip {gzip};
    alias /srv/{folder}/kept/;
    add_header Cache-Control {file_cache};
  }}
}}
server {{
  listen 80;
  return 301 https://{name}$request_uri;
}}
"""


def nginx(name: str, folder: str, made: Files, faults: Collection[str]) -> Nginx:
    """A server: pages are validated each time, the files beside them are kept for a day."""
    uncached, tickets = "uncached" in faults, "no-tickets" not in faults
    return Nginx(
        _HTTP.format(
            name=name,
            folder=folder,
            chain=made.chain,
            key=made.key,
            groups=tls_steps.NGINX_GROUPS,
            cache="shared:tls:1m" if tickets else "off",
            tickets="on" if tickets else "off",
            session_s=SESSION_S,
            keep_alive_s=KEEP_ALIVE_S,
            old_port=OLD_PORT,
            page_cache="no-store" if uncached else "no-cache",
            file_cache="no-store" if uncached else f"max-age={KEPT_S}",
            hsts=""
            if "no-hsts" in faults
            else "add_header Strict-Transport-Security max-age=1000;",
            gzip="off" if "plain" in faults else "on",
        )
    )


def apache(made: Files) -> Apache:
    """The site's pages that a program makes; for one of them the server sends 103 at once."""
    style = '"</kept/style.css>; rel=preload; as=style"'
    return Apache(
        (
            "DocumentRoot /srv/site",
            "SSLEngine on",
            f"SSLOpenSSLConfCmd Curves {tls_steps.GROUPS}",
            f"SSLCertificateFile {made.chain}",
            f"SSLCertificateKeyFile {made.key}",
            "Protocols h2",
            "H2EarlyHints on",
            "AddType text/css .css",
            "AddType application/javascript .js",
            "AddHandler cgi-script .cgi",
            "<Directory /srv/site>",
            "Options +ExecCGI",
            "</Directory>",
            "<Location /kept/>",
            f"Header set Cache-Control max-age={KEPT_S}",
            "</Location>",
            "<Location /hinted.cgi>",
            f"H2EarlyHint Link {style}",
            "</Location>",
        ),
        modules=("cgid", "headers", "http2", "ssl"),
        port=MADE_PORT,
    )


def write_files(faults: Collection[str]) -> None:
    """What both servers have; dates are those of the run."""
    for folder in ("site", "third"):
        kept = Path("/srv", folder, "kept")
        kept.mkdir(parents=True)
        (kept / "style.css").write_text(_STYLE)
        (kept / "script.js").write_text("document.documentElement.dataset.ran = 'yes';\n")
        (kept / "picture.png").write_bytes(picture(40, 0))
    site = Path("/srv/site/kept")
    for number in range(1, IMAGES + 1):
        (site / f"{number}.png").write_bytes(picture(30, number))
    (site / "deep.css").write_text(f"{_STYLE}.deep {{ background: url(picture.png) }}\n")
    rules = "".join(f".rule-{n} {{ margin: {n}px }}\n" for n in range(LONG_LINES))
    (site / "long.css").write_text(_STYLE + rules)
    Path("/srv/site/index.html").write_text(_page("", _images(range(1, 4), "")))
    for name, (head, body) in _variants("plain" in faults).items():
        Path(f"/srv/site/{name}.html").write_text(_page(head, body))
    for name in MADE:
        file = Path(f"/srv/site/{name}.cgi")
        file.write_text(_PROGRAM.format(seconds=THINKING_S, page=_page("", "")))
        file.chmod(0o755)


def picture(size_px: int, seed: int) -> bytes:
    """A square PNG of one colour with noise, so that its bytes cannot be packed."""
    noise = random.Random(seed)
    shade = noise.randbytes(3)
    rows = (
        b"\0" + b"".join(bytes(c ^ noise.randrange(32) for c in shade) for _ in range(size_px))
        for _ in range(size_px)
    )
    header = struct.pack(">IIBBBBB", size_px, size_px, 8, 2, 0, 0, 0)
    chunks = {b"IHDR": header, b"IDAT": zlib.compress(b"".join(rows)), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    )


_STYLE = """body { font: 20px sans-serif; margin: 40px; background: #eef6fb }
h1 { color: #0b6a8f }
img, .deep { width: 120px; height: 120px; margin: 8px; display: inline-block }
"""


_PROGRAM = """#!/bin/sh
sleep {seconds}
cat <<END
Content-Type: text/html
Cache-Control: no-cache

{page}
END
"""


def _page(head: str, body: str) -> str:
    style = "" if "stylesheet" in head else '<link rel="stylesheet" href="/kept/style.css">'
    script = '<script src="/kept/script.js" defer></script>'
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>A page</title>\n'
        f"{style}\n{script}\n{head}\n</head><body>\n<h1>A page</h1>\n<p>It has come a long way.</p>"
        f"\n{body}\n</body></html>\n"
    )


def _images(numbers: range, words: str) -> str:
    return "\n".join(f'<img {words} src="/kept/{number}.png" alt="">' for number in numbers)


def _variants(plain: bool) -> dict[str, tuple[str, str]]:
    """Page → what is in its head and in its body; if `plain`, no style sheet is late."""
    all_images = range(1, IMAGES + 1)
    below = f'<div style="height: {BELOW_PX}px"></div>\n'
    deep = '<link rel="stylesheet" href="/kept/deep.css">'
    late = ' media="print"' if plain else ""
    unpacked = '<link rel="stylesheet" href="/kept/long.css">'
    return {
        "blocking": (f'<script src="{THIRD}/kept/script.js"></script>', ""),
        "async": (f'<script async src="{THIRD}/kept/script.js"></script>', ""),
        "late-style": (f'<link rel="stylesheet"{late} href="{THIRD}/kept/style.css">', ""),
        "chain": (deep, '<div class="deep"></div>'),
        "preload": (
            f'{deep}\n<link rel="preload" as="image" href="/kept/picture.png">',
            '<div class="deep"></div>',
        ),
        "unpacked": (unpacked, ""),
        "packed": (unpacked.replace("kept", "packed"), ""),
        "eager": ("", below + _images(all_images, "")),
        "lazy": ("", below + _images(all_images, 'loading="lazy"')),
        "many": ("", _images(all_images, "")),
    }


# ---- names


def name_servers(net: RunningNetwork, ttl_s: int) -> dict[str, list[Daemon]]:
    """The root, the top-level domains, and the zones of site and third party."""
    zone, delegation = name_service.zone, name_service.delegation
    root, tld = ("a.root.", net.address("n1")), ("ns.tld.", net.address("n2"))
    own = {"example.org.": (WWW, "w1"), "example.net.": (CDN, "w2")}
    server = {origin: (f"ns.{origin}", net.address("n3")) for origin in own}
    leaves = {
        origin.rstrip("."): zone(
            origin, server[origin], ttl_s, {f"{name}.": [f"A {net.address(node)}"]}
        )
        for origin, (name, node) in own.items()
    }
    tops: Mapping[str, str] = {
        top: zone(f"{top}.", tld, name_service.DAY_S, delegation(origin, server[origin]))
        for origin in own
        if (top := origin.rstrip(".").rpartition(".")[2])
    }
    below_root = delegation("org.", tld) | delegation("net.", tld)
    top_zone = {".": zone(".", root, name_service.DAY_S, below_root)}
    return {"n1": [Nsd(top_zone)], "n2": [Nsd(tops)], "n3": [Nsd(leaves)]}


def resolver(net: RunningNetwork, faults: Collection[str]) -> Unbound:
    """The resolver at home."""
    options = ["cache-max-ttl: 0"] * ("amnesia" in faults)
    upstream = f'forward-zone:\n  name: "."\n  forward-addr: {net.address("n3")}'
    return Unbound(
        root=net.address("n1"), options=options, clauses=[upstream] * ("forwarding" in faults)
    )
