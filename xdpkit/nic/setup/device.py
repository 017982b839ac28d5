"""Reads and writes the settings of a real interface, by the names in ``setting``."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from xdpkit.errors import SettingError
from xdpkit.nic.fact import read_text
from xdpkit.nic.os import (
    ethtool,
    ethtool_features,
    ethtool_rss,
    ethtool_rxnfc,
    hwtstamp,
    interrupts,
    names,
)
from xdpkit.nic.os.ethtool import Channels, if_supported
from xdpkit.nic.os.ethtool_rxnfc import FlowMatch, RuleTable
from xdpkit.nic.os.netlink import NetlinkError
from xdpkit.nic.setup import setting
from xdpkit.nic.setup.facts import NicFacts
from xdpkit.nic.setup.setting import Value
from xdpkit.runtime.capability import Capability
from xdpkit.runtime.reasons import fix

# Network devices as files, of the network namespace in which /sys was mounted.
SYSFS = Path("/sys/class/net")

# The kernel detaches a closed AF_XDP socket from its queue with a delay (net/xdp/xsk_buff_pool.c,
# xp_release_deferred), and until then refuses to disable that queue.
RELEASE_SECONDS = 0.5

_HINTS = {
    errno.EOPNOTSUPP: "the driver does not support that",
    errno.ENODEV: "the interface is gone",
}


class Device:
    """An interface in the calling thread's network namespace, whatever its name is now.

    It is looked up by name once, and from then on by its index. Failures raise SettingError.
    """

    def __init__(self, name: str, sysfs: Path = SYSFS, proc: Path = interrupts.PROC) -> None:
        self._name = name
        try:
            self.index = names.index_of(name)
        except OSError as error:
            if error.errno != errno.ENODEV:
                number = error.errno or errno.EIO
                raise SettingError(name, "could not be looked up", number, _hint(error)) from error
            # There is none of that name: nothing can be done to it.
            self.index = 0
        self._sysfs, self._proc = sysfs, proc
        self._settings: dict[str, tuple[Callable[[str], Value], Callable[[str, Value], None]]] = {
            setting.CHANNELS: (self._channels, self._set_channels),
            setting.RSS: (self._rss, self._set_rss),
            setting.RULE: (self._rule, self._set_rule),
            setting.FEATURE: (self._feature, self._set_feature),
            setting.INTERRUPT: (self._interrupt, self._set_interrupt),
            setting.STAMPS: (self._stamps, self._set_stamps),
        } | {name: self._number_of(name) for name in setting.NAPI}

    @property
    def name(self) -> str:
        """Its name now or, if it is gone, its last one."""
        with suppress(OSError):
            self._name = names.name_of(self.index)
        return self._name

    @property
    def _files(self) -> Path:
        return self._sysfs / self.name

    def identity(self) -> dict[str, Value]:
        """What distinguishes this interface from another that may get its name."""
        with self._trying("its index and address could not be read"):
            return {"ifindex": self.index, "address": ethtool.hardware_address(self.name).hex(":")}

    def facts(self) -> NicFacts:
        """Everything that a plan depends on."""
        with self._trying("its driver's capabilities could not be read"):
            driver = if_supported(ethtool.driver, self.name)
            channels = if_supported(ethtool.channels, self.name)
            rss = if_supported(ethtool_rss.read, self.name)
            return NicFacts(
                name=self.name,
                driver=driver.name if driver else "",
                channels=channels[0] if channels else None,
                most_channels=channels[1] if channels else None,
                rss=self._rss("") if rss and rss.table else None,
                features=ethtool_features.features(self.name),
                rules=if_supported(ethtool_rxnfc.read, self.name),
                napi={name: n for name in setting.NAPI if (n := self._number(name)) is not None},
            )

    def get(self, name: str) -> Value:
        """The setting's current value."""
        kind, which = setting.split(name)
        with self._trying(f"{name} could not be read"):
            return self._settings[kind][0](which)

    def set(self, name: str, value: Value) -> None:
        """Sets an exact value, and reads it back to check that it took effect."""
        kind, which = setting.split(name)
        with self._trying(f"'{setting.line(self.name, name, value)}' failed"):
            self._settings[kind][1](which, value)
        if not _took(kind, value, self.get(name)):
            tried = setting.line(self.name, name, value)
            raise SettingError(self.name, f"the driver accepted '{tried}' but did something else")

    def exact(self, name: str, value: Value) -> Value:
        """Completes a value with what only the device knows: the table's size, a free location."""
        kind, which = setting.split(name)
        with self._trying(f"{name} could not be read"):
            if kind == setting.RSS and isinstance(value, dict):
                slots = len(ethtool_rss.read(self.name).table)
                return self._named(ethtool_rss.weighted_table(value["weights"], slots))
            if kind == setting.INTERRUPT and value["irq"] is None:
                return value | {"irq": self._interrupt(which)["irq"]}
            if kind == "rule" and value is not None and value["location"] is None:
                return value | {"location": self._free_location(which)}
        return value

    @contextmanager
    def _trying(self, op: str) -> Iterator[None]:
        try:
            # Another interface may have its name by now.
            names.name_of(self.index)
            yield
        except OSError as error:
            raise SettingError(self.name, op, error.errno or errno.EIO, _hint(error)) from error

    def _channels(self, _: str) -> Value:
        return asdict(ethtool.channels(self.name)[0])

    def _set_channels(self, _: str, value: Value) -> None:
        deadline = time.monotonic() + RELEASE_SECONDS
        while True:
            try:
                return ethtool.set_channels(self.name, Channels(**value))
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.EBUSY) or time.monotonic() > deadline:
                    raise
                time.sleep(0.005)

    def _rss(self, _: str) -> Value:
        return self._named(ethtool_rss.read(self.name).table)

    def _named(self, table: Sequence[int]) -> Value:
        """The table, or DEFAULT if it is the kernel's own, which spreads over all RX queues."""
        queues = max(1, ethtool_rss.queues(self.name))
        default = [slot % queues for slot in range(len(table))]
        return setting.DEFAULT if list(table) == default else list(table)

    def _set_rss(self, _: str, value: Value) -> None:
        table = () if value == setting.DEFAULT else value
        ethtool_rss.write(self.name, table, ethtool_rss.read(self.name).transform)

    def _rule(self, text: str) -> Value:
        found = ethtool_rxnfc.read(self.name).find(FlowMatch.parse(text))
        return found and {"queue": found[1].cookie, "location": found[0]}

    def _set_rule(self, text: str, value: Value) -> None:
        match = FlowMatch.parse(text)
        table = ethtool_rxnfc.read(self.name)
        if value is not None:
            location = None if table.chooses else value["location"]
            try:
                ethtool_rxnfc.insert(self.name, match, value["queue"], location)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise self._full(text, table) from error
                raise
        elif found := table.find(match):
            ethtool_rxnfc.delete(self.name, found[0])

    def _free_location(self, text: str) -> int | None:
        table = ethtool_rxnfc.read(self.name)
        if table.chooses:
            return None
        location = table.free()
        if location is None:
            raise self._full(text, table)
        return location

    def _full(self, text: str, table: RuleTable) -> SettingError:
        hint = (
            f"all {len(table.rules)} locations are taken ('ethtool -n {self.name}'): serve fewer "
            "addresses, ports or queues, or delete some rules"
        )
        return SettingError(self.name, f"no room for a rule for {text}", errno.ENOSPC, hint)

    def _feature(self, name: str) -> Value:
        found = ethtool_features.features(self.name).get(name)
        return found.on if found else None

    def _set_feature(self, name: str, value: Value) -> None:
        try:
            ethtool_features.set_feature(self.name, name, value)
        except KeyError as error:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP)) from error

    def _interrupt(self, queue: str) -> Value:
        for each in interrupts.interrupts(self._files, self._proc):
            if each.queue == int(queue):
                cpus = read_text(interrupts.wanted_cpus(each.number, self._proc))
                return {"cpus": cpus, "irq": each.number}
        what = f"no interrupt found for queue {queue}"
        raise SettingError(self.name, what, errno.ENXIO, "remove [interface] irq_cpus")

    def _set_interrupt(self, queue: str, value: Value) -> None:
        irq = self._interrupt(queue)["irq"]
        interrupts.wanted_cpus(irq, self._proc).write_text(f"{value['cpus']}\n")

    def _stamps(self, _: str) -> Value:
        return asdict(hwtstamp.read(self.name))

    def _set_stamps(self, _: str, value: Value) -> None:
        hwtstamp.write(self.name, hwtstamp.Setting(**value))

    def _number_of(self, name: str) -> tuple[Callable[[str], Value], Callable[[str, Value], None]]:
        """Reads and writes a number in /sys."""

        def write(_: str, value: Value) -> None:
            (self._files / name).write_text(f"{value}\n")

        return lambda _: self._number(name), write

    def _number(self, name: str) -> int | None:
        try:
            return int((self._files / name).read_text())
        except FileNotFoundError:
            return None


def _hint(error: OSError) -> str:
    """What is known of a refusal: the driver's words, or what this process lacks."""
    if isinstance(error, NetlinkError):
        return error.words
    number = error.errno or errno.EIO
    if number == errno.EACCES and os.geteuid() != 0:
        return "its file belongs to root: run as root"
    known = fix(number, *([Capability.NET_ADMIN] if number == errno.EPERM else []))
    return _HINTS.get(number) or known


def _took(kind: str, wanted: Value, got: Value) -> bool:
    """Whether the driver did what was requested, apart from what is up to the driver.

    That is what "default" means, where it puts a rule, and which other packets it stamps.
    """
    if wanted == setting.DEFAULT:
        return True
    if kind == "rule" and wanted:
        return setting.same(got, wanted | {"location": None})
    if kind == setting.STAMPS and hwtstamp.Setting(**wanted).stamps_ntp:
        return hwtstamp.Setting(**got).stamps_ntp
    return setting.same(got, wanted)
