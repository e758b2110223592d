"""Runs inside a guest: a browser loads a page from a server, twice, and a script writes into it."""

import sys
from pathlib import Path

from testbed import LinkShape, Topo
from testbed.author.running_network import RunningNetwork
from testbed.daemons import certificates, start
from testbed.daemons.browser import Browser
from testbed.daemons.certificates import Certificate
from testbed.daemons.nginx import Nginx
from testbed.net import Network

NAME = "www.example.org"
PAGE = """<!doctype html><title>A page</title><link rel=stylesheet href=style.css>
<script src=script.js></script><h1>A page</h1>"""


class Pair(Topo):
    def build(self) -> None:
        shape = LinkShape(rate_mbps=10, delay_ms=20)
        self.addLink(self.addHost("h1"), self.addHost("h2"), shape=shape)


def main(folder: Path) -> None:
    Path("/srv/index.html").write_text(PAGE)
    Path("/srv/style.css").write_text("h1 { color: teal }")
    Path("/srv/script.js").write_text("console.log(performance.now())")
    with Network(Pair(), seed=1) as network, RunningNetwork(network, folder) as net:
        root = Certificate("root", ca=True, key="p256")
        www = Certificate("www", issuer="root", names=(NAME,), key="p256")
        made = certificates.make(net, "h2", [root, www])
        chain, key = made["www"].chain, made["www"].key
        site = f"server {{ listen 443 ssl http2; root /srv; ssl_certificate {chain};"
        start(net, {"h2": [Nginx(f"{site} ssl_certificate_key {key}; }}", port=443)]})
        net.capture("h1-eth0")
        mapped = f"--host-resolver-rules=MAP {NAME} {net.address('h2')}"
        browser = Browser(net, "h1", trusted=made["root"].certificate, flags=[mapped])
        page = browser.page()
        page.visit("cold", f"https://{NAME}/")
        page.act("script", "console.log('it is', document.title); alert('hi'); 6 * 7")
        page.visit("nowhere", f"https://{NAME}:444/")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
