"""Defences that stop some attacks and leave others."""

from __future__ import annotations

from analysis.dissect import http
from testbed import Experiment, Tables, Verdict, all_of, claim, holds, same

from .attacks import ATTACKS, BEARS_STALL_S
from .outcomes import answers, codes, fits, shown, working


class Halves(Experiment):
    """Defences that stop some attacks and leave others."""

    @claim(
        "Doubling the quotes keeps text inside its string; it does nothing where a number is "
        "expected.",
        source="OWASP SQL Injection Prevention Cheat Sheet, option 4",
        bears_stall_s=BEARS_STALL_S,
    )
    def escaping_protects_text_alone(self, tables: Tables) -> Verdict:
        """Attacks through the login and the search, and through an item's number."""
        wanted = ["number", "error", "truth", "time", "write"]
        honest = codes(tables, "escaping", "apostrophe", "search-apostrophe")
        return all_of(
            same(working(tables, "escaping"), wanted, "attacks that work"),
            same(honest, dict.fromkeys(honest, 200), "honest apostrophes"),
        ).because("pages", shown(tables, "escaping", "union", "number"))

    @claim(
        "A list of forbidden words stops only the usual spelling: with a comment in place of a "
        "space, the same attack works.",
        source="CWE-184",
        bears_stall_s=BEARS_STALL_S,
    )
    def forbidden_words_are_written_otherwise(self, tables: Tables) -> Verdict:
        """The same search with spaces and with comments."""
        stopped = ["comment", "usual-union", "write"]
        wanted = [name for name in ATTACKS if name not in stopped]
        return same(working(tables, "blocking"), wanted, "attacks that work").because(
            "searches", shown(tables, "blocking", "usual-union", "union")
        )

    @claim(
        "Input checks protect fields of a fixed form, such as a number or a name of letters, and "
        "turn away honest people whose names do not fit. ⚠ Passwords and searches are free text: "
        "there is no form to check, and they stay open.",
        source="OWASP Input Validation Cheat Sheet; CWE-20",
        bears_stall_s=BEARS_STALL_S,
    )
    def checks_need_a_form(self, tables: Tables) -> Verdict:
        """Letters alone in names, digits alone in numbers, anything in passwords and words."""
        honest = codes(tables, "checking", "login", "item", "apostrophe")
        wanted = ["password", "usual-union", "union"]
        return all_of(
            same(working(tables, "checking"), wanted, "attacks that work"),
            same(honest, {"login": 200, "item": 200, "apostrophe": 400}, "honest visitors"),
        ).because("pages", shown(tables, "checking", "number", "union", "apostrophe"))

    @claim(
        "Hiding error messages closes one channel alone: yes-or-no answers and the time that an "
        "answer takes still give the data away.",
        source="CWE-209",
        bears_stall_s=BEARS_STALL_S,
    )
    def silence_stops_errors_alone(self, tables: Tables) -> Verdict:
        """The page after an error, and all other attacks."""
        wanted = [name for name in ATTACKS if name != "error"]
        said = http.text(answers(tables, "quiet", "error")[0])
        return all_of(
            same(working(tables, "quiet"), wanted, "attacks that work"),
            same(said, "an error", "the page says"),
        ).because("item", shown(tables, "quiet", "error"))

    @claim(
        "Least privilege: if a page's database user may read the goods and nothing else, injected "
        "text cannot reach the accounts. It does not protect the page that must read them: the "
        "login.",
        source="OWASP SQL Injection Prevention Cheat Sheet, least privilege; PostgreSQL, GRANT",
        bears_stall_s=BEARS_STALL_S,
    )
    def least_privilege_limits_the_damage(self, tables: Tables) -> Verdict:
        """Each page has a database user of its own."""
        said = http.text(answers(tables, "least-privilege", "union")[0])
        honest = codes(tables, "least-privilege", "login", "search", "item")
        wanted = ["comment", "hidden-comment", "password"]
        return all_of(
            same(working(tables, "least-privilege"), wanted, "attacks that work"),
            holds("permission denied" in said, observed=said, expected="permission denied"),
            same(honest, dict.fromkeys(honest, 200), "honest visitors"),
        ).because("search and login", shown(tables, "least-privilege", "union", "comment"))

    @claim(
        "The attack is on SQL, not on one product: with SQLite the same texts log in and read "
        "another table. Its driver takes one statement at a time, so a second one fails.",
        source="SQLite documentation, sqlite3_prepare; Python documentation, sqlite3",
        bears_stall_s=BEARS_STALL_S,
    )
    def other_databases_are_open_too(self, tables: Tables) -> Verdict:
        """The attacks that use no function of PostgreSQL."""
        wanted = [name for name in ATTACKS if fits("sqlite", name) and name != "write"]
        said = http.text(answers(tables, "sqlite", "write")[0])
        return all_of(
            same(working(tables, "sqlite"), wanted, "attacks that work"),
            holds("one statement" in said, observed=said, expected="one statement at a time"),
        ).because("pages", shown(tables, "sqlite", "union", "write"))
