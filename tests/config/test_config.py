"""The configuration file: its values, and file:line:column, key and fix for every error."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
from config_files import INTERFACE, check_rejected_at, load_error, write
from hypothesis import given
from hypothesis import strategies as st

from xdpkit.config import (
    Config,
    DnsConfig,
    EchoConfig,
    MetricsConfig,
    NtpConfig,
    ServedAddress,
    load,
)
from xdpkit.config.address import SocketAddress
from xdpkit.config.ntp import Loopback
from xdpkit.errors import ConfigError, ConfigErrors


def test_defaults(tmp_path: Path) -> None:
    (tmp_path / "zones").mkdir()
    path = write(tmp_path, INTERFACE + '[ntp]\n[dns]\nzones = "zones"\n[echo]\n')
    config = load(path)
    assert config.path == path
    assert (config.interface.name, config.interface.queues) == ("eth1", (2,))
    assert (config.interface.steering, config.interface.mode) == ("auto", "auto")
    assert config.interface.addresses == ()
    assert config.interface.slow_path is True
    assert config.interface.rx_timestamps == "auto"
    assert config.ntp == NtpConfig(
        source=("local",), stratum=10, refid="127.127.1.1", holdover=3600, port=123
    )
    assert config.dns == DnsConfig(
        zones=tmp_path / "zones",
        max_udp=1232,
        port=53,
        tcp_connections=1000,
        tcp_idle=10,
        tcp_queries=0,
    )
    assert config.echo == EchoConfig(port=7, spin_ns=0)
    assert config.ports() == {"ntp": 123, "dns": 53, "echo": 7}


def test_every_key(tmp_path: Path) -> None:
    zones = tmp_path / "elsewhere"
    zones.mkdir()
    text = f"""\
