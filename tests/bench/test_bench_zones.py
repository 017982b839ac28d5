"""``bench --zones`` without a server: zones, questions, figures that are compared and shown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import dns.message
import dns.rrset
import dns.zone
import pytest
from rich.console import Console

from xdpkit.bench import (
    plots,
    zones_arena,
    zones_large,
    zones_run,
    zones_servers,
    zones_show,
    zones_site,
)
from xdpkit.bench import run as bench
from xdpkit.errors import UsageError


def site(directory: Path, count: int = 3) -> zones_site.Site:
    return zones_site.Site(directory / "zones", count, lambda _: None)


def test_a_zone_has_four_records_and_an_edit_changes_one_address(tmp_path: Path) -> None:
    made = site(tmp_path)
    seen = set()
    for number in (1, 2, 1):
        address = made.edit(number)
        zone = dns.zone.from_file(str(made.path(number)), origin=zones_site.name(number))
        assert sum(len(found) for _, found in zone.iterate_rdatasets()) == 4
        assert zone.get_rdataset("www", "A")[0].address == address == made.current[number]
        seen.add((number, address, zone.get_soa().serial))
    assert len(seen) == 3 and made.path(0).read_text() == zones_site.zone_text()


def test_the_last_zone_is_in_every_sample(tmp_path: Path) -> None:
    made = site(tmp_path, 7)
    assert made.sample() == [*range(7)]
    assert made.sample(3) == [0, 2, 4, 6] and made.sample(1) == [0, 6]


def test_a_right_reply_has_the_address() -> None:
    asked = dns.message.from_wire(zones_site.question(12))
    assert str(asked.question[0].name) == "www.z12.test."
    reply = dns.message.make_response(asked)
    assert not zones_site.is_answer(reply.to_wire())
    reply.answer.append(dns.rrset.from_text(asked.question[0].name, 5, "IN", "A", "198.51.0.7"))
    assert zones_site.is_answer(reply.to_wire())
    assert zones_site.is_answer(reply.to_wire(), "198.51.0.7")
    assert not zones_site.is_answer(reply.to_wire(), "192.0.2.2")
    reply.set_rcode(2)
    assert not zones_site.is_answer(reply.to_wire())


def test_the_zone_with_aliases_is_a_zone() -> None:
    zone = dns.zone.from_text(zones_arena.alias_text(3), origin="b.test", relativize=False)
    assert len(zone.get_node("big.b.test.").rdatasets) == 10
    assert zone.get_rdataset("c2.b.test.", "CNAME")


def test_a_large_zone_is_one_and_its_chain_is_a_circle(tmp_path: Path) -> None:
    for signed in (False, True):
        path = zones_large.LargeSite(tmp_path / f"{signed}", 300, signed, lambda _: None).path(0)
        zone = dns.zone.from_file(str(path), origin=zones_site.name(0), relativize=False)
        assert len(zone.nodes) == 303
        chain = {name: found[0].next for name, found in zone.iterate_rdatasets("NSEC")}
        names = sorted(zone.nodes) if signed else []
        assert chain == dict(zip(names, [*names[1:], *names[:1]], strict=True))
        signatures = len([*zone.iterate_rdatasets("RRSIG", "A")])
        assert signatures == (302 if signed else 0)


def test_each_server_has_its_control_program() -> None:
    servers, skipped = zones_servers.installed_servers()
    assert servers[0].ours and not any(server.ours for server in servers[1:])
    assert {server.name for server in servers[1:]} | set(skipped) == {"knotd", "nsd", "named"}
    for server in servers[1:]:
        assert "{name}" in server.zone and "{name}" in " ".join(server.reread)


def spread(**figures: float) -> dict[str, float]:
    return {f"{key}{end}": value for key, value in figures.items() for end in ("", "_min", "_max")}


def made_up() -> dict[str, Any]:
    idle = {"sent": 9_000, "lost": 7}
    counted = {"sent": 150_000, "answered": 149_998, "wrong": 0, "lost": 2, "idle": idle}
    starts = spread(
        first_s=2.0,
        one_first_s=1.0,
        beyond_one_first_s=1.0,
        resident_bytes=4e7,
        one_resident_bytes=3e7,
    )
    ours = (
        starts
        | spread(again_s=0.5, beyond_one_again_s=0.25, silent=0.0)
        | {"name": "xdpkit", "server": "xdpkit 1"}
    )
    knotd = starts | spread(first_s=4.0, silent=0.0) | {"name": "knotd", "server": "knotd 3"}
    edit = {"edits": 2, "quiet_s": 1.0}
    rate = {"name": "1 zone", "arena_bytes": 768, "wrong": 0, "ns_per_answer": 50.0}
    rate |= {"ns_per_answer_median": 51.0} | spread(answers_per_s=7e5)
    compiling = {"names": 100_000, "rounds": 3, "queries": 150_000, "seconds": 2.0}
    random = {"edits": 100, "rate_per_s": 100_000, "resident_before": 5e7, "resident_after": 5e7}
    return bench.machine() | {
        "zones": 10_000,
        "rounds": 3,
        "mode": "native, copy",
        "load_average": 0.5,
        "skipped": {"named": "no named and rndc"},
        "rates": [rate],
        "alias": {"aliases": 400, "file_bytes": 10, "arena_bytes": 25, "per_file_byte": 2.5},
        "zone_starts": [ours, knotd],
        "large_zones": [
            {"name": "knotd", "names": 20_000, "signed": True}
            | spread(first_s=1.5, cpu_s=2.25, resident_bytes=9e7)
        ],
        "zone_edits": [
            edit | {"name": name} | spread(new_answer_s=seconds)
            for name, seconds in (("xdpkit", 0.05), ("knotd", 0.1))
        ],
        "compiling": compiling | {"total": counted, "idle": idle} | spread(reload_s=3.0),
        "random_edits": random | counted,
    }


def test_figures_are_compared_with_other_servers() -> None:
    assert zones_run.over_others(made_up()) == {
        "knotd": {"first_start": 0.5, "cached_start": 0.125, "resident": 1.0, "new_answer": 0.5}
    }


def test_figures_are_compared_with_an_earlier_run(tmp_path: Path) -> None:
    facts = made_up()
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(facts))
    earlier = zones_run.read_earlier(path)
    facts["rates"][0] |= {"ns_per_answer": 40.0, "arena_bytes": 1536}
    assert zones_run.over_earlier(facts, earlier) == {
        "1 zone": {"ns_per_answer": 0.8, "answers_per_s": 1.0, "arena_bytes": 2.0}
    }


@pytest.mark.parametrize("text", [None, "{", "[]", '{"cases": []}'])
def test_what_is_not_an_earlier_run_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "other.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=r"--against .*other\.json: "):
        zones_run.read_earlier(path)


def test_silent_zones_and_wrong_replies_fail_the_run_but_not_lost_ones() -> None:
    facts = made_up()
    assert zones_run.failures(facts) == []
    facts["zone_starts"][1]["silent_max"] = 7
    facts["random_edits"]["wrong"] = 3
    assert zones_run.failures(facts) == [
        "knotd: 7 zones gave no right answer",
        "random edits: 3 wrong replies",
    ]


def test_all_parts_are_shown_and_starts_are_drawn(tmp_path: Path) -> None:
    facts = made_up()
    facts["over_others"] = zones_run.over_others(facts)
    console = Console(width=bench.WIDTH)
    with console.capture() as capture:
        zones_show.show(facts, console)
    text = capture.get()
    for shown in ("2.00 (2.00..2.00)", "50.0 (50.0..50.0)", "2.5 times", "700,000", "no named"):
        assert shown in text
    assert re.search(r"knotd +20,000, signed +1.50 .* 2.25 .* 90.0", text)
    assert "MB 50.0 before, 50.0 after; idle: 7 of 9,000 lost" in text
    if plots.available():
        assert {path.stem for path in plots.draw(facts, tmp_path)} == {"zone-starts", "zone-memory"}
