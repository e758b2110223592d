"""`--perturb`: which delays move, how far, and that nothing else does."""

from __future__ import annotations

import pytest

from testbed import LinkShape, Topo
from testbed.author.perturbation import PerturbedNetwork, move_delays
from testbed.author.running_network import RunningNetwork
from testbed.core.errors import ConfigError
from testbed.core.parameters import percent
from testbed.net.tclink import shape_of


class Three(Topo):
    def build(self):
        h1, h2, h3 = (self.addHost(name) for name in ("h1", "h2", "h3"))
        self.addLink(h1, h2, shape=LinkShape(rate_mbps=10, delay_ms=100, queue_bdp=1))
        self.addLink(h2, h3, delay="10ms", bw=5, loss=2)
        self.addLink(h1, h3)


def shapes(topo):
    return [shape_of(info, side) for *_, info in topo.links(withInfo=True) for side in (1, 2)]


def moved(percent, seed):
    topo = Three()
    move_delays(topo, percent, seed)
    return shapes(topo)


def test_the_seed_moves_delays_by_no_more_than_the_share_and_each_way_by_its_own():
    for before, after in zip(shapes(Three()), moved(5, 1), strict=True):
        assert abs(after.delay_ms - before.delay_ms) <= 0.05 * before.delay_ms
        assert (after.delay_ms != before.delay_ms) == (before.delay_ms > 0)
    delays = [shape.delay_ms for shape in moved(5, 1)]
    assert delays == [shape.delay_ms for shape in moved(5, 1)]
    assert delays != [shape.delay_ms for shape in moved(5, 2)]
    assert delays[0] != delays[1]


def test_rates_queues_and_losses_stay():
    for before, after in zip(shapes(Three()), moved(50, 3), strict=True):
        for field in ("rate_mbps", "loss_percent", "queue_limit_pkts", "qdisc", "mtu_bytes"):
            assert getattr(after, field) == getattr(before, field)


def waits(monkeypatch, seed):
    found = []
    monkeypatch.setattr(RunningNetwork, "__init__", lambda *_: None)
    monkeypatch.setattr(RunningNetwork, "sleep", lambda _, seconds: found.append(seconds))
    monkeypatch.setattr(RunningNetwork, "start", lambda *_, **__: None)
    net = PerturbedNetwork(None, None, "main", percent=10, seed=seed)
    net.sleep(100)
    for _ in range(20):
        net.start("h1", "true")
    return found


def test_waits_and_starts_move_with_the_seed(monkeypatch):
    first, *starts = waits(monkeypatch, 1)
    assert 90 <= first <= 110
    assert first != 100
    assert all(0 <= start <= 0.1 for start in starts)
    assert len(set(starts)) == 20
    assert waits(monkeypatch, 1) == [first, *starts]
    assert waits(monkeypatch, 2) != [first, *starts]


@pytest.mark.parametrize(("text", "share"), [("1%", 1), ("0.5", 0.5), (" 2 % ", 2), ("0", 0)])
def test_a_share_is_a_number_with_or_without_its_sign(text, share):
    assert percent(text, "--perturb", 50) == share


@pytest.mark.parametrize("text", ["60%", "-1", "nan", "much", "", "1%%"])
def test_a_share_that_is_none_names_its_option(text):
    with pytest.raises(ConfigError, match=r"^--perturb: "):
        percent(text, "--perturb", 50)
