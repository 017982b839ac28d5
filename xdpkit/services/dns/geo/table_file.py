"""The file that keeps a table of locations for the next start, and what it was made from.

    arrays, each from a multiple of 64 bytes on | record (JSON) | FOOTER

It is mapped, not read: nothing is copied. The footer's checksum covers all of it. Only a file that
this process's user alone could have written is believed to be whole while it is mapped.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import re
import struct
from array import array
from collections.abc import Collection, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from xdpkit._core._geo_tree import is_sound
from xdpkit.reach import reach
from xdpkit.regular_file import check_owned, open_regular
from xdpkit.services.dns.geo.location_table import Ranges
from xdpkit.services.dns.geo.old_files import remove_old
from xdpkit.services.dns.geo.places import Places, PlaceTable
from xdpkit.services.dns.zonefile.sources import Source, compiler_key, from_json, to_json

SUFFIX = ".locations"

_NAME = re.compile(rf"[a-z]+-[0-9a-f]{{16}}{re.escape(SUFFIX)}")

_MAGIC = b"xdplocs1"
_FOOTER = struct.Struct("<8sQQ32s")
_ALIGN = 64

# Of the arrays in their order: ranges of IPv4 and IPv6, columns of places.
_CODES = "IIQIIIIdd"


def file_of(cache: Path, kind: str, path: Path) -> Path:
    """Where the table of a file of some kind is kept."""
    key = blake2b(os.fsencode(path.absolute()), digest_size=8).hexdigest()
    return cache / f"{kind.lower()}-{key}{SUFFIX}"


def remove_tables(cache: Path, used: Collection[str], age: float) -> None:
    """Removes tables whose files are not ``used`` and were written ``age`` seconds ago or earlier.

    Who has mapped one keeps it. What cannot be removed stays.
    """
    remove_old(cache, lambda name: bool(_NAME.fullmatch(name)) and name not in used, age)


def write_table(file: Path, table: PlaceTable, source: Source) -> None:
    """Keeps a table; whoever reads finds the old file or the new one. Raises OSError."""
    part = f"{reach(file)}.{os.getpid()}.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(part, flags, 0o600)
    try:
        with open(fd, "wb") as out:  # noqa: PTH123
            _write(out, table, source)
        os.rename(part, reach(file))  # noqa: PTH104
    except BaseException:
        with suppress(OSError):
            os.unlink(part)  # noqa: PTH108
        raise


def _write(out: Any, table: PlaceTable, source: Source) -> None:
    digest = blake2b(digest_size=32)

    def put(data: Any) -> None:
        digest.update(data)
        out.write(data)

    arrays, size = _arrays(table), 0
    for each in arrays:
        data = memoryview(each).cast("B")
        put(data)
        put(bytes(-len(data) % _ALIGN))
        size += len(data) + -len(data) % _ALIGN
    facts = {
        "compiler": compiler_key(),
        "source": to_json([source]),
        "counts": [len(each) for each in arrays],
        "texts": table.places.texts,
    }
    record = json.dumps(facts, separators=(",", ":")).encode()
    put(record)
    digest.update(_FOOTER.pack(_MAGIC, size, len(record), bytes(32)))
    out.write(_FOOTER.pack(_MAGIC, size, len(record), digest.digest()))


def _arrays(table: PlaceTable) -> list[Any]:
    places = table.places
    return [
        *(table.ipv4.starts, table.ipv4.indexes, table.ipv6.starts, table.ipv6.indexes),
        *(places.country, places.region, places.asn, places.latitude, places.longitude),
    ]


def read_kept(file: Path) -> tuple[PlaceTable, Source]:
    """A table that was kept, and what it was made from.

    Raises FileNotFoundError if there is none, OSError if another user could have written it, and
    ValueError if it is damaged, or was made by another version of xdpkit.
    """
    fd = open_regular(file, follow=False)
    try:
        found = os.fstat(fd)
        check_owned(file, found)
        if found.st_size < _FOOTER.size:
            raise ValueError("it is too short")
        data = memoryview(mmap.mmap(fd, found.st_size, mmap.MAP_PRIVATE, mmap.PROT_READ))
    finally:
        os.close(fd)
    return _parsed(data)


def _parsed(data: memoryview) -> tuple[PlaceTable, Source]:
    magic, size, length, digest = _FOOTER.unpack_from(data, len(data) - _FOOTER.size)
    if magic != _MAGIC or size + length + _FOOTER.size != len(data):
        raise ValueError("it has no valid footer: cut off, or not a file of locations")
    whole = blake2b(data[: size + length], digest_size=32)
    whole.update(_FOOTER.pack(_MAGIC, size, length, bytes(32)))
    if whole.digest() != digest:
        raise ValueError("its checksum is wrong")
    try:
        facts: dict[str, Any] = json.loads(bytes(data[size : size + length]))
        ours = facts["compiler"] == compiler_key()
        [source] = from_json(facts["source"])
        counts, texts = list(facts["counts"]), list(facts["texts"])
        if not all(isinstance(each, int) for each in counts):
            raise TypeError
        if not all(isinstance(each, str) for each in texts):
            raise TypeError
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError("its record is malformed") from error
    if not ours:
        raise ValueError("another version of xdpkit made it")
    arrays = _cut(data[:size], counts)
    table = PlaceTable(Ranges(*arrays[:2]), Ranges(*arrays[2:4]), Places(texts, *arrays[4:]))
    _check(table)
    return table, source


def _cut(data: memoryview, counts: Sequence[int]) -> list[Any]:
    """The arrays. Raises ValueError for counts that are not theirs."""
    arrays: list[Any] = []
    at = 0
    cast: Any
    for code, count in zip(_CODES, counts, strict=True):
        size = array(code).itemsize * count
        if not 0 < size <= len(data) - at:
            raise ValueError("its arrays are cut off")
        cast = data[at : at + size].cast
        arrays.append(cast(code))
        at += size + -size % _ALIGN
    return arrays


def _check(table: PlaceTable) -> None:
    """Raises ValueError for a table that its readers could not use, whoever wrote it."""
    places = table.places
    columns = (places.country, places.region, places.asn, places.latitude, places.longitude)
    ranges = (table.ipv4, table.ipv6)
    sound = (
        {len(each) for each in columns} == {len(places)}
        and max(max(places.country), max(places.region)) < len(places.texts)
        and all(map(_is_place, places.latitude, places.longitude))
        and all(is_sound(each.starts, each.indexes, len(places)) for each in ranges)
    )
    if not sound:
        raise ValueError("its content is malformed")


def _is_place(north: float, east: float) -> bool:
    return math.isnan(north) or (abs(north) <= 90 and abs(east) <= 180)
