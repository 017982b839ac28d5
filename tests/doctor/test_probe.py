"""Reading facts: trees of files like the kernel's, and why something is unknown."""

from __future__ import annotations

import errno
import os
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpkit.doctor import probe, probe_host, probe_kernel, probe_link
from xdpkit.doctor.probe_host import Node
from xdpkit.errors import NicError
from xdpkit.nic.fact import Unknown, parse_cpu_list, read_fact, to_json, unknowns, value_of
from xdpkit.nic.os import ethtool, hwtstamp, interrupts, names, port_holders
from xdpkit.nic.os.interface import Interface
from xdpkit.nic.os.interrupts import Interrupt
from xdpkit.runtime import child, privileges


def tree(root: Path, files: dict[str, str]) -> Path:
    """Creates files with these contents; one that begins with "-> " is a symbolic link."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content.startswith("-> "):
            path.symlink_to(root / content[3:])
        else:
            path.write_text(content + "\n")
    return root


def failing(error: BaseException) -> Any:
    def read() -> int:
        raise error

    return read


def test_read_fact() -> None:
    assert read_fact(int, "7") == 7
    assert read_fact(failing(OSError(errno.EOPNOTSUPP, "no"))) is None
    assert read_fact(failing(OSError(errno.ENOTTY, "no"))) is None
    assert read_fact(failing(PermissionError(errno.EPERM, "not permitted"))) == Unknown(
        "not permitted"
    )
    assert read_fact(failing(FileNotFoundError(errno.ENOENT, "missing", "/x"))) == Unknown(
        "/x: missing"
    )
    assert read_fact(failing(KeyError("CapEff"))) == Unknown("not understood: 'CapEff'")
    assert isinstance(read_fact(int, "x"), Unknown)
    assert value_of(Unknown("why")) is None and value_of(7) == 7


def test_to_json_and_unknowns() -> None:
    node = Node((0, 1), Unknown("why"), None)
    assert to_json({1: node, "b": b"\xff"}) == {
        "1": {"cpus": [0, 1], "huge_free": {"unknown": "why"}, "huge_pages": None},
        "b": "ff",
    }
    assert to_json(ip_address("192.0.2.1")) == "192.0.2.1"
    assert list(unknowns(node)) == [("huge_free", "why")]


@given(st.sets(st.integers(0, 300)))
def test_cpu_list(cpus: set[int]) -> None:
    ordered = sorted(cpus)
    assert parse_cpu_list(",".join(map(str, ordered))) == tuple(ordered)


def test_cpu_list_with_ranges() -> None:
    assert parse_cpu_list("0-2,7") == (0, 1, 2, 7)
    assert parse_cpu_list("") == ()
    assert isinstance(read_fact(parse_cpu_list, "a-b"), Unknown)


def test_nodes(tmp_path: Path) -> None:
    pages = "hugepages/hugepages-2048kB"
    files = {
        "node0/cpulist": "0-3",
        f"node0/{pages}/free_hugepages": "5",
        f"node0/{pages}/nr_hugepages": "8",
        "node1/cpulist": "4,5",
        "online": "0-1",
    }
    nodes = probe_host.nodes(tree(tmp_path, files))
    assert nodes[0] == Node((0, 1, 2, 3), 5, 8)
    assert nodes[1].cpus == (4, 5)
    assert isinstance(nodes[1].huge_free, Unknown)
    assert probe_host.nodes(tmp_path / "none") == {}


def test_idle_us(tmp_path: Path) -> None:
    states = {
        "cpu0/cpuidle/state0/latency": "0",
        "cpu0/cpuidle/state0/disable": "0",
        "cpu0/cpuidle/state1/latency": "133",
        "cpu0/cpuidle/state1/disable": "1",
        "cpu1/cpuidle/state1/latency": "33",
        "cpu1/cpuidle/state1/disable": "0",
        "cpuidle/current_driver": "intel_idle",
    }
    assert probe_host.idle_us(tree(tmp_path, states)) == 33
    assert probe_host.idle_us(tmp_path / "none") is None


def test_governors(tmp_path: Path) -> None:
    files = {f"cpufreq/policy{n}/scaling_governor": g for n, g in enumerate(("b", "a", "b"))}
    assert probe_host.governors(tree(tmp_path, files)) == ("a", "b")
    assert probe_host.governors(tmp_path / "none") == ()


UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
  263: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1001 2 x
  264: 00000000:007B 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1002 2 x
  265: 010200C0:0035 020200C0:1234 01 00000000:00000000 00:00000000 00000000     0        0 1003 2 x
"""
UDP6 = """\
  sl  local_address                         remote_address                        st tx_queue
   1: 0000000000000000FFFF0000010200C0:0035 00000000:0000 07 0:0 0:0 0 0 0 9 2
"""


