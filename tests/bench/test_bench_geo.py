"""``bench --geo`` and the pool's part of ``--reloads`` without a server: zones, queries, tables."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import dns.edns
import dns.message
import dns.zone
import pytest
from rich.console import Console

from xdpkit._core._answer import answer
from xdpkit._core._thread_state import ThreadState
from xdpkit.bench import (
    geo_counted,
    geo_knotd,
    geo_load,
    geo_offwire,
    geo_run,
    geo_show,
    geo_site,
    offwire,
    plots,
)
from xdpkit.bench import run as bench
from xdpkit.bench.geo_sampler import records
from xdpkit.bench.geo_versions import KEYS, PAIR, PoolVersions
from xdpkit.services.dns.geo.continents import CONTINENTS
from xdpkit.services.dns.geo.location_db import COUNTRY
from xdpkit.services.dns.geo.zone_json import read_json_zone

SERVERS, DEPTH = 60, 10


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The directory of zones, and a database."""
    here = tmp_path_factory.mktemp("site")
    (here / "zones").mkdir()
    geo_site.write_zones(here / "zones", SERVERS)
    return here / "zones", geo_site.write_country_database(here, DEPTH)


def test_a_query_has_the_client_subnet() -> None:
    found = geo_site.queries("short", geo_site.ORIGIN, subnets=True, count=9)
    assert len(set(found)) == 9
    for each in found:
        message = dns.message.from_wire(each)
        assert message.question[0].to_text() == "short.pool.test. IN A"
        [subnet] = message.options
        assert isinstance(subnet, dns.edns.ECSOption)
        assert (subnet.family, subnet.srclen, subnet.scopelen) == (1, 24, 0)
    [plain] = geo_site.queries("", geo_site.ORIGIN, subnets=False)
    assert dns.message.from_wire(plain).question[0].to_text() == "pool.test. IN A"


def test_answers_that_are_compared_have_the_same_size(
    site: tuple[Path, Path], tmp_path: Path
) -> None:
    geo_offwire.compile_into(tmp_path, *site)
    snapshot, state = geo_counted.snapshot_of(tmp_path), ThreadState()
    pools: dict[str, set[str]] = {"all": set(), "short": set()}
    for case in geo_offwire.CASES:
        sizes = set()
        for query in case.queries()[:200]:
            _, reply = answer(snapshot, "dns", query, state=state)
            assert reply is not None
            sizes.add(len(reply))
            [rrset] = dns.message.from_wire(reply).answer
            assert len(rrset) == geo_site.ANSWERS, case.name
            if case.origin == geo_site.ORIGIN:
                pools[case.label] |= {each.address for each in rrset}
        [size] = sizes
        assert size == geo_offwire.reply_bytes(snapshot, case.queries(), 9)
    # Of all servers, the heavy half at least; nobody got what those get of whom nothing is known.
    assert len(pools["all"]) > SERVERS / 2
    assert "192.0.2.250" not in pools["all"] | pools["short"]


