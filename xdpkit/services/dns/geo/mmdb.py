"""MaxMind's database format, read: https://maxmind.github.io/MaxMind-DB/

A search tree by the bits of an address, and data that its leaves point into. Here the tree is
walked once, in order, and each piece of data is looked at once, for a few values; nothing in a file
can make that endless or large.
"""

from __future__ import annotations

import struct
from array import array
from pathlib import Path

from xdpkit._core._geo_tree import Tree
from xdpkit.errors import ConfigError
from xdpkit.regular_file import read_regular

# Far above the largest that MaxMind has.
DATABASE_BYTES_MAX = 1 << 30

_MARKER = b"\xab\xcd\xefMaxMind.com"
# The marker is in the last 128 KiB, and data is behind 16 zero bytes.
_METADATA_BYTES, _GAP = 128 << 10, 16

# What a whole walk of the tree may meet; MaxMind's largest has a third of it.
_LEAVES_MAX = 1 << 25

# Where IPv4 begins in a tree of IPv6: behind so many zero bits.
_IPV4_LEVEL = 96

# Values that one lookup may pass: a record of theirs has some 200.
_VALUES_MAX = 10_000

# Values that all lookups together may pass, for each byte of the file, and besides: theirs pass 2
# at most, of records that consist of pointers. So a file takes time by its size, whatever is in it.
_VALUES_PER_BYTE, _VALUES_BESIDES = 4, 100_000

_POINTER, _STRING, _DOUBLE, _MAP, _ARRAY, _BOOLEAN, _FLOAT = 1, 2, 3, 7, 11, 14, 15
_INTEGERS, _INTEGER_BYTES = (5, 6, 9, 10), 16
# Added to the pointers of each size.
_POINTER_BASES = (0, 2048, 526336, 0)
# The same of sizes that follow.
_SIZE_BASES = (29, 285, 65821)
# The first bytes of strings of up to 28 bytes are from here to there.
_SHORT_STRINGS, _LONG_STRINGS = _STRING << 5, (_STRING << 5) + 29


class DatabaseError(ConfigError):
    """A database that is no good."""


_Value = tuple[int, int, int]
"""The kind of a value, its size, and where its content begins."""

_NOTHING: _Value = (-1, 0, 0)


