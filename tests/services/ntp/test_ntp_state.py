"""The server's own state: from the kernel, from replies, and as C receives it."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from datetime import UTC, datetime

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpkit._core._answer import answer
from xdpkit._core._clock import adjtimex
from xdpkit._core._snapshot import Snapshot
from xdpkit.config.refid import refid_number, refid_text
from xdpkit.services.ntp import kernel
from xdpkit.services.ntp.client import HEADER, NtpReplyError, read_reply, request, timestamp
from xdpkit.services.ntp.kernel import (
    STA_CLOCKERR,
    STA_DEL,
    STA_INS,
    STA_UNSYNC,
    Kernel,
    is_disciplined,
)
from xdpkit.services.ntp.local import REFID_LOCAL, local_state
from xdpkit.services.ntp.state import (
    DAY_NS,
    NEVER,
    SHORT_MAX,
    State,
    leap_end,
    short_sum,
    unsynchronized_state,
)
from xdpkit.services.ntp.upstream import Upstream, mirrored_state

# linux/timex.h.
STA_PLL, STA_PPSFREQ, STA_NANO = 0x1, 0x2, 0x2000
NOW = 1_795_000_000_123_456_789

U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)


def reply_of(state: State) -> bytes:
    """The bytes call's reply from this state, before it ages and expires."""
    fields = asdict(replace(state, expires_ns=NEVER, drift_ppm=0)) | {"mono_epoch": 1}
    snapshot = Snapshot({"ntp": 123}, ntp=fields)
    verdict, reply = answer(snapshot, "ntp", request(5), ("192.0.2.2", 40000), NOW, NOW + 1)
    assert verdict == "ntp_answered" and reply is not None
    return reply


def test_unsynchronized_like_chronyd() -> None:
    """LI 3, stratum 0, delay and dispersion 1 s, no reference: as observed with chronyd 4.3."""
    leap, stratum, _, precision, delay, dispersion, refid, *_ = HEADER.unpack(
        reply_of(unsynchronized_state(-25))
    )
    assert (leap >> 6, stratum, precision) == (3, 0, -25)
    assert (delay, dispersion, refid) == (65536, 65536, bytes(4))


def test_local() -> None:
    state = local_state(7)
    assert (state["leap"], state["stratum"], state["refid"]) == (0, 7, REFID_LOCAL)
    assert (state["root_delay"], state["root_dispersion"], state["reference"]) == (0, 0, 0)
    assert (state["expires_ns"], state["drift_ppm"]) == (NEVER, 0)
    assert state["leap_ends_ns"] == 0
    # Hundreds of nanoseconds at worst, and not picoseconds.
    assert -40 < state["precision"] < -20


# time_state, status bits, leap indicator.
@pytest.mark.parametrize(
    "time_state, status, leap",
    [
        (kernel.TIME_OK, STA_PLL | STA_NANO, 0),
        # The kernel acts on the bit at the next second.
        (kernel.TIME_OK, STA_INS, 1),
        (kernel.TIME_OK, STA_DEL, 2),
        (kernel.TIME_OK, STA_INS | STA_DEL, 1),
        (kernel.TIME_INS, STA_INS, 1),
        (kernel.TIME_DEL, STA_DEL, 2),
        (kernel.TIME_INS, 0, 1),
        (kernel.TIME_OOP, STA_INS, 1),
        (kernel.TIME_WAIT, STA_INS, 0),
        (kernel.TIME_WAIT, STA_DEL, 0),
        (kernel.TIME_WAIT, 0, 0),
        # A lost pulse-per-second signal is an "error" too.
        (kernel.TIME_ERROR, STA_PPSFREQ, 0),
        (kernel.TIME_ERROR, STA_PPSFREQ | STA_INS, 1),
        (kernel.TIME_ERROR, STA_PPSFREQ | STA_DEL, 2),
    ],
)
def test_leap_of_the_kernel(time_state: int, status: int, leap: int) -> None:
    assert is_disciplined(status)
    assert kernel.leap(time_state, status) == leap


