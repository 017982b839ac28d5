"""The kernel's TAI offset changes while the server runs, as when chronyd first syncs (0 to 37)."""

from __future__ import annotations

import ctypes
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serving import QUEUE, QUEUES, serving

from xdpkit.lab.namespaces import Lab
from xdpkit.services.ntp.client import HEADER, UNIX_EPOCH

CONFIG = """
[interface]
name = "server0"
queues = [2]
[ntp]
"""

# linux/timex.h: ADJ_TAI; `constant` holds the offset then.
ADJ_TAI = 0x0080


class Timex(ctypes.Structure):
    """The part of struct timex (linux/timex.h) used here, and room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("rest", ctypes.c_char * 160),
    )


def tai_offset() -> int:
    now = time.clock_gettime(time.CLOCK_TAI) - time.clock_gettime(time.CLOCK_REALTIME)
    return round(now)


def set_tai_offset(seconds: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.adjtimex(ctypes.byref(Timex(modes=ADJ_TAI, constant=seconds))) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextmanager
def restored_tai_offset() -> Iterator[None]:
    """Restores the kernel's offset at the end of a block, whatever happens inside."""
    before = tai_offset()
    try:
        set_tai_offset(before)
    except PermissionError:
        pytest.skip("setting the kernel's TAI offset needs CAP_SYS_TIME")
    try:
        yield
    finally:
        set_tai_offset(before)


class Client:
    """Uses interleaved mode over one socket and checks every time it gets."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.origin, self.receive, self.before = 0, 0, 0.0
        self.interleaved = 0

    def ask(self) -> None:
        mark = secrets.randbits(64)
        asked = time.time()
        request = HEADER.pack(
            4 << 3 | 3, 0, 0, 0, 0, 0, bytes(4), 0, self.origin, self.receive, mark
        )
        self.sock.send(request)
        *_, origin, receive, transmit = HEADER.unpack(self.sock.recv(100))
        answered = time.time()
        assert origin in (mark, self.receive)
        earliest = asked if origin == mark else self.before
        self.interleaved += origin != mark
        for stamp, least in ((receive, asked), (transmit, earliest)):
            assert least - 0.5 <= stamp / 2**32 - UNIX_EPOCH <= answered + 0.5
        self.origin, self.receive, self.before = receive, secrets.randbits(64) | 1, asked


@pytest.mark.netns
@pytest.mark.parametrize("queue", [QUEUE, 0], ids=["ring", "slow path"])
def test_no_reply_is_off_by_the_leap_seconds(lab: Lab, tmp_path: Path, queue: int) -> None:
    lab.client.send_on_queue(queue, QUEUES)
    with serving(lab, tmp_path, CONFIG) as server, restored_tai_offset():
        with lab.client.entered():
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with sock:
            sock.settimeout(10)
            sock.connect((lab.server.ipv4, 123))
            client = Client(sock)
            for offset in (37, 36, 0, 37, 10) * 4:
                set_tai_offset(offset)
                for _ in range(50):
                    client.ask()
        assert client.interleaved > 900
        assert server.verdicts()["ntp_interleaved"] == client.interleaved