class Database:
    """A database in memory: a file's, or ``data`` if it was read already.

    Raises DatabaseError if it is none, or is damaged.
    """

    def __init__(self, path: Path, data: bytes | None = None) -> None:
        self.path = path
        try:
            self._data = read_regular(path, DATABASE_BYTES_MAX).data if data is None else data
        except OSError as error:
            raise DatabaseError(path, f"cannot be read: {error.strerror}") from None
        self._passed = 0
        self._left = _VALUES_BESIDES + _VALUES_PER_BYTE * len(self._data)
        self._end = len(self._data)
        try:
            self._open()
        except (IndexError, ValueError) as error:
            raise self._damaged(error) from None

    def _open(self) -> None:
        marker = self._data.rfind(_MARKER, max(len(self._data) - _METADATA_BYTES, 0))
        if marker < 0:
            raise ValueError("no metadata")
        self._base = marker + len(_MARKER)
        # They are the end of the file: whole, so is all before them.
        self._skip(self._base)
        metadata = {
            key: self.number(0, key)
            for key in ("node_count", "record_size", "ip_version", "binary_format_major_version")
        }
        self.nodes, record_bits = metadata["node_count"], metadata["record_size"]
        self.version = metadata["ip_version"]
        if metadata["binary_format_major_version"] != 2 or self.version not in (4, 6):
            raise ValueError("another format")
        self._base = self.nodes * (record_bits // 4) + _GAP
        if self._base > marker:
            raise ValueError("the tree is larger than the file")
        self._tree = Tree(self._data, self.nodes, record_bits)
        # Data ends where metadata begin.
        self._end = marker

    def _damaged(self, error: Exception) -> DatabaseError:
        reason = str(error) if isinstance(error, ValueError) else "it ends too early"
        fix = "fetch it again, whole"
        return DatabaseError(self.path, f"not a MaxMind database, or damaged ({reason}): {fix}")

    def text(self, offset: int, *keys: str | int) -> str:
        """The text that keys of maps, and indexes of arrays, lead to; empty if there is none."""
        kind, size, at = self._find(offset, keys)
        return self._data[at : at + size].decode("utf-8", "replace") if kind == _STRING else ""

    def number(self, offset: int, *keys: str | int) -> int:
        """The same of a number that is not negative; 0 if there is none."""
        kind, size, at = self._find(offset, keys)
        if kind not in _INTEGERS or size > _INTEGER_BYTES:
            return 0
        return int.from_bytes(self._data[at : at + size], "big")

    def real(self, offset: int, *keys: str | int) -> float | None:
        """The same of a number with a fraction; None if there is none."""
        kind, size, at = self._find(offset, keys)
        form = {(_DOUBLE, 8): ">d", (_FLOAT, 4): ">f"}.get((kind, size))
        return None if form is None else float(struct.unpack_from(form, self._data, at)[0])

    def leaves(self, version: int, bits: int) -> tuple[array[int], array[int]]:
        """The first bits of the first address of each network, and its leaf; 0: it has no data.

        In the order of addresses, to ``bits`` of them, 32 or 64: networks that are longer count by
        the first of them. The copies of IPv4 in IPv6 (6to4 and the like) are left out. Raises
        DatabaseError.
        """
        try:
            ipv4 = self._tree.first_below(_IPV4_LEVEL if self.version == 6 else 0)
            if version == 4:
                return self._tree.walk(ipv4, bits, self.nodes, _LEAVES_MAX)
            # A leaf may be of any network.
            return self._tree.walk(0, bits, min(ipv4, self.nodes), _LEAVES_MAX)
        except ValueError as error:
            raise self._damaged(error) from None

    def offset(self, leaf: int) -> int:
        """Where the data of a leaf is. Raises DatabaseError."""
        if leaf < _GAP:
            raise self._damaged(ValueError("a leaf without data"))
        return leaf - _GAP + self._base

    def _find(self, offset: int, keys: tuple[str | int, ...]) -> _Value:
        """What keys lead to; 0 is the offset of metadata."""
        self._passed = 0
        try:
            found = self._value(offset or self._base)[:3]
            for key in keys:
                found = self._index(found, key) if isinstance(key, int) else self._key(found, key)
            self._left -= self._passed
            if self._left < 0:
                raise ValueError("more data than is in the file")
        except (IndexError, ValueError) as error:
            raise self._damaged(error) from None
        return found

    def _index(self, found: _Value, index: int) -> _Value:
        """A value of an array."""
        kind, size, at = found
        if kind != _ARRAY or size <= index:
            return _NOTHING
        for _ in range(index):
            at = self._skip(at)
        return self._value(at)[:3]

    def _key(self, found: _Value, key: str) -> _Value:
        """The value of a key of a map."""
        kind, size, at = found
        wanted = key.encode()
        for _ in range(size if kind == _MAP else 0):
            _, length, name, at = self._value(at)
            if self._data[name : name + length] == wanted:
                return self._value(at)[:3]
            at = self._skip(at)
        return _NOTHING

    def _value(self, at: int) -> tuple[int, int, int, int]:
        """The value at an offset, through a pointer; and what follows it there.

        What follows a map or an array is what follows its head.
        """
        kind, size, content, after = self._head(at)
        if kind == _POINTER:
            kind, size, content, _ = self._head(content)
            if kind == _POINTER:
                raise ValueError("a pointer to a pointer")
        return kind, size, content, after

    def _head(self, at: int) -> tuple[int, int, int, int]:
        """Kind, size and place of a value, or of what a pointer points to; and what follows."""
        self._passed += 1
        if self._passed > _VALUES_MAX:
            raise ValueError("data without end")
        data = self._data
        control = data[at]
        at += 1
        kind, size = control >> 5, control & 31
        if kind == _POINTER:
            length = (size >> 3) + 1
            bits = int.from_bytes(data[at : at + length], "big")
            if length < 4:
                bits |= (size & 7) << 8 * length
            return _POINTER, 0, bits + _POINTER_BASES[length - 1] + self._base, at + length
        if kind == 0:
            kind, at = data[at] + 7, at + 1
        if size >= 29:
            length = size - 28
            extra = int.from_bytes(data[at : at + length], "big")
            size, at = _SIZE_BASES[length - 1] + extra, at + length
        after = at if kind in (_MAP, _ARRAY, _BOOLEAN) else at + size
        if after > self._end:
            raise IndexError
        return kind, size, at, after

    def _skip(self, at: int) -> int:
        """What follows a value and all that is in it."""
        data, left = self._data, 1
        while left:
            control = data[at]
            if _SHORT_STRINGS <= control < _LONG_STRINGS:
                # Most of what there is.
                at += 1 + control - _SHORT_STRINGS
                self._passed += 1
                left -= 1
                continue
            kind, size, _, at = self._head(at)
            left += (2 * size if kind == _MAP else size if kind == _ARRAY else 0) - 1
            if left > _VALUES_MAX:
                raise ValueError("data without end")
        return at
