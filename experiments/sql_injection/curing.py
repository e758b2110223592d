"""The cure: statement and values travel apart."""

from __future__ import annotations

from testbed import Experiment, Tables, Verdict, all_of, claim, same

from .attacks import ATTACKS, BEARS_STALL_S, HONEST
from .outcomes import asked, codes, shown, working

_LOGIN = "SELECT name FROM accounts WHERE name = $1 AND password = $2"


class Curing(Experiment):
    """The cure: statement and values travel apart."""

    @claim(
        "With parameters the statement is the same whatever a visitor types: the values travel "
        "separately and are never read as SQL.",
        source="PostgreSQL, section 55.2.3 (extended query: Parse, Bind)",
    )
    def parameters_travel_apart(self, tables: Tables) -> Verdict:
        """An honest login and a hostile one, on the wire to the database."""
        names = ("login", "hidden-comment")
        found = {name: asked(tables, "parameters", name)[0] for name in names}
        texts = {name: row["text"] for name, row in found.items()}
        values = {name: list(row["values"]) for name, row in found.items()}
        return all_of(
            same(texts, dict.fromkeys(names, _LOGIN), "statement"),
            same(values["hidden-comment"], ["alice'/*", "*/AND/**/''='"], "values"),
        ).because("logins", shown(tables, "parameters", *names))

    @claim(
        "Parameters stop all of these attacks, and honest visitors lose nothing: apostrophes work.",
        source="OWASP SQL Injection Prevention Cheat Sheet, option 1",
        bears_stall_s=BEARS_STALL_S,
    )
    def parameters_stop_all(self, tables: Tables) -> Verdict:
        """Each attack, and each honest request, with a database user that may do anything."""
        honest = codes(tables, "parameters", *HONEST)
        return all_of(
            same(working(tables, "parameters"), [], f"of {len(ATTACKS)} attacks work"),
            same(honest, dict.fromkeys(HONEST, 200), "honest visitors"),
        ).because("pages", shown(tables, "parameters", "union", "number", "apostrophe"))
