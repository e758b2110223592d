"""The office lab: a DHCP server's options and a DNS zone, tried by a client and a printer."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import summaries
from analysis.dissect import dns as messages
from testbed import (
    Assignment,
    SeededRandom,
    SubmissionError,
    Verdict,
    all_of,
    at_least,
    claim,
    holds,
    near,
    param,
    pick,
    share_of,
    step,
    steps,
    with_addresses,
)
from testbed.daemons import start
from testbed.daemons.dhcpcd import Dhcpcd, interface, resolv_conf
from topologies.office import Office

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData, Tables

CLIENT, PRINTER, ADMIN = "h1", "h2", "h3"
DHCP_SERVER, NAME_SERVER, WEB_SERVER = "d1", "d2", "w1"
JOIN_S = 20.0
"""A client has asked, been offered, and looked whether the address is free."""

COMPANIES = (
    "acorn",
    "birch",
    "cedar",
    "dahlia",
    "elder",
    "fennel",
    "ginkgo",
    "hazel",
    "indigo",
    "juniper",
    "laurel",
    "maple",
    "nettle",
    "orchid",
    "poplar",
    "rowan",
    "sorrel",
    "thyme",
    "violet",
    "willow",
)


class Lab(Assignment):
    """DHCP and DNS for a small office."""

    @dataclass(frozen=True)
    class Parameters:
        """The variant."""

        company: str = param("maple", "first part of the office's domain")
        site: int = param(20, "second byte of the LANs", low=1, high=250)
        public: int = param(77, "last byte of the web server's address", low=20, high=200)
        first: int = param(100, "last byte of the pool's first address", low=20, high=200)
        count: int = param(40, "addresses in the pool", low=5, high=50)
        lease_s: int = param(1800, "length of a lease", unit="s", low=600, high=7200)
        printer: int = param(60, "last byte of the printer's address", low=5, high=90)
        mac: str = param("02:60:8c:1a:2b:3c", "the printer's MAC address")
        www_ttl_s: int = param(300, "TTL of the web server's address", unit="s", low=60, high=86400)
        negative_s: int = param(120, "TTL of 'no such name' answers", unit="s", low=30, high=86400)
        preference: int = param(10, "of the mail exchanger", low=1, high=100)

    params: Parameters
    programs = ("dnsmasq", "dhcpcd", "nsd", "kdig", "ping", "unshare", "ip")

    @classmethod
    def variant(cls, random: SeededRandom) -> dict[str, Any]:
        """Names, addresses and times."""
        return {
            "company": random.choice(COMPANIES),
            "site": random.integer(1, 250),
            "public": random.integer(20, 200),
            "first": random.integer(100, 180),
            "count": random.integer(20, 50),
            "lease_s": random.choice((900, 1200, 1500, 1800, 2400, 2700, 3600)),
            "printer": random.integer(20, 90),
            "mac": "02:60:8c:" + ":".join(f"{random.integer(16, 238):02x}" for _ in range(3)),
            "www_ttl_s": 60 * random.integer(2, 9),
            "negative_s": 10 * random.integer(3, 11),
            "preference": random.integer(1, 50),
        }

    # ---- the variant, for handout and solution

    @property
    def domain(self) -> str:
        """The office's domain."""
        return f"{self.params.company}.example"

    def inside(self, last: int) -> str:
        """An address of the office's LAN."""
        return f"10.{self.params.site}.1.{last}"

    @property
    def router(self) -> str:
        """r1's address in the office's LAN."""
        return self.inside(1)

    def server(self, node: str) -> str:
        """The address of d1 or d2."""
        return self.inside({DHCP_SERVER: 2, NAME_SERVER: 3}[node])

    @property
    def printer(self) -> str:
        """The address that the printer must always get."""
        return self.inside(self.params.printer)

    @property
    def pool(self) -> tuple[str, str]:
        """First and last address for clients."""
        p = self.params
        return self.inside(p.first), self.inside(p.first + p.count - 1)

    @property
    def www(self) -> str:
        """The web server's address."""
        return f"203.0.113.{self.params.public}"

    @property
    def mail(self) -> str:
        """The mail server's address."""
        return f"203.0.113.{self.params.public + 1}"

    # ---- in the network

    def topology(self) -> Office:
        """The office with this variant's addresses and printer."""
        site = self.params.site
        topo = with_addresses(
            Office(),
            {
                "r1-eth0": f"{self.router}/24",
                "d1-eth0": f"{self.server('d1')}/24",
                "d2-eth0": f"{self.server('d2')}/24",
                "r1-eth1": f"10.{site}.2.1/24",
                "h3-eth0": f"10.{site}.2.11/24",
                "r1-eth2": "203.0.113.1/24",
                "w1-eth0": f"{self.www}/24",
            },
        )
        topo.linkInfo(PRINTER, "s1")["addr1"] = self.params.mac
        return topo

    def run(self, net: RunningNetwork) -> None:
        """Client and printer join; the client looks a name up; the administrator asks for all."""
        net.capture(*(interface(node) for node in (CLIENT, PRINTER, ADMIN)))
        for node in (CLIENT, PRINTER):
            net.exec(node, "ip", "-4", "addr", "flush", "dev", interface(node))
        self._serve(
            net,
            "office.zone",
            lambda: self.submission.start_nsd(net, NAME_SERVER, {self.domain: "office.zone"}),
        )
        self._serve(
            net, "dhcp.conf", lambda: self.submission.start_dnsmasq(net, {DHCP_SERVER: "dhcp.conf"})
        )
        step(net, "join")
        start(net, {node: [Dhcpcd()] for node in (CLIENT, PRINTER)})
        net.sleep(JOIN_S)
        step(net, "name")
        conf = resolv_conf(CLIENT)
        script = f"mount --bind {conf} /etc/resolv.conf; exec ping -c 1 -W 3 www.{self.domain}"
        net.start(CLIENT, "unshare", "--mount", "sh", "-c", script).wait(timeout_s=60)
        step(net, "ask")
        asked = [word for question in self._questions() for word in question]
        net.start(
            ADMIN, "kdig", f"@{self.server(NAME_SERVER)}", "+time=1", "+retry=1", *asked
        ).wait(timeout_s=60)

    def _serve(self, net: RunningNetwork, file: str, begin: Any) -> None:
        """Starts a server; one that refuses its file leaves the other alone."""
        try:
            begin()
        except SubmissionError as error:
            net.event("refused", file=file, reason=str(error))

    def _questions(self) -> list[tuple[str, str]]:
        names = ("www", "printer", "intranet", "mail", "no-such-name")
        own = [(f"{name}.{self.domain}", "A") for name in names]
        return [*own, (self.domain, "MX"), (self.domain, "NS"), (f"ns.{self.domain}", "A")]

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets, DHCP and DNS messages by step, records, and files that servers refused."""
        tables = steps.measure(data, ("payload",), {"dhcp": summaries.dhcp, "dns": summaries.dns})
        asked = tables["packets"][tables["packets"]["capture"] == interface(ADMIN)]
        refused = data.events("refused")
        for column in ("file", "reason"):
            refused[column] = refused.get(column, pd.Series(dtype=str))
        tables["packets"] = tables["packets"].drop(columns="payload")
        return tables | {"records": messages.records(asked), "refused": refused}

    # ---- public checks

    @claim("The client gets an address of the pool.", source="RFC 2131 §3.1", scenarios=("main",))
    def lease_is_of_the_pool(self, tables: Tables) -> Verdict:
        """The acknowledgement that the client got."""
        acks = self.acks(tables, CLIENT, self._mac(tables, CLIENT))
        first, last = (IPv4Address(a) for a in self.pool)
        given = [str(a) for a in acks["your_ip"].dropna()]
        good = bool(given) and all(first <= IPv4Address(a) <= last for a in given)
        return holds(
            good,
            observed=", ".join(given) or self._why(tables, "dhcp.conf", "no lease"),
            expected=f"{first} to {last}",
        ).because(f"DHCP at {CLIENT}", self._exchange(tables, CLIENT))

    @claim(
        "The lease brings mask, router, name server, and has the required length.",
        source="RFC 2132 §3.3, §3.5, §3.8, §9.2",
        scenarios=("main",),
    )
    def lease_is_complete(self, tables: Tables) -> Verdict:
        """Four options of the acknowledgement."""
        acks = self.acks(tables, CLIENT, self._mac(tables, CLIENT))
        wanted = {
            "mask": "255.255.255.0",
            "routers": self.router,
            "dns_servers": self.server(NAME_SERVER),
            "lease_s": str(self.params.lease_s),
        }
        cases = []
        for option, value in wanted.items():
            found = "no lease" if acks.empty else _text(acks[option].iloc[-1])
            cases.append(
                holds(found == value, observed=f"{option}: {found}", expected=f"{option}: {value}")
            )
        return share_of(cases).because("the acknowledgement", acks)

    @claim(
        "The printer always gets its own address.",
        source="RFC 2131 §1.6 (manual allocation)",
        scenarios=("main",),
    )
    def printer_has_its_address(self, tables: Tables) -> Verdict:
        """The acknowledgement that the printer got."""
        acks = self.acks(tables, PRINTER, self.params.mac)
        given = [str(a) for a in acks["your_ip"].dropna()]
        return holds(
            set(given) == {self.printer},
            expected=self.printer,
            observed=", ".join(given) or self._why(tables, "dhcp.conf", "no lease"),
        ).because(f"DHCP at {PRINTER}", self._exchange(tables, PRINTER))

    @claim(
        "The zone's names lead to their addresses.",
        source="RFC 1035 §3.3, §3.4",
        scenarios=("main",),
    )
    def names_are_found(self, tables: Tables) -> Verdict:
        """What the name server answers to the administrator."""
        wanted = {
            "www": [f"A {self.www}"],
            "printer": [f"A {self.printer}"],
            "intranet": [f"CNAME www.{self.domain}", f"A {self.www}"],
            "mail": [f"A {self.mail}"],
        }
        return share_of(
            [
                self._answers(tables, f"{name}.{self.domain}", "A", records)
                for name, records in wanted.items()
            ]
        )

    @claim(
        "With what the lease brought, the client reaches the web server by its name.",
        source="RFC 2131 §1.6; RFC 1034 §2.2",
        scenarios=("main",),
    )
    def client_goes_by_name(self, tables: Tables) -> Verdict:
        """One ping of the client's."""
        # A client without a lease sends nothing, which is the student's fault to lose points for.
        asked = pick(tables, "name", interface(CLIENT), silent=True, udp_dport=53)
        back = pick(tables, "name", interface(CLIENT), silent=True, icmp_type=0, ip_src=self.www)
        return all_of(
            at_least(len(asked), 1, unit="questions to a name server"),
            near(len(back), 1, abs=0, unit="echo replies of the web server"),
        ).because("question and reply", pd.concat([asked, back]))

    # ---- what checks look at

    def acks(self, tables: Tables, node: str, mac: str) -> pd.DataFrame:
        """Acknowledgements to a node, as it saw them."""
        return pick(tables, "join", interface(node), table="dhcp", type="ACK", client_mac=mac)

    def _mac(self, tables: Tables, node: str) -> str:
        return steps.mac(tables, interface(node))

    def _exchange(self, tables: Tables, node: str) -> pd.DataFrame:
        return pick(tables, "join", interface(node), table="dhcp").head(8)

    def _why(self, tables: Tables, file: str, otherwise: str) -> str:
        """Why a server said nothing: the reason it gave, if it refused its file."""
        found = tables.rows("refused", file=file)
        return str(found["reason"].iloc[0]) if len(found) else otherwise

    def answer(self, tables: Tables, name: str, kind: str) -> pd.DataFrame:
        """The name server's message that answers a question of the administrator's."""
        return pick(
            tables, "ask", interface(ADMIN), table="dns", response=True, question=name, type=kind
        ).tail(1)

    def records(
        self, tables: Tables, name: str, kind: str, section: str = "answer"
    ) -> pd.DataFrame:
        """Records of that message."""
        frames = self.answer(tables, name, kind)["frame"]
        found = tables.rows("records", section=section)
        return found[found["frame"].isin(frames)]

    def _answers(self, tables: Tables, name: str, kind: str, wanted: list[str]) -> Verdict:
        told = self.answer(tables, name, kind)
        found = [
            f"{r.type} {str(r.data).rstrip('.')}"
            for r in self.records(tables, name, kind).itertuples()
        ]
        silent = self._why(tables, "office.zone", "no answer")
        nothing = silent if told.empty else str(told["rcode"].iloc[-1])
        return holds(
            found == wanted,
            observed=f"{name}: {', '.join(found) or nothing}",
            expected=f"{name}: {', '.join(wanted)}",
        ).because(f"the answer for {name}", told)


def _text(value: Any) -> str:
    """An option's value as text; numbers without a fraction."""
    if pd.isna(value):
        return "not given"
    return f"{value:g}" if isinstance(value, float) else str(value)