@given(st.integers(0, 0xFFFF))
def test_discipline(status: int) -> None:
    assert is_disciplined(status) == (not status & STA_UNSYNC and not status & STA_CLOCKERR)


@pytest.mark.parametrize(
    "maxerror_us, units",
    [(0, 0), (1, 1), (15, 1), (16, 2), (500_000, 32768), (16_000_000, 16 << 16), (-1, 0)],
)
def test_dispersion_of_the_kernel(maxerror_us: int, units: int) -> None:
    assert kernel.dispersion(maxerror_us) == units


@given(st.integers(0, 2**63 - 1))
def test_dispersion_is_never_too_small(maxerror_us: int) -> None:
    units = kernel.dispersion(maxerror_us)
    assert units <= SHORT_MAX
    assert units == SHORT_MAX or 0 <= units * 10**6 - maxerror_us * 65536 < 10**6


def test_this_kernel() -> None:
    """The source reports this machine's clock, whatever its state, and reading changes nothing."""
    before = adjtimex()[1]
    source = Kernel(3, refid_number("KRNL"), -20, holdover_s=5)
    anyio.run(source.poll)
    assert adjtimex()[1] == before
    state = source.current(time.monotonic_ns())
    assert (state is not None) == is_disciplined(before)
    assert source.polls == 1 == source.answers + sum(source.ignored.values())
    if state is None:
        assert source.ignored == {"unsynchronised": 1} and "rtcsync" in source.problem()
    else:
        assert (state.stratum, state.refid, state.drift_ppm) == (3, refid_number("KRNL"), 15)
        assert state.expires_ns == state.updated_ns + 5 * 10**9


