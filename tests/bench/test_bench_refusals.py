"""What blast and bench refuse: targets that must not be sent to, and invalid options."""

from __future__ import annotations

import re
from argparse import Namespace
from ipaddress import ip_address
from pathlib import Path

import pytest

from xdpkit.bench import peers
from xdpkit.bench import run as bench
from xdpkit.cli import main as cli
from xdpkit.cli import parser_measure
from xdpkit.errors import ConfigError, UsageError
from xdpkit.loadgen import target

V4, V6 = ip_address("192.0.2.1"), ip_address("2001:db8::1")


@pytest.mark.parametrize("kind", ["veth", "macvlan"])
def test_a_veth_into_a_namespace_is_accepted(kind: str) -> None:
    target.check_kind("x", kind, far_end_elsewhere=True)


@pytest.mark.parametrize(
    "kind, elsewhere", [("", False), ("", True), ("bridge", True), ("veth", False), ("bond", False)]
)
def test_any_other_interface_is_refused(kind: str, elsewhere: bool) -> None:
    with pytest.raises(UsageError, match=r"eth0 is .*--yes-send-to ADDR"):
        target.check_kind("eth0", kind, elsewhere)


@pytest.mark.parametrize(
    "text, version, expected",
    [
        ("192.0.2.1", None, (V4, 53)),
        ("192.0.2.1:99", 4, (V4, 99)),
        ("2001:db8::1", None, (V6, 53)),
        ("[2001:db8::1]", 6, (V6, 53)),
        ("[2001:db8::1]:99", None, (V6, 99)),
    ],
)
def test_endpoints(text: str, version: int | None, expected: object) -> None:
    assert target.parse_endpoint(text, version, 53) == expected


@pytest.mark.parametrize(
    "text, version, words",
    [
        ("192.0.2.1:0", None, "is not a UDP port"),
        ("192.0.2.1:x", None, "is not a UDP port"),
        ("[2001:db8::1]:70000", None, "is not a UDP port"),
        ("192.0.2.1", 6, "is not an IPv6 address"),
        ("2001:db8::1", 4, "is not an IPv4 address"),
        ("no host.invalid", None, "is neither an address nor a host name"),
    ],
)
def test_bad_endpoints(text: str, version: int | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        target.parse_endpoint(text, version, 53)


def test_mac_addresses() -> None:
    assert target.parse_mac("02:00:0a:0:0:1") == bytes.fromhex("02000a000001")
    for wrong in ("", "02:00", "02:00:00:00:00:xx", "ff:ff:ff:ff:ff:ff", "0200:00:00:00:00:01"):
        with pytest.raises(UsageError, match="is not a unicast MAC address"):
            target.parse_mac(wrong)


def test_source_addresses_of_a_prefix() -> None:
    assert target.first_address("198.18.0.0/16", 1000, V4) == ip_address("198.18.0.1")
    assert target.first_address("2001:db8:1::/64", 1 << 20, V6) == ip_address("2001:db8:1::1")
    assert target.first_address("198.18.0.7/32", 1, V4) == ip_address("198.18.0.7")
    for text, count, address in (
        ("198.18.0.0/24", 255, V4),
        ("198.18.0.0/16", 1, V6),
        ("x", 1, V4),
    ):
        with pytest.raises(UsageError, match=r"--from|--addresses"):
            target.first_address(text, count, address)


def test_source_addresses_of_the_interface() -> None:
    own = ["192.0.2.2/24"]
    source = ip_address("192.0.2.2")
    target.check_sources(source, 1, [], V4)
    target.check_sources(source, 253, own, V4)
    for count, address in ((254, V4), (100, ip_address("192.0.2.50"))):
        with pytest.raises(UsageError, match="--from"):
            target.check_sources(source, count, own, address)


@pytest.mark.parametrize("text, tags", [("100", (100,)), ("100.4094", (100, 4094))])
def test_vlan_tags(text: str, tags: tuple[int, ...]) -> None:
    assert parser_measure.vlan_tags(text) == tags


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["blast"], "required: service"),
        (["blast", "tcp"], "invalid choice: 'tcp'"),
        (["blast", "ntp"], "--interface is missing"),
        (["blast", "ntp", "--interface", "lo"], "--to is missing"),
        (["blast", "ntp", "--rate", "1", "--max"], "not allowed with"),
        (["blast", "ntp", "--rate", "0"], "--rate 0: from 1"),
        (
            ["blast", "ntp", "--ports", "1001"],
            "--ports 1001: from 1 to 1000",
        ),
        (["blast", "ntp", "--bytes", "7"], "--bytes 7: from 8"),
        (["blast", "ntp", "--vlan", "1.2.3"], "--vlan '1.2.3'"),
        (["blast", "ntp", "--vlan", "4095"], "a tag is 1 to 4094"),
        (["blast", "dns", "--interface", "lo", "--to", "192.0.2.1"], "dns needs names"),
        (["blast", "ntp", "--interface", "lo", "--to", "192.0.2.1", "--zone", "x"], "are for dns"),
        (["blast", "ntp", "--interface", "lo", "--to", "127.0.0.1"], "lo is not a veth"),
        (
            ["blast", "ntp", "--interface", "nope0", "--to", "192.0.2.1"],
            "nope0 does not exist",
        ),
        (
            [
                "blast",
                "ntp",
                "--interface",
                "lo",
                "--to",
                "192.0.2.1",
                "--yes-send-to",
                "192.0.2.2",
            ],
            "name the same address",
        ),
        (
            ["blast", "ntp", "--interface", "lo", "--to", "192.0.2.1", "--clients", "9"],
            "--interleaved",
        ),
        (
            ["blast", "echo", "--interface", "lo", "--to", "192.0.2.1", "--interleaved"],
            "is for ntp",
        ),
        (
            ["blast", "ntp", "--interleaved", "--clients", "65537"],
            "--clients 65537: from 1 to 65536",
        ),
        (["bench", "--quick", "--offwire"], "not allowed with"),
        (["bench", "--ntp", "--spin"], "not allowed with"),
        (["bench", "--geo", "--zones"], "not allowed with"),
        (["bench", "--only", "echo,nosuch"], "--only nosuch: no such row"),
        (["bench", "--rounds", "0"], "--rounds 0: from 1"),
    ],
)
def test_refusals_are_one_line_and_exit_status_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("xdpkit: ") and words in err and err.count("\n") == 1


