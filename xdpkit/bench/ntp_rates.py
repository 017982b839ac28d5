"""``bench --ntp``: what each feature of the NTP server costs, relative to plain answers/s.

One server per case, all up at once, measured in turn; a new case is a line in ``CASES``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from xdpkit._core._keys import Keys, digest
from xdpkit.bench import cpu, probe, rows, testbed
from xdpkit.loadgen.figures import ratio, spreads

# Interleaved clients, and open requests in the other cases: as in speed.py, veth drops none.
WINDOW = 192

Say = Callable[[str], None]


@dataclass(frozen=True)
class Case:
    """A configuration and the requests sent to it."""

    name: str
    ntp: str = ""
    """Keys of [ntp]; further tables may follow them."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files beside the configuration, by name."""
    requests: Callable[[], Sequence[bytes]] = tuple
    """Makes finished payloads (``queries`` of ``Requests``); none: the generator's plain ones."""
    clients: int = 0
    addresses: int = 1


# Prefixes to look a source up in, sources under the rate limit, and a key.
LISTS = ", ".join(f'"10.{n}.0.0/16"' for n in range(256))
SOURCES = 200
KEY = (1, "AES128", bytes(range(16)), 0)


def keyed() -> Sequence[bytes]:
    """NTPv4 requests with AES-CMAC; the transmit timestamps count up (``Requests``)."""
    keys = Keys([KEY])
    made = []
    for number in range(1, 1025):
        header = b"\x23" + bytes(39) + number.to_bytes(8)
        made.append(header + KEY[0].to_bytes(4) + digest(keys, KEY[0], header))
    return made


PLAIN = Case("plain")
CASES = (
    PLAIN,
    # The same again: smaller differences than this one mean nothing.
    Case("plain-again"),
    Case(
        "limits-lists",
        f"deny = [{LISTS}]\n[ntp.limit]\ninterval = -19\nburst = 255\naddresses = 1048576",
        addresses=SOURCES,
    ),
    Case(
        "aes-cmac",
        'keys = "ntp.keys"',
        files={"ntp.keys": f"{KEY[0]} {KEY[1]} HEX:{KEY[2].hex()}\n"},
        requests=keyed,
    ),
    Case("interleaved", clients=WINDOW),
    Case("tx-kick", 'tx_timestamps = "kick"'),
    Case("tx-compensation", "tx_compensation = true"),
)


def server_for(case: Case, program: tuple[str, ...] = rows.OwnServer.program) -> rows.OwnServer:
    """The server for a case, with its one row."""
    row = rows.Row(
        case.name,
        "ntp",
        123,
        case.requests(),
        beside=PLAIN.name,
        addresses=case.addresses,
        clients=case.clients,
    )
    configuration = rows.configuration(f"[ntp]\n{case.ntp}\n")
    return rows.OwnServer(configuration, (row,), dict(case.files), program=program)


def measure(
    rounds: int, seconds: float, say: Say, cases: Sequence[Case] = CASES
) -> list[dict[str, Any]]:
    """A row for each case: medians with minimum and maximum, and the count of bad replies."""
    with ExitStack() as stack:
        entries = []
        for case in cases:
            say(f"rates: starting {case.name}")
            # All pay for the receive stamps that interleaved clients need.
            server = testbed.own_server(server_for(case), cpu.split()[1], [case.name], stamps=True)
            entries += stack.enter_context(server)
        found = {entry.row.name: CaseResult() for entry in entries}
        with cpu.pinned(cpu.split()[0]):
            for number in range(rounds):
                for entry in entries:
                    say(f"rates: round {number + 1} of {rounds}: {entry.row.name}")
                    found[entry.row.name].add(entry, seconds)
                for each in found.values():
                    base = found[PLAIN.name].rounds[-1]["answers_per_s"]
                    figures = each.rounds[-1]
                    figures["ratio_to_plain"] = ratio(figures["answers_per_s"], base)
    return [{"name": name} | each.as_dict() for name, each in found.items()]


@dataclass
class CaseResult:
    """A case's rounds, and how many replies were not right."""

    rounds: list[dict[str, float]] = field(default_factory=list)
    wrong: int = 0
    lost: int = 0

    def add(self, entry: testbed.Entry, seconds: float) -> None:
        """One round, after a warm-up of a tenth of its length."""
        probe.run(entry.generator, seconds / 10, window=WINDOW)
        before = entry.worker_ns()
        measured = probe.run(entry.generator, seconds, window=WINDOW, quiet=probe.LAST_REPLIES)
        spent_us = (entry.worker_ns() - before) / 1e3
        self.wrong += measured.wrong + measured.duplicate
        self.lost += measured.sent - measured.replied
        self.rounds.append(
            {
                "answers_per_s": measured.answers_per_s,
                "thread_cpu_us": ratio(spent_us, measured.replied),
            }
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"wrong": self.wrong, "lost": self.lost, **spreads(self.rounds)}
