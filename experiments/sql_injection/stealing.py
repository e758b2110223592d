"""What injected text can do to pages without a defence."""

from __future__ import annotations

from analysis.dissect import http
from testbed import Experiment, Tables, Verdict, all_of, at_most, claim, holds, near, same
from testbed.daemons.database_pages import DatabasePages

from .attacks import BEARS_STALL_S, BITS, FIRST_LETTERS, UNIT_MS, VICTIM
from .outcomes import (
    SERVER,
    answers,
    asked,
    beside,
    codes,
    from_pauses,
    from_truth,
    pauses_ms,
    shown,
)


class Stealing(Experiment):
    """What injected text can do to pages without a defence."""

    @claim(
        "Text that is put into a statement can become a part of it: with a quote and a comment, "
        "an attacker logs in without the password.",
        source="OWASP Top 10 (2021), A03; CWE-89",
    )
    def comment_replaces_the_password(self, tables: Tables) -> Verdict:
        """The name ends its string and hides the comparison of the password."""
        statement = asked(tables, "none", "comment")[0]["text"]
        return all_of(
            same(
                http.text(answers(tables, "none", "comment")[0]), "welcome alice", "the page says"
            ),
            holds("'alice' --'" in statement, observed=statement, expected="the text as it came"),
        ).because("login", shown(tables, "none", "comment"))

    @claim(
        "UNION adds the rows of another table to a page: a search for goods shows passwords.",
        source="CWE-89; SQL-92 §7.10",
    )
    def union_reads_another_table(self, tables: Tables) -> Verdict:
        """The page of a search."""
        statement = asked(tables, "none", "union")[0]["text"]
        said = http.text(answers(tables, "none", "union")[0])
        return all_of(
            holds(VICTIM in said, observed=said, expected=f"contains {VICTIM}"),
            holds("FROM/**/accounts" in statement, observed=statement, expected="two tables"),
        ).because("search", shown(tables, "none", "union"))

    @claim("Where a number is expected, an attack needs no quote.", source="CWE-89")
    def numbers_need_no_quote(self, tables: Tables) -> Verdict:
        """The page of one item."""
        statement = asked(tables, "none", "number")[0]["text"]
        said = http.text(answers(tables, "none", "number")[0])
        return all_of(
            same(said, VICTIM, "the page says"), same("'" in statement, False, "quotes in it")
        ).because("item", shown(tables, "none", "number"))

    @claim(
        "A page that shows the database's errors shows its data: an error about a password that is "
        "no number quotes the password.",
        source="CWE-209",
    )
    def errors_tell(self, tables: Tables) -> Verdict:
        """The page after a conversion that fails."""
        row = answers(tables, "none", "error")[0]
        said = http.text(row)
        return all_of(
            same(int(row["status"]), 500, "status"),
            holds(VICTIM in said, observed=said, expected=f"contains {VICTIM}"),
        ).because("item", shown(tables, "none", "error"))

    @claim(
        f"A page that says only yes or no tells everything: {BITS} questions give a letter.",
        source="CWE-89 (blind SQL injection)",
    )
    def yes_and_no_spell_a_word(self, tables: Tables) -> Verdict:
        """Each question asks for one bit of a letter."""
        questions = len(answers(tables, "none", "truth"))
        return all_of(
            same(from_truth(tables, "none"), VICTIM[:FIRST_LETTERS], "read"),
            near(questions / FIRST_LETTERS, BITS, abs=0, unit="questions a letter"),
        ).because("first questions", shown(tables, "none", "truth"))

    @claim(
        "A page that always says the same can still be slow or fast: one question gives a letter.",
        source="CWE-208; PostgreSQL, section 9.9 (pg_sleep)",
        bears_stall_s=BEARS_STALL_S,
    )
    def delays_spell_a_word(self, tables: Tables) -> Verdict:
        """Each answer is late by the letter's number times a unit."""
        late_ms = pauses_ms(tables, "none")
        off_ms = [abs(one - round(one / UNIT_MS) * UNIT_MS) for one in late_ms]
        return all_of(
            same(from_pauses(tables, "none"), VICTIM, "read"),
            at_most(max(off_ms), UNIT_MS / 2, unit="ms off a letter"),
            same(len({int(r["status"]) for r in answers(tables, "none", "time")}), 1, "statuses"),
        ).because("questions", shown(tables, "none", "time"))

    @claim(
        "A second statement after a semicolon changes data: the attacker gets into the account, "
        "and its owner no longer does.",
        source="CWE-89",
    )
    def second_statement_writes(self, tables: Tables) -> Verdict:
        """The attacker's new password, then the owner's old one."""
        rows = answers(tables, "none", "write")
        statement = asked(tables, "none", "write")[0]["text"]
        return all_of(
            same([int(row["status"]) for row in rows[1:]], [200, 403], "new and old password"),
            holds("; UPDATE" in statement, observed=statement, expected="two statements"),
        ).because("item and logins", shown(tables, "none", "write"))

    @claim(
        "The weakness also shows without any attacker: a name with an apostrophe breaks the page.",
        source="CWE-89",
    )
    def apostrophes_break_pages(self, tables: Tables) -> Verdict:
        """O'Brien logs in; somebody looks for the baker's tin."""
        found = codes(tables, "none", "login", "search", "apostrophe", "search-apostrophe")
        wanted = dict(zip(found, (200, 200, 500, 500), strict=True))
        return same(found, wanted, "status").because(
            "pages", shown(tables, "none", "apostrophe", "search-apostrophe")
        )

    @claim(
        "The database's log has each statement as it was on the wire, with the injected text.",
        source="PostgreSQL, section 20.8 (log_statement)",
    )
    def log_has_what_the_wire_has(self, tables: Tables) -> Verdict:
        """All statements of PostgreSQL's clients, in their order."""
        sent = tables.of("statements", capture=SERVER)
        log = tables.of("log")
        return all_of(
            same(len(log), len(sent), "statements"),
            same(list(log["text"]) == list(sent["text"]), True, "same texts"),
            same(sorted(set(log["user"])), sorted(DatabasePages.users), "users"),
        ).because("requests, statements, log", beside(tables, "none"))
