"""A simulated NIC: the driver's side of the ioctls, with its state in a file if requested.

It parses the kernel's structures independently, with ctypes, and behaves as drivers do: it forgets
the RSS table when ntuple is turned on, drops the rules when it is turned off, and refuses fewer
channels than the table names.
"""

from __future__ import annotations

import copy
import ctypes
import errno
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xdpkit.nic.os import ethtool, hwtstamp, names
from xdpkit.nic.setup import device

IFNAME = "eth1"
IFINDEX = 7
ADDRESS = "02:00:00:00:00:01"
NTUPLE = "rx-ntuple-filter"
# RXH_XFRM_NO_CHANGE of linux/ethtool.h: newer ethtool releases leave the transform alone with it.
NO_CHANGE = 0xFF

FEATURES = {
    "tx-scatter-gather": [True, True],
    "rx-vlan-hw-parse": [True, True],
    "rx-lro": [True, True],
    NTUPLE: [False, True],
    "rx-gro-hw": [False, False],
    "rx-udp-gro-forwarding": [False, True],
}

NIC: dict[str, Any] = {
    "driver": "fake",
    "channels": {"rx": 0, "tx": 0, "other": 1, "combined": 4},
    "most": {"rx": 0, "tx": 0, "other": 1, "combined": 8},
    # None: no RSS. "configured": by a user, so not to be reset when the channels change.
    "table": [slot % 4 for slot in range(16)],
    "configured": False,
    "key": "ab" * 40,
    "transform": 0,
    "features": FEATURES,
    # By location: type, value, mask, cookie.
    "rules": {},
    "rule_slots": 32,
    "chooses": False,
    # SIOCSHWTSTAMP: flags, tx_type, rx_filter; and the filters that it supports, with what each
    # becomes.
    "stamps": [0, 1, 0],
    "filters": {"1": 1},
    "phc": 3,
    "napi": {"napi_defer_hard_irqs": 0, "gro_flush_timeout": 0},
    # By interrupt number, for queues from 0: the CPUs that may handle it.
    "interrupts": {"40": "0-3", "41": "0-3", "42": "0-3", "43": "0-3", "44": "0-3", "45": "2"},
}


class FlowSpec(ctypes.Structure):
    """struct ethtool_rx_flow_spec, padded as a compiler does."""

    _fields_ = (
        ("flow_type", ctypes.c_uint32),
        ("h_u", ctypes.c_uint8 * 52),
        ("h_ext", ctypes.c_uint8 * 20),
        ("m_u", ctypes.c_uint8 * 52),
        ("m_ext", ctypes.c_uint8 * 20),
        ("ring_cookie", ctypes.c_uint64),
        ("location", ctypes.c_uint32),
    )


class Rxnfc(ctypes.Structure):
    """struct ethtool_rxnfc."""

    _fields_ = (
        ("cmd", ctypes.c_uint32),
        ("flow_type", ctypes.c_uint32),
        ("data", ctypes.c_uint64),
        ("fs", FlowSpec),
        ("rule_cnt", ctypes.c_uint32),
    )


