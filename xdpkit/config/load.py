"""The configuration file: what it may contain and what it means.

``load`` returns one frozen ``Config``, or raises an error with everything that is wrong: for each
thing file:line:column, the key and the fix. A service is on if its table is present. Nothing here
depends on the machine, except for the files and directories that the configuration names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from xdpkit.config.dns import DnsConfig
from xdpkit.config.echo import EchoConfig
from xdpkit.config.interface import InterfaceConfig
from xdpkit.config.metrics import MetricsConfig
from xdpkit.config.ntp import NtpConfig
from xdpkit.config.schema import read, settings
from xdpkit.config.toml_document import Document, nearest, quoted
from xdpkit.errors import ERRORS_MAX, ConfigError, ConfigErrors, shortened


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


SECTIONS: dict[str, type] = {
    "interface": InterfaceConfig,
    "ntp": NtpConfig,
    "dns": DnsConfig,
    "echo": EchoConfig,
    "metrics": MetricsConfig,
}
"""The tables of a file, by name."""

_SERVICES = ("ntp", "dns", "echo")


def load(path: Path | str) -> Config:
    """Reads and checks a configuration file; paths in it are relative to its directory.

    Raises ConfigError with everything that is wrong: ConfigErrors, if that is more than one thing.
    """
    document = Document(Path(path))
    unknown = (name for name in document.data if name not in SECTIONS)
    errors = [_unknown_table(document, name) for name in islice(unknown, ERRORS_MAX)]
    if not errors:
        # A misspelt name is also one that is missing: once is enough.
        errors += _missing_tables(document)
    found: dict[str, dict[str, Any]] = {}
    for name in SECTIONS:
        if name in document.data:
            try:
                found[name] = read(SECTIONS[name], document.table(name), errors)
            except ConfigError as error:
                errors.append(error)
    errors += _shared_ports(document, found)
    if errors:
        raise _in_order(errors)
    return Config(
        path=document.path, **{name: SECTIONS[name](**values) for name, values in found.items()}
    )


def _in_order(errors: Sequence[ConfigError]) -> ConfigError:
    """One error for all of them: in the order of the file, those without a line last.

    The first 20 are told, then how many more there are.
    """

    def location(error: ConfigError) -> tuple[bool, int, int]:
        return error.line is None, error.line or 0, error.column or 0

    told = shortened(sorted(errors, key=location))
    return told[0] if len(told) == 1 else ConfigErrors(told)


def _unknown_table(document: Document, name: str) -> ConfigError:
    homes = [f"[{table}]" for table, kind in SECTIONS.items() if name in settings(kind)]
    if homes and not isinstance(document.data[name], dict):
        reason = f"{name} belongs under {' or '.join(homes)}"
    else:
        reason = f"unknown table {quoted(name)}: {nearest(name, SECTIONS)}"
    return document.error((name,), reason, at_key=True)


def _missing_tables(document: Document) -> Iterator[ConfigError]:
    if "interface" not in document.data:
        reason = "[interface] is missing: write it, with name and queues"
        yield ConfigError(document.path, reason)
    if not document.data.keys() & _SERVICES:
        names = ", ".join(f"[{name}]" for name in _SERVICES)
        yield ConfigError(document.path, f"no service is on: write at least one of {names}")


def _shared_ports(
    document: Document, found: Mapping[str, Mapping[str, Any]]
) -> Iterator[ConfigError]:
    """An error for each service whose port another one has; those with wrong ports are left out."""
    users: dict[int, str] = {}
    for name in _SERVICES:
        if (port := found.get(name, {}).get("port")) is None:
            continue
        first = users.setdefault(port, name)
        if first != name:
            # Points to a port that is written out: the other may be a default.
            path = next(((n, "port") for n in (name, first) if "port" in document.data[n]), (name,))
            reason = f"port: [{first}] and [{name}] both use {port}: change one of them"
            yield document.error(path, reason)
