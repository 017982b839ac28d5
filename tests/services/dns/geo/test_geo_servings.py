"""What is said of status files while zones are served: once, and not while both change."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest
from zone_loads import state_of

from xdpkit.config.geo import GeoFiles
from xdpkit.services.dns.serving import geo_servings
from xdpkit.services.dns.serving.geo_servings import GeoServings, health_warnings
from xdpkit.services.dns.serving.store import Load, load_zones


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
