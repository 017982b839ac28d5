"""The service that owns the server's NTP state: polls sources, selects one, publishes, logs."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import takewhile
from typing import Any

import anyio

from xdpkit._core._clock import clock_precision
from xdpkit.config.ntp import Loopback, NtpConfig
from xdpkit.config.refid import refid_number, refid_text
from xdpkit.runtime.closing import Closing
from xdpkit.runtime.health import Reason
from xdpkit.services.ntp.kernel import Kernel
from xdpkit.services.ntp.local import Local
from xdpkit.services.ntp.polled import POLL_SECONDS, Polled
from xdpkit.services.ntp.state import SHORT_UNITS, unsynchronized_state
from xdpkit.services.ntp.upstream import Upstream

log = logging.getLogger("xdpkit")

# A source that misses one poll, or two, is not yet worth a word: it is polled once a second.
_SILENT_SECONDS = 3.0


class NtpSource(Closing):
    """Selects among the configured sources: the first one that is synchronized.

    ``publish`` gets the fields of struct ntp_state (``cext/runtime/snapshot.h``) whenever one of
    them changes, and first in ``start``. ``run`` logs the source, and each change once. A source
    that replaces another has its ``mono_epoch``: the monotonic clock is still the same.
    """

    def __init__(
        self,
        config: NtpConfig,
        publish: Callable[[dict[str, int]], None],
        mono_epoch: int | None = None,
    ) -> None:
        self.publish = publish
        self.published: dict[str, int] = {}
        """The fields that ``publish`` got last."""
        self.mono_epoch = secrets.randbits(32) if mono_epoch is None else mono_epoch
        self._precision = clock_precision()
        self._sources = [self._source(config, kind) for kind in config.source]
        self._chosen: Polled | None = None
        self._state = unsynchronized_state(self._precision)

    def _source(self, config: NtpConfig, kind: str | Loopback) -> Polled:
        if isinstance(kind, Loopback):
            return Upstream(kind, config.holdover, config.source_users)
        refid = refid_number(config.refid)
        if kind == "kernel":
            return Kernel(config.stratum, refid, self._precision, config.holdover)
        return Local(config.stratum, refid, self._precision)

    async def start(self) -> None:
        """Polls every source once, concurrently, and publishes; takes at most a second."""
        async with anyio.create_task_group() as tasks:
            for source in self._sources:
                tasks.start_soon(source.poll)
        self._choose()

    async def run(self) -> None:
        """Polls every source once a second until canceled, except the local clock."""
        self._log_source()
        async with anyio.create_task_group() as tasks:
            for source in self._sources:
                if not isinstance(source, Local):
                    tasks.start_soon(self._follow, source)

    async def _follow(self, source: Polled) -> None:
        next_poll = anyio.current_time()
        while True:
            # At once: after the first poll, loading a zone may have taken longer than the holdover.
            await source.poll()
            if self._choose():
                self._log_source()
            # No burst of polls after the machine was suspended or a poll took a full second.
            next_poll = max(next_poll + POLL_SECONDS, anyio.current_time())
            await anyio.sleep_until(next_poll)

    def _choose(self) -> bool:
        """Selects the first synchronized source; returns whether that is a change."""
        now_ns = time.monotonic_ns()
        chosen, state = None, unsynchronized_state(self._precision)
        for source in self._sources:
            if current := source.current(now_ns):
                chosen, state = source, current
                break
        before, self._chosen, self._state = self._chosen, chosen, state
        fields = asdict(state) | {"mono_epoch": self.mono_epoch}
        if fields != self.published:
            self.published = fields
            self.publish(fields)
        return chosen is not before

    def _log_source(self) -> None:
        """Logs the selected source, and why those before it were passed over."""
        failed = takewhile(lambda source: source is not self._chosen, self._sources)
        why = "; ".join(f"{source.name}: {source.problem()}" for source in failed)
        if self._chosen is None:
            log.warning("NTP is not synchronized, and replies say so: %s", why)
            return
        state = self._state
        log.log(
            logging.WARNING if why else logging.INFO,
            "NTP time is from %s: stratum %d, reference ID %s%s",
            self._chosen.name,
            state.stratum,
            refid_text(state.refid, state.stratum),
            f" ({why})" if why else "",
        )

    def facts(self) -> dict[str, Any]:
        """``ntp`` in ``xdpkit status --json``; source and age are null when unsynchronized."""
        now_ns = time.monotonic_ns()
        state, chosen = self._state, self._chosen
        return {
            "source": chosen.name if chosen else None,
            "synchronised": chosen is not None,
            "leap": state.leap_now(time.time_ns()),
            "stratum": state.stratum,
            "refid": refid_text(state.refid, state.stratum),
            "root_delay_s": round(state.root_delay / SHORT_UNITS, 6),
            "root_dispersion_s": round(state.dispersion_s(now_ns), 6),
            "age_s": round(state.age_s(now_ns), 3) if chosen else None,
            "sources": [source.facts(now_ns) for source in self._sources],
        }

    def problems(self) -> list[Reason]:
        """Why the time is not what it should be: from a silent source, or from none."""
        if self._chosen is None:
            why = "; ".join(f"{source.name}: {source.problem()}" for source in self._sources)
            text = f"NTP is not synchronized, and replies say so: {why}"
            return [Reason("not_synchronized", text)]
        age_s = self._state.age_s(time.monotonic_ns())
        if not self._chosen.is_silent or age_s < _SILENT_SECONDS:
            return []
        name, why = self._chosen.name, self._chosen.problem()
        return [
            Reason("holdover", f"NTP is in holdover: {name} gave no time for {age_s:.0f} s: {why}")
        ]

    def close(self) -> None:
        """Closes the sources' sockets."""
        for source in self._sources:
            if isinstance(source, Upstream):
                source.close()
