"""The BTF ID of a kernel function, and its call in place of another."""

from __future__ import annotations

import random
import re
import struct
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpkit._core._stats import RX_TIMESTAMP_CALL
from xdpkit.bpf import btf, kfunc

HELPER = struct.pack("<BBhi", 0x85, 0, 0, RX_TIMESTAMP_CALL)
KFUNC = struct.pack("<BBhi", 0x85, 0x20, 0, 66161)

INSTRUCTIONS = st.lists(st.one_of(st.just(HELPER), st.binary(min_size=8, max_size=8)))


@given(INSTRUCTIONS)
def test_every_call_and_nothing_else_is_replaced(code: list[bytes]) -> None:
    if HELPER not in code:
        with pytest.raises(ValueError, match="0x7ffffff0"):
            kfunc.call_kfunc(b"".join(code), RX_TIMESTAMP_CALL, 66161)
        return
    after = kfunc.call_kfunc(b"".join(code), RX_TIMESTAMP_CALL, 66161)
    assert [after[i : i + 8] for i in range(0, len(after), 8)] == [
        KFUNC if instruction == HELPER else instruction for instruction in code
    ]


def test_the_same_bytes_across_two_instructions_are_kept() -> None:
    across = bytes(4) + HELPER + bytes(4)
    assert kfunc.call_kfunc(across + HELPER, RX_TIMESTAMP_CALL, 66161) == across + KFUNC


@pytest.fixture(scope="module")
def vmlinux() -> bytes:
    if not btf.VMLINUX.exists():
        pytest.skip("this kernel has no BTF")
    return btf.VMLINUX.read_bytes()


def test_ids_are_those_of_bpftool(tool: Callable[[str], str], vmlinux: bytes) -> None:
    command = [tool("bpftool"), "btf", "dump", "file", str(btf.VMLINUX)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # The first of each name: static functions of several files may share one.
    ids: dict[str, int] = {}
    for number, name in re.findall(r"^\[(\d+)\] FUNC '(\w+)'", text, re.MULTILINE):
        ids.setdefault(name, int(number))
    chosen = random.Random(1).sample(sorted(ids), 20)
    for name in (*chosen, "bpf_xdp_metadata_rx_timestamp"):
        assert btf.function_id(vmlinux, name) == ids.get(name), name


@pytest.mark.parametrize("name", ["", "no_such_function", "bpf_xdp_metadata_rx_timesta", "sk_buff"])
def test_a_name_that_is_not_a_function(vmlinux: bytes, name: str) -> None:
    with pytest.raises(LookupError):
        btf.function_id(vmlinux, name)


def btf_blob(*types: bytes, strings: bytes = b"\0run\0") -> bytes:
    """A BTF blob with these types."""
    body = b"".join(types)
    return (
        struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(body), len(body), len(strings))
        + body
        + strings
    )


def btf_type(kind: int, vlen: int = 0, name: int = 0, tail: int = 0) -> bytes:
    """A BTF type and the bytes that follow it."""
    return struct.pack("=III", name, kind << 24 | vlen, 0) + bytes(tail)


# Kind, vlen and the bytes that follow, from linux/btf.h: each structure's sizeof.
EVERY_KIND = [
    *((kind, 0, 0) for kind in (2, 7, 8, 9, 10, 11, 12, 16, 18)),
    *((kind, 0, 4) for kind in (1, 14, 17)),
    (3, 0, 12),
    *((kind, 5, 5 * 12) for kind in (4, 5, 15, 19)),
    *((kind, 5, 5 * 8) for kind in (6, 13)),
]


@given(st.lists(st.sampled_from(EVERY_KIND)))
def test_every_kind_is_skipped(kinds: list[tuple[int, int, int]]) -> None:
    types = [btf_type(kind, vlen, tail=tail) for kind, vlen, tail in kinds]
    assert btf.function_id(btf_blob(*types, btf_type(12, name=1)), "run") == len(kinds) + 1


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\x7fELF" + bytes(100),
        struct.pack(">HBBIIIII", 0xEB9F, 1, 0, 24, 0, 0, 0, 0),
        btf_blob(btf_type(20)),
        btf_blob(btf_type(31)),
        btf_blob(btf_type(2), b"\0\0\0"),
        btf_blob(btf_type(12, name=1))[:30],
    ],
)
def test_unsupported_or_damaged_btf(blob: bytes) -> None:
    with pytest.raises(ValueError, match="BTF"):
        btf.function_id(blob, "run")


@given(st.binary(max_size=100))
def test_any_bytes_raise_expected_errors_only(junk: bytes) -> None:
    for blob in (junk, btf_blob(junk)):
        try:
            btf.function_id(blob, "run")
        except (LookupError, ValueError):
            continue
