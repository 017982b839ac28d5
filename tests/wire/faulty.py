"""A server that makes mistakes on purpose, for the generator to find."""

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

# What is sent instead of a right reply: frames, none for silence.
Fault = Callable[[bytes], list[bytes]]


class Responder:
    """Answers every request as xdpkit would, but one in ``every`` as ``fault`` makes of it."""

    def __init__(self, lab: Lab, directory: Path, fault: Fault, every: int) -> None:
        write_config(directory)
        self._snapshot = bytes_call(directory, precision=-20)
        self._fault, self._every = fault, every
        # Requests dealt with, their replies sent; and how many of them badly.
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
        # In the middle, so that right replies come behind the last fault.
        if self.done % self._every == self._every // 2:
            self.faults += 1
            frames = self._fault(reply)
        for frame in frames:
            self._socket.send(frame)
        self.done += 1


def changed(change: Callable[[bytearray], None]) -> Fault:
    """A reply with another payload, its checksums right."""

    def fault(reply: bytes) -> list[bytes]:
        packet = Ether(reply)
        payload = bytearray(bytes(packet[UDP].payload))
        change(payload)
        packet[UDP].remove_payload()
        return [rebuilt(packet / Raw(bytes(payload)))]

    return fault


def rebuilt(packet: Packet) -> bytes:
    """The frame with lengths and checksums made anew."""
    for layer in (IP, IPv6, UDP):
        for name in ("len", "plen", "chksum"):
            if layer in packet and name in packet[layer].fields:
                packet[layer].delfieldval(name)
    return bytes(packet)


def header(layer: type[Packet], **fields: object) -> Fault:
    """A reply with other header fields, its checksums right."""

    def fault(reply: bytes) -> list[bytes]:
        packet = Ether(reply)
        for name, value in fields.items():
            setattr(packet[layer], name, value)
        return [rebuilt(packet)]

    return fault


def flipped(at: int) -> Fault:
    """A reply with one bit changed on the way."""

    def fault(reply: bytes) -> list[bytes]:
        data = bytearray(reply)
        data[at] ^= 0x10
        return [bytes(data)]

    return fault


def put(at: int, value: int) -> Fault:
    """A reply with another byte in its payload."""

    def change(payload: bytearray) -> None:
        assert payload[at] != value
        payload[at] = value

    return changed(change)


def lost(_: bytes) -> list[bytes]:
    """No reply."""
    return []


def twice(reply: bytes) -> list[bytes]:
    """The same reply two times."""
    return [reply, reply]
