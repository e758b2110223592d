"""A firewall in every switch: rules from a file in table 0, a learning switch in table 1.

The rules are flows: a switch obeys them without asking, and counts what each one caught.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller import learning_switch, rules
from controller.learning_switch import LearningSwitch
from controller.settings import SettingsError

RULES, FORWARDING_TABLE = 0, 1


@dataclass(frozen=True)
class Settings(learning_switch.Settings):
    """Those of the learning switch, and the file of rules (see `controller.rules`)."""

    rules: str = ""


def check(settings: Settings) -> list[rules.Rule]:
    """The rules; raises SettingsError if there are none to be had."""
    path = Path(settings.rules)
    if not path.is_file():
        raise SettingsError(f"setting rules: '{path}' is not a file")
    return rules.parse(path.read_text(encoding="utf-8"), path.name)


class Firewall(LearningSwitch):
    """Puts the rules into each switch that joins."""

    Settings = Settings
    miss_table = FORWARDING_TABLE

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rules = check(self.settings)

    def prepare(self, switch: Any) -> None:
        """The first rule gets the highest priority; what none speaks of is dropped."""
        for number, rule in enumerate(self.rules):
            self.install(
                switch,
                rules.HIGHEST_PRIORITY - number,
                rule.match(),
                [],
                table=RULES,
                goto=FORWARDING_TABLE if rule.allow else None,
                cookie=number + 100,
            )
        self.install(switch, 0, {}, [], table=RULES)
