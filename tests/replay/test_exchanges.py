"""Each claim of the protocol experiments holds in a sound network and falls in a broken one.

`FALLS` names, for each experiment, sets of faults and the claims that must fail with them. A run
with the defaults must hold every claim, and every claim must be in some set.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import nbclient
import nbformat
import pytest

from testbed.author.experiment import load
from testbed.core.claims import Status, Verdict
from testbed.execution import runner
from testbed.machine import kernel
from testbed.results import notebook

FALLS: dict[str, dict[str, set[str]]] = {
    "icmp": {
        "deaf,no-redirect,talkative,fragmenting,ttl-raised": {
            "echo_returns_the_data",
            "echo_takes_the_paths_delay",
            "routers_lower_the_ttl",
            "traceroute_names_the_routers",
            "expired_packets_go_no_further",
            "icmp_traceroute_ends_with_an_echo",
            "tcp_traceroute_ends_with_a_segment",
            "broadcasts_get_no_answer",
            "errors_are_rate_limited",
            "redirect_shortens_the_way",
            "path_mtu_is_discovered",
            "dropped_icmp_makes_a_black_hole",
        },
        "silent,no-probing": {
            "traceroute_names_the_routers",
            "udp_traceroute_ends_at_a_closed_port",
            "no_route_is_network_unreachable",
            "silent_host_is_host_unreachable",
            "unknown_protocol_is_protocol_unreachable",
            "closed_port_is_port_unreachable",
            "filter_says_prohibited",
            "errors_quote_the_packet",
            "errors_are_rate_limited",
            "redirect_shortens_the_way",
            "path_mtu_is_discovered",
            "probing_needs_no_icmp",
        },
    },
    "addressing": {
        "classful,on-link,one-route,small-aggregate,forwarding,open-loopback,no-join,no-nat,"
        "raised,options,relay,classless,no-record,plain,unfiltered,bleached": {
            "sender_chooses_the_first_ttl",
            "marks_are_carried",
            "link_local_is_not_forwarded",
            "protocol_says_what_is_inside",
            "classes_are_masks",
            "options_are_padded",
            "mask_decides_who_is_near",
            "one_wire_two_subnets",
            "longest_prefix_wins",
            "one_route_carries_four_networks",
            "limited_broadcast_stays",
            "directed_broadcast_ends_at_the_last_router",
            "loopback_stays_inside",
            "groups_are_joined_and_left",
            "translator_shares_one_address",
            "routers_change_ttl_and_checksum_only",
            "header_has_twenty_bytes",
        },
    },
    "arp": {
        "mute,no-proxy,honest,no-static,no-discovery,insistent": {
            "request_broadcast_reply_unicast",
            "answer_is_cached",
            "only_the_target_learns",
            "entries_grow_stale",
            "stale_entries_are_verified",
            "entries_go_through_their_states",
            "no_answer_is_failure",
            "proxy_answers_for_others",
            "conflicts_are_detected",
            "poisoning_moves_the_traffic",
            "static_entry_defends",
            "ipv6_solicits_a_group",
        },
        "flat,restless,credulous,chatty": {
            "only_the_target_learns",
            "entries_grow_stale",
            "stale_entries_are_verified",
            "arp_stays_on_its_lan",
            "announcements_update_and_do_not_create",
        },
    },
    "dhcp": {
        "no-options,no-arp,no-link-local,large-pool,no-release,"
        "one-server,no-relay,no-rogue,no-guard": {
            "acknowledgement_is_complete",
            "address_is_probed_first",
            "client_reaches_names",
            "empty_pool_makes_no_offer",
            "falls_back_to_link_local",
            "release_is_unicast",
            "rebinding_finds_another_server",
            "used_addresses_are_declined",
            "one_of_two_offers_is_taken",
            "relay_crosses_the_router",
            "rogue_server_becomes_the_gateway",
            "guarded_switch_stops_the_rogue",
        },
        "no-server": {
            "four_messages",
            "acknowledgement_is_complete",
            "client_reaches_names",
            "renews_at_half_time",
            "rebinding_finds_another_server",
            "lease_expires",
            "used_addresses_are_declined",
            "wrong_addresses_are_refused",
        },
    },
    "dns": {
        "no-cache,no-tcp,fixed-port,detour,alive,adopted,bare": {
            "latency_is_the_sum",
            "cache_counts_down",
            "expired_names_are_asked_again",
            "absence_is_cached",
            "aliases_are_followed",
            "mail_has_its_record",
            "addresses_have_names",
            "names_have_ipv6_addresses",
            "long_answers_come_by_tcp",
            "dead_servers_are_asked_again",
            "another_server_takes_over",
            "lame_delegations_fail",
            "ports_and_numbers_are_random",
        },
        "forwarding,eternal": {
            "walks_from_the_root",
            "recursion_is_for_clients",
            "authority_is_flagged",
            "cache_counts_down",
            "expired_names_are_asked_again",
            "absence_is_cached",
        },
    },
    "dns_spoofing": {
        "random-port,fixed-port,no-filter,no-validation": {
            "fixed_port_is_guessed",
            "lie_is_cached",
            "random_ports_defend",
            "senders_are_checked_at_home",
            "signatures_defend",
            "parents_vouch_for_keys",
            "altered_data_is_refused",
            "absence_is_signed",
        },
    },
    "layers": {
        "rewriting,translated,no-timestamps,other-port,small-segments,remembered": {
            "headers_add_up",
            "headers_name_the_layer_above",
            "lower_layers_come_first",
            "switches_change_nothing",
            "routers_change_frame_and_ttl",
            "addresses_have_their_reach",
            "headers_cost_four_percent",
        },
    },
    "fragmentation": {
        "small-mtu,no-room,large-buffer,no-df,patient,silent": {
            "fits_one_packet",
            "one_more_byte_is_cut",
            "offsets_count_eight_bytes",
            "length_has_sixteen_bits",
            "long_datagrams_are_truncated",
            "df_forbids_cutting_at_home",
            "df_forbids_cutting_on_the_way",
            "all_fragments_or_nothing",
            "reassembly_times_out",
            "ipv6_is_cut_at_the_source",
        },
        "wide,lossless": {
            "df_forbids_cutting_on_the_way",
            "routers_cut_and_hosts_join",
            "fragments_are_cut_again",
            "loss_grows_with_fragments",
            "ipv6_is_cut_at_the_source",
        },
    },
}

Run = Callable[[str, str], dict[str, Verdict]]

pytestmark = [
    pytest.mark.guest,
    pytest.mark.skipif(kernel.find() is None, reason="the guest kernel is not built"),
]


@pytest.fixture(scope="session")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs an experiment with faults, once; its verdicts by claim."""

    @cache
    def run(experiment: str, faults: str) -> dict[str, Verdict]:
        out: Path = tmp_path_factory.mktemp("runs")
        request = runner.Request(experiment, {"faults": faults} if faults else {}, out=out)
        return {claim.name: verdict for claim, verdict in runner.run(request).judged}

    return run