[interface]
name = "enp1s0f0"
queues = [0, 255, 7]
steering = "none"
mode = "copy"
rx_timestamps = "hardware"
addresses = ["192.0.2.1", "2001:db8::1@100", "192.0.2.1@100.7"]
slow_path = false
[ntp]
source = ["127.0.0.1:11123", "kernel", "[::1]:123", "127.8.9.10:1", "local"]
stratum = 15
refid = "GPS"
holdover = 604_800
port = 1123
[dns]
zones = "{zones}"
max_udp = 512
port = 65535
tcp_connections = 65536
tcp_idle = 3600
tcp_queries = 1
[echo]
port = 1
spin_ns = 10_000_000
[metrics]
listen = "[::]:65535"
"""
    config = load(write(tmp_path, text))
    assert config.interface.queues == (0, 255, 7)
    assert config.interface.rx_timestamps == "hardware"
    assert config.interface.addresses == (
        ServedAddress(ip_address("192.0.2.1")),
        ServedAddress(ip_address("2001:db8::1"), 100),
        ServedAddress(ip_address("192.0.2.1"), 100, 7),
    )
    assert config.interface.slow_path is False
    assert config.ntp == NtpConfig(
        source=(
            Loopback(ip_address("127.0.0.1"), 11123),
            "kernel",
            Loopback(ip_address("::1"), 123),
            Loopback(ip_address("127.8.9.10"), 1),
            "local",
        ),
        stratum=15,
        refid="GPS",
        holdover=604_800,
        port=1123,
    )
    assert config.dns == DnsConfig(
        zones=zones,
        max_udp=512,
        port=65535,
        tcp_connections=65536,
        tcp_idle=3600,
        tcp_queries=1,
    )
    assert config.echo == EchoConfig(port=1, spin_ns=10_000_000)
    assert config.metrics == MetricsConfig(SocketAddress(ip_address("::"), 65535))


def test_a_service_without_table_is_off(tmp_path: Path) -> None:
    config = load(write(tmp_path, INTERFACE + "[echo]\r\nport = 9\r\n"))
    assert (config.ntp, config.dns, config.echo) == (None, None, EchoConfig(port=9))
    assert config.metrics is None


def test_metrics_listen_on_loopback_by_default(tmp_path: Path) -> None:
    config = load(write(tmp_path, INTERFACE + "[ntp]\n[metrics]\n"))
    assert config.metrics == MetricsConfig(SocketAddress(ip_address("127.0.0.1"), 9153))
    assert config.ports() == {"ntp": 123}


def test_inline_tables_and_dotted_keys(tmp_path: Path) -> None:
    text = 'interface = { name = "eth1", queues = [\n  2, # here\n] }\nntp.stratum = 3\n'
    assert load(write(tmp_path, text)).ntp == NtpConfig(stratum=3)


# "§" marks the expected line and column; a "|" separates what the message must contain.
REJECTED = [
    # Tables and keys.
    (INTERFACE + "[§ntpp]\n", 'unknown table "ntpp": did you mean "ntp"?'),
    (INTERFACE + "[ntp]\n[§wireguard.peer]\n", '"wireguard": valid: interface, ntp, dns, echo'),
    ('§name = "eth1"\n', "name belongs under [interface]"),
    (INTERFACE + "[ntp]\n[interface.§peer]\n", 'unknown key "peer" in [interface]'),
    (
        '[interface]\nname = "a"\n§quues = [2]\n[ntp]',
        '"quues" in [interface]: |"queues"?',
    ),
    (
        INTERFACE + "[ntp]\n§Stratum = 1\n",
        'unknown key "Stratum" in [ntp]: |"stratum"?',
    ),
    (
        INTERFACE + "[ntp]\nport=1\n§xyzzy = 1\n",
        "valid: source, source_users, stratum, refid, holdover, port",
    ),
    (INTERFACE + '[ntp]\n§"a key" = 1\n', 'unknown key "a key" in [ntp]'),
    (INTERFACE + "[[§ntp]]\n[[ntp]]\n", "ntp is a table: write [ntp] once"),
    ("§interface = 1\n[ntp]\n", "interface is a table: write [interface]"),
    ('interface = {name="e", queues=[1], §mod="copy"}\n[ntp]', 'did you mean "mode"?'),
    # Missing keys and tables.
    ("[§interface]\nqueues = [2]\n[ntp]\n", "[interface] needs name|for example"),
    ('[ntp]\n[§interface]\nname = "eth1"\n', "[interface] needs queues|[2]"),
    (INTERFACE + "[§dns]\n", "[dns] needs zones"),
    # Types.
    ("[interface]\nname = §7\nqueues = [2]\n[ntp]", "name: a string is needed, 7 is an integer"),
    ('[interface]\nname = "e"\nqueues = §2\n[ntp]', "queues: an array is needed"),
    ('[interface]\nname = "e"\nqueues = [2, §"3"]\n[ntp]', 'queues: an integer is needed, "3"'),
    ('[interface]\nname = "e"\nqueues = [2, §true]\n[ntp]', "true is a boolean"),
    (INTERFACE + "slow_path = §1\n[ntp]", "slow_path: a boolean is needed"),
    (INTERFACE + "[ntp]\nsource = §1\n", "source: a string or an array is needed, 1 is an int"),
    (INTERFACE + '[ntp]\nsource = ["kernel", §2]', "source: a string is needed, 2 is an integer"),
    (INTERFACE + '[ntp]\nsource = [§["local"]]', "source: a string is needed|is an array"),
    (INTERFACE + "[ntp]\nrefid = §1\n", "refid: a string is needed"),
    (INTERFACE + "[ntp]\nstratum = §1.5\n", "stratum: an integer is needed, 1.5 is a float"),
    (INTERFACE + "[ntp]\nport = §1979-05-27 07:32:00\n", "port: an integer is needed|a date"),
    (INTERFACE + "addresses = [§{a = 1}]\n[ntp]", "addresses: a string is needed|is a table"),
    # Ranges and words.
    ('[interface]\nname = "e"\nqueues = §[]\n[ntp]', "at least one RX queue"),
    ('[interface]\nname = "e"\nqueues = [\n 0, # 256\n §256]\n[ntp]', "256 is not within 0..255"),
    ('[interface]\nname = "e"\nqueues = [1, 2, §1]\n[ntp]', "1 is listed twice"),
    (INTERFACE + "[ntp]\nstratum = §0\n", "0 is not within 1..15"),
    (INTERFACE + "[ntp]\nstratum = §16\n", "16 is not within 1..15"),
    (INTERFACE + "[ntp]\nport = §0\n", "within 1..65535"),
    (INTERFACE + "[ntp]\nport = §65536\n", "within 1..65535"),
    (INTERFACE + "[echo]\nspin_ns = §10_000_001\n", "within 0..10000000"),
    (INTERFACE + "[echo]\nspin_ns = §-1\n", "within 0..10000000"),
    (INTERFACE + '[dns]\nzones = §"nowhere"\n', "zones: no directory |/nowhere"),
    (INTERFACE + '[dns]\nzones = §""\n', "zones: no directory"),
    (INTERFACE + 'mode = §"native"\n[ntp]', 'unknown value "native"|valid: auto, zerocopy'),
    (INTERFACE + 'mode = §"zero-copy"\n[ntp]', 'did you mean "zerocopy"?'),
    (INTERFACE + 'rx_timestamps = §"hw"\n[ntp]', 'unknown value "hw"|auto, hardware, xdp, loop'),
    (INTERFACE + "defer_irqs = §true\n[ntp]", 'only be deferred with poll = "busy"'),
    (
        INTERFACE + 'rx_timestamps = §"hardware"\nmode = "generic"\n[ntp]',
        'hardware receive stamps are not available in mode = "generic": write "auto"',
    ),
    (INTERFACE + "realtime = §100\n[ntp]", "100 is not within 0..99"),
    (INTERFACE + 'poll = "busy"\nrealtime = §1\n[ntp]', "never yield its CPU to others"),
    (INTERFACE + 'steering = §"atuo"\n[ntp]', 'unknown value "atuo": did you mean "auto"?'),
    # Sources of NTP time.
    (INTERFACE + "[ntp]\nsource = §[]\n", "an empty array: name at least one"),
    (INTERFACE + '[ntp]\nsource = §"kernle"\n', '"kernle": not a source: write "local", "kernel"'),
    (INTERFACE + '[ntp]\nsource = §""\n', "not a source"),
    (INTERFACE + '[ntp]\nsource = §":11123"\n', "not a source"),
    (INTERFACE + '[ntp]\nsource = §"localhost:11123"\n', 'not a source|such as "127.0.0.1:11123"'),
    (INTERFACE + '[ntp]\nsource = §"Local"\n', "not a source"),
    (INTERFACE + '[ntp]\nsource = §"192.0.2.1:123"\n', "must discipline this machine's own clock"),
    (INTERFACE + '[ntp]\nsource = §"192.0.2.1"\n', "must discipline this machine's own clock"),
    (INTERFACE + '[ntp]\nsource = §"0.0.0.0:123"\n', "not a loopback address"),
    (INTERFACE + '[ntp]\nsource = §"[2001:db8::1]:123"\n', "not a loopback address"),
    (INTERFACE + '[ntp]\nsource = §"[::ffff:127.0.0.1]:12"\n', 'IPv4 address: "127.0.0.1:12"'),
    (INTERFACE + '[ntp]\nsource = §"[::1%lo]:123"\n', '"[::1]:11123"'),
    (INTERFACE + '[ntp]\nsource = §"::1:123"\n', 'or "[::1]:11123"'),
    (INTERFACE + '[ntp]\nsource = §"[127.0.0.1]:123"\n', 'write "local"|"127.0.0.1:11123"'),
    (INTERFACE + '[ntp]\nsource = §"127.0.0.1"\n', 'port is missing|"127.0.0.1:11123"'),
    (INTERFACE + '[ntp]\nsource = §"[::1]"\n', 'port is missing|"[::1]:11123"'),
    (INTERFACE + '[ntp]\nsource = §"127.0.0.1:"\n', "not within 1..65535"),
    (INTERFACE + '[ntp]\nsource = §"127.0.0.1:0"\n', "not within 1..65535"),
    (INTERFACE + '[ntp]\nsource = §"127.0.0.1:65536"\n', "not within 1..65535"),
    (INTERFACE + '[ntp]\nsource = §"127.0.0.1:+1"\n', "not within 1..65535"),
    (INTERFACE + '[ntp]\nsource = §"127.0.0.1:\\u0663"\n', "not within 1..65535"),
    (INTERFACE + '[ntp]\nsource = [\n"kernel", # x\n§"10.0.0.1:123"]', "not a loopback address"),
    (INTERFACE + '[ntp]\nsource = ["127.0.0.1:1", §"127.0.0.1:01"]', "is listed twice"),
    (INTERFACE + '[ntp]\nsource = ["kernel", §"kernel"]', "is listed twice"),
    (INTERFACE + '[ntp]\nsource = ["local", §"kernel"]', 'never used after "local"'),
    (INTERFACE + '[ntp]\nrefid = §""\n', "1 to 4 ASCII characters or a dotted quad"),
    (INTERFACE + '[ntp]\nrefid = §"LOCAL"\n', "1 to 4 ASCII characters or a dotted quad"),
    (INTERFACE + '[ntp]\nrefid = §"GP\\t"\n', "1 to 4 ASCII characters"),
    (INTERFACE + '[ntp]\nrefid = §"für"\n', "1 to 4 ASCII characters"),
    (INTERFACE + '[ntp]\nrefid = §"127.0.0.256"\n', "dotted quad"),
    (INTERFACE + '[ntp]\nrefid = §"::1.2.3.4"\n', "dotted quad"),
    (INTERFACE + "[ntp]\nholdover = §0\n", "0 is not within 1..604800"),
    (INTERFACE + "[ntp]\nholdover = §604_801\n", "604801 is not within 1..604800"),
    # Thread state, access lists and rate limits.
    (INTERFACE + "[ntp]\ninterleaved = §-1\n", "-1 is not within 0..16777216"),
    (INTERFACE + '[ntp]\ntx_timestamps = §"kicked"\n', 'did you mean "kick"?'),
    (INTERFACE + "[ntp]\ntx_compensation = §1\n", "a boolean is needed|is an integer"),
    (INTERFACE + '[ntp]\nallow = §"192.0.2.0/24"\n', "allow: an array is needed"),
    (INTERFACE + '[ntp]\nallow = ["::/0", §"192.0.2.1/24"]\n', "bits set beyond|192.0.2.0/24"),
    (INTERFACE + '[ntp]\ndeny = [§"example.org"]\n', "not an IPv4 or IPv6 prefix"),
    (INTERFACE + '[ntp]\nallow = ["::/8"]\ndeny = §["::/8"]\n', "both allowed and denied"),
    (INTERFACE + "[ntp]\n§limit = 3\n", "ntp.limit is a table: write [ntp.limit] once"),
    (INTERFACE + "[ntp.limit]\n§intervl = 3\n", 'in [ntp.limit]: did you mean "interval"?'),
    (INTERFACE + "[ntp.limit]\ninterval = §13\n", "13 is not within -19..12"),
    (INTERFACE + "[ntp]\n[ntp.limit]\nburst = §0\n", "0 is not within 1..255"),
    (INTERFACE + "[ntp]\nlimit = {leak = §5}\n", "5 is not within 0..4"),
    (INTERFACE + "[ntp]\nlimit.ipv6_prefix = §129\n", "129 is not within 1..128"),
    (INTERFACE + "[ntp.limit]\naddresses = §0\n", "0 is not within 1..16777216"),
    # Interface names.
    ('[interface]\nname = §""\nqueues = [2]\n[ntp]', "not an interface name"),
    (
        '[interface]\nname = §"' + "a" * 128 + '"\nqueues = [2]\n[ntp]',
        "not an interface name",
    ),
    ('[interface]\nname = §"a b"\nqueues = [2]\n[ntp]', "not an interface name"),
    ('[interface]\nname = §"a/b"\nqueues = [2]\n[ntp]', "not an interface name"),
    ('[interface]\nname = §"\\u0000"\nqueues = [2]\n[ntp]', "not an interface name"),
    ('[interface]\nname = §"."\nqueues = [2]\n[ntp]', "not an interface name"),
    # Addresses.
    (INTERFACE + 'addresses = ["::2", §"192.0.2.300"]\n[ntp]', "not an IPv4 or IPv6 address"),
    (INTERFACE + 'addresses = [§"192.0.2.0/24"]\n[ntp]', "without prefix length"),
    (INTERFACE + 'addresses = [§"fe80::1%eth1"]\n[ntp]', "without prefix length or scope"),
    (INTERFACE + 'addresses = [§"ff02::1"]\n[ntp]', "not a unicast address"),
    (INTERFACE + 'addresses = [§"0.0.0.0"]\n[ntp]', "not a unicast address"),
    (INTERFACE + 'addresses = [§"255.255.255.255"]\n[ntp]', "not a unicast address"),
    (INTERFACE + 'addresses = [§"::1"]\n[ntp]', "loopback"),
    (INTERFACE + 'addresses = [§"::ffff:192.0.2.1"]\n[ntp]', "write the IPv4 address: 192.0.2.1"),
    (INTERFACE + 'addresses = [§"192.0.2.1@0"]\n[ntp]', "VLAN 0 is not within 1..4094"),
    (INTERFACE + 'addresses = [§"192.0.2.1@7.4095"]\n[ntp]', "VLAN 4095 is not within"),
    (INTERFACE + 'addresses = [§"192.0.2.1@1.2.3"]\n[ntp]', "VLAN or OUTER.INNER"),
    (INTERFACE + 'addresses = [§"192.0.2.1@"]\n[ntp]', "VLAN or OUTER.INNER"),
    (INTERFACE + 'addresses = ["::2@5", §"0::2@5"]\n[ntp]', "twice"),
    # Metrics.
    (
        INTERFACE + "[ntp]\n[metrics]\n§port = 9153\n",
        'unknown key "port" in [metrics]: valid: listen',
    ),
    (INTERFACE + "[ntp]\n[metrics]\nlisten = §9153\n", "listen: a string is needed, 9153 is an"),
    (INTERFACE + '[ntp]\n[metrics]\nlisten = §""\n', 'not an address and a port: write "127.0.0.1'),
    (INTERFACE + '[ntp]\n[metrics]\nlisten = §"9153"\n', 'not an address and a port|"[::1]:9153"'),
    (INTERFACE + '[ntp]\n[metrics]\nlisten = §":9153"\n', "not an address and a port"),
    (INTERFACE + '[ntp]\n[metrics]\nlisten = §"localhost:9153"\n', "not an address and a port"),
    (INTERFACE + '[ntp]\n[metrics]\nlisten = §"127.0.0.1"\n', "not an address and a port"),
    (INTERFACE + '[ntp]\n[metrics]\nlisten = §"::1:9153"\n', "are for IPv6 addresses|need them"),
    (INTERFACE + '[ntp]\n[metrics]\nlisten = §"[127.0.0.1]:9153"\n', "brackets are for IPv6"),
    (INTERFACE + '[ntp]\n[metrics]\nlisten = §"[fe80::1%lo]:9153"\n', "without a scope"),
    (INTERFACE + '[ntp]\n[metrics]\nlisten = §"[::ffff:127.0.0.1]:1"\n', '"127.0.0.1:1"'),
    (INTERFACE + '[ntp]\n[metrics]\nlisten = §"224.0.0.1:9153"\n', "not a unicast address"),
    (INTERFACE + '[ntp]\n[metrics]\nlisten = §"[ff02::1]:9153"\n', "not a unicast address"),
    (INTERFACE + '[ntp]\n[metrics]\nlisten = §"127.0.0.1:0"\n', "not within 1..65535"),
    (INTERFACE + '[ntp]\n[metrics]\nlisten = §"127.0.0.1:65536"\n', "not within 1..65535"),
    (INTERFACE + '[ntp]\n[metrics]\nlisten = §"127.0.0.1:http"\n', "not within 1..65535"),
    # Conflicts between services.
    (INTERFACE + "[ntp]\nport = §7\n[echo]\n", "[ntp] and [echo] both use 7"),
    (INTERFACE + "[ntp]\n[echo]\nport = §123\n", "[ntp] and [echo] both use 123"),
    (INTERFACE + '[ntp]\nport = 9\n[dns]\nzones = "."\nport = §9\n', "[ntp] and [dns] both use 9"),
    # Not TOML: tomllib's own message.
    (INTERFACE + "[ntp]\nport = §=\n", "Invalid value"),
    (INTERFACE + "[ntp]\n[ntp§]\n", "Cannot declare"),
    (INTERFACE + '[ntp]\nsource = "local§', "Unterminated string"),
]


@pytest.mark.parametrize("marked, words", REJECTED)
def test_rejected_at_its_location(tmp_path: Path, marked: str, words: str) -> None:
    check_rejected_at(tmp_path, marked, words)


@pytest.mark.parametrize(
    "text, words",
    [
        ("[ntp]\n", "[interface] is missing"),
        (INTERFACE, "no service is on: write at least one of [ntp], [dns], [echo]"),
        (INTERFACE + "[ntp]\nport = " + "9" * 5000, "cannot be read as TOML"),
        ("x = " + "[" * 100_000, "cannot be read as TOML"),
        ("#" * (2 << 20), "larger than"),
    ],
)
def test_rejected_as_a_whole(tmp_path: Path, text: str, words: str) -> None:
    error = load_error(write(tmp_path, text))
    assert error.line is None
    assert words in error.reason


def errors_of(path: Path) -> list[str]:
    """The errors of a file, each as LINE:COLUMN: REASON."""
    with pytest.raises(ConfigErrors) as caught:
        load(path)
    assert str(caught.value).split("\n") == [str(error) for error in caught.value.errors]
    return [str(error).removeprefix(f"{path}:").strip() for error in caught.value.errors]


def test_every_error_is_reported_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
[interface]
queues = [2, 2]
mod = "copy"
defer_irqs = true
[ntp]
stratum = 16
refid = ""
limit = {burst = 0, intervl = 1, kod = 9}
[echo]
port = 123
[dns]
rrl.rate = -1
max_udp = 1
[metric]
"""
    errors = errors_of(write(tmp_path, text))
    assert [error.split(": ")[0] for error in errors] == [
        "1:2",  # name is missing
        "2:14",  # queues
        "3:1",  # mod
        "4:14",  # defer_irqs: poll is fine
        "6:11",
        "7:9",
        "8:18",
        "8:21",
        "8:40",
        "10:8",  # both use 123: the ports are fine
        "11:2",  # zones is missing
        "12:12",
        "13:11",
        "14:2",
    ]


