"""The configuration file: what may stand in it and what it means.

``load`` gives one frozen ``Config``, or one ConfigError that says file:line:column, the key and
the fix. A table's presence turns its service on. Nothing here looks at the machine, apart from
the files and directories that the configuration names.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path

from xdpkit.address import ServedAddress, parse_address
from xdpkit.dns import settings
from xdpkit.dns.rrl import RRL_KEYS, RrlConfig, read_rrl
from xdpkit.errors import ConfigError
from xdpkit.metrics.config import MetricsConfig, read_metrics
from xdpkit.ntp.config import NtpConfig, read_ntp
from xdpkit.toml_read import Document, Table, nearest, shown

__all__ = [
    "Config",
    "DnsConfig",
    "EchoConfig",
    "InterfaceConfig",
    "MetricsConfig",
    "NtpConfig",
    "ServedAddress",
    "load",
]

STEERING = ("auto", "ntuple", "rss", "none")
MODES = ("auto", "zerocopy", "copy", "generic")
POLLS = ("wait", "busy")
RX_TIMESTAMPS = ("auto", "hardware", "xdp", "loop")

# linux/if.h IFNAMSIZ, less the closing zero.
_LONGEST_NAME = 15
# The most that x86-64 kernels are built for: CONFIG_NR_CPUS with MAXSMP.
_CPUS = 8192
# ebpf/steer.h STEER_QUEUES.
_QUEUES = 256
# Each has a page of input, and one of sixteen room for an answer: 10 KiB each, 640 MiB in all.
_MOST_CONNECTIONS = 65536
# Below 1500 bytes of Ethernet and the IPv6 minimum of 1280 less headers, and a UMEM chunk holds it.
_LARGEST_UDP = 1232


@dataclass(frozen=True)
class InterfaceConfig:
    """[interface]: where packets come from; no ``addresses`` means all that the interface has."""

    name: str
    queues: tuple[int, ...]
    steering: str = "auto"
    mode: str = "auto"
    addresses: tuple[ServedAddress, ...] = ()
    slow_path: bool = True
    poll: str = "wait"
    defer_irqs: bool = False
    irq_cpus: tuple[int, ...] = ()
    rx_timestamps: str = "auto"
    realtime: int = 0


@dataclass(frozen=True)
class DnsConfig:
    """[dns]: the directory of master files, the largest UDP answer, the bounds of TCP, what else is
    told.

    ``tcp_connections`` at once, 0 for none; ``tcp_idle`` seconds without a query end one, and so do
    ``tcp_queries``, 0 for any number. Compiled zones are kept in ``cache`` unless it is None; with
    ``watch`` files that change are read again. Without ``cookie_secret`` one is drawn; ``nsid``,
    ``version``, ``hostname`` and ``id`` are off when empty. ``rrl`` limits answers over UDP.
    """

    zones: Path
    cache: Path | None = Path(settings.CACHE)
    watch: bool = True
    max_udp: int = _LARGEST_UDP
    port: int = 53
    tcp_connections: int = 1000
    tcp_idle: int = 10
    tcp_queries: int = 0
    max_udp_ipv4: int | None = None
    max_udp_ipv6: int | None = None
    cookies: bool = True
    cookie_secret: tuple[bytes, ...] = field(default=(), repr=False)
    nsid: bytes = b""
    version: bytes = b""
    hostname: bytes = b""
    id: bytes = b""
    rrl: RrlConfig | None = None

    def cache_directory(self) -> Path | None:
        """``cache``, or for the default one what systemd made (systemd.exec(5), CacheDirectory)."""
        given = os.environ.get("CACHE_DIRECTORY", "").split(":")[0]
        return Path(given) if given and self.cache == Path(settings.CACHE) else self.cache

    def limit(self, ip_version: int) -> int:
        """The largest answer over UDP and this version of IP, bytes."""
        limit = self.max_udp_ipv4 if ip_version == 4 else self.max_udp_ipv6
        return self.max_udp if limit is None else limit


@dataclass(frozen=True)
class EchoConfig:
    """[echo]: the bare loop, and how long it is made to work on each packet."""

    port: int = 7
    spin_ns: int = 0


@dataclass(frozen=True)
class Config:
    """One configuration file; a service that is None is off."""

    path: Path
    interface: InterfaceConfig
    ntp: NtpConfig | None = None
    dns: DnsConfig | None = None
    echo: EchoConfig | None = None
    metrics: MetricsConfig | None = None

    def ports(self) -> dict[str, int]:
        """UDP port by service, of the services that are on."""
        services = {"ntp": self.ntp, "dns": self.dns, "echo": self.echo}
        return {name: service.port for name, service in services.items() if service is not None}


_TABLES: dict[str, tuple[str, ...]] = {
    name: tuple(each.name for each in fields(kind))
    for name, kind in {
        "interface": InterfaceConfig,
        "ntp": NtpConfig,
        "dns": DnsConfig,
        "echo": EchoConfig,
        "metrics": MetricsConfig,
    }.items()
}
_SERVICES = ("ntp", "dns", "echo")


def load(path: Path | str) -> Config:
    """Read and check a configuration file; paths in it are relative to it.

    Raises ConfigError for the first thing that is wrong.
    """
    document = Document(Path(path))
    for name in document.data:
        if name not in _TABLES:
            raise _unknown_table(document, name)
    interface = document.table("interface", _TABLES["interface"])
    ntp, dns, echo = (document.table(name, _TABLES[name]) for name in _SERVICES)
    metrics = document.table("metrics", _TABLES["metrics"])
    if interface is None:
        raise ConfigError(path, "[interface] is missing: write it, with name and queues")
    config = Config(
        path=document.path,
        interface=_interface(interface),
        ntp=None if ntp is None else read_ntp(ntp),
        dns=None if dns is None else _dns(dns),
        echo=None if echo is None else _echo(echo),
        metrics=None if metrics is None else read_metrics(metrics),
    )
    _check_ports(document, config)
    return config


def _unknown_table(document: Document, name: str) -> ConfigError:
    homes = [f"[{table}]" for table, keys in _TABLES.items() if name in keys]
    if homes and not isinstance(document.data[name], dict):
        reason = f"{name} belongs under {' or '.join(homes)}"
    else:
        reason = f"unknown table {shown(name)}: {nearest(name, _TABLES)}"
    return document.error((name,), reason, at_key=True)


def _check_ports(document: Document, config: Config) -> None:
    users: dict[int, str] = {}
    for name, port in config.ports().items():
        first = users.setdefault(port, name)
        if first != name:
            # Of the two, the one whose port was written.
            at = next(((n, "port") for n in (name, first) if "port" in document.data[n]), (name,))
            reason = f"port: [{first}] and [{name}] both use {port}: give one of them another"
            raise document.error(at, reason)
    if not users:
        names = ", ".join(f"[{name}]" for name in _SERVICES)
        raise ConfigError(config.path, f"no service is on: write at least one of {names}")


def _interface(table: Table) -> InterfaceConfig:
    table.require("name", '"eth1"')
    table.require("queues", "[2]")
    queues = table.integers("queues", 0, _QUEUES - 1)
    if not queues:
        raise table.error("queues", "name at least one RX queue, for example [2]")
    mode = table.choice("mode", InterfaceConfig.mode, MODES)
    rx_timestamps = table.choice("rx_timestamps", InterfaceConfig.rx_timestamps, RX_TIMESTAMPS)
    if mode == "generic" and rx_timestamps == "hardware":
        reason = 'in mode = "generic" the hardware\'s stamps are not to be had: write "auto"'
        raise table.error("rx_timestamps", reason)
    poll = table.choice("poll", InterfaceConfig.poll, POLLS)
    defer_irqs = table.flag("defer_irqs", InterfaceConfig.defer_irqs)
    if defer_irqs and poll != "busy":
        raise table.error("defer_irqs", 'interrupts can only be deferred with poll = "busy"')
    return InterfaceConfig(
        name=_interface_name(table),
        queues=queues,
        steering=table.choice("steering", InterfaceConfig.steering, STEERING),
        mode=mode,
        addresses=_addresses(table),
        slow_path=table.flag("slow_path", InterfaceConfig.slow_path),
        poll=poll,
        defer_irqs=defer_irqs,
        irq_cpus=table.integers("irq_cpus", 0, _CPUS - 1),
        rx_timestamps=rx_timestamps,
        realtime=_realtime(table),
    )


def _realtime(table: Table) -> int:
    """The workers' priority under SCHED_FIFO, 1 to 99 of sched(7), or 0: as other programs."""
    priority = table.integer("realtime", InterfaceConfig.realtime, 0, 99)
    if priority and table.string("poll", InterfaceConfig.poll) == "busy":
        reason = 'with poll = "busy" a worker would never leave its CPU to others: choose one'
        raise table.error("realtime", reason)
    return priority


