"""The hardening lab: a web application full of holes, and the server in front of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labs.harden.visitor import MARK
from testbed import (
    Assignment,
    CommandError,
    ConvergenceError,
    LinkShape,
    SeededRandom,
    SubmissionError,
    Tables,
    Verdict,
    claim,
    holds,
    param,
    share_of,
    shown,
)
from topologies.single import Single

if TYPE_CHECKING:
    import pandas as pd

    from testbed import RunningNetwork, ScenarioData

CLIENT, SERVER, ATTACKER = "h1", "h2", "h3"
VISITOR, DATA = "visitor.py", "data.sql"
"""Our own client, and the tables with what is in them."""

APP_PORT, WEB_PORT = 8000, 80
START_S, VISITS_S = 10.0, 300.0
"""For the application to listen; for all visits of one plan."""

WIRE = LinkShape(rate_mbps=100, delay_ms=1)

ACCOUNTS = ("accounts", "members", "people", "users")
ITEMS = ("items", "tools", "things", "goods")
BOARDS = ("messages", "notes", "board", "posts")
SEARCHES = ("search", "find", "catalogue")
ITEM_PAGES = ("item", "details", "show")
WRITES = ("write", "publish", "say")
PAYS = ("pay", "transfer", "send")
WORDS = ("word", "text", "q")
ORDERS = ("order", "sort", "by")
PAYEES = ("to", "payee", "member")
SOUND = ("login", "search", "item", "write")
ENCODED = ("text", "link", "result", "field")

TABLES = """
CREATE TABLE {accounts} (name TEXT, password TEXT);
CREATE TABLE {items} (number INTEGER, title TEXT, price INTEGER, hidden INTEGER);
CREATE TABLE {board} (author TEXT, text TEXT, link TEXT);
CREATE TABLE payments (payer TEXT, payee TEXT, amount TEXT);
"""
THINGS = (
    ("Tent", 20),
    ("Ladder", 30),
    ("Five o'clock tea set", 12),
    ("Selection of union jacks", 5),
)
"""Title and price of what the search may show; numbered from 1."""

SURPRISE = "Surprise for bob"
"""What nobody may see yet."""

_MOST = 60
"""Number of characters of a text that a verdict quotes."""

Visit = Mapping[str, Any]
"""What `visitor.py` takes."""


class Lab(Assignment):
    """Repair a web application and its server."""

    @dataclass(frozen=True)
    class Parameters:
        """The variant."""

        accounts: str = param("accounts", "table of the members", choices=ACCOUNTS)
        items: str = param("items", "table of things to borrow", choices=ITEMS)
        board: str = param("messages", "table of the messages", choices=BOARDS)
        search: str = param("search", "page that searches", choices=SEARCHES)
        item: str = param("item", "page of one thing", choices=ITEM_PAGES)
        write: str = param("write", "where messages are sent", choices=WRITES)
        pay: str = param("pay", "where payments are sent", choices=PAYS)
        word: str = param("word", "the search's parameter", choices=WORDS)
        order: str = param("order", "the parameter that sorts", choices=ORDERS)
        payee: str = param("to", "the field for whom is paid", choices=PAYEES)
        sound: str = param("login", "the statement without a hole", choices=SOUND)
        encoded: str = param("text", "the text without a hole", choices=ENCODED)

    params: Parameters
    programs = ("nginx", "python3", "ss")

    @classmethod
    def variant(cls, random: SeededRandom) -> Mapping[str, Any]:
        """Names of tables, pages and parameters, and where the holes are not."""
        return {
            "accounts": random.choice(ACCOUNTS),
            "items": random.choice(ITEMS),
            "board": random.choice(BOARDS),
            "search": random.choice(SEARCHES),
            "item": random.choice(ITEM_PAGES),
            "write": random.choice(WRITES),
            "pay": random.choice(PAYS),
            "word": random.choice(WORDS),
            "order": random.choice(ORDERS),
            "payee": random.choice(PAYEES),
            "sound": random.choice(SOUND),
            "encoded": random.choice(ENCODED),
        }

    @property
    def mark(self) -> str:
        """What our client looks for in pages, with a number behind it."""
        return MARK

    @property
    def passwords(self) -> Mapping[str, str]:
        """Member → password."""
        return {"alice": "rosebud", "bob": "swordfish", "dora": "buttercup", "eve": "cuckoo"}

    def data(self) -> str:
        """The tables and what is in them, as SQL."""
        p = self.params
        lines = [TABLES.format(accounts=p.accounts, items=p.items, board=p.board)]
        lines += [
            f"INSERT INTO {p.accounts} VALUES ({_text(name)}, {_text(password)});"
            for name, password in self.passwords.items()
        ]
        things = [(*thing, 0) for thing in THINGS] + [(SURPRISE, 99, 1)]
        lines += [
            f"INSERT INTO {p.items} VALUES ({number}, {_text(title)}, {price}, {hidden});"
            for number, (title, price, hidden) in enumerate(things, 1)
        ]
        return "\n".join(lines) + "\n"

    # ---- in the network

    def topology(self) -> Single:
        """A client, the server, and an attacker."""
        return Single(3, WIRE)

    def inputs(self) -> Mapping[str, str]:
        """Our client, and the data."""
        return {VISITOR: Path(__file__).with_name(VISITOR).read_text("utf-8"), DATA: self.data()}

    def run(self, net: RunningNetwork) -> None:
        """Starts the student's application and nginx, then sends visitors."""
        net.capture(f"{CLIENT}-eth0")
        command = ["python3", "app.py", str(APP_PORT), f"/given/{DATA}"]
        given = {f"/given/{DATA}": str(net.path / DATA)}
        app = self.submission.start_program(net, SERVER, command, log="app", shown=given)
        try:
            net.wait_until(
                f"port {APP_PORT}",
                lambda: not app.running or f":{APP_PORT} " in net.exec(SERVER, "ss", "-Hltn"),
                START_S,
                every_s=0.2,
            )
        except ConvergenceError as error:
            raise SubmissionError(f"app.py: {error}") from None
        if not app.running:
            words = app.output().strip().splitlines() or ["no output"]
            raise SubmissionError(f"app.py: ended at once: {shown(words[-1])}")
        self.submission.start_nginx(net, SERVER, "site.conf")
        self.visit(net, "public", self.public_visits())

    def visit(
        self, net: RunningNetwork, log: str, visits: Sequence[Visit], *, port: int = WEB_PORT
    ) -> None:
        """Makes visits from the client's host, one after another.

        Raises:
            SubmissionError: the site sends something without end, or that ends our client.
        """
        address = net.address(SERVER)
        plan = {"address": address, "port": port, "mark": self.mark, "visits": visits}
        (net.path / f"plan-{log}.json").write_text(json.dumps(plan, indent=1), encoding="utf-8")
        argv = ["/usr/bin/python3", "-I", str(net.path / VISITOR)]
        argv.append(str(net.path / f"plan-{log}.json"))
        visitor = net.start(CLIENT, *argv, log=f"visits-{log}")
        try:
            visitor.check(VISITS_S)
        except ConvergenceError:
            raise SubmissionError(
                f"app.py: {len(visits)} visits take longer than {VISITS_S:g} s"
            ) from None
        except CommandError:
            raise SubmissionError("app.py: sends what no visitor can read") from None

    # ---- visits

    def login(self, name: str, user: str, password: str = "", **more: Any) -> Visit:
        """Logs in; with the right password, unless another is given."""
        fields = {"user": user, "password": password or self.passwords.get(user, "")}
        return {"name": name, "path": "/login", "method": "POST", "fields": fields, **more}

    def look(self, name: str, who: str = "", **more: Any) -> Visit:
        """Looks at the front page."""
        return {"name": name, "path": "/", "who": who, **more}

    def find(self, name: str, word: str, **query: str) -> Visit:
        """Searches."""
        p = self.params
        return {"name": name, "path": f"/{p.search}", "query": {p.word: word, **query}}

    def open_item(self, name: str, number: str) -> Visit:
        """Opens the page of one thing."""
        return {"name": name, "path": f"/{self.params.item}", "query": {"number": number}}

    def say(self, name: str, who: str, text: str, link: str = "") -> Visit:
        """Writes a message by the site's own form."""
        fields = {"text": text, "link": link}
        return {"name": name, "who": who, "form": f"/{self.params.write}", "fields": fields}

    def give(self, name: str, who: str, payee: str, amount: str = "5", **more: Any) -> Visit:
        """Pays by the site's own form."""
        fields = {self.params.payee: payee, "amount": amount}
        form = f"/{self.params.pay}"
        return {"name": name, "who": who, "form": form, "fields": fields, **more}

    def public_visits(self) -> list[Visit]:
        """Everything that an honest member does."""
        return [
            self.look("front"),
            self.find("found", "tea"),
            self.open_item("item", "2"),
            self.login("login", "alice", who="alice"),
            self.look("logged-in", "alice"),
            self.say("say", "alice", "Who has the ladder?", "https://club.example/a?b=1&c=2"),
            self.give("give", "alice", "bob"),
            self.look("after", "alice"),
            {"name": "logout", "who": "alice", "form": "/logout"},
            self.look("logged-out", "alice"),
        ]

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """What visitors reported: `visit` and the columns of `visitor.py`."""
        import pandas as pd

        rows = []
        for path in sorted((data.path / "logs").glob("visits-*.log")):
            rows += [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        return {"visits": pd.DataFrame(rows)}

    def got(self, tables: Tables, name: str) -> dict[Any, Any]:
        """What a visit brought; its ``text`` is empty if that was no page.

        ``said`` is all that came, as it was sent and decoded.
        """
        row = dict(tables.row("visits", visit=name))
        texts, lists = (
            ("text", "everything", "unreadable"),
            ("links", "values", "scripts", "places"),
        )
        for column in (*texts, *lists):
            value = row.get(column)
            empty: Any = "" if column in texts else []
            row[column] = value if isinstance(value, str | list) else empty
        row["said"] = "\n".join([row["body"], row["text"], row["everything"]])
        return row

    def shows(self, tables: Tables, name: str, text: str, called: str = "") -> Verdict:
        """A page comes with this text; `called` stands for a text that students do not know."""
        row, words = self.got(tables, name), called or shown(text, _MOST)
        missing = text not in row["text"]
        return holds(
            row["status"] == 200 and not missing,
            observed=f"{name}: {_status(row)}" + f", without {words}" * missing,
            expected=f"{name}: 200, {words}",
        )

    def lacks(self, tables: Tables, name: str, *texts: str, called: str = "") -> Verdict:
        """None of these texts is in what came, and a page can be read; `called`: see `shows`."""
        row, words = self.got(tables, name), called or " or ".join(texts)
        there = any(text in row["said"] for text in texts)
        return holds(
            not there and not row["unreadable"],
            observed=f"{name}: {_status(row)}" + f", with {words}" * there,
            expected=f"{name}: without {words}",
        )

    def has_link(self, tables: Tables, name: str, address: str, called: str = "") -> Verdict:
        """A page has a link that leads there; `called`: see `shows`."""
        there, words = address in self.got(tables, name)["links"], called or f"a link to {address}"
        return holds(
            there,
            observed=f"{name}: {words} is {'there' if there else 'missing'}",
            expected=f"{name}: {words}",
        )

    # ---- public checks

    @claim("Honest visitors can do all that they could do before.", source="the handout")
    def works(self, tables: Tables) -> Verdict:
        """Pages, a search, a login, a message with its link, a payment, the end."""
        logged_in = self.shows(tables, "logged-in", "You are alice.")
        return share_of(
            [
                logged_in,
                self.shows(tables, "front", "Search"),
                self.shows(tables, "found", "Five o'clock tea set: 12"),
                self.shows(tables, "item", "Ladder: 30"),
                self.shows(tables, "after", "alice: Who has the ladder?"),
                self.has_link(tables, "after", "https://club.example/a?b=1&c=2"),
                self.shows(tables, "after", "paid bob 5"),
                *gated([logged_in], [self.lacks(tables, "logged-out", "You are alice")]),
            ]
        )


def gated(honest: Iterable[Verdict], attacks: Iterable[Verdict]) -> list[Verdict]:
    """Attacks that must fail, which count only where the honest counterpart works."""
    broken = [v for v in honest if v.status != "PASS"]
    if not broken:
        return list(attacks)
    why = f"but honest visitors fail, too: {broken[0].observed}"
    return [
        holds(False, observed=f"{attack.observed}; {why}", expected=broken[0].expected)
        for attack in attacks
    ]


def _status(row: Mapping[str, Any]) -> str:
    """Of a response, in words."""
    if row["unreadable"]:
        return f"{row['status']}, with a page that cannot be parsed"
    return str(row["status"] or "no answer")


def _text(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("'", "''") + "'"
