"""The rings between an answering thread and a capture's reader, whatever the other end does."""

from __future__ import annotations

import mmap
import os
import struct
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pcapng_file import blocks

from xdpkit._core._capture import CaptureFilter, CaptureReader, CaptureSession

RING = 1 << 18
PAGE = 4096
THREADS = (3, 256)


def session() -> CaptureSession:
    return CaptureSession(CaptureFilter(), 1, THREADS, RING)


def reader_of(session: CaptureSession) -> CaptureReader:
    fds = (os.dup(session.records_fd), os.dup(session.tails_fd))
    return CaptureReader(*fds, RING, [f"t{thread}" for thread in session.threads])


class Made:
    """Records that can be told apart: a serial number, and any length."""

    def __init__(self) -> None:
        self.serial = count()

    def put(self, session: CaptureSession, thread: int, size: int) -> bytes:
        request = struct.pack("=Q", next(self.serial)) + bytes(size)
        session.put(thread, request, b"reply" * (size % 3))
        return request


ACTIONS = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(THREADS), st.integers(0, 60_000)),
    st.tuples(st.just("take"), st.just(0), st.integers(1, 20)),
)


@settings(max_examples=60)
@given(st.lists(ACTIONS, max_size=120))
def test_what_is_written_is_read_in_order_or_counted_as_lost(
    actions: list[tuple[str, int, int]],
) -> None:
    shared, made = session(), Made()
    reader = reader_of(shared)
    written: dict[int, list[bytes]] = {thread: [] for thread in THREADS}
    read: dict[int, list[bytes]] = {thread: [] for thread in THREADS}
    for action, thread, size in [*actions, ("take", 0, 10_000)]:
        if action == "put":
            lost = shared.counts()["lost"]
            request = made.put(shared, thread, size)
            if shared.counts()["lost"] == lost:
                written[thread].append(request)
        else:
            for record in reader.take(size):
                read[record.thread].append(record.request)
    for thread in THREADS:
        assert read[thread] == written[thread]
    counts = shared.counts()
    assert counts["sampled"] == counts["lost"] + sum(map(len, read.values()))
    assert counts["sampled"] == sum(action == "put" for action, _, _ in actions)


def test_a_full_ring_loses_the_new_and_keeps_the_old() -> None:
    shared, made = session(), Made()
    reader = reader_of(shared)
    sent = [made.put(shared, 3, 1000) for _ in range(1000)]
    lost = shared.counts()["lost"]
    assert lost > 0
    assert [record.request for record in reader.take(2000)] == sent[: 1000 - lost]
    # There is room again.
    request = made.put(shared, 3, 1000)
    assert [record.request for record in reader.take(9)] == [request]


@pytest.mark.parametrize("size, records", [(1 << 30, 1 << 30), (5000, 1 << 30), (1 << 30, 7)])
def test_blocks_hold_every_record_once(size: int, records: int) -> None:
    shared, made = session(), Made()
    reader = reader_of(shared)
    sent = sorted(made.put(shared, thread, 50) for thread in THREADS * 700)
    data, taken = b"", 0
    while (part := reader.blocks_up_to(size, records))[1]:
        data, taken = data + part[0], taken + part[1]
    assert taken == len(sent)
    # Of a packet: interface, time, two lengths, and the bytes.
    found = [body[20:78] for _, body in blocks(data) if len(body[20:78]) == 58]
    assert sorted(body for body in found if body in set(sent)) == sent


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=40))
def test_a_reader_that_lies_harms_nobody_else(tails: list[int]) -> None:
    """The writer stays inside its ring: the other thread's, behind it in memory, is as it was."""
    shared, made = session(), Made()
    reader = reader_of(shared)
    before = made.put(shared, 256, 100)
    with mmap.mmap(shared.tails_fd, 128) as memory:
        for tail in tails:
            struct.pack_into("=Q", memory, 0, tail)
            for size in (10, 60_000, 60_000, 5_000):
                made.put(shared, 3, size)
    counts = shared.counts()
    assert counts["sampled"] == 1 + 4 * len(tails)
    found = []
    try:
        found = reader.take(10_000)
    except ValueError:
        # Its own ring: what the reader said had been read was written over.
        with mmap.mmap(shared.records_fd, 0, prot=mmap.PROT_READ) as memory:
            assert before in memory[PAGE + RING :]
    else:
        assert before in [record.request for record in found]


def test_a_reader_can_neither_write_records_nor_change_sizes() -> None:
    shared = session()
    with pytest.raises(PermissionError):
        mmap.mmap(shared.records_fd, 0, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    for fd in (shared.records_fd, shared.tails_fd):
        for size in (0, 1 << 24):
            with pytest.raises(PermissionError):
                os.ftruncate(fd, size)


def memory(content: bytes, size: int) -> int:
    fd = os.memfd_create("test")
    os.ftruncate(fd, size)
    os.pwrite(fd, content, 0)
    return fd


@given(
    st.integers(0, 2**64 - 1) | st.integers(0, 5000).map(lambda n: 8 * n),
    st.lists(
        st.tuples(
            st.integers(0, 2**32 - 1) | st.integers(0, 40).map(lambda n: 8 * n),
            st.integers(0, 5),
            st.binary(max_size=200),
        ),
        max_size=20,
    ),
)
def test_a_reader_of_any_memory_reads_inside_it_or_refuses(
    head: int, parts: list[tuple[int, int, bytes]]
) -> None:
    body = b"".join(struct.pack("=IB", size, kind) + rest for size, kind, rest in parts)
    content = struct.pack("=Q", head).ljust(PAGE, b"\0") + body[:RING]
    for read in ("take", "blocks"):
        reader = CaptureReader(memory(content, PAGE + RING), memory(b"", 64), RING, ["t"])
        try:
            if read == "take":
                found = reader.take(1000)
                assert all(len(record.request) <= RING for record in found)
            else:
                blocks, _ = reader.blocks_up_to(1 << 20, 1000)
                assert len(blocks) % 4 == 0
        except ValueError:
            continue


def test_memory_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="does not have the size"):
        CaptureReader(memory(b"", RING), memory(b"", 64), RING, ["t"])
