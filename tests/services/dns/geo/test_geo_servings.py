"""What is said of status files while zones are served: once, and not while both change."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import anyio
import pytest
from zone_loads import state_of

from xdpkit.config import Config, DnsConfig
from xdpkit.config.geo import GeoConfig, GeoFiles
from xdpkit.instance.handover.messages import check_facts
from xdpkit.runtime.publisher import Parts, SnapshotPublisher
from xdpkit.services.dns.serving import geo_servings
from xdpkit.services.dns.serving.geo_servings import GeoServings, health_warnings
from xdpkit.services.dns.serving.service import DnsService
from xdpkit.services.dns.serving.store import Load, load_zones
from xdpkit.services.dns.serving.zone_report import health_problems


def load(directory: Path, *keys: str) -> Load:
    """A zone whose records have these keys."""
    (directory / "zones").mkdir(exist_ok=True)
    records = [{"ip": f"192.0.2.{i}", "health": key} for i, key in enumerate(keys)]
    text = json.dumps({"data": {"": {"ns": ["ns."]}, "www": {"a": records}}})
    (directory / "zones" / "test.json").write_text(text)

    async def run() -> Load:
        return await load_zones(directory / "zones", geo=GeoFiles())

    return anyio.run(run)


def test_keys_are_named_once_after_a_while(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(geo_servings.time, "monotonic", lambda: now[0])
    health = tmp_path / "health"
    health.mkdir()
    (health / "f.json").write_text('{"a": 2, "b": 2, "c": 1}')
    servings = GeoServings(health)
    short, whole = load(tmp_path, "f/a"), load(tmp_path, "f/a", "f/b", "g/x", "g/y")

    def look(found: Load, seconds: float) -> list[str]:
        caplog.clear()
        now[0] += seconds
        found.table.directory_of_arenas(servings)
        anyio.run(servings.refresh)
        return list(caplog.messages)

    anyio.run(servings.refresh)
    assert caplog.messages == [], "nothing is served yet"
    assert look(short, 0) == look(short, 5) == []
    # The zone has them now.
    assert look(whole, 4) == []
    [line] = look(whole, 6)
    assert line.endswith('f.json: no record that is served has "c": remove it')
    [line] = look(whole, 5)
    assert line.endswith("g.json: not there, and records name it: they count as healthy")
    assert look(whole, 100) == []
    # What comes and goes is said once, too.
    assert look(short, 1) == [] and len(look(short, 20)) == 1
    assert look(whole, 1) == look(whole, 20) == look(short, 1) == look(short, 20) == []


def test_what_check_says(tmp_path: Path) -> None:
    health = tmp_path / "health"
    arena = state_of(load(tmp_path, *(f"f/{i}" for i in range(50))), "test").arena
    assert arena is not None
    [line, *_] = health_warnings(health, [arena])
    assert line.startswith(f"{health}: cannot be read: ")
    health.mkdir()
    (health / "f.json").write_text("{}")
    (health / "h.json").write_text("[")
    lines = health_warnings(health, [arena])
    assert lines[0].startswith(f"{health / 'h.json'}:1:2: ")
    assert len(lines) == 22 and lines[-1].startswith(f"{health}: 30 more keys")


def test_a_reload_keeps_the_states_of_a_file_that_is_broken_now(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    health = tmp_path / "health"
    health.mkdir()
    (health / "f.json").write_text('{"a": 1}')
    before = configured(tmp_path, answer_all_unhealthy=True)
    anyio.run(before.refresh)
    load(tmp_path, "f/a").table.directory_of_arenas(before)
    (health / "f.json").write_text("no")
    anyio.run(before.refresh)
    assert len(caplog.messages) == 1
    after = configured(tmp_path, answer_all_unhealthy=False, before=before)
    anyio.run(after.refresh)
    assert after is not before and not after.answer_all_unhealthy
    assert not after.healthy("f/a") and after.failing == before.failing
    assert len(caplog.messages) == 1
    # Of another directory nothing is known.
    (tmp_path / "health").rename(tmp_path / "other")
    other = configured(tmp_path, name="other", before=after)
    assert other.healthy("f/a") and other.failing == []


def configured(
    directory: Path,
    name: str = "health",
    answer_all_unhealthy: bool = True,
    before: GeoServings | None = None,
) -> GeoServings:
    """As a start or a reload makes them."""
    geo = GeoConfig(health=directory / name, answer_all_unhealthy=answer_all_unhealthy)
    return geo_servings.geo_servings(DnsConfig(zones=directory / "zones", geo=geo), before)


def test_what_status_and_health_say(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    health = tmp_path / "health"
    health.mkdir()
    for number in range(30):
        (health / f"f{number:02}.json").write_text("[")
    servings = GeoServings(health)
    load(tmp_path, *(f"f{number:02}/a" for number in range(25))).table.directory_of_arenas(servings)
    anyio.run(servings.refresh)
    lines = health_problems(servings.failing)
    assert len(lines) == 21 and lines[-1].startswith("health: and 5 more status files")
    assert re.match(rf"health since \S+: {health}/f00.json:1:2: .*healthy until", lines[0])
    for path in health.iterdir():
        path.write_text("{}")
    anyio.run(servings.refresh)
    assert health_problems(servings.failing) == []


def test_a_service_with_a_broken_status_file(tmp_path: Path) -> None:
    """It is told until it is well again, over a reload, too."""
    load(tmp_path, "f/a")
    health = tmp_path / "health"
    health.mkdir()
    path = health / "f.json"
    path.write_text('{"a": 1}')
    dns = DnsConfig(zones=tmp_path / "zones", cache=None, watch=False, geo=GeoConfig(health=health))
    other = replace(dns, geo=GeoConfig(health=health, answer_all_unhealthy=False))

    async def told(service: DnsService, count: int) -> list[str]:
        with anyio.fail_after(60):
            while len(service.problems()) != count:
                await anyio.sleep(0.05)
        lines = [reason.text for reason in service.problems()]
        assert service.facts()["health"] == lines
        assert all(reason.kind == "status_file" for reason in service.problems())
        return lines

    async def main() -> None:
        service = DnsService("dns", dns, SnapshotPublisher(Parts({"dns": 53})))
        await service.open()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run)
            assert service.problems() == []
            path.write_text("no")
            [line] = await told(service, 1)
            assert line.startswith("health since ") and line.endswith("last states stay in use")
            prepared = await service.prepare(cast(Config, SimpleNamespace(dns=other)))
            prepared.commit()
            assert await told(service, 1) == [line]
            path.write_text('{"a": 2}')
            await told(service, 0)
            tasks.cancel_scope.cancel()
        service.close()

    anyio.run(main)


def test_a_successor_begins_with_the_states_of_a_broken_file(tmp_path: Path) -> None:
    load(tmp_path, "f/a", "g/a")
    health = tmp_path / "health"
    health.mkdir()
    for name in "fgh":
        (health / f"{name}.json").write_text('{"a": 1}')
    dns = DnsConfig(zones=tmp_path / "zones", cache=None, watch=False, geo=GeoConfig(health=health))

    async def main() -> None:
        parts = SnapshotPublisher(Parts({"dns": 53}))
        first, second = DnsService("dns", dns, parts), DnsService("dns", dns, parts)
        await first.open()
        (health / "f.json").write_text("no")
        (health / "g.json").unlink()
        facts = json.loads(json.dumps(first.handed_over()))
        check_facts({**FACTS, **facts}, 3)
        second.take_over(facts)
        await second.open()
        servings = second._zones._servings
        assert not servings.healthy("f/a") and not servings.healthy("g/a")
        told = sorted(each.text.rpartition("/")[2] for each in second.problems())
        assert [line[:6] for line in told] == ["f.json", "g.json"]
        assert all("its last states stay in use" in line for line in told)
        # Of another directory they are not ours.
        other = DnsService("dns", replace(dns, geo=GeoConfig(health=tmp_path / "other")), parts)
        other.take_over(facts)
        assert other._zones._servings.healthy("f/a")
        async with anyio.create_task_group() as tasks:
            for each in (first, second):
                tasks.start_soon(each.run)
                while each._zones._keeping:
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        for each in (first, second, other):
            each.close()

    anyio.run(main)


FACTS = {
    "mode": "native",
    "bound": False,
    "hardware_stamps": False,
    "lock": False,
    "metrics": None,
    "queues": [],
    "udp": [],
    "tcp": [],
    "cookies": None,
}


def test_what_is_handed_over_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "large.json").write_text(json.dumps({f"k{i}": 1 for i in range(100_000)}))
    (tmp_path / "long.json").write_text(json.dumps({"\u00e4" * 100_000: 1}))
    for number in range(900):
        (tmp_path / f"f{number:03}.json").write_text(json.dumps({f"k{i}": 1 for i in range(50)}))
    servings = GeoServings(tmp_path)
    anyio.run(servings.refresh)
    (tmp_path / "f899.json").write_text("no")
    anyio.run(servings.refresh)
    found = servings.handed_over()
    assert found is not None and 100 < len(found["files"]) < 900
    assert next(iter(found["files"])) == "f899"
    assert 200_000 < len(json.dumps(found)) < 300_000
