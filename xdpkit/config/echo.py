"""[echo] of the configuration file: the bare packet loop."""

from __future__ import annotations

from xdpkit.config.schema import integer, section, service_port


@section("echo")
class EchoConfig:
    """Sends every datagram back: the bare packet loop, for measurements."""

    port: int = service_port(default=7)
    spin_ns: int = integer(
        0, 10_000_000, default=0, doc="Nanoseconds that the loop spins on each packet."
    )
