"""The configuration file: what it may contain and what it means.

``load`` returns one frozen ``Config``, or raises one ConfigError that gives file:line:column, the
key and the fix. A service is on if its table is present. Nothing here depends on the machine,
except for the files and directories that the configuration names.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from xdpkit.config.dns import DnsConfig, read_dns
from xdpkit.config.echo import EchoConfig, read_echo
from xdpkit.config.interface import InterfaceConfig, read_interface
from xdpkit.config.metrics import MetricsConfig, read_metrics
from xdpkit.config.ntp import NtpConfig, read_ntp
from xdpkit.config.toml_document import Document, nearest, quoted
from xdpkit.errors import ConfigError


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
        """UDP ports of the services that are on, by name."""
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
    """Reads and checks a configuration file; paths in it are relative to its directory.

    Raises ConfigError for the first error.
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
        interface=read_interface(interface),
        ntp=None if ntp is None else read_ntp(ntp),
        dns=None if dns is None else read_dns(dns),
        echo=None if echo is None else read_echo(echo),
        metrics=None if metrics is None else read_metrics(metrics),
    )
    _check_ports(document, config)
    return config


def _unknown_table(document: Document, name: str) -> ConfigError:
    homes = [f"[{table}]" for table, keys in _TABLES.items() if name in keys]
    if homes and not isinstance(document.data[name], dict):
        reason = f"{name} belongs under {' or '.join(homes)}"
    else:
        reason = f"unknown table {quoted(name)}: {nearest(name, _TABLES)}"
    return document.error((name,), reason, at_key=True)


def _check_ports(document: Document, config: Config) -> None:
    users: dict[int, str] = {}
    for name, port in config.ports().items():
        first = users.setdefault(port, name)
        if first != name:
            # Points to a port that is written out: the other may be a default.
            path = next(((n, "port") for n in (name, first) if "port" in document.data[n]), (name,))
            reason = f"port: [{first}] and [{name}] both use {port}: change one of them"
            raise document.error(path, reason)
    if not users:
        names = ", ".join(f"[{name}]" for name in _SERVICES)
        raise ConfigError(config.path, f"no service is on: write at least one of {names}")
