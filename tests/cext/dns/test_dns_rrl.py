"""Response rate limiting of DNS: whose answers are counted, and what is sent instead."""

from __future__ import annotations

import struct
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest
from dns_bytes_call import HEAD, BytesCall
from dns_wire import NAME, asking, message, opt, option, options_of

from xdpkit._core._answer import answer_frame
from xdpkit._core._prefix_map import AccessList
from xdpkit._core._rrl import RrlRule
from xdpkit._core._thread_state import ThreadState
from xdpkit.config.prefixes import parse_prefix
from xdpkit.services import access_list

CLIENT = bytes.fromhex("2464c4abcf10c957")
SECRETS = (bytes(range(16)),)
NOW = 1_700_000_000
MONO = 1_000_000_000_000
SECOND = 1_000_000_000
FIRST, OTHER, IPV6 = "192.0.2.1", "198.51.100.1", "2001:db8::1"
RULE = RrlRule(rate=10, instant=5)

ANY = asking(question=NAME + b"\0\xff\0\1")
PLAIN = message(b"\3www" + NAME + b"\0\1\0\1")


class Limited:
    """The bytes call with limits, at times set by the test."""

    def __init__(self, directory: Path, rule: RrlRule | None = RULE, **dns: object) -> None:
        zone = HEAD + "ns1 A 192.0.2.1\nwww A 192.0.2.80\nsub NS ns.sub\nns.sub A 192.0.2.53\n"
        self.call = BytesCall(directory, {"z.example": zone}, **{"cookie_secrets": SECRETS} | dns)
        self.mono = MONO
        self.settings = {"cookie_secrets": SECRETS} | dns
        self.limit(rule)

    def limit(self, rule: RrlRule | None, exempt: tuple[str, ...] = ()) -> None:
        """Sets a new snapshot and a new thread state."""
        prefixes = [parse_prefix(text) for text in exempt]
        others = AccessList(access_list.build((), prefixes)) if prefixes else None
        self.call.state = ThreadState(answers=1 << 12)
        self.call.set(dns=self.settings | {"rrl": rule, "rrl_others": others})

    def send(
        self, request: bytes = PLAIN, source: str = FIRST, tcp: bool = False
    ) -> tuple[str, bytes | None]:
        return self.call.send(request, source, NOW, self.mono, tcp)

    def verdicts(self, count: int, request: bytes = PLAIN, **more: object) -> list[str]:
        return [self.send(request, **more)[0] for _ in range(count)]  # type: ignore[arg-type]

    def counts(self) -> tuple[int, int, int]:
        """Limited answers, and how many of them slipped or became BADCOOKIE."""
        counts = self.call.state.dns_counters()
        return counts["rrl_limited"], counts["rrl_slipped"], counts["rrl_badcookie"]


@pytest.fixture
def limited(tmp_path: Path) -> Limited:
    return Limited(tmp_path)


def test_over_the_limit_is_sent_to_tcp(limited: Limited) -> None:
    assert limited.verdicts(7) == ["dns_noerror"] * 5 + ["dns_rrl_slip"] * 2
    _, reply = limited.send()
    # The question, no records, no OPT; RD is copied, AA is not set: it was not looked up.
    assert reply == struct.pack(">6H", 0x1234, 0x8300, 1, 0, 0, 0) + PLAIN[12:]
    assert limited.counts() == (3, 3, 0)
    assert limited.send(tcp=True)[0] == "dns_noerror"
    limited.mono += SECOND // 10
    assert limited.verdicts(2) == ["dns_noerror", "dns_rrl_slip"]


@pytest.mark.parametrize("rule", [None, RrlRule(rate=0)])
def test_without_a_rule_nothing_is_limited(limited: Limited, rule: RrlRule | None) -> None:
    limited.limit(rule)
    assert set(limited.verdicts(1000)) == {"dns_noerror"}


def test_a_thread_without_a_table_limits_nothing(limited: Limited) -> None:
    limited.call.state = ThreadState()
    assert set(limited.verdicts(1000)) == {"dns_noerror"}


def test_over_tcp_nothing_is_limited_or_counted(limited: Limited) -> None:
    assert set(limited.verdicts(1000, tcp=True)) == {"dns_noerror"}
    assert limited.verdicts(6) == ["dns_noerror"] * 5 + ["dns_rrl_slip"]


def test_a_server_cookie_proves_the_source(limited: Limited) -> None:
    _, reply = limited.send(asking(option(10, CLIENT)))
    assert reply is not None
    cookie = options_of(reply)[10]
    assert set(limited.verdicts(1000, asking(option(10, cookie)))) == {"dns_noerror"}
    # Nor were they counted; from another address the same cookie is useless.
    assert limited.verdicts(5) == ["dns_noerror"] * 4 + ["dns_rrl_slip"]
    stolen = limited.verdicts(6, asking(option(10, cookie)), source=OTHER)
    assert stolen == ["dns_noerror"] * 5 + ["dns_badcookie"]


@pytest.mark.parametrize("sent", [CLIENT, CLIENT + bytes(8), CLIENT + bytes(16)])
def test_a_client_with_cookies_gets_one_to_retry_with(limited: Limited, sent: bytes) -> None:
    limited.verdicts(5)
    verdict, reply = limited.send(asking(option(10, sent)))
    assert verdict == "dns_badcookie" and reply is not None
    parsed = dns.message.from_wire(reply)
    assert parsed.rcode() == dns.rcode.BADCOOKIE and not parsed.flags & dns.flags.TC
    assert not parsed.answer and len(parsed.question) == 1
    assert limited.counts() == (1, 0, 1)
    cookie = options_of(reply)[10]
    assert cookie[:8] == CLIENT
    assert limited.send(asking(option(10, cookie)))[0] == "dns_noerror"


