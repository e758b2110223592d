"""What runs: the servers on h2, and the client's steps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed import Action, filter_packets, in_order, nothing, ping, unfilter
from testbed.daemons.certificates import Certificate, Files, key_log
from testbed.daemons.http3 import Door, Http3Client, Http3Server
from testbed.daemons.nginx import Nginx

if TYPE_CHECKING:
    from testbed import Process, RunningNetwork

NAME = "www.example.org"
PORT, RETRY_PORT, LONG_PORT = 443, 4433, 4434
RATE_MBPS = 10.0
UNKNOWN_VERSION, VERSION = 0x1A2A3A4A, 1
"""A version that is reserved so that no server knows it (RFC 9000 §15), and that of RFC 9000."""

SMALL_BYTES, FILE_BYTES, FILES, LARGE_BYTES = 600, 20_000, 12, 600_000
WINDOW_BYTES = 6_000
MOVE_S, NEW_KEYS_S = 0.4, 0.1
"""When the client's address and the keys change, from the start of the step."""
GIVES_UP_S = 5.0
IDLE_S, QUIET_S = 3.0, 8.0
LOST_NUMBER, LAST_NUMBER = 40, 202
"""Number of the server's full datagram that is lost, from 0: in the middle, and at the end."""

PRIORITIES = {
    "u=1": ("/page3",),
    "i": ("/page1", "/page4"),
    "u=6": ("/page0", "/page2"),
}
"""What a client says of how urgent it is → files; the most urgent first."""

LATER, UPDATE_S = "/page5", 0.12
"""The file that becomes urgent in the middle of a larger one, and when."""

TURNS = 10
"""Two files of 20 kB in datagrams of 1,200 bytes that take turns change more often than this."""

WORD = b"rosebud"
"""In the files; what nobody else should read."""

CERTIFICATES = (
    Certificate("root", "Example Root", ca=True, key="p256"),
    Certificate("www", NAME, issuer="root", names=(NAME,), key="p256"),
    Certificate(
        "long",
        NAME,
        issuer="root",
        names=(NAME, *(f"host-{number}.of-many.example.org" for number in range(150))),
        key="p256",
    ),
)
"""That of ``long`` does not fit into three datagrams."""

SITE = """
server {
  listen 443 ssl http2;
  root /srv;
  ssl_protocols TLSv1.3;
  ssl_certificate CHAIN;
  ssl_certificate_key KEY;
  ALT_SVC
}
"""
ALT_SVC = f"""add_header Alt-Svc 'h3=":{LONG_PORT}"; ma=86400' always;"""
"""Another port than that of TCP, to see that the client goes there."""


