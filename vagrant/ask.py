#!/usr/bin/env python3
"""Asks a server for the time and for a name, in turn, checks every answer, and prints the counts.

    ask.py ADDRESS [REQUESTS]

The other end of `xdpkit demo --interface`. 32 requests are in flight at a time, each from a source
port of its own: a NIC spreads flows over RX queues by port, and a sender has no other influence.
Nothing is sent twice, so the server's counts can be compared. Needs only Python.
"""

from __future__ import annotations

import secrets
import select
import socket
import struct
import sys
import time

AT_ONCE = 32
REQUESTS = 4000
WAIT_SECONDS = 5.0
NTP_PORT, DNS_PORT = 123, 53
# www.example and its A record in the demo's zone (xdpkit/demo/zone.py).
NAME = b"\3www\7example\0"
RECORD = socket.inet_aton("192.0.2.80")


class Request:
    """One question on a socket of its own."""

    def __init__(self, address: str, number: int) -> None:
        self.is_ntp = number % 2 == 0
        self.mark = secrets.token_bytes(8 if self.is_ntp else 2)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((address, NTP_PORT if self.is_ntp else DNS_PORT))
        self.socket.send(self.message())

    def fileno(self) -> int:
        return self.socket.fileno()

    def message(self) -> bytes:
        """NTP: version 4, mode 3, transmit timestamp (RFC 5905, 7.3); DNS: RFC 1035, 4.1."""
        if self.is_ntp:
            return bytes([4 << 3 | 3]) + bytes(39) + self.mark
        return self.mark + struct.pack("!5H", 0x0100, 1, 0, 0, 0) + NAME + struct.pack("!2H", 1, 1)

    def is_answered(self) -> bool:
        """Reads the reply; returns whether it is correct."""
        try:
            reply = self.socket.recv(2048)
        except OSError:  # an ICMP error: nothing listens there
            return False
        if self.is_ntp:
            good = len(reply) == 48 and reply[0] & 7 == 4 and 1 <= reply[1] <= 15
            return good and reply[24:32] == self.mark
        # QR is set and the response code is 0; the one answer, at the end, is the A record.
        good = len(reply) > 12 and reply[2] & 0x80 != 0 and reply[3] & 15 == 0
        return good and reply[:2] == self.mark and reply[6:8] == b"\0\1" and RECORD in reply[12:]


def ask(address: str, count: int) -> tuple[int, int]:
    """Sends this many requests; returns how many got a right answer and how many a wrong one."""
    right = wrong = 0
    for first in range(0, count, AT_ONCE):
        waiting = {Request(address, number) for number in range(first, min(first + AT_ONCE, count))}
        sockets = [request.socket for request in waiting]
        deadline = time.monotonic() + WAIT_SECONDS
        while waiting and (left := deadline - time.monotonic()) > 0:
            for request in select.select(list(waiting), [], [], left)[0]:
                waiting.discard(request)
                if request.is_answered():
                    right += 1
                else:
                    wrong += 1
        for each in sockets:
            each.close()
    return right, wrong


def main(arguments: list[str]) -> int:
    if len(arguments) not in (1, 2) or (len(arguments) == 2 and not arguments[1].isdigit()):
        print("usage: ask.py ADDRESS [REQUESTS]", file=sys.stderr)
        return 2
    count = int(arguments[1]) if len(arguments) == 2 else REQUESTS
    begin = time.monotonic()
    right, wrong = ask(arguments[0], count)
    print(
        f"asked {arguments[0]} {count} times from {count} source ports in"
        f" {time.monotonic() - begin:.1f} s: {right} right answers, {wrong} wrong,"
        f" {count - right - wrong} lost"
    )
    return 0 if right == count else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
