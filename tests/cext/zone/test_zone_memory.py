"""Where arenas are in memory: small ones share huge pages, and what is freed is used again."""

from __future__ import annotations

import random
import resource

import pytest
from dns_bytes_call import HEAD
from dns_zones import compiled
from zone_bytes import but_for_its_slot

from xdpkit._core._zones import ZoneArena

# Records of a zone: from one that shares a page with hundreds to one with pages of its own.
SIZES = (1, 3, 10, 40, 150, 600, 9000)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Compiled zones of many sizes."""
    made = []
    for size in SIZES:
        path = tmp_path_factory.mktemp("zones") / "z.zone"
        path.write_text(HEAD + "".join(f"n{i} A 192.0.2.1\n" for i in range(size)))
        made.append(compiled(path))
    return made


def test_none_overwrites_another(texts: list[bytes]) -> None:
    chance = random.Random(1)
    kept: dict[int, tuple[bytes, ZoneArena]] = {}
    for number in range(3000):
        data = chance.choices(texts, [1 / len(text) for text in texts])[0]
        kept[number % 400] = data, ZoneArena(data)
    assert all(but_for_its_slot(arena) == data for data, arena in kept.values())


def test_memory_stays_flat(texts: list[bytes]) -> None:
    chance = random.Random(1)
    small = texts[:4]
    arenas = [ZoneArena(chance.choice(small)) for _ in range(2000)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(20_000):
        arenas[chance.randrange(len(arenas))] = ZoneArena(chance.choice(small))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    # 20,000 of them would take 40 MB.
    assert grown < 8 << 10, f"{grown} KiB"
