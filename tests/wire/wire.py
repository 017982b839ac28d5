"""Sends and receives frames on the lab's wire: raw sockets at both ends.

Frames that the XDP program redirects never reach a raw socket on the server's side, and frames it
passes do: so that socket proves PASS. Marker frames sent after a frame tell when it has been
processed: queues and sockets preserve order.
"""

from __future__ import annotations

import itertools
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw
from serving import PATIENCE, QUEUE, QUEUES, Server, eventually, interface_of

from xdpkit.lab.namespaces import Lab, Side

# linux/if_packet.h and linux/if_ether.h.
SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
ETH_P_ALL = 3
SO_RCVBUFFORCE = 33
TP_STATUS_VLAN_VALID = 1 << 4
# IEEE 802 "local experimental": used by nothing else here.
MARKER_TYPE = 0x88B5

PORTS = {"ntp": 123, "dns": 53, "echo": 7}
MARKER_PORT = 39999

# Verdicts that the kernels' own traffic (ARP, neighbor discovery, MLD) may get at any moment.
CHATTER = {"group_mac", "not_ip", "not_udp", "extension_header"}

serial = itertools.count(1)


class Tap:
    """Every frame that a side's kernel receives, as it was on the wire."""

    def __init__(self, side: Side) -> None:
        with side.entered():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.socket.bind((side.ifname, ETH_P_ALL))

    def next(self, patience: float = PATIENCE) -> bytes:
        """The next frame. Raises TimeoutError if there is none."""
        self.socket.settimeout(patience)
        data, control, _, _ = self.socket.recvmsg(1 << 16, 256)
        for level, kind, aux in control:
            if (level, kind) != (SOL_PACKET, PACKET_AUXDATA):
                continue
            status, tci, tpid = struct.unpack_from("=I12xHH", aux)
            if status & TP_STATUS_VLAN_VALID:
                # The kernel strips the outer tag before any socket sees the frame.
                data = data[:12] + struct.pack("!HH", tpid, tci) + data[12:]
        return data

    def until(self, is_last: Callable[[bytes], bool]) -> list[bytes]:
        """The frames before the last one, which is left out."""
        frames = []
        deadline = time.monotonic() + PATIENCE
        while not is_last(data := self.next(max(deadline - time.monotonic(), 0.001))):
            frames.append(data)
        return frames


@dataclass(frozen=True)
class Outcome:
    """The outcome for one frame: replies on the wire, frames in the server's kernel, verdicts."""

    replies: list[bytes]
    passed: list[bytes]
    verdicts: Counter[str]


class Wire:
    """Both ends of the lab's wire. Frames go out on the queue chosen by ``use_queue``."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.client, self.server = Tap(lab.client), Tap(lab.server)
        self.client_mac = interface_of(lab.client)[1].hex(":")
        self.server_mac = interface_of(lab.server)[1].hex(":")
        self.use_queue(QUEUE)

    def close(self) -> None:
        self.client.socket.close()
        self.server.socket.close()

    def use_queue(self, queue: int) -> None:
        self.queue = queue
        self.lab.client.send_on_queue(queue, QUEUES)

    def frame(
        self,
        family: int,
        service: str,
        payload: bytes,
        sport: int = 40000,
        tags: tuple[int, ...] = (),
        ip: dict[str, object] | None = None,
        udp: dict[str, object] | None = None,
    ) -> Packet:
        """A request from the client to the server; ``ip`` and ``udp`` change header fields."""
        packet = Ether(dst=self.server_mac, src=self.client_mac)
        for tag in tags:
            packet /= Dot1Q(vlan=tag)
        client, server = self.lab.client, self.lab.server
        if family == 4:
            packet /= IP(**({"src": client.ipv4, "dst": server.ipv4} | (ip or {})))
        else:
            packet /= IPv6(**({"src": client.ipv6, "dst": server.ipv6} | (ip or {})))
        packet /= UDP(**({"sport": sport, "dport": PORTS[service]} | (udp or {})))
        return packet / Raw(payload)

    def reply(self, request: Packet, payload: bytes) -> bytes:
        """The fresh packet, byte for byte, that the server would send as an answer to a request."""
        sent = request[Ether]
        packet = Ether(dst=sent.src, src=sent.dst)
        tag = sent.getlayer(Dot1Q)
        while tag is not None:
            packet /= Dot1Q(vlan=tag.vlan)
            tag = tag.payload.getlayer(Dot1Q)
        if IP in request:
            packet /= IP(src=sent[IP].dst, dst=sent[IP].src, ttl=64, tos=0, id=0, flags="DF")
        else:
            packet /= IPv6(src=sent[IPv6].dst, dst=sent[IPv6].src, hlim=64, tc=0, fl=0)
        packet /= UDP(sport=sent[UDP].dport, dport=sent[UDP].sport)
        return bytes(packet / Raw(payload))

    def send(self, frame: bytes | Packet) -> None:
        self.client.socket.send(bytes(frame))

    def exchange(
        self,
        server: Server,
        frame: bytes | Packet,
        expected: tuple[str, ...] = (),
        replies: int = 0,
    ) -> Outcome:
        """Sends one frame and returns its outcome.

        Both markers have come through when this returns, so the XDP program and, on its queue, the
        ring have finished with the frame. The kernel takes its own time: this waits for this many
        ``replies`` and for the ``expected`` verdicts.
        """
        before = Counter(server.verdicts())
        number = struct.pack("!Q", next(serial))
        echo = self.frame(4, "echo", number, sport=MARKER_PORT)
        kernel = Ether(dst=self.server_mac, src=self.client_mac, type=MARKER_TYPE) / Raw(number)
        for data in (frame, echo, kernel):
            self.send(data)
        # By its payload alone: what a reply must look like is up to the tests.
        seen = self.client.until(lambda data: data.endswith(number))
        passed = self.server.until(lambda data: data == bytes(kernel))
        while len(only_ours(seen)) < replies:
            seen.append(self.client.next())
        way = "redirected" if self.queue == QUEUE else "other_queue"
        ours = Counter({way: 1, "echo_answered": 1, "not_ip": 1})
        awaited = ours + Counter(expected)

        def added() -> Counter[str]:
            return Counter(server.verdicts()) - before

        eventually(lambda: awaited <= added(), f"verdicts {awaited}")
        mine = bytes(frame)
        return Outcome(
            only_ours(seen),
            [
                data
                for data in passed
                if data == mine or not (data == bytes(echo) or is_chatter(data))
            ],
            Counter(
                {k: n for k, n in (added() - ours).items() if k in expected or k not in CHATTER}
            ),
        )


def is_chatter(data: bytes) -> bool:
    """The kernels' own traffic: ARP, IGMP, ICMP (no program has the client's ports), ICMPv6."""
    packet = Ether(data)
    if packet.type == 0x0806:
        return True
    if IPv6 in packet:
        return packet[IPv6].nh in (0, 58)
    return IP in packet and packet[IP].proto in (1, 2)


def only_ours(frames: list[bytes]) -> list[bytes]:
    """The frames without the kernels' own traffic."""
    return [data for data in frames if not is_chatter(data)]


def udp_payload(data: bytes) -> bytes:
    """The payload of a UDP frame."""
    return bytes(Ether(data)[UDP].payload)
