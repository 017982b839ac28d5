"""Every answering thread has one of the readers of a SharedSnapshot, until it has been joined."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from xdpkit._core._snapshot import SharedSnapshot, Snapshot
from xdpkit._core._tcp_listener import TcpListener
from xdpkit._core._thread_state import ThreadState
from xdpkit._core._udp_listener import UdpListener

READERS = 264
PATIENCE_S = 10.0


def udp_thread(shared: SharedSnapshot) -> UdpListener:
    """A running thread without sockets."""
    listener = UdpListener(shared, ThreadState())
    listener.start()
    return listener


def tcp_thread(shared: SharedSnapshot) -> TcpListener:
    """The same for TCP."""
    listener = TcpListener(shared, ThreadState(), connections=1, idle_ns=10**9, queries=0)
    listener.start()
    return listener


@pytest.fixture
def shared() -> SharedSnapshot:
    """What the threads of one test read."""
    return SharedSnapshot(Snapshot({"ntp": 123}))


@pytest.fixture
def full(shared: SharedSnapshot) -> Iterator[list[UdpListener]]:
    """As many running threads as there are readers."""
    threads = [udp_thread(shared) for _ in range(READERS)]
    yield threads
    for thread in threads:
        thread.stop()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("start", [udp_thread, tcp_thread])
def test_any_number_of_threads_one_after_the_other(
    shared: SharedSnapshot, start: Callable[[SharedSnapshot], UdpListener | TcpListener]
) -> None:
    for _ in range(READERS + 10):
        thread = start(shared)
        thread.stop()
        thread.join()
    assert not thread.dead


def test_threads_that_nobody_joined_but_their_owner_let_go(shared: SharedSnapshot) -> None:
    for _ in range(READERS + 10):
        udp_thread(shared)
    gc.collect()
    udp_thread(shared)


def test_a_thread_keeps_its_reader_until_it_is_joined(
    shared: SharedSnapshot, full: list[UdpListener]
) -> None:
    with pytest.raises(ValueError, match=f"more than {READERS} answering threads"):
        udp_thread(shared)
    full[7].stop()
    deadline = time.monotonic() + PATIENCE_S
    while Path(f"/proc/self/task/{full[7].tid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(ValueError, match="answering threads"):
        udp_thread(shared)
    full[7].join()
    full.append(udp_thread(shared))
    with pytest.raises(ValueError, match="answering threads"):
        udp_thread(shared)


def test_a_reused_reader_holds_back_what_its_thread_may_read(shared: SharedSnapshot) -> None:
    first = udp_thread(shared)
    first.stop()
    first.join()
    second = udp_thread(shared)
    for _ in range(3):
        shared.publish(Snapshot({"ntp": 123}))
    deadline = time.monotonic() + PATIENCE_S
    while shared.collect() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert shared.collect() == 0
    first.join()  # once more: the reader is the other thread's by now
    del first
    gc.collect()
    others = [udp_thread(shared) for _ in range(READERS - 1)]
    with pytest.raises(ValueError, match="answering threads"):
        udp_thread(shared)
    assert not second.done
    for thread in [second, *others]:
        thread.stop()