@pytest.mark.parametrize(
    "text, words",
    [
        pytest.param(INTERFACE + f"[echo]\nx{'.a' * 3000} = 1\n", "parts", id="a long key"),
        pytest.param(INTERFACE + f'[echo]\n"x"{" . a" * 3000} = 1\n', "parts", id="quoted"),
        pytest.param(INTERFACE + f"[echo{'.a' * 3000}]\n", "parts", id="a long header"),
        pytest.param(
            INTERFACE + "[echo]\nport = " + f"{{ a{'.a' * 30} = " * 80 + "1" + " }" * 80,
            "an integer is needed",
            id="tables in tables",
        ),
        pytest.param(INTERFACE + f"[echo]\nport = 0x{'f' * 9000}\n", "0..65535|1..65535", id="hex"),
    ],
)
def test_what_fills_a_file_is_one_error(tmp_path: Path, text: str, words: str) -> None:
    error = load_error(write(tmp_path, text))
    assert any(word in error.reason for word in words.split("|")), error


def test_the_names_of_domains_are_no_long_keys(tmp_path: Path) -> None:
    name = ".".join("1" * 32) + ".ip6.arpa"
    load(write(tmp_path, INTERFACE + f'# {name}, "{name}".\n[echo]\n'))


@pytest.mark.parametrize("line", ["k{} = 1\n", "[t{}]\n"])
def test_no_more_errors_than_a_person_reads(tmp_path: Path, line: str) -> None:
    junk = "".join(map(line.format, range(5000)))
    with pytest.raises(ConfigErrors) as caught:
        load(write(tmp_path, INTERFACE + "[echo]\n" + junk))
    assert len(caught.value.lines()) == 20 + 1
    assert caught.value.lines()[-1].endswith("and at least 980 more errors")


