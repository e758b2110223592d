"""The page diet lab's own measuring: when a page has come, and pages that hang or leave."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from labs.page_diet import looking, slow_page
from labs.page_diet.lab import GOODBYE_BYTES, Lab
from testbed.core.errors import ConvergenceError
from testbed.core.tables import Tables

WANTED = slow_page.SlowPage("www.lakeside.example", 4, 1)
LOOKED = json.dumps({"text": "hello", "pictures": []})


def page(*answers):
    """A page that answers scripts so, and then hangs."""
    left = iter(answers)

    def inspect(script):
        for answer in left:
            return answer
        raise ConvergenceError("answer to Runtime.evaluate", 60, "it does not come")

    return SimpleNamespace(inspect=inspect)


@pytest.mark.parametrize(("answers", "text"), [((), ""), ((LOOKED,), "hello")])
def test_a_page_that_hangs_has_what_was_seen_before(answers, text):
    found = looking.look(page(*answers), WANTED)
    assert (found["text"], found["pictures"], found["did"]) == (text, [], {})
    assert "it does not come" in found["error"]


class Told(Lab):
    """Has the packets it is given."""

    def __init__(self, *packets):
        self.packets = pd.DataFrame(packets, columns=["time_s", "tcp_payload_bytes"])

    def received(self, tables, visit):
        return self.packets


@pytest.mark.parametrize(
    ("late", "took_ms"),
    [
        ([], 200),
        ([(61.0, 24), (61.1, GOODBYE_BYTES - 24)], 200),
        ([(3.0, GOODBYE_BYTES + 1)], 2000),
        ([(3.0, 600), (4.0, 600)], 2000),
    ],
)
def test_a_page_has_come_when_all_but_goodbyes_have(late, took_ms):
    asked = pd.DataFrame({"visit": ["mobile"], "type": ["Document"], "status": [200]})
    visits = pd.DataFrame([{"visit": "mobile", "began_ns": 10**9, "loaded_ns": 2 * 10**8}])
    tables = Tables(visits=visits, requests=asked)
    assert Told((1.1, 1448), (1.15, 1448), *late).page_ms(tables, "mobile") == took_ms
