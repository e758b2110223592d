"""RIP, RIPng and OSPF as tshark reads them: ``*.tsv`` beside each capture is tshark's reading."""

import csv
import json
import struct
from pathlib import Path

import pandas as pd
import pytest

from analysis import ospf as paths
from analysis import ospf3, packets
from analysis.dissect import bgp, bgp_updates, ospf, rip
from tests.unit.segments import datagrams

CAPTURES = Path(__file__).resolve().parent.parent / "captures"


def _tshark(name, columns):
    with (CAPTURES / f"{name}.tsv").open() as file:
        rows = list(csv.reader(file, delimiter="\t"))
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _list(cell):
    return cell.split(",") if cell else []


def _read(name, columns):
    return packets.read(CAPTURES / f"{name}.pcap", columns=[*columns])


def _length(mask):
    return sum(int(part).bit_count() for part in mask.split("."))


def test_rip_messages_and_entries():
    read = _read("rip", rip.COLUMNS)
    messages, entries = rip.read(read), rip.entries(read)
    theirs = _tshark("rip", ["frame", "command", "version", "ip", "mask", "hop", "metric"])
    assert len(messages) == len(theirs) > 10
    assert not messages["malformed"].any()
    for row, ours in zip(theirs, messages.itertuples(), strict=True):
        assert (ours.frame, ours.version) == (int(row["frame"]), int(row["version"]))
        assert ours.command == {"1": "request", "2": "response"}[row["command"]]
        told = entries[entries["frame"] == ours.frame]
        assert list(told["metric"]) == [int(m) for m in _list(row["metric"])]
        if ours.command == "response":
            wanted = [
                f"{a}/{_length(m)}"
                for a, m in zip(_list(row["ip"]), _list(row["mask"]), strict=True)
            ]
            assert list(told["prefix"]) == wanted
        else:
            assert ours.whole_table


def test_ripng_messages_and_entries():
    read = _read("ripng", rip.COLUMNS)
    messages, entries = rip.read(read), rip.entries(read)
    theirs = _tshark("ripng", ["frame", "command", "prefix", "length", "metric"])
    assert len(messages) == len(theirs) > 5
    for row in theirs:
        told = entries[entries["frame"] == int(row["frame"])]
        assert list(told["metric"]) == [int(m) for m in _list(row["metric"])]
        wanted = [
            f"{a}/{n}" for a, n in zip(_list(row["prefix"]), _list(row["length"]), strict=True)
        ]
        assert list(told["prefix"]) == wanted


def _rip(payload):
    return datagrams([payload], (520, 520))


def test_rip_version_1_has_classes_for_masks():
    entry = bytes.fromhex("0002 0000 ac100000 00000000 00000000 00000001")
    told = rip.entries(_rip(bytes([2, 1, 0, 0]) + entry))
    assert told["prefix"].item() == "172.16.0.0/16" and not told["mask_given"].item()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\2\2",
        b"\2\2\0\0" + bytes(19),
        bytes.fromhex("02020000 00020000 0a000000 00ff0000 00000000 00000001"),
    ],
    ids=["empty", "short", "cut entry", "mask with a hole"],
)
def test_malformed_rip_is_flagged(payload):
    assert rip.read(_rip(payload))["malformed"].all()


ROUTE = bytes.fromhex("0002 0000 0a000100 ffffff00 00000000 00000003")


@pytest.mark.parametrize("trailer", [20, 36], ids=["MD5", "SHA-256"])
def test_a_digest_behind_the_routes_is_not_a_route(trailer):
    """RFC 2082 §3.2.1, RFC 4822 §2: the first entry says where the routes end."""
    digest = bytes.fromhex("ffff0001") + bytes(range(16, 16 + trailer - 4))
    head = bytes.fromhex("02020000 ffff0003 002c 01") + bytes([trailer])
    message = head + bytes.fromhex("0000002a") + bytes(8) + ROUTE + digest
    (read,) = rip.read(_rip(message)).to_dict("records")
    assert (read["authentication"], read["entry_count"]) == ("digest", 1)
    assert not read["malformed"]
    assert rip.entries(_rip(message))[["prefix", "metric"]].values.tolist() == [["10.0.1.0/24", 3]]