def _interface_name(table: Table) -> str:
    """The kernel's own rule (net/core/dev.c, dev_valid_name), less what cannot be printed."""
    name = table.string("name")
    if not name or name in (".", "..") or len(name.encode()) > _LONGEST_NAME:
        raise table.error("name", f"{shown(name)} is not the name of an interface: see ip link")
    if not name.isprintable() or any(c in "/:" or c.isspace() for c in name):
        raise table.error("name", f"{shown(name)} is not the name of an interface: see ip link")
    return name


def _addresses(table: Table) -> tuple[ServedAddress, ...]:
    served: list[ServedAddress] = []
    for index, text in enumerate(table.strings("addresses")):
        try:
            address = parse_address(text)
        except ValueError as error:
            raise table.error(("addresses", index), f"{shown(text)}: {error}") from error
        if address in served:
            raise table.error(("addresses", index), f"{shown(text)} is there twice")
        served.append(address)
    return tuple(served)


def _dns(table: Table) -> DnsConfig:
    table.require("zones", '"zones"')
    directory = table.document.path.parent / table.string("zones")
    if not table.string("zones") or not directory.is_dir():
        raise table.error("zones", f"no directory {directory}: make it, or name the right one")
    return DnsConfig(
        zones=directory,
        cache=settings.cache(table),
        watch=table.flag("watch", DnsConfig.watch),
        max_udp=table.integer("max_udp", DnsConfig.max_udp, 512, _LARGEST_UDP),
        port=_port(table, DnsConfig.port),
        tcp_connections=table.integer(
            "tcp_connections", DnsConfig.tcp_connections, 0, _MOST_CONNECTIONS
        ),
        tcp_idle=table.integer("tcp_idle", DnsConfig.tcp_idle, 1, 3600),
        tcp_queries=table.integer("tcp_queries", DnsConfig.tcp_queries, 0, (1 << 32) - 1),
        max_udp_ipv4=_max_udp(table, "max_udp_ipv4"),
        max_udp_ipv6=_max_udp(table, "max_udp_ipv6"),
        cookies=_cookies(table),
        cookie_secret=settings.cookie_secrets(table),
        nsid=settings.nsid(table),
        version=settings.text(table, "version"),
        hostname=settings.text(table, "hostname"),
        id=settings.text(table, "id"),
        rrl=read_rrl(table.table("rrl", RRL_KEYS)),
    )


def _max_udp(table: Table, key: str) -> int | None:
    """The limit of one family, where it differs from ``max_udp``."""
    return table.integer(key, _LARGEST_UDP, 512, _LARGEST_UDP) if key in table.values else None


def _cookies(table: Table) -> bool:
    on = table.flag("cookies", DnsConfig.cookies)
    if not on and "cookie_secret" in table.values:
        raise table.error("cookie_secret", "cookies = false does not need it: take one of them out")
    return on


def _echo(table: Table) -> EchoConfig:
    return EchoConfig(
        port=_port(table, EchoConfig.port),
        spin_ns=table.integer("spin_ns", EchoConfig.spin_ns, 0, 10_000_000),
    )


def _port(table: Table, default: int) -> int:
    return table.integer("port", default, 1, 65535)
