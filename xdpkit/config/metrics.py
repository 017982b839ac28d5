"""[metrics] of the configuration file: where Prometheus asks."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from xdpkit.config.address import SocketAddress, parse_socket_address
from xdpkit.config.toml_document import Table, shown

# For this machine alone. In Prometheus's list of default ports this is CoreDNS's, which does not
# run beside us: it wants port 53 too.
_DEFAULT = SocketAddress(ip_address("127.0.0.1"), 9153)


@dataclass(frozen=True)
class MetricsConfig:
    """[metrics]: the address and TCP port of ``http://ADDR:PORT/metrics``."""

    listen: SocketAddress = _DEFAULT


def read_metrics(table: Table) -> MetricsConfig:
    """The table's values. Raises ConfigError at the first that is wrong."""
    text = table.string("listen", str(_DEFAULT))
    try:
        return MetricsConfig(listen=parse_socket_address(text))
    except ValueError as error:
        raise table.error("listen", f"{shown(text)}: {error}") from error