@pytest.mark.parametrize("length", [0, 23, 65_535])
def test_a_digest_at_an_impossible_place_is_malformed(length):
    """RFC 4822 §2.1: the length leads behind the routes, where the digest begins."""
    head = bytes.fromhex("02020000 ffff0003") + length.to_bytes(2, "big") + bytes.fromhex("0114")
    digest = bytes.fromhex("ffff0001") + bytes(16)
    (read,) = rip.read(_rip(head + bytes(12) + ROUTE + digest)).to_dict("records")
    assert (read["authentication"], read["malformed"]) == ("digest", True)


def test_a_password_is_not_a_route_and_other_families_are_passed_over():
    password = bytes.fromhex("ffff0002") + b"secret".ljust(16, b"\0")
    other = bytes.fromhex("0007") + ROUTE[2:]
    message = bytes.fromhex("02020000") + password + other + ROUTE
    (read,) = rip.read(_rip(message)).to_dict("records")
    assert (read["authentication"], read["entry_count"]) == ("password", 2)
    assert rip.entries(_rip(message))["prefix"].tolist() == ["10.0.1.0/24"]


def test_ospf_packets():
    read = ospf.read(_read("ospf", ospf.COLUMNS))
    theirs = _tshark(
        "ospf", ["frame", "router", "area", "hello", "dead", "dr", "neighbours", "i", "m", "ms"]
    )
    assert len(read) == len(theirs) > 50
    assert set(read["type"]) == set(ospf.TYPES.values())
    for row, ours in zip(theirs, read.itertuples(), strict=True):
        assert (ours.frame, ours.router_id, ours.area) == (
            int(row["frame"]),
            row["router"],
            row["area"],
        )
        if ours.type == "hello":
            found = (ours.hello_interval_s, ours.dead_interval_s, ours.dr)
            assert found == (int(row["hello"]), int(row["dead"]), row["dr"])
            assert ours.neighbours.split() == _list(row["neighbours"])
        if ours.type == "description":
            flags = [name for name in ("i", "m", "ms") if row[name] in ("1", "True")]
            assert ours.dd_flags.lower().split() == flags


def test_ospf_lsas():
    found = ospf.lsas(_read("ospf", ospf.COLUMNS))
    found = found.groupby("frame")
    theirs = _tshark("ospf-lsas", ["frame", "age", "type", "id", "router", "sequence", "checksum"])
    seen = 0
    for row in (r for r in theirs if r["age"]):  # requests have none
        ours = found.get_group(int(row["frame"]))
        assert list(ours["ls_id"]) == _list(row["id"])
        assert list(ours["adv_router"]) == _list(row["router"])
        assert list(ours["age_s"]) == [int(a) for a in _list(row["age"])]
        assert list(ours["checksum"]) == [int(c, 16) for c in _list(row["checksum"])]
        unsigned = [int(s) & 0xFFFFFFFF for s in ours["sequence"]]
        assert unsigned == [int(s, 16) for s in _list(row["sequence"])]
        assert list(ours["ls_type"]) == [ospf.LSA_TYPES[int(t)] for t in _list(row["type"])]
        seen += len(ours)
    assert seen > 50


def test_ospf_bodies_say_links_and_masks():
    found = ospf.lsas(_read("ospf", ospf.COLUMNS))
    updates = found[found["carrier"] == "update"]
    assert updates["body"].notna().all() and found["body"].isna().any()
    router = updates[updates["ls_type"] == "router"].iloc[-1]["body"]
    assert {link["type"] for link in router["links"]} <= {"stub", "transit", "point-to-point"}
    external = updates[updates["ls_type"] == "external"].iloc[0]["body"]
    assert external["mask"] == "255.255.255.0" and external["type"] == 2


def test_ospfv3_packets_are_read():
    read = ospf.read(_read("ospfv3", ospf.COLUMNS))
    assert set(read["version"]) == {3} and not read["malformed"].any()
    hellos = read[read["type"] == "hello"]
    assert set(hellos["hello_interval_s"]) == {10} and set(hellos["dead_interval_s"]) == {40}
    assert {"192.168.0.3", ""} >= set(hellos[hellos["router_id"] == "192.168.0.1"]["neighbours"])


