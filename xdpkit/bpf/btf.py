"""Finds a kernel function's BTF ID, by which a BPF program calls it.

linux ``Documentation/bpf/btf.rst`` and ``include/uapi/linux/btf.h``. Parses only what that takes.
"""

from __future__ import annotations

import struct
from pathlib import Path

VMLINUX = Path("/sys/kernel/btf/vmlinux")

# struct btf_header: magic, version, flags, header length, then offset and length of types, strings.
_HEADER = struct.Struct("=HBBIIIII")
_MAGIC = 0xEB9F

# struct btf_type: name offset, info (vlen in bits 0-15, kind in bits 24-28), size or type.
_TYPE = struct.Struct("=III")
_FUNC = 12

# Bytes that follow a struct btf_type, by kind: (fixed, per vlen element); other kinds have none.
_TAILS = {
    1: (4, 0),  # INT
    3: (12, 0),  # ARRAY
    4: (0, 12),  # STRUCT
    5: (0, 12),  # UNION
    6: (0, 8),  # ENUM
    13: (0, 8),  # FUNC_PROTO
    14: (4, 0),  # VAR
    15: (0, 12),  # DATASEC
    17: (4, 0),  # DECL_TAG
    19: (0, 12),  # ENUM64
}
# The last kind as of Linux 6.18; the length of a later one is unknown.
_LAST_KIND = 19


def function_id(btf: bytes, name: str) -> int:
    """The type ID of the function ``name`` in a BTF blob of this machine's byte order.

    Raises LookupError when there is no such function, ValueError when the blob cannot be parsed.
    """
    try:
        magic, version, _, length, type_offset, type_bytes, string_offset, _ = _HEADER.unpack_from(
            btf
        )
        if (magic, version) != (_MAGIC, 1):
            raise ValueError(f"not BTF version 1: magic {magic:#x}, version {version}")
        wanted = name.encode() + b"\0"
        position, strings = length + type_offset, length + string_offset
        end, number = position + type_bytes, 1
        while position < end:
            name_offset, info, _ = _TYPE.unpack_from(btf, position)
            kind = info >> 24 & 0x1F
            if kind == _FUNC and btf.startswith(wanted, strings + name_offset):
                return number
            if kind > _LAST_KIND:
                raise ValueError(f"BTF type {number} is of unknown kind {kind}")
            fixed, each = _TAILS.get(kind, (0, 0))
            position += _TYPE.size + fixed + each * (info & 0xFFFF)
            number += 1
    except struct.error as error:
        raise ValueError(f"truncated BTF: {error}") from error
    raise LookupError(name)
