import inspect
from dataclasses import dataclass

import pytest

import testbed
from testbed.author.experiment import load_file
from testbed.cli.options import run_options
from testbed.cli.sweep import sweep_options
from testbed.core.errors import ConfigError, ExitCode
from testbed.core.parameters import RESERVED, build, param, parameters_of


@dataclass(frozen=True)
class Parameters:
    rate_mbps: float = param(10.0, "rate", unit="Mbit/s", low=0.1, high=1000)
    count: int = param(3, "how many", low=1)
    cc: tuple[str, ...] = param(("reno",), "controls", choices=("reno", "cubic", "bbr"))
    delays_ms: tuple[float, ...] = param((1.0, 2.0), "delays", unit="ms", low=0)
    ecn: bool = param(False, "mark")


def test_defaults_stand_where_nothing_is_given():
    assert build(Parameters, {}) == Parameters()


def test_strings_and_json_values_give_the_same():
    from_line = build(Parameters, {"rate-mbps": "50", "cc": "bbr, cubic", "delays_ms": "3,4"})
    from_json = build(Parameters, {"rate_mbps": 50, "cc": ["bbr", "cubic"], "delays_ms": [3, 4.0]})
    assert from_line == from_json
    assert from_line.cc == ("bbr", "cubic")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("rate_mbps", "10Mbit", ["--rate-mbps", "'10Mbit'", "Mbit/s", "without the unit"]),
        ("rate_mbps", "-1", ["--rate-mbps", "out of range", "0.1 to 1000"]),
        ("rate_mbps", "0", ["out of range"]),
        ("rate_mbps", "nan", ["out of range"]),
        ("rate_mbps", "1e9", ["out of range"]),
        ("count", "2.5", ["--count", "whole number"]),
        ("count", True, ["--count"]),
        ("cc", "cubik", ["--cc", "did you mean 'cubic'"]),
        ("cc", "", ["--cc", "empty"]),
        ("cc", "reno,,bbr", ["--cc"]),
        ("ecn", "maybe", ["--ecn"]),
        ("rate_mpbs", "1", ["--rate-mpbs", "did you mean '--rate-mbps'"]),
    ],
)
def test_bad_values_name_the_field_and_what_is_allowed(name, value, words):
    with pytest.raises(ConfigError) as error:
        build(Parameters, {name: value})
    assert error.value.exit_code == ExitCode.USAGE
    assert len(str(error.value).splitlines()) == 1
    for word in words:
        assert word in str(error.value)


def test_options_and_limits_are_said_in_words():
    by_name = {p.name: p for p in parameters_of(Parameters)}
    assert by_name["rate_mbps"].option == "--rate-mbps"
    assert by_name["rate_mbps"].allowed == "0.1 to 1000 Mbit/s"
    assert by_name["cc"].allowed == "one of reno, cubic, bbr"


def field(name, kind=float, default=1.0):
    return dataclass(frozen=True)(
        type("Parameters", (), {"__annotations__": {name: kind}, name: param(default, "what")})
    )


def test_no_parameter_is_named_as_an_option_of_every_run():
    of_all = [*run_options(), *sweep_options()]
    options = {o.lstrip("-").replace("-", "_") for p in of_all for o in p.opts}
    in_python = set(inspect.signature(testbed.run).parameters) - {"experiment", "parameters"}
    assert options | in_python | {"help"} == set(RESERVED)
    for name in (*RESERVED, "as_json", "no_help"):
        with pytest.raises(
            ConfigError, match=f"parameter {name}: is the name of an option of every run"
        ):
            parameters_of(field(name))


def test_a_field_that_cannot_be_an_option_is_named():
    with pytest.raises(
        ConfigError, match="parameter weights: dict is not a type that an option can have"
    ):
        parameters_of(field("weights", dict, None))
    with pytest.raises(ConfigError, match="class Parameters: write @dataclass"):
        parameters_of(type("Parameters", (), {}))


def test_an_experiments_file_is_named_with_the_field(tmp_path):
    path = tmp_path / "seeded.py"
    path.write_text(
        "from dataclasses import dataclass\n"
        "from testbed.author.experiment import Experiment\n"
        "from testbed.core.parameters import param\n"
        "class Seeded(Experiment):\n"
        "    @dataclass(frozen=True)\n"
        "    class Parameters:\n"
        "        seed: int = param(1, 'seed')\n"
    )
    with pytest.raises(ConfigError, match=r"seeded\.py: parameter seed: .*rename"):
        load_file(path)


def test_lists_and_texts_have_an_upper_bound():
    with pytest.raises(ConfigError, match="--delays-ms: 101 values; at most 100"):
        build(Parameters, {"delays_ms": ",".join(["1"] * 101)})
    with pytest.raises(ConfigError, match="--cc: 1001 characters; at most 1000"):
        build(Parameters, {"cc": "x" * 1001})


def test_one_value_is_a_list_of_one():
    """From Python, `outages_s=2` means what `--outages-s 2` means on the command line."""

    @dataclass(frozen=True)
    class Options:
        outages_s: tuple[float, ...] = param((1.0,), "lengths", unit="s", low=0, high=10)

    assert build(Options, {"outages_s": 2}).outages_s == (2.0,)
    assert build(Options, {"outages_s": "2,3"}).outages_s == (2.0, 3.0)