def test_paths_follow_from_ospfv3s_lsas():
    lsas = ospf.lsas(_read("ospfv3", ospf.COLUMNS))
    newest = lsas[lsas["body"].notna()].drop_duplicates(["ls_type", "adv_router"], keep="last")
    headers = newest.assign(sequence=newest["sequence"] & 0xFFFFFFFF)
    graph = ospf3.area_graph(headers, ospf3.bodies(lsas))
    routers = {f"192.168.0.{i}" for i in (1, 2, 3)}
    assert set(graph) == routers and graph.number_of_edges() == 6
    cost, first = paths.prefixes(graph, paths.shortest(graph, "192.168.0.1"))["fd00:0:0:3::/64"]
    assert first and first <= routers and cost > 1


def test_ospfv3s_border_routers_tell_prefixes_routers_and_the_outside():
    """Bodies as RFC 5340 appendix A.4.5 to A.4.7 has them."""
    span = bytes.fromhex("00000005 3e000000 fd00000000000000".replace(" ", ""))
    assert ospf._body_v3("summary", span) == {"prefix": "fd00::/62", "metric": 5}
    anywhere = bytes.fromhex("0000000100000000")
    assert ospf._body_v3("summary", anywhere) == {"prefix": "::/0", "metric": 1}
    border = bytes.fromhex("00000013 00000002 c0a80006".replace(" ", ""))
    assert ospf._body_v3("summary-asbr", border) == {"router": "192.168.0.6", "metric": 2}
    outside = bytes.fromhex("04000014 30000000 20010db800510000".replace(" ", ""))
    told = {"prefix": "2001:db8:51::/48", "metric": 20, "type": 2}
    assert ospf._body_v3("external", outside) == told
    for cut in range(8):
        assert ospf._body_v3("summary", span[:cut]) is None


def test_what_a_border_router_of_ospfv3_says_is_of_one_area():
    """The same id and sequence number in two areas are two LSAs."""

    def lsa(area, prefix, kind="summary", router="b", body=None):
        told = body or {"prefix": prefix, "metric": 4}
        return {
            "carrier": "update",
            "area": area,
            "ls_type": kind,
            "ls_id": "0.0.0.1",
            "adv_router": router,
            "sequence": -(2**31) + 1,
            "body": told,
        }

    def link(to):
        links = [{"type": "point-to-point", "id": to, "interface": "0.0.0.1", "metric": 1}]
        return {"links": links}

    lsas = pd.DataFrame(
        [
            lsa("0.0.0.0", "fd00::/62"),
            lsa("0.0.0.1", "::/0"),
            lsa("0.0.0.0", "", "router", "a", link("b")),
            lsa("0.0.0.0", "", "router", "b", link("a")),
        ]
    )
    headers = lsas[lsas["area"] == "0.0.0.0"].assign(sequence=2**31 + 1)
    found = paths.expected_routes(headers, ospf3.bodies(lsas), "a", ospf3.area_graph)
    assert found == {"fd00::/62": (5, frozenset({"b"}))}


def test_ospfv3s_database_is_read_once_an_lsa_whatever_it_holds():
    lsa = {"type": "Rtr", "lsId": "0.0.0.0", "advRouter": "192.168.0.1", "seqNum": 2147483651}
    areas = [{"areaId": "0.0.0.0", "lsa": [{**lsa, "payload": "a"}, {**lsa, "payload": "b"}]}]
    found = ospf3.database(json.dumps({"areaScopedLinkStateDb": areas}))
    assert found.to_dict("records") == [
        {
            "area": "0.0.0.0",
            "ls_type": "router",
            "ls_id": "0.0.0.0",
            "adv_router": "192.168.0.1",
            "sequence": 2147483651,
        }
    ]


def test_malformed_ospf_is_flagged_and_never_an_error():
    good = _read("ospf", ospf.COLUMNS)
    for cut in (0, 1, 8, 20, 30):
        payloads = [p[:cut] if p is not None else None for p in good["payload"]]
        in_capture, on_wire = good.assign(payload=payloads), good["ip_header_bytes"] + cut
        found = ospf.read(in_capture)
        assert found["cut"].all() and not found["malformed"].any()
        short = ospf.read(in_capture.assign(ip_bytes=on_wire))
        assert short["malformed"].all() and not short["cut"].any()
        assert ospf.lsas(in_capture).empty


