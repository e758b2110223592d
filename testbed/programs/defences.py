"""What the attacked web programs do against attacks, and what they can do wrong.

Read by programs and experiments, so it imports nothing. A program makes its flaws only when asked.
"""

BANK = {
    "none": "takes each request that has the cookie",
    "lax": "its cookie is SameSite=Lax",
    "strict": "its cookie is SameSite=Strict",
    "origin": "refuses requests from foreign origins",
    "token": "wants a secret that only its own form has, and nothing by GET",
    "framing": "forbids other sites to show it in a frame",
    "password": "asks for the password again with each transfer",
    "all": "Lax, origin, token and framing together",
}
"""`testbed.programs.bank`: defence against forged requests → what it means."""

BANK_ACCOUNTS = {"alice": "rosebud", "mallory": "letmein"}
"""Name → password of those who may log in to it."""

BANK_FLAWS = {
    "closed": "everything is refused that a foreign page could send",
    "loose-cookies": "no cookie has a SameSite of its own",
    "no-origin": "the origin is not looked at",
    "no-token": "the token is not looked at",
    "no-password": "the password is not looked at",
    "framed": "every site may show it in a frame",
    "open-preflight": "other origins are allowed whatever they ask for",
}
"""Mistake of the bank → what it means."""

BOARD = {
    "none": "shows text as it came",
    "blocking": "removes <script> from it",
    "encoding": "shows each special character as itself (&lt; for <)",
    "sanitising": "lets a few harmless elements through, and removes all others",
    "http-only": "none, but scripts cannot read the session's cookie",
    "policy": "none, but a Content-Security-Policy forbids scripts inside the page",
    "all": "encoding, checked links, text as text in scripts, HttpOnly, and a policy",
}
"""`testbed.programs.message_board`: defence against scripts of visitors → what it means."""

BOARD_FLAWS = {
    "encoded-everywhere": "every page encodes, checks links, and treats text as text in scripts",
    "no-blocking": "nothing is removed",
    "no-encoding": "nothing is encoded",
    "no-sanitising": "all elements are let through",
    "script-cookies": "scripts can read every session's cookie",
    "no-policy": "no Content-Security-Policy is sent",
    "one-weak-page": "the pages with all defences show messages as they came",
}
"""Mistake of the board → what it means."""

MEMBERS = {
    "none": "ids and tokens travel as they are; ids are counted",
    "http-only": "scripts cannot read the cookie",
    "https": "everything by TLS; whoever comes without is sent there",
    "secure": "the same, and the cookie has the attribute Secure",
    "rotation": "each login gets a new id",
    "short-ids": "ids are random, but short",
    "random-ids": "ids are random numbers of 128 bits",
    "agent": "a session belongs to the browser that logged in, by its User-Agent",
    "address": "a session belongs to the address that logged in",
    "short-lived": "tokens live for seconds, and are renewed",
    "revocation": "the server remembers tokens that were revoked",
    "all": "Secure, HttpOnly, rotation, random ids, address; short tokens that can be revoked",
}
"""`testbed.programs.member_pages`: defence against stolen sessions → what it means."""

MEMBERS_FLAWS = {
    "strict-ids": "no session is taken from an address",
    "random-everywhere": "ids that would be counted are random",
    "secure-everywhere": "all cookies have the attribute Secure",
    "no-tls": "nobody is sent to TLS",
    "no-secure": "no cookie has the attribute Secure",
    "no-rotation": "a login keeps the id",
    "counted": "all ids are counted",
    "unbound": "sessions belong to whoever has the id",
    "endless-tokens": "a token's expiry is not checked",
    "forgetful": "revoked tokens are forgotten",
}
"""Mistake of the site → what it means."""

SHOP = {
    "none": "puts the text into the statement as it came",
    "escaping": "doubles the quotes in it",
    "blocking": "refuses what contains certain words",
    "checking": "refuses names that are not letters and numbers that are not digits",
    "quiet": "tells nothing of the database's errors",
    "least-privilege": "has a database user for each task, with the rights that it needs",
    "parameters": "sends the statement and the values apart",
    "sqlite": "none, with SQLite in place of PostgreSQL",
}
"""`testbed.programs.database_pages`: defence against injected SQL → what it means."""

SHOP_FLAWS = {
    "parameters-everywhere": "all pages use parameters",
    "no-parameters": "the pages named after them use none",
    "no-escaping": "nothing is doubled",
    "no-blocking": "no word is refused",
    "no-checking": "nothing is checked",
    "loud": "all pages show the errors of the database",
    "owner": "all pages use the user that owns the tables",
    "scripts": "SQLite runs all statements in a text",
}
"""Mistake of the shop → what it means."""