def test_keys_are_checked_against_each_other_only_if_each_is_fine(tmp_path: Path) -> None:
    text = INTERFACE + 'poll = "bsy"\ndefer_irqs = true\n[ntp]\nport = 0\n[echo]\nport = 123\n'
    errors = errors_of(write(tmp_path, text))
    assert [error.split(": ")[0] for error in errors] == ["4:8", "7:8"]


def test_a_misspelt_name_is_not_also_missing(tmp_path: Path) -> None:
    error = load_error(write(tmp_path, '[interface]\nnmae = "e"\nqueues = [1]\n[ntp]\n'))
    assert 'did you mean "name"?' in error.reason
    error = load_error(write(tmp_path, '[interfaces]\nname = "e"\nqueues = [1]\n'))
    assert 'did you mean "interface"?' in error.reason


def test_what_is_missing_from_an_empty_file(tmp_path: Path) -> None:
    missing, none_on = errors_of(write(tmp_path, ""))
    assert "[interface] is missing" in missing and "no service is on" in none_on


def test_not_utf8(tmp_path: Path) -> None:
    error = load_error(write(tmp_path, "# für\n".encode() + b"# ok f\xfcr\n"))
    assert (error.line, error.column) == (2, 7)
    assert "not UTF-8: byte 0xfc" in error.reason


def test_unreadable_files(tmp_path: Path) -> None:
    assert "no such file" in load_error(tmp_path / "none.toml").reason
    assert "it is a directory" in load_error(tmp_path).reason
    assert "Not a directory" in load_error(write(tmp_path, "") / "x.toml").reason


@given(st.data())
def test_a_damaged_file_gives_a_configuration_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    text = (
        INTERFACE + 'addresses = ["192.0.2.1@5"]\n[ntp]\nport = 1\nsource = ["[::1]:1", "local"]\n'
    )
    text += 'refid = "GPS"\n[dns]\nzones = "."\n[echo]\n[metrics]\nlisten = "[::1]:1"\n'
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 6)))
    junk = data.draw(st.text(st.sampled_from("[]{}\"'=.,#\\\n x1é"), max_size=4) | st.text())
    path = write(tmp_path_factory.getbasetemp(), (text[:start] + junk + text[end:]).encode())
    try:
        assert isinstance(load(path), Config)
    except ConfigError as error:
        assert all(line.startswith(f"{path}:") for line in str(error).split("\n"))