def fail(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class FakeDriver:
    """The state is ``nic``, or the file's; ``written`` lists the commands that changed it."""

    def __init__(self, sysfs: Path, nic: dict[str, Any] | None = None, file: Path | None = None):
        self.file, self.sysfs = file, sysfs
        self.nic = copy.deepcopy(NIC if nic is None else nic)
        if file and file.exists():
            self.nic = json.loads(file.read_text())
        self.written: list[int] = []
        # The changing command, by number from 1, that is accepted but ignored.
        self.deaf_at = 0
        self._files = sysfs / IFNAME
        self.proc = sysfs / "proc"
        if not self._files.exists():
            self._files.mkdir(parents=True)
            for name, number in self.nic["napi"].items():
                (self._files / name).write_text(f"{number}\n")
            self._make_interrupts()
        self._save()

    def _make_interrupts(self) -> None:
        """Creates the files in /sys and /proc."""
        lines = ["            CPU0"]
        for queue, (number, cpus) in enumerate(self.nic["interrupts"].items()):
            (self._files / "device" / "msi_irqs").mkdir(parents=True, exist_ok=True)
            (self._files / "device" / "msi_irqs" / number).touch()
            (self.proc / "irq" / number).mkdir(parents=True)
            (self.proc / "irq" / number / "smp_affinity_list").write_text(f"{cpus}\n")
            lines.append(f" {number}:  0  PCI-MSIX  1-edge  {IFNAME}-TxRx-{queue}")
        self.proc.mkdir(exist_ok=True)
        (self.proc / "interrupts").write_text("\n".join(lines))

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Replaces the kernel with it."""
        patch.setattr(ethtool, "interface_ioctl", self.ioctl)
        patch.setattr(device, "RELEASE_SECONDS", 0)
        name_and_index = struct.pack("=16si20x", IFNAME.encode(), IFINDEX)
        patch.setattr(names, "_ask", lambda *_: name_and_index)

    def device(self) -> device.Device:
        return device.Device(IFNAME, self.sysfs, self.proc)

    def state(self) -> dict[str, Any]:
        """Everything that can be changed, as ethtool shows it: where the driver chooses the
        locations of rules, they are left out."""
        numbers = {name: int((self._files / name).read_text()) for name in self.nic["napi"]}
        irqs = {
            path.parent.name: path.read_text() for path in self.proc.glob("irq/*/smp_affinity_list")
        }
        rules = self.nic["rules"]
        shown = sorted(rules.values()) if self.nic["chooses"] else rules
        shown = {"napi": numbers, "interrupts": irqs, "rules": shown, "configured": None}
        return copy.deepcopy(self.nic | shown)

    def ioctl(self, number: int, ifname: str, structure: bytes) -> bytes:
        assert ifname == IFNAME
        if number in (hwtstamp.SIOCGHWTSTAMP, hwtstamp.SIOCSHWTSTAMP):
            return self._stamps(number, structure)
        assert number == ethtool.SIOCETHTOOL
        [command] = struct.unpack_from("=I", structure)
        if command not in self._commands:
            raise fail(errno.EOPNOTSUPP)
        if command in (0x3D, 0x3B, 0x47, 0x31, 0x32) and self._is_deaf(command):
            return structure
        answer = self._commands[command](self, structure)
        self._save()
        assert len(answer) == len(structure)
        return answer

    def _is_deaf(self, command: int) -> bool:
        self.written.append(command)
        return len(self.written) == self.deaf_at

    def _stamps(self, number: int, structure: bytes) -> bytes:
        if number == hwtstamp.SIOCSHWTSTAMP:
            flags, tx_type, rx_filter = struct.unpack("=iii", structure)
            if self._is_deaf(number):
                return structure
            if rx_filter and str(rx_filter) not in self.nic["filters"]:
                raise fail(errno.ERANGE)
            self.nic["stamps"] = [flags, tx_type, self.nic["filters"].get(str(rx_filter), 0)]
            self._save()
        return struct.pack("=iii", *self.nic["stamps"])

    def _ts_info(self, structure: bytes) -> bytes:
        assert structure == struct.pack("=IIi32x", 0x41, 0, -1)
        return struct.pack("=IIi32x", 0x41, 0x5F, self.nic["phc"])

    def _save(self) -> None:
        if self.file:
            new = self.file.with_suffix(".new")
            new.write_text(json.dumps(self.nic))
            new.rename(self.file)

    @property
    def queues(self) -> int:
        return int(self.nic["channels"]["rx"] + self.nic["channels"]["combined"])

    def _default_table(self) -> None:
        if self.nic["table"]:
            slots = len(self.nic["table"])
            self.nic |= {"table": [i % self.queues for i in range(slots)], "configured": False}

    def _drvinfo(self, structure: bytes) -> bytes:
        return structure[:4] + self.nic["driver"].encode().ljust(192, b"\0")

    def _gchannels(self, structure: bytes) -> bytes:
        if self.nic["channels"] is None:
            raise fail(errno.EOPNOTSUPP)
        order = ("rx", "tx", "other", "combined")
        numbers = [self.nic[of][name] for of in ("most", "channels") for name in order]
        return structure[:4] + struct.pack("=8I", *numbers)

    def _schannels(self, structure: bytes) -> bytes:
        numbers = dict(
            zip(("rx", "tx", "other", "combined"), struct.unpack("=9I", structure)[5:], strict=True)
        )
        if any(n > self.nic["most"][name] for name, n in numbers.items()):
            raise fail(errno.EINVAL)
        named = max(self.nic["table"] or [0], default=0) if self.nic["configured"] else 0
        if numbers["rx"] + numbers["combined"] <= named:
            raise fail(errno.EINVAL)
        self.nic["channels"] = numbers
        if not self.nic["configured"]:
            self._default_table()
        return structure

    def _sset_info(self, structure: bytes) -> bytes:
        assert structure[8:16] == (1 << 4).to_bytes(8, "little")
        return structure[:16] + struct.pack("=I", len(self.nic["features"]))

    def _strings(self, structure: bytes) -> bytes:
        names = b"".join(name.encode().ljust(32, b"\0") for name in self.nic["features"])
        return structure[:12] + names

    def _gfeatures(self, structure: bytes) -> bytes:
        bits = list(enumerate(self.nic["features"].values()))
        on = sum(1 << bit for bit, (is_on, _) in bits if is_on)
        can = sum(1 << bit for bit, (_, changeable) in bits if changeable)
        return structure[:8] + struct.pack("=4I", can, on, on, 0)

    def _sfeatures(self, structure: bytes) -> bytes:
        valid, wanted = struct.unpack_from("=2I", structure, 8)
        for bit, (name, feature) in enumerate(self.nic["features"].items()):
            if valid >> bit & 1 and feature[1]:
                before, feature[0] = feature[0], bool(wanted >> bit & 1)
                if name == NTUPLE and feature[0] != before:
                    self._default_table() if feature[0] else self.nic["rules"].clear()
        return structure

    def _grssh(self, structure: bytes) -> bytes:
        table, key = self.nic["table"], bytes.fromhex(self.nic["key"])
        if table is None:
            raise fail(errno.EOPNOTSUPP)
        slots, key_bytes = struct.unpack_from("=2I", structure, 8)
        head = struct.pack("=4IBB6x", 0x46, 0, len(table), len(key), 1, self.nic["transform"])
        if (slots, key_bytes) == (0, 0):
            return head
        assert (slots, key_bytes) == (len(table), len(key))
        return head + struct.pack(f"={slots}I", *table) + key

    def _srssh(self, structure: bytes) -> bytes:
        slots, key_bytes, function, transform = struct.unpack_from("=2IBB", structure, 8)
        assert (key_bytes, function) == (0, 0)
        assert transform in (self.nic["transform"], NO_CHANGE)
        assert structure[18:24] == bytes(6)
        if slots == 0:
            self._default_table()
            return structure
        table = list(struct.unpack_from(f"={slots}I", structure, 24))
        if len(table) != len(self.nic["table"]) or max(table) >= self.queues:
            raise fail(errno.EINVAL)
        self.nic |= {"table": table, "configured": True}
        return structure

    def _rings(self, structure: bytes) -> bytes:
        return structure[:8] + struct.pack("=Q", self.queues) + structure[16:]

    def _permanent(self, structure: bytes) -> bytes:
        assert struct.unpack_from("=I", structure, 4) == (32,)
        return (
            structure[:4]
            + struct.pack("=I", 6)
            + bytes.fromhex(ADDRESS.replace(":", ""))
            + bytes(26)
        )

    def _rule_count(self, structure: bytes) -> bytes:
        if self.nic["features"].get(NTUPLE) in (None, [False, False]):
            raise fail(errno.EOPNOTSUPP)
        request = Rxnfc.from_buffer_copy(structure)
        request.rule_cnt = len(self.nic["rules"])
        request.data = self.nic["rule_slots"] | (0x80000000 if self.nic["chooses"] else 0)
        return bytes(request)

    def _all_rules(self, structure: bytes) -> bytes:
        request = Rxnfc.from_buffer_copy(structure)
        locations = sorted(map(int, self.nic["rules"]))
        if request.rule_cnt < len(locations):
            raise fail(errno.EMSGSIZE)
        request.data, request.rule_cnt = self.nic["rule_slots"], len(locations)
        whole = bytearray(structure)
        whole[: ctypes.sizeof(request)] = bytes(request)
        struct.pack_into(f"={len(locations)}I", whole, Rxnfc.rule_cnt.offset + 4, *locations)
        return bytes(whole)

    def _rule(self, structure: bytes) -> bytes:
        request = Rxnfc.from_buffer_copy(structure)
        kind, value, mask, cookie = self.nic["rules"][str(request.fs.location)]
        request.fs.flow_type, request.fs.ring_cookie = kind, cookie
        request.fs.h_u[:], request.fs.m_u[:] = bytes.fromhex(value), bytes.fromhex(mask)
        return bytes(request)

    def _insert(self, structure: bytes) -> bytes:
        request = Rxnfc.from_buffer_copy(structure)
        if not self.nic["features"][NTUPLE][0]:
            raise fail(errno.EOPNOTSUPP)
        location = request.fs.location
        if self.nic["chooses"]:
            if location != 0xFFFFFFFF:
                raise fail(errno.EINVAL)
            free = [n for n in range(self.nic["rule_slots"]) if str(n) not in self.nic["rules"]]
            if not free:
                raise fail(errno.ENOSPC)
            location = free[0]
        if location >= self.nic["rule_slots"] or request.fs.ring_cookie >= self.queues:
            raise fail(errno.EINVAL)
        fields = [bytes(part).hex() for part in (request.fs.h_u, request.fs.m_u)]
        self.nic["rules"][str(location)] = [request.fs.flow_type, *fields, request.fs.ring_cookie]
        request.fs.location = location
        return bytes(request)

    def _delete(self, structure: bytes) -> bytes:
        location = str(Rxnfc.from_buffer_copy(structure).fs.location)
        if location not in self.nic["rules"]:
            raise fail(errno.ENOENT)
        del self.nic["rules"][location]
        return structure

    _commands: dict[int, Callable[[FakeDriver, bytes], bytes]] = {  # noqa: RUF012
        0x03: _drvinfo,
        0x20: _permanent,
        0x2D: _rings,
        0x2E: _rule_count,
        0x2F: _rule,
        0x30: _all_rules,
        0x31: _delete,
        0x32: _insert,
        0x37: _sset_info,
        0x1B: _strings,
        0x3A: _gfeatures,
        0x3B: _sfeatures,
        0x41: _ts_info,
        0x3C: _gchannels,
        0x3D: _schannels,
        0x46: _grssh,
        0x47: _srssh,
    }