def test_off_the_wire_each_case_has_a_row(
    site: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    valgrind = shutil.which("valgrind")
    monkeypatch.setattr(offwire, "COUNTED", 1 << 9)
    pool = geo_offwire.POOL
    monkeypatch.setattr(geo_offwire, "COUNTED", {pool.name, pool.beside})
    rows = geo_offwire.measure(*site, tmp_path, 1, valgrind, lambda _: None)
    if valgrind:
        counted = [row.get("instructions") for row in rows]
        # A draw is work; cases without a target are not counted.
        assert counted[0] < counted[1] and not any(counted[2:])
    assert [row["name"] for row in rows] == [case.name for case in geo_offwire.CASES]
    assert all(row["ns"] > 0 for row in rows)
    assert [row for row in rows if "over_plain" in row] == rows[1::2]
    sizes = [row["reply_bytes"] for row in rows]
    assert sizes[::2] == [each["reply_bytes"] for each in rows[1::2]]


def test_a_database_is_read_and_taken_from_the_cache(
    site: tuple[Path, Path], tmp_path: Path
) -> None:
    found = geo_load.measure(site[1], COUNTRY, tmp_path, 1, lambda _: None)
    assert found["file_bytes"] == site[1].stat().st_size
    for what in ("first", "cached"):
        assert found[f"{what}_seconds"] > 0
        assert found[f"{what}_peak_bytes"] >= found[f"{what}_before_bytes"] > 1 << 20
    assert len([*(tmp_path / "locations-0").iterdir()]) == 1


def test_a_database_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.mmdb"
    path.write_bytes(b"nothing")
    with pytest.raises(Exception, match=r"x\.mmdb: was not read: "):
        geo_load.measure(path, COUNTRY, tmp_path, 1, lambda _: None)


def test_other_servers_have_the_zone_by_country() -> None:
    zone = geo_site.geo_zone(SERVERS)
    found = geo_knotd.by_country(zone)
    everybody = {each[0] for each in zone["data"][""]["a"]}
    assert set(found) == {"", "0", "1", "2", "3", "all", "short"}
    for name, countries in found.items():
        assert set(countries) == {"", *CONTINENTS}
        for country, addresses in countries.items():
            assert addresses and len(addresses) <= geo_site.ANSWERS, (name, country)
            assert not country or set(addresses) <= everybody
    own = next(country for country in CONTINENTS if "a" in zone["data"].get(country, {}))
    assert set(found[""][own]) <= {each[0] for each in zone["data"][own]["a"]}
    text = geo_knotd._zone_text(found)
    node = dns.zone.from_text(text, origin=geo_site.ORIGIN).get_rdataset("@", "A")
    assert node is not None and [each.address for each in node] == found[""][""]


def test_versions_of_a_pool_share_no_address(tmp_path: Path) -> None:
    versions = PoolVersions(SERVERS)
    seen = []
    for version in (1, 2):
        path = tmp_path / f"{version}" / f"{geo_site.ORIGIN}.json"
        path.parent.mkdir()
        path.write_text(versions.zone_text(version))
        read_json_zone(path)
        document = json.loads(path.read_text())
        assert document["ttl"] == version
        found = {
            record["ip"] if isinstance(record, dict) else record[0]
            for label in document["data"].values()
            for record in label.get("a", [])
        }
        numbers = versions.numbers(found, version)
        assert numbers == set(range(SERVERS + len(KEYS)))
        assert versions.numbers(found, 3 - version) is None
        pair = {each["ip"] for each in document["data"][PAIR]["a"]}
        assert versions.numbers(pair, version) == {SERVERS, SERVERS + 1}
        seen.append(found)
    assert not seen[0] & seen[1]
    assert versions.numbers({*list(seen[0])[:1], *list(seen[1])[:1]}, 1) is None


def test_one_of_two_servers_is_healthy() -> None:
    versions = PoolVersions(SERVERS)
    first, second = (json.loads(versions.status_text(healthy)) for healthy in (0, 1))
    assert [(each["one"], each["two"]) for each in (first, second)] == [(2, 1), (1, 2)]
    assert set(first.values()) == {1, 2} and first.keys() == second.keys()
    assert all(first[key] != second[key] for key in first)


def test_a_sampled_reply_is_an_answer_or_nothing() -> None:
    query = dns.message.make_query("pool.test", "A")
    reply = dns.message.make_response(query)
    assert records(reply.to_wire()) is None and records(b"") is None
    reply.answer.append(dns.rrset.from_text("pool.test.", 7, "IN", "A", "10.0.32.1", "10.0.32.2"))
    found = records(reply.to_wire())
    assert found is not None and (found[0], sorted(found[1])) == (7, ["10.0.32.1", "10.0.32.2"])


def spread(**figures: float) -> dict[str, float]:
    return {f"{key}{end}": value for key, value in figures.items() for end in ("", "_min", "_max")}


def made_up() -> dict[str, Any]:
    row = {"server": "x", "wrong": 0, "lost": 0}
    rates = [row | {"name": "plain"} | spread(answers_per_s=8e5, cpu_us_per_answer=1.25)]
    for name in ("geo", "geo, short list"):
        figures = spread(answers_per_s=7.2e5, cpu_us_per_answer=1.5, over_plain=0.9)
        rates.append(row | {"name": name} | figures)
    theirs = spread(answers_per_s=2e5, cpu_us_per_answer=6.0, ours_over_answers_per_s=3.6)
    theirs |= spread(ours_over_cpu_us_per_answer=0.25)
    rates.append(row | {"name": "knotd geoip"} | theirs)
    offwire = [
        {"name": case.name, "reply_bytes": 115.0, "ns": 60.0, "ns_median": 61.0}
        | ({"over_plain": 1.5} if case.beside else {})
        for case in geo_offwire.CASES
    ]
    database = spread(first_seconds=15.0, cached_seconds=0.5)
    database |= spread(first_peak_bytes=1.5e8, cached_peak_bytes=5e7) | {"file_bytes": 10**8}
    facts = bench.machine() | {
        "mode": "native, copy",
        "servers": 5000,
        "rounds": 3,
        "seconds": 1.0,
        "load_per_s": 100_000,
        "load_average": 0.5,
        "networks": {"country": 1 << 18, "city": 1 << 22},
        "offwire": offwire,
        "rates": rates,
        "skipped": {"GeoDNS": "not installed"},
        "database": database,
        "box": {"idle_bytes": 9e7, "resident_bytes": 1.28e8, "reload_bytes": 1.5e8, "wrong": 0},
    }
    return facts | {"targets": [*geo_run.targets(facts)]}


def test_targets_are_met_or_missed() -> None:
    found = {row["what"]: (row["ratio"], row["met"]) for row in made_up()["targets"]}
    assert found == {
        "answers/s over plain ones": (pytest.approx(0.9 / 0.95), False),
        "off the wire, 4 of all servers, client subnet, ns": (0.75, True),
        "off the wire, 4 of 8 servers, client subnet, ns": (1.0, True),
        "4,194,304 networks read, s": (0.5, True),
        "4,194,304 networks read, MB at most": (0.75, True),
        "4,194,304 networks from the cache, s": (0.5, True),
        "the whole box resident, MB": (0.5, True),
    }


def test_wrong_replies_and_silence_fail_the_run_but_missed_targets_do_not() -> None:
    facts = made_up()
    assert geo_run.failures(facts) == []
    facts["rates"][1]["wrong"], facts["rates"][3]["answers_per_s"] = 3, 0.0
    facts["box"]["wrong"] = 2
    assert geo_run.failures(facts) == [
        "geo: 3 wrong replies",
        "knotd geoip: no right reply at all",
        "the whole box: 2 wrong replies",
    ]


def test_all_parts_are_shown_and_none_is_drawn(tmp_path: Path) -> None:
    facts = made_up()
    assert plots.draw(facts, tmp_path) == []
    assert json.loads(json.dumps(facts)) == facts
    console = Console(width=bench.WIDTH)
    with console.capture() as capture:
        geo_show.show(facts, console)
    text = capture.get()
    for shown in ("at least 0.95", "missed", "3.60 (3.60..3.60)", "60.0", "not installed", "128"):
        assert shown in text
