"""Run Mininet topologies on a Linux kernel with a virtual clock.

Experiments, labs, topologies and notebooks import from here (and from `testbed.daemons`) alone;
all else is inside the house and may change. A name's module is loaded when the name is touched,
so that a guest loads what `run` uses and nothing more.
"""

from testbed.core.version import __version__

TYPE_CHECKING = False  # importing `typing` costs the first process of a guest milliseconds
if TYPE_CHECKING:
    from testbed.author import (
        actions,
        bulk_flows,
        crafted,
        dns_lookups,
        endpoints,
        name_service,
        packet_scripts,
        plots,
        routing,
        sockets,
        steps,
        tls_steps,
        tunnels,
    )
    from testbed.author.actions import (
        Action,
        compute_checksums,
        filter_packets,
        in_order,
        ip,
        masquerade,
        nothing,
        own_program,
        ping,
        program,
        sysctl,
        unfilter,
        wait,
        when,
        zeros,
    )
    from testbed.author.defences import NO_DEFENCE, AttackExperiment, Defence, Layer, Outcome
    from testbed.author.dns_lookups import LookUps
    from testbed.author.endpoints import Conversation
    from testbed.author.evidence import none_of
    from testbed.author.experiment import Experiment
    from testbed.author.process import Process
    from testbed.author.running_network import RunningNetwork
    from testbed.author.steps import address, mac, pick, step
    from testbed.author.topo import Topo, number, whole_number, with_addresses
    from testbed.cli.python import run
    from testbed.core.checksum import internet_checksum
    from testbed.core.claims import (
        ANY_STALL,
        JUDGED_SHARE,
        Evidence,
        MissingDataError,
        Verdict,
        all_of,
        at_least,
        at_most,
        between,
        claim,
        first,
        holds,
        inconclusive,
        last,
        near,
        presuming,
        same,
        with_unjudged,
    )
    from testbed.core.errors import (
        CommandError,
        ConfigError,
        ConvergenceError,
        MissingPrerequisiteError,
        ParseError,
        TestbedError,
    )
    from testbed.core.parameters import param
    from testbed.core.tables import Tables
    from testbed.core.tcp import CONGESTION_CONTROLS, MSS_BYTES
    from testbed.grading.answers import shown
    from testbed.grading.assignment import Assignment
    from testbed.grading.partial_credit import share_of
    from testbed.grading.router_lab import RoutersLab
    from testbed.grading.submission import SubmissionError
    from testbed.grading.variants import SeededRandom
    from testbed.net.shape import ETHERNET_HEADER_BYTES, QDISCS, LinkShape
    from testbed.results.data import ScenarioData
    from testbed.results.finished import RepeatedRun, Run
    from testbed.results.opening import open
    from testbed.sweep.opened import Sweep, open_sweep

__all__ = [
    "ANY_STALL",
    "CONGESTION_CONTROLS",
    "ETHERNET_HEADER_BYTES",
    "JUDGED_SHARE",
    "MSS_BYTES",
    "NO_DEFENCE",
    "QDISCS",
    "Action",
    "Assignment",
    "AttackExperiment",
    "CommandError",
    "ConfigError",
    "ConvergenceError",
    "Conversation",
    "Defence",
    "Evidence",
    "Experiment",
    "Layer",
    "LinkShape",
    "LookUps",
    "MissingDataError",
    "MissingPrerequisiteError",
    "Outcome",
    "ParseError",
    "Process",
    "RepeatedRun",
    "RoutersLab",
    "Run",
    "RunningNetwork",
    "ScenarioData",
    "SeededRandom",
    "SubmissionError",
    "Sweep",
    "Tables",
    "TestbedError",
    "Topo",
    "Verdict",
    "__version__",
    "actions",
    "address",
    "all_of",
    "at_least",
    "at_most",
    "between",
    "bulk_flows",
    "claim",
    "compute_checksums",
    "crafted",
    "dns_lookups",
    "endpoints",
    "filter_packets",
    "first",
    "holds",
    "in_order",
    "inconclusive",
    "internet_checksum",
    "ip",
    "last",
    "mac",
    "masquerade",
    "name_service",
    "near",
    "none_of",
    "nothing",
    "number",
    "open",
    "open_sweep",
    "own_program",
    "packet_scripts",
    "param",
    "pick",
    "ping",
    "plots",
    "presuming",
    "program",
    "routing",
    "run",
    "same",
    "share_of",
    "shown",
    "sockets",
    "step",
    "steps",
    "sysctl",
    "tls_steps",
    "tunnels",
    "unfilter",
    "wait",
    "when",
    "whole_number",
    "with_addresses",
    "with_unjudged",
    "zeros",
]


_HOME = {
    "author": (
        "actions bulk_flows crafted dns_lookups endpoints name_service packet_scripts plots routing"
        " sockets steps tls_steps tunnels"
    ),
    "author.actions": (
        "Action compute_checksums filter_packets in_order ip masquerade nothing own_program ping"
        " program sysctl unfilter wait when zeros"
    ),
    "author.defences": "AttackExperiment Defence Layer NO_DEFENCE Outcome",
    "author.dns_lookups": "LookUps",
    "author.endpoints": "Conversation",
    "author.evidence": "none_of",
    "author.experiment": "Experiment",
    "author.process": "Process",
    "author.running_network": "RunningNetwork",
    "author.steps": "address mac pick step",
    "author.topo": "Topo number whole_number with_addresses",
    "cli.python": "run",
    "core.checksum": "internet_checksum",
    "core.claims": (
        "ANY_STALL Evidence JUDGED_SHARE MissingDataError Verdict all_of at_least at_most between"
        " claim first holds inconclusive last near presuming same with_unjudged"
    ),
    "core.errors": (
        "CommandError ConfigError ConvergenceError MissingPrerequisiteError ParseError TestbedError"
    ),
    "core.parameters": "param",
    "core.tables": "Tables",
    "core.tcp": "CONGESTION_CONTROLS MSS_BYTES",
    "grading.answers": "shown",
    "grading.assignment": "Assignment",
    "grading.partial_credit": "share_of",
    "grading.router_lab": "RoutersLab",
    "grading.submission": "SubmissionError",
    "grading.variants": "SeededRandom",
    "net.shape": "ETHERNET_HEADER_BYTES LinkShape QDISCS",
    "results.data": "ScenarioData",
    "results.finished": "RepeatedRun Run",
    "results.opening": "open",
    "sweep.opened": "Sweep open_sweep",
}
"""Module → the names that are imported from here."""


def __getattr__(name: str) -> object:
    """Loads a name's module now."""
    import importlib

    for module, names in _HOME.items():
        if name in names.split():
            home = importlib.import_module(f"{__name__}.{module}")
            found: object = getattr(home, name, None)
            if found is None:  # a module of that package
                found = importlib.import_module(f"{home.__name__}.{name}")
            globals()[name] = found
            return found
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
