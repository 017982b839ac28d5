"""Finds a kernel function's id in BTF: what a BPF program's call of it names.

linux ``Documentation/bpf/btf.rst`` and ``include/uapi/linux/btf.h``. Only as much as an id needs.
"""

from __future__ import annotations

import struct
from pathlib import Path

VMLINUX = Path("/sys/kernel/btf/vmlinux")

# struct btf_header: magic, version, flags, header length, then offset and length of types, strings.
_HEADER = struct.Struct("=HBBIIIII")
_MAGIC = 0xEB9F

# struct btf_type: offset of the name, info (vlen in bits 0-15, kind in bits 24-28), size or type.
_TYPE = struct.Struct("=III")
_FUNC = 12

# Bytes after a struct btf_type by kind: (once, for each of vlen); none after a kind not here.
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
# The kinds up to Linux 6.18; the length of a later one is not known.
_LAST_KIND = 19


def function_id(btf: bytes, name: str) -> int:
    """The type id of the function ``name`` in a BTF blob of this machine's byte order.

    Raises LookupError where it is not there, ValueError for what is no BTF that we can walk.
    """
    try:
        magic, version, _, length, type_at, type_bytes, string_at, _ = _HEADER.unpack_from(btf)
        if (magic, version) != (_MAGIC, 1):
            raise ValueError(f"no BTF of version 1: magic {magic:#x}, version {version}")
        wanted = name.encode() + b"\0"
        at, strings = length + type_at, length + string_at
        end, number = at + type_bytes, 1
        while at < end:
            name_at, info, _ = _TYPE.unpack_from(btf, at)
            kind = info >> 24 & 0x1F
            if kind == _FUNC and btf.startswith(wanted, strings + name_at):
                return number
            if kind > _LAST_KIND:
                raise ValueError(f"BTF type {number} is of kind {kind}, which is not known")
            once, each = _TAILS.get(kind, (0, 0))
            at += _TYPE.size + once + each * (info & 0xFFFF)
            number += 1
    except struct.error as error:
        raise ValueError(f"BTF ends early: {error}") from error
    raise LookupError(name)
