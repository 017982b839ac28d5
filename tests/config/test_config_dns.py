"""The keys of [dns]: their values, and the errors for invalid ones."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest
from config_files import INTERFACE, check_rejected_at, load_error, write

from xdpkit._core._rrl import RrlRule
from xdpkit.config import load
from xdpkit.config.rrl import RrlConfig

DNS = INTERFACE + '[dns]\nzones = "."\n'


def test_dns_identity_and_secrets(tmp_path: Path) -> None:
    text = f"""\
[dns]
zones = "."
max_udp = 1000
max_udp_ipv6 = 1200
cookie_secret = ["{"0a" * 16}", "{"FF" * 16}"]
nsid = "hex:00 ff"
version = "9"
hostname = "ns1.é"
"""
    dns = load(write(tmp_path, INTERFACE + text)).dns
    assert dns is not None
    assert (dns.limit(4), dns.limit(6)) == (1000, 1200)
    assert dns.cookies and dns.cookie_secret == (b"\x0a" * 16, b"\xff" * 16)
    assert "cookie_secret" not in repr(dns)
    assert (dns.nsid, dns.version, dns.hostname, dns.id) == (
        b"\0\xff",
        b"9",
        "ns1.é".encode(),
        b"",
    )
    one = f'[dns]\nzones = "."\ncookie_secret = "{"0a" * 16}"\nnsid = "hex"\n'
    dns = load(write(tmp_path, INTERFACE + one)).dns
    assert dns is not None and dns.cookie_secret == (b"\x0a" * 16,) and dns.nsid == b"hex"


def test_an_invalid_secret_is_not_shown(tmp_path: Path) -> None:
    text = '[dns]\nzones = "."\ncookie_secret = "my-own-secret-of-some-length-here"\n'
    assert "my-own" not in str(load_error(write(tmp_path, INTERFACE + text)))


def test_response_rate_limits(tmp_path: Path) -> None:
    dns = load(write(tmp_path, DNS)).dns
    assert dns is not None and dns.rrl is None
    dns = load(write(tmp_path, DNS + "[dns.rrl]")).dns
    assert dns is not None and dns.rrl == RrlConfig(rate=50, instant=125, slip=1)
    table = '[dns.rrl]\nrate = 0\ninstant = 7\nslip = 2\nexempt = ["192.0.2.0/24", "::1"]\n'
    dns = load(write(tmp_path, DNS + table)).dns
    exempt = (ip_network("192.0.2.0/24"), ip_network("::1/128"))
    assert dns is not None and dns.rrl == RrlConfig(0, 7, 2, exempt)
    assert dns.rrl.rule == RrlRule(0, 7, 2)


REJECTED = [
    (DNS + "§rrl = 5", "rrl is a table: write [dns.rrl] once"),
    (DNS + "[dns.rrl]\n§log = true", 'unknown key "log"|valid: rate, instant, slip, exempt'),
    (DNS + "[dns.rrl]\nrate = §-1", "-1 is not within 0..100000"),
    (DNS + "[dns.rrl]\nrate = §100001", "100001 is not within 0..100000"),
    (DNS + "[dns.rrl]\nrate = §1.5", "rate: an integer is needed"),
    (DNS + "[dns.rrl]\ninstant = §0", "0 is not within 1..1000000"),
    (DNS + "[dns.rrl]\nslip = §101", "101 is not within 0..100"),
    (DNS + '[dns.rrl]\nexempt = ["::", §"192.0.2.1/24"]', "bits set beyond|192.0.2.0/24"),
    (DNS + '[dns.rrl]\nexempt = §"::"', "exempt: an array is needed"),
    (DNS + "max_udp = §1233", "1233 is not within 512..1232"),
    (DNS + "max_udp = §511", "511 is not within 512..1232"),
    (DNS + "tcp_connections = §-1", "-1 is not within 0..65536"),
    (DNS + "tcp_connections = §65537", "65537 is not within 0..65536"),
    (DNS + "tcp_connections = §false", "tcp_connections: an integer"),
    (DNS + "tcp_idle = §0", "tcp_idle: 0 is not within 1..3600"),
    (DNS + "tcp_idle = §0.5", "tcp_idle: an integer is needed"),
    (DNS + "tcp_queries = §-1", "tcp_queries: -1 is not within 0.."),
    (DNS + "§tcp_conections = 0", 'did you mean "tcp_connections"?'),
    (DNS + "max_udp_ipv4 = §511", "511 is not within 512..1232"),
    (DNS + "max_udp_ipv6 = §1500", "1500 is not within 512..1232"),
    (DNS + "cookies = §1", "cookies: a boolean is needed"),
    (
        DNS + 'cookies = false\ncookie_secret = §"0"',
        "cookie_secret: cookies = false does not need it",
    ),
    *(
        (
            DNS + f"cookie_secret = {secret}",
            "cookie_secret: a string of 32 hexadecimal digits is needed: openssl rand -hex 16",
        )
        for secret in (
            f'§"{"0" * 31}"',
            f'§"{"0" * 33}"',
            f'§"{"0" * 31}g"',
            "§12345678",
            f'["{"0" * 32}", §"1"]',
            "[§1]",
        )
    ),
    (
        DNS + f'cookie_secret = §["{"0" * 32}", "{"1" * 32}", ""]',
        "3 secrets, but at most 2",
    ),
    (
        DNS + f'cookie_secret = ["{"a" * 32}", §"{"A" * 32}"]',
        "the same secret is listed twice",
    ),
    (DNS + 'report_agent = §"a..b"', "'a..b' is not a domain name"),
    (DNS + f'report_agent = §"{".".join(["a" * 63] * 4)}"', "is not a domain name"),
    (DNS + 'nsid = §"hex:0"', 'nsid: "hex:" must be followed by pairs of hexadecimal digits'),
    (DNS + f'nsid = §"{"x" * 129}"', "129 bytes, but at most 128 fit"),
    (DNS + f'nsid = §"hex:{"00" * 129}"', "129 bytes, but at most 128 fit"),
    (DNS + f'version = §"{"é" * 128}"', "256 bytes, but at most 255 fit"),
    (DNS + "id = §7", "id: a string is needed"),
]


@pytest.mark.parametrize("marked, words", REJECTED)
def test_rejected_at_its_location(tmp_path: Path, marked: str, words: str) -> None:
    check_rejected_at(tmp_path, marked, words)
