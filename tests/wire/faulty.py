"""A server that makes deliberate mistakes, for the load generator to find."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from serving import bytes_call, write_config
from wire import ETH_P_ALL, PORTS

from xdpkit._core._answer import answer_frame
from xdpkit.lab.namespaces import Lab

# Turns a correct reply into the frames to send instead; none for silence.
Fault = Callable[[bytes], list[bytes]]


class Responder:
    """Answers requests as xdpkit would, but passes one reply in ``every`` through ``fault``."""

    def __init__(self, lab: Lab, directory: Path, fault: Fault, every: int) -> None:
        write_config(directory)
        self._snapshot = bytes_call(directory, precision=-20)
        self._fault, self._every = fault, every
        # Requests handled, their replies sent; and how many of these were faulty.
        self.done = self.faults = 0
        with lab.server.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._socket.bind((lab.server.ifname, ETH_P_ALL))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Responder:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            if not select.select([self._socket], [], [], 0.05)[0]:
                continue
            data, origin = self._socket.recvfrom(2048)
            if origin[2] != socket.PACKET_OUTGOING:
                self._answer(data)

    def _answer(self, data: bytes) -> None:
        packet = Ether(data)
        if UDP not in packet or packet[UDP].dport not in PORTS.values():
            return
        _, reply = answer_frame(self._snapshot, data, rx_ns=10**18, tx_ns=10**18 + 1000)
        assert reply is not None
        frames = [reply]
        # In the middle, so that correct replies follow the last fault.
        if self.done % self._every == self._every // 2:
            self.faults += 1
            frames = self._fault(reply)
        for frame in frames:
            self._socket.send(frame)
        self.done += 1


def change_payload(change: Callable[[bytearray], None]) -> Fault:
    """A reply with a changed payload and correct checksums."""

    def fault(reply: bytes) -> list[bytes]:
        packet = Ether(reply)
        payload = bytearray(bytes(packet[UDP].payload))
        change(payload)
        packet[UDP].remove_payload()
        return [rebuild(packet / Raw(bytes(payload)))]

    return fault


def rebuild(packet: Packet) -> bytes:
    """The frame with lengths and checksums recomputed."""
    for layer in (IP, IPv6, UDP):
        for name in ("len", "plen", "chksum"):
            if layer in packet and name in packet[layer].fields:
                packet[layer].delfieldval(name)
    return bytes(packet)


def change_header(layer: type[Packet], **fields: object) -> Fault:
    """A reply with changed header fields and correct checksums."""

    def fault(reply: bytes) -> list[bytes]:
        packet = Ether(reply)
        for name, value in fields.items():
            setattr(packet[layer], name, value)
        return [rebuild(packet)]

    return fault


def flip_bit(position: int) -> Fault:
    """A reply with one bit flipped in transit."""

    def fault(reply: bytes) -> list[bytes]:
        data = bytearray(reply)
        data[position] ^= 0x10
        return [bytes(data)]

    return fault


def put_byte(position: int, value: int) -> Fault:
    """A reply with one byte of its payload replaced."""

    def change(payload: bytearray) -> None:
        assert payload[position] != value
        payload[position] = value

    return change_payload(change)


def lost(_: bytes) -> list[bytes]:
    """No reply."""
    return []


def twice(reply: bytes) -> list[bytes]:
    """The same reply twice."""
    return [reply, reply]
