"""Arenas read from a file: with the checksum, whatever their size, and where a byte is wrong."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from dns_bytes_call import HEAD
from dns_zones import compiled
from zone_bytes import but_for_its_slot

from xdpkit._core._zones import ZoneArena
from xdpkit.services.dns.compiler.arena import CHECKSUM_AT, checksum

# In the file before it.
AT = 640

# What is read at once, and so where one piece ends and another begins.
PIECE = 1 << 18


@pytest.fixture(scope="module", params=[1, 9000, 60_000])
def arena(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One that is written at once, one in a few pieces, and one that is not kept in memory."""
    path = tmp_path_factory.mktemp("zones") / "z.zone"
    path.write_text(HEAD + "".join(f"n{i} A 192.0.2.1\n" for i in range(request.param)))
    return compiled(path)


@pytest.fixture
def file(tmp_path: Path, arena: bytes) -> Iterator[int]:
    """A file with the arena, and something before and after it."""
    path = tmp_path / "arenas"
    path.write_bytes(b"x" * AT + arena + b"y" * 100)
    fd = os.open(path, os.O_RDWR)
    yield fd
    os.close(fd)


def test_it_is_that_of_the_definition(arena: bytes) -> None:
    assert int.from_bytes(arena[CHECKSUM_AT : CHECKSUM_AT + 8], "little") == checksum(arena)


def test_an_arena_is_read_as_it_is(arena: bytes, file: int) -> None:
    read = ZoneArena.read(file, AT, len(arena))
    os.pwrite(file, bytes(len(arena)), AT)
    assert but_for_its_slot(read) == arena == but_for_its_slot(ZoneArena(arena))
    # One that is made of another does not have the slot in its checksum.
    assert but_for_its_slot(ZoneArena(read.view())) == arena
    assert read.names == ZoneArena(arena).names


def test_any_byte_that_is_wrong_is_found(arena: bytes, file: int) -> None:
    chance = random.Random(len(arena))
    edges = {at for border in range(0, len(arena), PIECE) for at in (border - 1, border)}
    some = {chance.randrange(len(arena)) for _ in range(20)} | {len(arena) - 1}
    for at in {at for at in edges if at >= 0} | some:
        os.pwrite(file, bytes([arena[at] ^ 1 << at % 8]), AT + at)
        with pytest.raises(ValueError, match="the checksum of the zone arena is wrong"):
            ZoneArena.read(file, AT, len(arena))
        os.pwrite(file, arena[at : at + 1], AT + at)
    assert ZoneArena.read(file, AT, len(arena)).size == len(arena)


def test_a_file_that_ends_too_early(arena: bytes, file: int) -> None:
    for left in (0, AT, AT + 1, AT + len(arena) // 2, AT + len(arena) - 1):
        os.ftruncate(file, left)
        with pytest.raises(ValueError, match="cut off"):
            ZoneArena.read(file, AT, len(arena))


def test_what_is_no_arena(file: int) -> None:
    for size in (0, 1, CHECKSUM_AT, CHECKSUM_AT + 8, 127):
        with pytest.raises(ValueError, match="the checksum of the zone arena is wrong"):
            ZoneArena.read(file, AT, size)
    with pytest.raises(OSError, match="Bad file descriptor"):
        ZoneArena.read(-1, 0, 128)
