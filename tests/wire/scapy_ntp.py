"""A program that queries an NTP server in versions 1 to 4 with scapy alone; prints JSON."""

from __future__ import annotations

import json
import sys

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ntp import NTPHeader
from scapy.sendrecv import sr1

# A client's transmit timestamp, in seconds since 1900; 32.32 bits represent it exactly.
SENT = 3_900_000_000.25


def ask(address: str, version: int) -> dict[str, object]:
    """The fields of one answer; times are seconds since 1900."""
    network = IPv6 if ":" in address else IP
    request = NTPHeader(version=version, mode="client", poll=6, sent=SENT)
    packet = network(dst=address) / UDP(sport=40122 + version, dport=123) / request
    answer = sr1(packet, timeout=20, verbose=False)
    if answer is None or NTPHeader not in answer:
        sys.exit(f"no answer in version {version}")
    ntp = answer[NTPHeader]
    fields = {name: getattr(ntp, name) for name in ("leap", "version", "mode", "stratum", "poll")}
    fields |= {name: float(getattr(ntp, name)) for name in ("ref", "orig", "recv", "sent")}
    return fields | {
        "refid": ntp.id,
        "source": answer[network].src,
        "length": len(answer[UDP].payload),
    }


print(json.dumps([ask(sys.argv[1], version) for version in range(1, 5)]))