@pytest.mark.skipif(sys.byteorder == "big", reason="the lines are of a little endian machine")
def test_sockets() -> None:
    found = dict(port_holders.sockets(UDP, "udp", "07", (53, 123)))
    assert {inode: (str(each.address), each.port) for inode, each in found.items()} == {
        1001: ("127.0.0.1", 53),
        1002: ("0.0.0.0", 123),
    }
    [(inode, mapped)] = port_holders.sockets(UDP6, "udp", "07", (53,))
    assert (inode, str(mapped.address)) == (9, "192.0.2.1")


@pytest.mark.parametrize(
    "cgroups, unit",
    [
        ("0::/system.slice/named.service\n", "named.service"),
        ("0::/system.slice/docker.service/x\n", "docker.service"),
        ("0::/user.slice/user-0.slice/session-1.scope\n", ""),
        ("12:pids:/a\n1:name=systemd:/system.slice/chrony.service\n", "chrony.service"),
        ("", ""),
    ],
)
def test_unit_of(cgroups: str, unit: str) -> None:
    assert port_holders.unit_of(cgroups) == unit


@pytest.mark.parametrize(
    "release, version",
    [("6.1.0-37-amd64", (6, 1)), ("6.18.44-x", (6, 18)), ("7.0", (7, 0)), ("next", (0, 0))],
)
def test_version(release: str, version: tuple[int, int]) -> None:
    assert probe_kernel.version_of(release) == version


@pytest.mark.parametrize(
    "code, version",
    [
        ("print('0.31.0')", "0.31.0"),
        ("import no_such_module", None),
        ("raise OSError('libbcc.so.0: missing')", Unknown("OSError: libbcc.so.0: missing")),
        ("raise SystemExit(3)", Unknown("no reason given")),
    ],
)
def test_bcc(monkeypatch: pytest.MonkeyPatch, code: str, version: object) -> None:
    monkeypatch.setattr(probe_kernel, "_BCC", code)
    assert probe_kernel._bcc_version() == version


def test_bcc_that_hangs_or_cannot_be_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_kernel, "_BCC_SECONDS", 0.2)
    monkeypatch.setattr(probe_kernel, "_BCC", "import time; time.sleep(9)")
    assert isinstance(probe_kernel._bcc_version(), Unknown)
    monkeypatch.setattr(child, "_interpreter", "/no/such/python")
    assert isinstance(probe_kernel._bcc_version(), Unknown)


NIC = {
    "devices/pci/1.0/numa_node": "1",
    "devices/pci/1.0/msi_irqs/30": "msix",
    "devices/pci/1.0/msi_irqs/31": "msix",
    "devices/pci/1.0/virtio2/vendor": "0x1af4",
    "net/eth1/ifindex": "7",
    "net/eth1/device": "-> devices/pci/1.0",
    "net/eth2/ifindex": "8",
    "net/eth2/device": "-> devices/pci/1.0/virtio2",
    "net/veth0/ifindex": "9",
    "proc/interrupts": "      CPU0  CPU1\n 30:  5  0  PCI-MSIX-0000:81:00.0  0-edge  eth1-TxRx-3\n"
    " 31:  5  0  PCI-MSIX-0000:81:00.0  1-edge  eth1-async\n"
    " 32:  5  0  PCI-MSIX-0000:82:00.0  1-edge  eth9-TxRx-0\nNMI:  1  2  Non-maskable",
    "proc/irq/30/effective_affinity_list": "2",
    "proc/irq/31/smp_affinity_list": "0-3",
}


