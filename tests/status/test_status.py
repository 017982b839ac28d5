"""The status document of generated counters, and its tables."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from xdpkit.status import view as status_view
from xdpkit.status.document import Obtained, VerdictCounts, document
from xdpkit.status.view import parts


class Verdict(NamedTuple):
    name: str
    kind: str
    text: str


VERDICTS = (
    Verdict("redirected", "take", "request for us"),
    Verdict("not_ip", "pass", "neither IPv4 nor IPv6"),
    Verdict("not_udp", "pass", "another transport"),
    Verdict("ntp_answered", "answer", "NTP: time given"),
    Verdict("dns_refused", "answer", "DNS: REFUSED"),
    Verdict("ntp_mode", "drop", "not the mode of a request"),
    Verdict("udp_checksum", "drop", "UDP checksum is wrong"),
)
KINDS = {verdict.name: verdict.kind for verdict in VERDICTS}
OBTAINED = Obtained("eth1", "native", False, "xdp", 4711, 3723.45678, "ntuple")


def test_the_document() -> None:
    counters = VerdictCounts(
        workers={2: [0, 0, 0, 10, 3, 0, 1]},
        xdp={2: [14, 1, 0], 0: [0, 7, 2, 0, 0, 0, 0, 0, 0]},
        udp=[0, 0, 0, 5, 0, 2, 0],
    )
    built = document(
        VERDICTS, OBTAINED, counters, {"example.com": {"serial": 2024010101, "names": 12}}
    )
    assert built == {
        "interface": "eth1",
        "mode": "native",
        "zerocopy": False,
        "steering": "ntuple",
        "timestamps": "xdp",
        "pid": 4711,
        "uptime_s": 3723.457,
        "queues": {
            "2": {
                "rx": 14,
                "tx": 13,
                "answered": {"ntp_answered": 10, "dns_refused": 3},
                "dropped": {"udp_checksum": 1},
            }
        },
        "slow_path": {
            "udp": {"rx": 7, "tx": 5, "answered": {"ntp_answered": 5}, "dropped": {"ntp_mode": 2}}
        },
        "xdp": {"0": {"not_ip": 7, "not_udp": 2}, "2": {"redirected": 14, "not_ip": 1}},
        "verdicts": {
            "redirected": 14,
            "not_ip": 8,
            "not_udp": 2,
            "ntp_answered": 15,
            "dns_refused": 3,
            "ntp_mode": 2,
            "udp_checksum": 1,
        },
        "zones": {"example.com": {"serial": 2024010101, "names": 12}},
    }
    assert json.loads(json.dumps(built)) == built


def test_nothing_counted_yet() -> None:
    built = document(VERDICTS, OBTAINED, VerdictCounts(workers={10: [0] * 7, 9: []}, udp=[]))
    assert list(built["queues"]) == ["9", "10"]
    nothing = {"rx": 0, "tx": 0, "answered": {}, "dropped": {}}
    assert built["queues"]["9"] == built["slow_path"]["udp"] == nothing
    assert built["verdicts"] == dict.fromkeys(KINDS, 0)
    assert built["zones"] == {}


TCP = {"open": 3, "connections": 1000, "accepted": 4567, "queries": 12345}
COUNTS = st.lists(st.integers(0, 2**64 - 1), max_size=len(VERDICTS) + 3)
BY_QUEUE = st.dictionaries(st.integers(0, 255), COUNTS, max_size=4)


@given(BY_QUEUE, BY_QUEUE, COUNTS, st.none() | COUNTS)
def test_every_packet_is_accounted_for(
    workers: Mapping[int, Sequence[int]],
    xdp: Mapping[int, Sequence[int]],
    udp: Sequence[int],
    tcp: Sequence[int] | None,
) -> None:
    built = document(VERDICTS, OBTAINED, VerdictCounts(workers, xdp, udp, tcp))
    arrays = [*workers.values(), *xdp.values(), udp, tcp or []]
    assert sum(built["verdicts"].values()) == sum(sum(a[: len(VERDICTS)]) for a in arrays)
    for path in [*built["queues"].values(), *built["slow_path"].values()]:
        assert path["rx"] == path["tx"] + sum(path["dropped"].values())
        assert path["tx"] == sum(path["answered"].values())
        assert all(KINDS[name] == "answer" and n > 0 for name, n in path["answered"].items())
        assert all(KINDS[name] == "drop" and n > 0 for name, n in path["dropped"].items())
    assert set(built["slow_path"]) == {"udp"} | ({"tcp"} if tcp is not None else set())
    assert set(built["queues"]) == {str(queue) for queue in workers}
    assert set(built["xdp"]) == {str(queue) for queue in xdp}
    if tcp is not None:
        built["slow_path"]["tcp"] |= TCP | {"ended": {}}
    assert rendered(built)


def rendered(built: dict[str, object]) -> str:
    console = Console(file=io.StringIO(), width=120)
    for part in parts(built, VERDICTS):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_tables() -> None:
    counters = VerdictCounts(
        workers={2: [0, 0, 0, 1_000_000, 3, 2, 1]},
        xdp={2: [1_000_006, 1], 0: [0, 7]},
        udp=[0, 0, 0, 5],
    )
    text = rendered(document(VERDICTS, OBTAINED, counters, {"[red]x": {"serial": 1, "names": 12}}))
    rows = [line.split() for line in text.splitlines()]
    assert "eth1: native mode, copy, steering ntuple, timestamps xdp, pid 4711, up 1:02:03" in text
    assert ["queue", "taken", "passed", "received", "answered", "dropped", "lost", "why"] in rows
    assert ["0", "0", "7"] in rows
    wanted = "2 1,000,006 1 1,000,006 1,000,003 3 0 ntp_mode 2, udp_checksum 1"
    assert wanted.split() in rows
    assert ["slow", "path", "UDP", "5", "5", "0", "0"] in rows
    assert ["ntp_answered", "1,000,005", "NTP:", "time", "given"] in rows
    assert "not_udp" not in text
    assert ["[red]x", "1", "12"] in rows


def test_the_tcp_line() -> None:
    built = document(VERDICTS, OBTAINED, VerdictCounts({2: []}))
    assert "tcp" not in rendered(built)
    built = document(VERDICTS, OBTAINED, VerdictCounts({2: []}, tcp=[]))
    built["slow_path"]["tcp"] |= TCP | {"ended": {"client": 4000, "idle": 564}}
    line = "tcp: 3 of 1,000 connections open, 4,567 accepted, 12,345 queries; ended: client 4,000,"
    assert line in rendered(built) and "idle 564" in rendered(built)
    built["slow_path"]["tcp"] |= {"ended": {}}
    assert "ended: none" in rendered(built)


def test_a_verdict_of_a_newer_instance_is_shown_without_meaning() -> None:
    built = document(VERDICTS, OBTAINED, VerdictCounts({2: []}))
    built["verdicts"] = {"unheard_of": 3}
    assert ["unheard_of", "3"] in [line.split() for line in rendered(built).splitlines()]


NTP = {
    "clients": 1234,
    "versions": {"3": 10, "4": 2000},
    "modes": {},
    "keys": {"7": 5, "8": 0},
    "source": "127.0.0.1:11123",
    "synchronised": True,
    "leap": 1,
    "stratum": 2,
    "refid": "192.0.2.7",
    "root_delay_s": 0.012345,
    "root_dispersion_s": 0.000789,
    "age_s": 0.25,
    "sources": [
        {
            "name": "127.0.0.1:11123",
            "state": "holdover",
            "polls": 1234,
            "answers": 1230,
            "ignored": {"late": 1, "refused": 3},
        },
        {"name": "local", "state": "synchronised", "polls": 0, "answers": 0, "ignored": {}},
    ],
}


def test_the_ntp_source() -> None:
    built = document(VERDICTS, OBTAINED, VerdictCounts({2: []}))
    text = rendered(built)
    assert "NTP" not in text
    text = rendered(built | {"ntp": NTP})
    wanted = (
        "NTP: time from 127.0.0.1:11123, 0.2 s ago: stratum 2, refid 192.0.2.7, leap 1,"
        " delay 0.012345 s, dispersion 0.000789 s"
    )
    assert " ".join(wanted.split()) in " ".join(text.split())
    rows = [line.split() for line in text.splitlines()]
    wanted = "127.0.0.1:11123 1,234 1,230 late 1, refused 3 holdover"
    assert wanted.split() in rows
    assert ["local", "0", "0", "synchronised"] in rows
    assert "clients about 1,234; versions v3 10, v4 2,000; keys id 7 5" in " ".join(text.split())


def test_transmit_times() -> None:
    built = document(VERDICTS, OBTAINED, VerdictCounts({2: []}, udp=[])) | {"ntp": NTP}
    quantiles = {"p1": -100, "p10": -50, "p50": 0, "p90": 900, "p99": 1500}
    facts = {"tx_timestamps": "completion", "tx_true": 5000, "tx_error_ns": quantiles}
    built["queues"]["2"]["ntp"] = facts
    built["slow_path"]["udp"]["ntp"] = facts | {
        "tx_timestamps": "kick",
        "tx_true": 0,
        "tx_error_ns": {},
    }
    rows = [line.split() for line in rendered(built).splitlines()]
    assert ["2", "5,000", "-100", "-50", "0", "900", "1,500", "completion"] in rows
    assert ["slow", "path", "UDP", "0", "kick"] in rows


def test_without_an_ntp_source() -> None:
    built = document(VERDICTS, OBTAINED, VerdictCounts({2: []}))
    none = NTP | {"source": None, "synchronised": False, "age_s": None}
    assert "NTP: not synchronized, and replies say so" in rendered(built | {"ntp": none})


def test_zones_that_are_not_up_to_date_come_first() -> None:
    why = "/zones/bad.zone:3:1: what is wrong"
    good = {f"z{number:02}": {"serial": number, "names": 3} for number in range(30)}
    failing = {"state": "stale", "since": "2026-11-29T12:00:00+00:00", "loaded_at": "2026-11-28"}
    bad = {"serial": 7, "names": 2, **failing, "errors": [why, "and another"]}
    worse = {"serial": None, "names": 0, "state": "failed", "since": "2026-11-28", "errors": [why]}
    zones = {**good, "zbad": bad, "zworse": worse}
    text = rendered(document(VERDICTS, OBTAINED, VerdictCounts({2: []}), zones))
    lines = [line.rstrip() for line in text[text.index("since") :].splitlines()]
    assert lines[1].startswith("zworse") and "failed" in lines[1] and lines[1].endswith(why)
    assert lines[2].startswith("zbad") and "stale, as of 2026-11-28" in lines[2]
    assert lines[2].endswith(f"{why} (and 1 more errors)")
    assert "z19" in text and "z20" not in text and "and 11 more" in text


def test_status_files_that_are_no_good_are_shown() -> None:
    zones = {"z": {"serial": 1, "names": 2}}
    lines = ["health since 2026-11-28: h/f.json: gone: its last states stay in use"]
    found = document(VERDICTS, OBTAINED, VerdictCounts({2: []}), zones)
    assert lines[0] in rendered(found | {"dns": {"arena": None, "health": lines}})


def test_how_the_zones_were_loaded_is_shown() -> None:
    arena = {"bytes": 9216, "names": 1200, "load_s": 0.31, "source": "cache", "loaded_at": "now"}
    line = status_view._arena({"dns": {"arena": arena}})
    assert line == "zones: 1,200 names in 9,216 bytes, taken from the cache in 0.3 s at now"
    counted = status_view._arena({"dns": {"arena": arena | {"stale": 2, "failed": 1}}})
    assert counted == f"{line}; 2 not up to date; 1 answered with SERVFAIL"
    assert status_view._arena({}) == "zones"