def _claims(experiment: str) -> list[str]:
    return [claim.name for claim in load(experiment).claims()]


@pytest.mark.parametrize(
    ("experiment", "name"), [(e, c) for e in FALLS for c in _claims(e)], ids="-".join
)
def test_holds(verdicts: Run, experiment: str, name: str) -> None:
    verdict = verdicts(experiment, "")[name]
    assert verdict.status == Status.PASS, (verdict.observed, verdict.expected)
    assert verdict.evidence


@pytest.mark.parametrize(
    ("experiment", "faults", "name"),
    [(e, f, c) for e, sets in FALLS.items() for f, names in sets.items() for c in sorted(names)],
)
def test_falls(verdicts: Run, experiment: str, faults: str, name: str) -> None:
    verdict = verdicts(experiment, faults)[name]
    assert verdict.status == Status.FAIL, (verdict.observed, verdict.expected)


@pytest.mark.parametrize("experiment", FALLS)
def test_the_notebook_reads_the_run(
    verdicts: Run, reads_notebook: Callable[[str], None], experiment: str
) -> None:
    verdicts(experiment, "")
    reads_notebook(experiment)


def test_a_notebook_runs_in_jupyter(
    verdicts: Run, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `make notebook` does; the others are executed without a kernel of Jupyter's."""
    verdicts("layers", "")
    run = next(tmp_path_factory.getbasetemp().glob("*/layers-*/run.json")).parent
    monkeypatch.setenv("TESTBED_RUN", str(run))
    book = nbformat.read(notebook.path_of("layers"), as_version=4)
    done = nbclient.execute(book, cwd=str(notebook.NOTEBOOKS), timeout=120)
    shown = [kind for cell in done.cells if cell.cell_type == "code"
             for output in cell.outputs for kind in output.get("data", {})]  # fmt: skip
    assert {"image/png", "image/svg+xml", "text/html"} <= set(shown)


@pytest.mark.parametrize("experiment", FALLS)
def test_every_claim_can_fall(experiment: str) -> None:
    assert set().union(*FALLS[experiment].values()) == set(_claims(experiment))