@pytest.mark.parametrize("last", ["", "x86_Thread_features_locked:", "x86_Thread_features:\tshstk"])
def test_privileges_whatever_else_the_kernel_says(
    monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    """The last line of Linux 6.12's file has no value."""
    first, *others = privileges.NEEDED
    held = sum(1 << each for each in others)
    text = f"Name:\tx: y\nCapEff:\t{held:016x}\nCapBnd:\t0\n{last}\n"
    monkeypatch.setattr(probe_kernel, "read_text", lambda _: text)
    assert probe_kernel._without("CapEff") == (str(first),)


def test_numa_node_and_interrupts(tmp_path: Path) -> None:
    root = tree(tmp_path, NIC)
    for name in ("eth1", "eth2"):
        assert probe_link.numa_node(root / "net" / name) == 1
        assert interrupts.interrupts(root / "net" / name, root / "proc") == (
            Interrupt(30, "eth1-TxRx-3", 3, (2,)),
            Interrupt(31, "eth1-async", None, (0, 1, 2, 3)),
        )
    assert probe_link.numa_node(root / "net/veth0") is None
    assert interrupts.interrupts(root / "net/veth0", root / "proc") == ()
    (root / "devices/pci/1.0/numa_node").write_text("-1\n")
    assert probe_link.numa_node(root / "net/eth1") is None


@pytest.mark.parametrize(
    "name, queue",
    [
        ("i40e-eth0-TxRx-12", 12),
        ("ena-Tx-Rx-3@pci:0000:00:05.0", 3),
        ("ice-eth0-TxRx-0", 0),
        ("virtio2-input.1", 1),
        ("mlx5_comp7@pci:0000:81:00.0", 7),
        ("gve-ntfy-blk4@pci:0000:00:04.0", 4),
        ("eth0-rx-2", 2),
        ("virtio2-output.1", None),
        ("mlx5_async0@pci:0000:81:00.0", None),
    ],
)
def test_names_of_interrupts(name: str, queue: int | None) -> None:
    found = interrupts._QUEUE_OF.search(name)
    assert (int(found[1]) if found else None) == queue


def test_sysfs_of_another_namespace(tmp_path: Path) -> None:
    root = tree(tmp_path, NIC)
    assert probe_link.sysfs(Interface("eth1", 7, 1, True, None), root / "net") == root / "net/eth1"
    for interface in (Interface("eth1", 3, 1, True, None), Interface("no", 1, 1, True, None)):
        found = probe_link.sysfs(interface, root / "net")
        assert isinstance(found, Unknown) and "ip netns exec" in found.reason


def test_this_machine() -> None:
    """Everything is read without an exception, whatever it is."""
    kernel = probe_kernel.kernel()
    assert kernel.release == os.uname().release and kernel.version > (0, 0)
    assert probe_kernel.privileges().cpus
    host = probe_host.host((53, 123))
    assert host.nodes is not None


# linux/ethtool.h, commands that read: driver, coalescing, rings, strings, hash fields, rules
# (three), string sets, features, channels, stamps, RSS.
READING = {0x03, 0x0E, 0x10, 0x1B, 0x29, 0x2E, 0x2F, 0x30, 0x37, 0x3A, 0x3C, 0x41, 0x46}


def test_a_driver_is_only_queried(monkeypatch: pytest.MonkeyPatch) -> None:
    queries = set()
    real = ethtool.interface_ioctl

    def ioctl(number: int, ifname: str, structure: bytes) -> bytes:
        assert ifname == "lo"
        if number == ethtool.SIOCETHTOOL:
            queries.add(int.from_bytes(structure[:4], sys.byteorder))
        else:
            assert number == hwtstamp.SIOCGHWTSTAMP
        return real(number, ifname, structure)

    monkeypatch.setattr(ethtool, "interface_ioctl", ioctl)
    link, _ = probe_link.link("lo")
    device = probe_link.device(link.interface)
    assert link.loopback and device.driver_name == ""
    assert {0x03, 0x0E, 0x10, 0x3A, 0x3C, 0x41, 0x46} <= queries <= READING


def test_a_missing_interface_is_in_no_ioctl(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the kernel would try to load a module of that name."""

    def ioctl(*_: object) -> bytes:
        raise AssertionError

    monkeypatch.setattr(ethtool, "interface_ioctl", ioctl)
    monkeypatch.setattr(names, "_ask", ioctl)
    with pytest.raises(NicError, match="'nowhere0' is not in this network namespace"):
        probe.interface("nowhere0", probe.machine(()))