def test_with_cookies_off_it_is_sent_to_tcp(tmp_path: Path) -> None:
    limited = Limited(tmp_path, cookie_secrets=())
    assert limited.verdicts(6, asking(option(10, CLIENT)))[-1] == "dns_rrl_slip"


@pytest.mark.parametrize("source", [FIRST, IPV6])
def test_the_exempt_are_not_counted(limited: Limited, source: str) -> None:
    limited.limit(RULE, exempt=("192.0.2.0/24", "2001:db8::1"))
    assert set(limited.verdicts(1000, source=source)) == {"dns_noerror"}
    beside = "192.0.3.1" if source == FIRST else "2001:db8::2"
    assert limited.verdicts(6, source=beside) == ["dns_noerror"] * 5 + ["dns_rrl_slip"]


@pytest.mark.parametrize(
    "slip, low, high", [(0, 0, 0), (1, 2000, 2000), (2, 850, 1150), (10, 120, 290)]
)
def test_slip(limited: Limited, slip: int, low: int, high: int) -> None:
    """One in ``slip``, at random: 99.9999 % of runs are within these bounds."""
    limited.limit(RULE._replace(slip=slip))
    limited.verdicts(5)
    for request in (PLAIN, asking(option(10, CLIENT))):
        small = [v for v in limited.verdicts(2000, request) if v != "dns_rrl_drop"]
        assert low <= len(small) <= high
        assert set(small) <= {"dns_rrl_slip" if request == PLAIN else "dns_badcookie"}


EVERY = {
    "dns_noerror": ANY,
    "dns_nodata": asking(question=b"\3www" + NAME + b"\0\x1c\0\1"),
    "dns_nxdomain": asking(question=b"\1x" + NAME + b"\0\1\0\1"),
    "dns_referral": asking(question=b"\1x\3sub" + NAME + b"\0\1\0\1"),
    "dns_refused": asking(question=b"\1x\0\0\1\0\1"),
    "dns_chaos": asking(question=b"\2id\6server\0\0\x10\0\3"),
    "dns_badvers": asking(version=1),
}


@pytest.mark.parametrize("expected", EVERY)
def test_every_kind_of_answer_is_counted(tmp_path: Path, expected: str) -> None:
    """And what is sent instead is at most a cookie longer than the request."""
    limited = Limited(tmp_path, nsid=b"n" * 128, id=b"i" * 255)
    request = EVERY[expected]
    assert limited.verdicts(6, request) == [expected] * 5 + ["dns_rrl_slip"]
    _, reply = limited.send(request)
    assert reply is not None and len(reply) == len(request)
    # Zones, classes and kinds of answers count together.
    assert limited.send()[0] == "dns_rrl_slip"
    nsid = asking(option(3), option(10, CLIENT), question=NAME + b"\0\xff\0\1")
    verdict, reply = limited.send(nsid)
    assert verdict == "dns_badcookie" and reply is not None
    assert len(reply) == len(nsid) + 16 - 4 and set(options_of(reply)) == {10}


@pytest.mark.parametrize(
    "expected, request_",
    [
        ("dns_formerr", PLAIN + b"\0"),
        ("dns_formerr", asking(option(10, b"?"))),
        ("dns_notimp", struct.pack(">6H", 0x1234, 0x2800, 0, 0, 0, 0)),
    ],
)
def test_what_is_malformed_gets_nothing(limited: Limited, expected: str, request_: bytes) -> None:
    assert limited.verdicts(7, request_) == [expected] * 5 + ["dns_rrl_drop"] * 2
    assert limited.counts() == (2, 0, 0)
    assert limited.send()[0] == "dns_rrl_slip"


def test_what_was_never_answered_is_not_counted(limited: Limited) -> None:
    response = struct.pack(">6H", 0x1234, 0x8000, 1, 0, 0, 0) + PLAIN[12:]
    assert set(limited.verdicts(1000, response)) == {"dns_response"}
    assert set(limited.verdicts(1000, b"short")) == {"dns_short"}
    assert limited.verdicts(6) == ["dns_noerror"] * 5 + ["dns_rrl_slip"]


def test_a_request_for_a_cookie_alone_is_counted(limited: Limited) -> None:
    request = message(opt(data=option(10, CLIENT)), counts=(0, 0, 0, 1))
    assert limited.verdicts(6, request) == ["dns_cookie"] * 5 + ["dns_badcookie"]


def test_a_spoofed_flood_leaves_the_victim_tcp_and_its_neighbors_udp(limited: Limited) -> None:
    for _ in range(100_000):
        limited.mono += SECOND // 100_000
        limited.send(ANY)
    assert limited.send()[0] == "dns_rrl_slip"
    assert limited.send(tcp=True)[0] == "dns_noerror"
    for host in range(2, 30):
        assert set(limited.verdicts(5, source=f"192.0.2.{host}")) == {"dns_noerror"}


@pytest.mark.parametrize("family", [4, 6])
def test_whole_frames_are_limited_too(limited: Limited, family: int) -> None:
    """Whole frames, as the AF_XDP loop sees them."""
    from scapy.layers.inet import IP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether

    ip = IP(src=FIRST, dst=OTHER) if family == 4 else IPv6(src=IPV6, dst="2001:db8::9")
    frame = bytes(
        Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01")
        / ip
        / UDP(sport=4000, dport=53)
        / PLAIN
    )
    found = [
        answer_frame(limited.call.snapshot, frame, NOW, mono_ns=MONO, state=limited.call.state)
        for _ in range(7)
    ]
    assert [verdict for verdict, _ in found] == ["dns_noerror"] * 5 + ["dns_rrl_slip"] * 2
