"""[metrics] of the configuration file: where Prometheus scrapes."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from xdpkit.config.address import SocketAddress, parse_socket_address
from xdpkit.config.toml_document import Table, quoted

# Only for this machine. Prometheus's list of default ports assigns 9153 to CoreDNS, which does not
# run next to xdpkit: it uses port 53 too.
_DEFAULT = SocketAddress(ip_address("127.0.0.1"), 9153)


@dataclass(frozen=True)
class MetricsConfig:
    """[metrics]: the address and TCP port of ``http://ADDR:PORT/metrics``."""

    listen: SocketAddress = _DEFAULT


def read_metrics(table: Table) -> MetricsConfig:
    """The table's values. Raises ConfigError for the first wrong one."""
    text = table.string("listen", str(_DEFAULT))
    try:
        return MetricsConfig(listen=parse_socket_address(text))
    except ValueError as error:
        raise table.error("listen", f"{quoted(text)}: {error}") from error
