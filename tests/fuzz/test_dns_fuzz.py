"""The arenas and seeds of the fuzz targets match the current layout."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FUZZ = Path(__file__).parents[1] / "fuzz"


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FUZZ / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def make_dns() -> ModuleType:
    return loaded("make_dns")


def test_the_arena_is_current(make_dns: ModuleType) -> None:
    assert (FUZZ / "dns_arena.h").read_text() == make_dns.header(), "run tests/fuzz/make_dns.py"


def test_the_seeds_are_current(make_dns: ModuleType) -> None:
    for name, data in make_dns.seeds().items():
        assert (FUZZ / "corpus" / "dns" / name).read_bytes() == data, "run tests/fuzz/make_dns.py"


def test_the_arenas_of_single_zones_are_current() -> None:
    written = (FUZZ / "zone_arenas.h").read_text()
    assert written == loaded("make_zone").header(), "run tests/fuzz/make_zone.py"


def test_the_arenas_with_choices_are_current() -> None:
    written = (FUZZ / "geo_arenas.h").read_text()
    assert written == loaded("make_geo").header(), "run tests/fuzz/make_geo.py"
