"""The file that keeps the view of cached JSON zones: one for all zones that share it, by its id.

    block | record (JSON) | FOOTER

The footer's checksum covers all of it. It lies beside the arenas (``arena_file``), whose records
name it, and is removed when none does.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from xdpkit._core._geo_view import ID_BYTES
from xdpkit.reach import reach
from xdpkit.regular_file import check_owned, open_regular
from xdpkit.services.dns.compiler.arena_file import OtherVersion, replace_file
from xdpkit.services.dns.geo.old_files import remove_old
from xdpkit.services.dns.zonefile.sources import compiler_key

SUFFIX = ".view"

# One of a million ranges takes 10 MB; the most ranges that a view can have, 200 MB.
BYTES_MAX = 1 << 29

_MAGIC = b"xdpview1"
_FOOTER = struct.Struct("<8sQQ32s")
"""Magic, block size, record size, BLAKE2b-256 of everything before and these fields."""

_NAME = re.compile(rf"[0-9a-f]{{{2 * ID_BYTES}}}{re.escape(SUFFIX)}")


def file_name(view: bytes) -> str:
    """The name of the file that keeps the view with this id."""
    return view.hex() + SUFFIX


def is_view_file(name: str) -> bool:
    """Whether a file of the cache has a view."""
    return bool(_NAME.fullmatch(name))


def _tail(block: memoryview) -> bytes:
    record = json.dumps({"compiler": compiler_key()}).encode()
    fields = len(block), len(record)
    digest = blake2b(block, digest_size=32)
    digest.update(record + _FOOTER.pack(_MAGIC, *fields, bytes(32)))
    return record + _FOOTER.pack(_MAGIC, *fields, digest.digest())


def read_view(file: str) -> bytes:
    """The block of a view that was kept; that it is one is for whoever opens it to find out.

    Raises FileNotFoundError if there is none, OSError if another user could have written it,
    ValueError if it is damaged, OtherVersion if another version of xdpkit made it, and MemoryError.
    """
    fd = open_regular(file, follow=False)
    with open(fd, "rb", buffering=0) as opened:  # noqa: PTH123
        found = os.fstat(opened.fileno())
        check_owned(file, found)
        if found.st_size > BYTES_MAX:
            raise ValueError("it is too large")
        return _block(opened.read(found.st_size))


def _block(data: bytes) -> bytes:
    if len(data) < _FOOTER.size:
        raise ValueError("it is too short")
    magic, size, length, digest = _FOOTER.unpack_from(data, len(data) - _FOOTER.size)
    if magic != _MAGIC or size + length + _FOOTER.size != len(data):
        raise ValueError("it has no valid footer: cut off, or not the file of a view")
    whole = blake2b(memoryview(data)[: size + length], digest_size=32)
    whole.update(_FOOTER.pack(_MAGIC, size, length, bytes(32)))
    if whole.digest() != digest:
        raise ValueError("its checksum is wrong")
    try:
        ours = json.loads(data[size : size + length])["compiler"] == compiler_key()
    except (LookupError, TypeError, RecursionError) as error:
        raise ValueError("its record is malformed") from error
    if not ours:
        raise OtherVersion
    return data[:size]


def write_view(directory: Path, view: bytes, fd: int, at: int, size: int) -> None:
    """Keeps the view whose block is in ``fd`` at an offset. Raises OSError.

    Whoever reads finds the old file or the new one; one that is the same is left alone.
    """
    block = os.pread(fd, size, at)
    end, path = _tail(memoryview(block)), reach(directory / file_name(view))
    with suppress(OSError, ValueError, MemoryError):
        if read_view(path) == block:
            return
    replace_file(path, fd, at, size, end)


def remove_views(directory: Path, used: Iterable[bytes], age: float = 0.0) -> None:
    """Removes the views that no zone uses, and that were written ``age`` seconds ago or earlier.

    What cannot be removed stays.
    """
    names = set(map(file_name, used))
    remove_old(directory, lambda name: is_view_file(name) and name not in names, age)