def test_bgp_messages():
    messages = bgp.read(_read("bgp", bgp.COLUMNS))
    names = [
        "frame",
        "type",
        "asn",
        "router_id",
        "as",
        "hop",
        "med",
        "communities",
        "prefix",
        "bits",
    ]
    theirs = [
        dict(zip(names, line.rstrip("\n").split("\t"), strict=True))
        for line in (CAPTURES / "bgp.tsv").read_text().splitlines()
    ]
    assert not messages["malformed"].any() and not messages["cut"].any()
    assert {"OPEN", "UPDATE", "KEEPALIVE", "NOTIFICATION"} == set(messages["type"])
    assert messages["error"].dropna().to_list() == ["cease: hard reset"]
    for row in theirs:
        ours = messages[messages["frame"] == int(row["frame"])]
        assert list(ours["type"]) == [bgp.TYPES[int(kind)] for kind in _list(row["type"])]
        if row["asn"]:
            told = (str(ours["asn"].item()), ours["router_id"].item())
            assert told == (row["asn"], row["router_id"])
            continue
        assert " ".join(ours["as_path"].dropna()).split() == _list(row["as"])
        assert [str(n) for n in ours["med"].dropna()] == _list(row["med"])
        if row["hop"]:
            assert list(ours["next_hop"].dropna()) == _list(row["hop"])
            told = ",".join(ours["prefixes"].dropna()).split(",")
            wanted = zip(_list(row["prefix"]), _list(row["bits"]), strict=True)
            assert told == [f"{prefix}/{bits}" for prefix, bits in wanted]
    assert "65001:100 no-export" in set(messages["communities"].dropna())


def _attribute(kind, value):
    return bytes([0x40, kind, len(value)]) + value


def _update(withdrawn=b"", attributes=b"", prefixes=b""):
    sizes = (len(withdrawn).to_bytes(2, "big"), len(attributes).to_bytes(2, "big"))
    return sizes[0] + withdrawn + sizes[1] + attributes + prefixes


def test_bgp_updates_of_every_kind():
    path = b"\2\1\xfd\xe9\1\2\xfd\xea\xfd\xeb"
    attributes = (
        _attribute(1, b"\2"),
        _attribute(2, path),
        _attribute(5, (200).to_bytes(4, "big")),
        _attribute(9, bytes([10, 0, 0, 9])),
        _attribute(10, bytes([10, 0, 0, 7, 10, 0, 0, 8])),
        _attribute(15, b"\0\2\1\x20\x20\1\x0d\xb8"),
    )
    body = _update(b"\x18\xc0\0\2", b"".join(attributes), b"\x08\x0a")
    assert bgp_updates.update(body, bgp_updates.Coding(wide=False)) == {
        "origin": "incomplete",
        "as_path": "65001 {65002,65003}",
        "local_pref": 200,
        "originator": "10.0.0.9",
        "clusters": "10.0.0.7 10.0.0.8",
        "prefixes": "10.0.0.0/8",
        "withdrawn": "192.0.2.0/24,2001:db8::/32",
    }
    assert bgp_updates.as_path(path, None) == "65001 {65002,65003}"  # guessed from the lengths
    numbered = bgp_updates.Coding(numbered=frozenset({1}))
    assert bgp_updates.update(_update(prefixes=b"\0\0\0\7\x08\x0a"), numbered) == {
        "prefixes": "10.0.0.0/8"
    }


@pytest.mark.parametrize(
    "body",
    [
        b"\0\x20",
        _update(attributes=b"\x40\2\xff\0"),
        _update(prefixes=b"\x21\x0a\0\0\0\0"),
        _update(prefixes=b"\x18\x0a"),
        _update(attributes=_attribute(2, b"\2\4\0\1")),
        _update(attributes=_attribute(4, b"\0")),
    ],
)
def test_bad_bgp_updates_are_malformed(body):
    """Lengths that do not fit together never end in anything but the mark."""
    with pytest.raises((ValueError, struct.error, IndexError)):
        bgp_updates.update(body, bgp_updates.Coding())
