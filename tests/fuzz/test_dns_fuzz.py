"""The fuzz target's arena and seeds match the current layout."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FUZZ = Path(__file__).parents[1] / "fuzz"


@pytest.fixture(scope="module")
def make_dns() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_dns", FUZZ / "make_dns.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_arena_is_current(make_dns: ModuleType) -> None:
    assert (FUZZ / "dns_arena.h").read_text() == make_dns.header(), "run tests/fuzz/make_dns.py"


def test_the_seeds_are_current(make_dns: ModuleType) -> None:
    for name, data in make_dns.seeds().items():
        assert (FUZZ / "corpus" / "dns" / name).read_bytes() == data, "run tests/fuzz/make_dns.py"