PEERS = """[mine]
service = "dns"
command = ["mine", "{address}", "-z", "{zone}"]
[other]
service = "ntp"
command = ["other"]
port = 1123
ready = "up"
"""


def test_peers_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "peers.toml"
    path.write_text(PEERS)
    mine, other = peers.read_peers(path)
    assert (mine.name, mine.service, mine.port, mine.ready) == ("mine", "dns", 53, "")
    assert (other.name, other.service, other.port, other.ready) == ("other", "ntp", 1123, "up")
    assert peers.fill_in("{zone} {x}", {"zone": "/z"}) == "/z {x}"


@pytest.mark.parametrize(
    "text, words",
    [
        ('[a]\nservice = "tcp"\ncommand = ["x"]\n', 'unknown value "tcp"'),
        ('[a]\nservice = "ntp"\n', "needs command"),
        ('[a]\nservice = "ntp"\ncommand = []\n', "is empty"),
        ('[a]\ncommand = ["x"]\n', "needs service"),
        ('[a]\nservice = "ntp"\ncommand = ["x"]\nspeed = 1\n', 'unknown key "speed"'),
        ('[echo]\nservice = "ntp"\ncommand = ["x"]\n', "choose another name"),
        ("a = 1\n", "a is a table"),
    ],
)
def test_bad_peers_files(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "peers.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(words)):
        peers.read_peers(path)


def test_rows_come_with_their_echo() -> None:
    options = Namespace(only="xdpkit-dns-10", quick=False)
    assert bench.select_rows(options, []) == ["echo-dns", "xdpkit-dns-10"]
    options.only = None
    mine = peers.Peer("mine", "dns", ("x",), 53)
    assert bench.select_rows(options, [mine])[-2:] == ["xdpkit-dns-1m-zipf", "mine"]
    options.quick = True
    assert bench.select_rows(options, [mine]) == [
        "echo",
        "echo-dns",
        "xdpkit-ntp",
        "xdpkit-dns-10",
        "mine",
    ]
