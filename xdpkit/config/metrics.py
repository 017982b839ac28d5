"""[metrics] of the configuration file: where Prometheus scrapes."""

from __future__ import annotations

from ipaddress import ip_address

from xdpkit.config.address import SocketAddress, parse_socket_address
from xdpkit.config.schema import custom, flag, section
from xdpkit.config.toml_document import Table, quoted

# Only for this machine. Prometheus's list of default ports assigns 9153 to CoreDNS, which does not
# run next to xdpkit: it uses port 53 too.
_DEFAULT = SocketAddress(ip_address("127.0.0.1"), 9153)


def _socket_address(table: Table, key: str) -> SocketAddress:
    text = table.string(key)
    try:
        return parse_socket_address(text)
    except ValueError as error:
        raise table.error(key, f"{quoted(text)}: {error}") from error


@section("metrics")
class MetricsConfig:
    """Every counter of `xdpkit status` for Prometheus, at `http://ADDR:PORT/metrics`.

    `/health` beside it says whether all is well (docs/service.md).
    """

    listen: SocketAddress = custom(
        _socket_address,
        accepts="address and port",
        default=_DEFAULT,
        doc="Address and TCP port.",
        restart=True,
    )
    geodns_names: bool = flag(
        default=False,
        doc="Also under GeoDNS's names what it counts and is known here (docs/geodns.md).",
    )