def ns(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 10**9  # type: ignore[misc,arg-type]


@pytest.mark.parametrize("leap", [1, 2])
@pytest.mark.parametrize(
    "now, end",
    [
        (ns(2016, 12, 31), ns(2017, 1, 1)),
        (ns(2016, 12, 31, 23, 59, 59) + 999_999_999, ns(2017, 1, 1)),
        (ns(2017, 1, 1), ns(2017, 1, 2)),
        (ns(2024, 2, 28, 12), ns(2024, 2, 29)),
    ],
)
def test_leap_ends_at_midnight(leap: int, now: int, end: int) -> None:
    assert leap_end(leap, now) == end
    assert (leap_end(0, now), leap_end(3, now)) == (0, 0)


@given(st.lists(U32, max_size=4))
def test_short_sum_saturates(units: list[int]) -> None:
    assert short_sum(*units) == min(sum(units), 2**32 - 1)


@pytest.mark.parametrize(
    "text, number, shown",
    [
        ("127.127.1.1", 0x7F7F0101, "127.127.1.1"),
        ("GPS", 0x47505300, "GPS"),
        ("X", 0x58000000, "X"),
        ("1.2", 0x312E3200, "1.2"),
        ("a ~!", 0x61207E21, "a ~!"),
        ("192.0.2.1", 0xC0000201, "192.0.2.1"),
        ("0.0.0.0", 0, ""),
    ],
)
def test_reference_ids(text: str, number: int, shown: str) -> None:
    assert refid_number(text) == number
    assert refid_text(number, 1) == shown
    if number:
        assert refid_text(number, 2).count(".") == 3


@given(U32, st.integers(0, 16))
def test_any_reference_id_can_be_shown(refid: int, stratum: int) -> None:
    assert refid_text(refid, stratum).isprintable()


MARK = 0x0123456789ABCDEF
ORIGIN = MARK.to_bytes(8)


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    """A reply to MARK by any synchronized server."""
    return HEADER.pack(
        draw(st.integers(0, 2)) << 6 | 4 << 3 | 4,
        draw(st.integers(1, 15)),
        draw(st.integers(-128, 127)),
        draw(st.integers(-128, 127)),
        draw(U32),
        draw(U32),
        draw(st.binary(min_size=4, max_size=4)),
        draw(U64),
        MARK,
        draw(st.integers(1, 2**64 - 1)),
        draw(st.integers(1, 2**64 - 1)),
    )


@given(
    replies(),
    st.integers(0, 2**62),
    st.integers(0, 2**63 - DAY_NS),
    st.integers(0, 10**9),
    st.integers(1, 7 * 86400),
)
def test_any_reply_is_mirrored(
    data: bytes, monotonic: int, utc: int, took: int, holdover: int
) -> None:
    reply = read_reply(data, MARK)
    state = mirrored_state(reply, (monotonic, utc), utc + took, holdover)
    assert (state.leap, state.stratum, state.precision) == (data[0] >> 6, data[1], reply.precision)
    assert state.root_delay == reply.root_delay
    assert state.refid.to_bytes(4) == data[12:16]
    assert state.reference.to_bytes(8) == data[16:24]
    assert state.root_dispersion >= min(reply.root_dispersion + 1, SHORT_MAX)
    assert state.updated_ns == monotonic
    # Never before the next answer can arrive.
    assert state.expires_ns == monotonic + max(holdover, 2) * 10**9
    assert state.drift_ppm == 15
    assert (state.leap_ends_ns > utc) == (state.leap in (1, 2))
    assert state.leap_ends_ns % DAY_NS == 0 and state.leap_ends_ns <= utc + DAY_NS
    # C accepts all of it and sends what it was given.
    Snapshot({"ntp": 123}, ntp=asdict(state) | {"mono_epoch": 2**32 - 1})
    sent = HEADER.unpack(reply_of(state))
    assert (sent[1], sent[3], sent[4]) == (state.stratum, state.precision, state.root_delay)
    assert sent[6] == data[12:16]


@given(
    st.integers(0, 2**62),
    st.integers(0, 10**9),
    st.integers(-(10**10), 10**10),
    st.integers(0, 2**32 - 2),
)
def test_a_daemon_that_serves_another_time(utc: int, took: int, off: int, dispersion: int) -> None:
    """The error bound grows by at least as much as its time differs from this clock."""
    utc += 10**11
    server = timestamp(utc + took // 2 + off)
    head = (4 << 3 | 4, 5, 0, -20, 0, dispersion, b"", 0)
    reply = read_reply(HEADER.pack(*head, MARK, server, server), MARK)
    added = mirrored_state(reply, (0, utc), utc + took, 1).root_dispersion - dispersion
    # A difference within our exchange cannot be detected.
    away = max(0, abs(off) - took // 2)
    if away == 0:
        assert added == 1
    elif dispersion < 2**31:
        assert (away - 2) * 65536 <= (added - 1) * 10**9 <= (away + 2) * 65536 + 10**9


@given(st.binary(max_size=100) | st.binary(min_size=48, max_size=48))
def test_any_datagram_is_accepted_or_rejected_for_a_known_reason(data: bytes) -> None:
    for candidate in (data, data[:24] + ORIGIN + data[32:]):
        try:
            reply = read_reply(candidate, MARK)
        except NtpReplyError as error:
            assert error.reason in Upstream.fixes
        else:
            assert len(candidate) == 48 and 1 <= reply.stratum <= 15 and reply.leap < 3


def test_leap_and_dispersion_as_time_goes_by() -> None:
    head = (1 << 6 | 4 << 3 | 4, 5, 0, -20, 0, 65535, b"", 0)
    at = timestamp(NOW)
    state = mirrored_state(read_reply(HEADER.pack(*head, MARK, at, at), MARK), (10**9, NOW), NOW, 9)
    midnight = (NOW // DAY_NS + 1) * DAY_NS
    assert (state.leap_now(NOW), state.leap_now(midnight - 1), state.leap_now(midnight)) == (
        1,
        1,
        0,
    )
    assert state.age_s(3 * 10**9) == 2.0
    assert state.dispersion_s(10**9) == 1.0
    assert state.dispersion_s(3 * 10**9) == pytest.approx(1.0 + 30e-6)
