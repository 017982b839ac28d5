"""``bench --ntp``: interleaved clients at a rate; every reply and transmit time is checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xdpkit.bench import cpu, probe, testbed
from xdpkit.bench.ntp_rates import WINDOW, Case, server_for
from xdpkit.loadgen.figures import ratio
from xdpkit.loadgen.run import interleaved_facts

RATE = 200_000

Say = Callable[[str], None]


def measure(seconds: float, say: Say, rate: int = RATE) -> dict[str, Any]:
    """``rate`` requests a second from interleaved clients on one queue; all replies checked."""
    say(f"interleaved: {rate:,} requests/s")
    case = Case("interleaved", clients=WINDOW)
    server = testbed.own_server(server_for(case), cpu.split()[1], [case.name], stamps=True)
    with server as [entry], cpu.pinned(cpu.split()[0]):
        assert entry.served is not None  # it is ours
        probe.run(entry.generator, seconds / 10, rate=rate)
        before = entry.served.status()["queues"]["0"]["ntp"]
        measured = probe.run(entry.generator, seconds, rate=rate, quiet=probe.LAST_REPLIES)
        after = entry.served.status()["queues"]["0"]["ntp"]
        transmit_times = {
            name: after[name] - before[name] for name in ("tx_true", "tx_missing", "tx_disbelieved")
        }
        return {
            "mode": entry.mode,
            "rate_per_s": rate,
            "seconds": seconds,
            "sent": measured.sent,
            "answers_per_s": measured.answers_per_s,
            "wrong": measured.wrong,
            "lost": measured.sent - measured.replied,
            **interleaved_facts(entry.generator),
            "tx_timestamps": after["tx_timestamps"],
            **transmit_times,
            "tx_true_share": ratio(transmit_times["tx_true"], sum(transmit_times.values())),
        }