def write_files() -> None:
    """What the servers have."""
    names = [f"small{number}" for number in range(3)]
    sizes = dict.fromkeys(names, SMALL_BYTES) | {"large": LARGE_BYTES, "index.html": SMALL_BYTES}
    sizes |= {f"page{number}": FILE_BYTES for number in range(FILES)}
    for name, size in sizes.items():
        word = WORD + b" "
        Path("/srv", name).write_bytes((word * (size // len(word) + 1))[:size])


def servers(
    net: RunningNetwork, made: Mapping[str, Files], faults: Collection[str]
) -> tuple[Http3Server, Nginx]:
    """The same files over HTTP/3 and, on TCP, over HTTP/2."""
    www = made["www"]
    retry = "no-retry" not in faults
    doors = [Door(www), Door(www, RETRY_PORT, retry), Door(made["long"], LONG_PORT)]
    flaws = [fault for fault in faults if fault in ("amplify", "no-table")]
    flaws += ["one-address"] if "fixed-address" in faults else []
    flaws += ["no-priorities"] if "equal" in faults else []
    site = SITE.replace("CHAIN", str(www.chain)).replace("KEY", str(www.key))
    site = site.replace("ALT_SVC", "" if "no-alt-svc" in faults else ALT_SVC)
    return Http3Server(net, "h2", doors, flaws), Nginx(site, port=PORT)


class Visits:
    """The steps, and the programs and files that they need."""

    def __init__(
        self, net: RunningNetwork, made: Mapping[str, Files], faults: Collection[str]
    ) -> None:
        self.faults, self.root = faults, str(made["root"].certificate)
        self.server, self.home = net.address("h2"), net.address("h1")
        self.client = Http3Client(net, "h1", self.server, NAME, made["root"].certificate)
        self.keys = key_log(net, "h1")
        lan = self.home.rpartition(".")[0]
        self.away, self.router = f"{lan}.77", f"{lan}.1"

    def steps(self) -> dict[str, Action]:
        """All steps but that with loss."""
        port = LONG_PORT if "long-certificate" in self.faults else PORT
        again = "no-resumption" not in self.faults
        versions = [VERSION] if "known-version" in self.faults else [UNKNOWN_VERSION, VERSION]
        small = [["/small0"], ["/small1"], ["/small2"]]
        files = {path: said for said, paths in PRIORITIES.items() for path in paths}
        window = {} if "wide-window" in self.faults else {"window_bytes": WINDOW_BYTES}
        idle = {} if "patient" in self.faults else {"idle_s": IDLE_S}
        return {
            "first": ping("h1", self.server),
            "tcp": self.by_tcp,
            "open": self.job(paths=[["/small0"]], port=port),
            "early": self.job(paths=[["/small0"]], resume=again),
            "retry": self.job(paths=[["/small0"]], port=RETRY_PORT),
            "long": self.job(paths=[["/small0"]], port=LONG_PORT),
            "versions": self.job(paths=[["/small0"]], versions=versions),
            "headers": self.job(paths=small),
            "keys": self.changing_keys,
            "window": self.job(paths=[["/page0"]], **window),
            "priorities": self.job(paths=[sorted(files)], priorities=files),
            "move": self.moving(),
            "new-id": self.moving(new_id="same-id" not in self.faults),
            "tcp-move": self.moving_tcp,
            "silence": self.job(paths=[["/small0"]], stay_s=QUIET_S, **idle),
            "alt-svc": self.by_alt_svc,
        }

    def job(self, **job: Any) -> Action:
        """A connection of the HTTP/3 client."""
        return self.client.do(**job)

    def losing(self) -> Action:
        """Twelve files at once, without one datagram."""
        number = LAST_NUMBER if "late-loss" in self.faults else LOST_NUMBER
        rule = f"udp sport {PORT} ip length > 1000 numgen inc mod 65536 {{ {number} }} drop"
        paths = [[f"/page{number}" for number in range(FILES)]]
        if "one-file" in self.faults:
            paths = [["/large"]]
        return in_order(
            filter_packets("r1", "forward", rule), self.job(paths=paths), unfilter("r1")
        )

    def updating(self, net: RunningNetwork) -> None:
        """A large file, and a small one that can wait, until it cannot."""
        end = self.client.begin(paths=[["/large", LATER]], priorities={LATER: "u=6"})
        net.sleep(UPDATE_S)
        self.job(now="priorities", priorities={LATER: "u=0"})(net)
        end()

    # ---- elsewhere

    def moving(self, *, new_id: bool = False) -> Action:
        """A download over HTTP/3, in the middle of which the client's address changes."""

        def act(net: RunningNetwork) -> None:
            before = self.job(now="new_id") if new_id else nothing
            self._move_in(net, self.client.begin(paths=[["/large"]]), before)

        return act

    def moving_tcp(self, net: RunningNetwork) -> None:
        """The same over HTTP/2; the client gives up after a while."""
        download = self.curl(net, "large", "--max-time", f"{GIVES_UP_S:g}")
        self._move_in(net, partial(download.wait, 60))

    def _move_in(
        self, net: RunningNetwork, end: Callable[[], object], before: Action = nothing
    ) -> None:
        """Changes the address, waits for the end of the download, and changes it back."""
        net.sleep(MOVE_S)
        before(net)
        if "stay" not in self.faults:
            self._take(net, self.away, self.home)
        net.event("move", to="away")
        end()
        net.sleep(0.5)
        net.event("move", to="home")
        if "stay" not in self.faults:
            self._take(net, self.home, self.away)

    def changing_keys(self, net: RunningNetwork) -> None:
        """Two files; meanwhile the client asks for new keys."""
        end = self.client.begin(paths=[["/page0"], ["/page1"]])
        net.sleep(NEW_KEYS_S)
        if "old-keys" not in self.faults:
            self.job(now="new_keys")(net)
        end()

    def _take(self, net: RunningNetwork, new: str, old: str) -> None:
        """Another address in the same LAN, as from another lease."""
        batch = net.state_folder("h1") / "batch"
        lines = [f"address del {old}/24 dev h1-eth0", f"address add {new}/24 dev h1-eth0"]
        lines += [f"route add default via {self.router}"]
        batch.write_text("\n".join(lines) + "\n")
        net.exec("h1", "ip", "-batch", str(batch))

    # ---- over TCP

    def curl(self, net: RunningNetwork, name: str, *words: str) -> Process:
        """A file over HTTP/2."""
        argv = ["curl", "--silent", "--show-error", "--http2", "--cacert", self.root]
        argv += ["--resolve", f"{NAME}:{PORT}:{self.server}", "--output", "/dev/null", *words]
        argv += [f"https://{NAME}/{name}"]
        return net.start("h1", *argv, environment={"SSLKEYLOGFILE": self.keys}, log="h1-curl")

    def by_tcp(self, net: RunningNetwork) -> None:
        """A small file over HTTP/2, to its end."""
        self.curl(net, "small0").wait(60)

    def by_alt_svc(self, net: RunningNetwork) -> None:
        """A page over HTTP/1.1, and then a file over HTTP/3, from where the page's header says."""
        if "usual-port" in self.faults:
            self.curl(net, "", "--http1.1").wait(60)
            self.job(paths=[["/small0"]], port=PORT)(net)
        else:
            self.job(paths=[["/small0"]], alt_svc=PORT)(net)
