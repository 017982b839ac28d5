"""An arena with choices is taken only if they are sound: each thing that can be wrong with one."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from geo_arena import (
    GEO_AT,
    MX,
    TXT,
    A,
    Draw,
    GeoArena,
    Images,
    Option,
    Step,
    Variants,
    apex_images,
    sealed,
)

from xdpkit._core._geo_selection import Generator, Selection
from xdpkit._core._zones import ZoneArena
from xdpkit.services.dns.compiler.arena import ALIAS, CHOICE, CUT, GEO, HEADER, SLACK, UNIT

ADDRESSES = [bytes([192, 0, 2, n]) for n in range(3)]
TEXTS = [b"\1a", b"\2bb", b"\0"]
STATUSES = ("f/a", "f/b")


def steps() -> list[list[Step]]:
    """Variants with each kind of step."""
    images = [Option(at, 1, status) for status, at in enumerate(apex_images()[:3])]
    return [
        [Draw(ADDRESSES, [1, 2, 3], [0, 1, 2])],
        [Draw(TEXTS, None, [0, 1, 2], rdtype=TXT, any_size=True)],
        [Images(images)],
        [Variants([Option(0, 1), Option(2, 1)]), Draw([b"\0\5\1a\0"], rdtype=MX)],
    ]


def built(**more: object) -> bytearray:
    given = {"classes": 4, "variant_of": (0, 1, 2, 3)} | more
    return bytearray(GeoArena(steps(), STATUSES, **given).build())  # type: ignore[arg-type]


def refused(data: bytearray) -> None:
    with pytest.raises(ValueError, match="not a valid zone arena"):
        ZoneArena(sealed(data))


class Places:
    """Where the structs are in an arena, in bytes."""

    def __init__(self, data: bytearray) -> None:
        (unit,) = struct.unpack_from("<I", data, GEO_AT)
        self.geo = unit * UNIT
        fields = struct.unpack_from("<16s7I", data, self.geo)
        self.draw, self.variant = fields[3] * UNIT, fields[5] * UNIT

        def led_to(at: int) -> int:
            return int(struct.unpack_from("<I", data, at)[0]) * UNIT

        self.step = [led_to(self.variant + 8 * n) for n in range(4)]
        self.record = [led_to(self.draw + 32 * n + 4) for n in range(3)]
        self.words = {
            (n, at): led_to(self.draw + 32 * n + at) for n in range(3) for at in (12, 16, 20)
        }
        self.option = {n: led_to(self.step[n] + 8) for n in (2, 3)}
        self.choice = data.index(struct.pack("<I8H", 0, 4, 0, 0, 0, 0, 1, 2, 3)) - 4


FAR = 0x7FFFFFFF

# Of struct zone_image.
KIND_AT, REFERRAL = 17, 3

# What is written where; an offset of a struct, and a value of 32 bits.
WRONG: dict[str, Callable[[Places], tuple[int, int]]] = {
    "more classes than 16 bits": lambda p: (p.geo + 16, 65536),
    "no classes for several variants": lambda p: (p.geo + 16, 0),
    "more classes than there is room for": lambda p: (p.geo + 16, 65535),
    "more draws than there is room for": lambda p: (p.geo + 20, FAR),
    "fewer draws than steps refer to": lambda p: (p.geo + 20, 2),
    "draws out of bounds": lambda p: (p.geo + 24, FAR),
    "more variants than there is room for": lambda p: (p.geo + 28, FAR),
    "fewer variants than the choice has": lambda p: (p.geo + 28, 3),
    "variants out of bounds": lambda p: (p.geo + 32, FAR),
    "more statuses than names": lambda p: (p.geo + 36, 100_000),
    "fewer statuses than records refer to": lambda p: (p.geo + 36, 1),
    "status names out of bounds": lambda p: (p.geo + 40, FAR),
    "a draw of nothing": lambda p: (p.draw, 0),
    "more records than there is room for": lambda p: (p.draw, FAR),
    "records out of bounds": lambda p: (p.draw + 4, FAR),
    "records that are too short": lambda p: (p.draw + 8, 12),
    "records of another length": lambda p: (p.draw + 8, 17),
    "records of any length without their ends": lambda p: (p.draw + 8, 0),
    "ends out of bounds": lambda p: (p.draw + 32 + 12, FAR),
    "an end before the one before it": lambda p: (p.words[1, 12] + 4, 3),
    "an end beyond the last one": lambda p: (p.words[1, 12] + 4, 4000),
    "a last end out of bounds": lambda p: (p.words[1, 12] + 8, FAR),
    "weights out of bounds": lambda p: (p.draw + 16, FAR),
    "states out of bounds": lambda p: (p.draw + 20, FAR),
    "a status that there is not": lambda p: (p.words[0, 20] + 4, 3),
    "a status of an image that there is not": lambda p: (p.option[2] + 4, 3),
    "no hosts": lambda p: (p.draw + 24, A << 16),
    "more hosts than are drawn": lambda p: (p.draw + 24, A << 16 | 256),
    "another type": lambda p: (p.draw + 24, TXT << 16 | 1),
    "another owner": lambda p: (p.record[0] + 16, 0x01000DC0),
    "another TTL": lambda p: (p.record[0] + 20, 0x00000001),
    "an RDLENGTH that is not the record's": lambda p: (p.record[1] + 8, 0x01020000),
    "a name beyond its record": lambda p: (p.record[2] + 12, 0x61050500),
    "a pointer in a name": lambda p: (p.record[2] + 12, 0x0CC00500),
    "steps out of bounds": lambda p: (p.variant, FAR),
    "more steps than there is room for": lambda p: (p.variant + 4, FAR),
    "a kind that there is not": lambda p: (p.step[0], 3),
    "a draw that there is not": lambda p: (p.step[0] + 8, 3),
    "options out of bounds": lambda p: (p.step[2] + 8, FAR),
    "more options than there is room for": lambda p: (p.step[2] + 4, FAR),
    "an image out of bounds": lambda p: (p.option[2] + 8, FAR),
    "an image that is none": lambda p: (p.option[2] + 8, p.choice // UNIT),
    "a variant that leads to itself": lambda p: (p.option[3] + 8, 3),
    "a variant that there is not": lambda p: (p.option[3] + 8, 4),
    "no fallback": lambda p: (p.choice, 0),
    "a fallback out of bounds": lambda p: (p.choice, FAR),
    "a first variant out of bounds": lambda p: (p.choice + 4, 1),
    "a choice without variants": lambda p: (p.choice + 8, 0),
    "a choice with too many variants": lambda p: (p.choice + 8, 5),
}


def test_a_sound_one_is_taken() -> None:
    of = Selection(ZoneArena(bytes(built())), b"\2\2")
    generator = Generator(1)
    for variant in range(4):
        assert of.pick(variant, generator) != (None, None)


@pytest.mark.parametrize("what", WRONG)
def test_one_that_is_not_sound_is_refused(what: str) -> None:
    data = built()
    at, value = WRONG[what](Places(data))
    assert struct.unpack_from("<I", data, at)[0] != value
    struct.pack_into("<I", data, at, value)
    refused(data)


def test_an_image_of_a_choice_is_no_referral() -> None:
    data = built()
    (image,) = struct.unpack_from("<I", data, Places(data).option[2] + 8)
    assert data[image * UNIT + KIND_AT] == 0
    data[image * UNIT + KIND_AT] = REFERRAL
    refused(data)


def with_statuses(names: bytes, count: int) -> bytearray:
    data = built()[:-SLACK]
    data += bytes(-len(data) % UNIT)
    struct.pack_into("<2I", data, Places(data).geo + 36, count, len(data) // UNIT)
    return data + names + bytes(SLACK)


def test_names_of_statuses_are_few_and_not_empty() -> None:
    assert ZoneArena(sealed(with_statuses(b"f/a\0" * 10_000, 10_000)))
    # Each becomes a string.
    refused(with_statuses(b"f/a\0" * 100_000, 100_000))
    refused(with_statuses(b"f/a\0\0f/b\0" + bytes(6), 3))


def test_choices_need_their_tables() -> None:
    data = built()
    struct.pack_into("<I", data, GEO_AT, 0)
    refused(data)
    struct.pack_into("<I", data, GEO_AT, FAR)
    refused(data)


@pytest.mark.parametrize("flag", [ALIAS, CUT])
def test_an_alias_or_a_cut_has_no_choices(flag: int) -> None:
    data = built()
    node = data.index(bytes([GEO, 5])) if bytes([GEO, 5]) in data else data.index(bytes([GEO, 4]))
    data[node] |= flag
    refused(data)


def test_a_fallback_that_is_a_choice_is_checked_too() -> None:
    data = built(choice_fallback=True)
    assert ZoneArena(bytes(data))
    nodata = HEADER.unpack_from(data)[11]
    node = next(at for at in range(0, len(data), UNIT) if data[at] == GEO | CHOICE and data[at + 2])
    struct.pack_into("<I", data, node + 8, nodata)
    refused(data)


def test_no_fallback_says_that_the_name_does_not_exist() -> None:
    data = built()
    struct.pack_into("<I", data, Places(data).choice, HEADER.unpack_from(data)[10])
    refused(data)


@pytest.mark.parametrize("variants", [16, 20_000])
def test_what_is_shared_is_bounded_by_the_size_of_the_arena(variants: int) -> None:
    """A small arena must not take a selection that is far larger."""
    options = [Option(apex_images()[0], 1)] * 1000
    data = bytearray(GeoArena([[Images(options)]]).build())[:-SLACK]
    (geo,) = struct.unpack_from("<I", data, GEO_AT)
    fields = struct.unpack_from("<16s8I", data, geo * UNIT)
    step, _ = struct.unpack_from("<2I", data, fields[5] * UNIT)
    # All variants have the same step.
    struct.pack_into("<2I", data, geo * UNIT + 28, variants, len(data) // UNIT)
    data += struct.pack("<2I", step, 1) * variants + bytes(SLACK)
    if variants == 16:
        assert Selection(ZoneArena(sealed(data)), b"").size < 1 << 23
    else:
        refused(data)
