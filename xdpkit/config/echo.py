"""[echo] of the configuration file: the bare packet loop."""

from __future__ import annotations

from dataclasses import dataclass

from xdpkit.config.toml_document import Table


@dataclass(frozen=True)
class EchoConfig:
    """[echo]: the bare packet loop; it spins ``spin_ns`` on each packet."""

    port: int = 7
    spin_ns: int = 0


def read_echo(table: Table) -> EchoConfig:
    return EchoConfig(
        port=table.port(EchoConfig.port),
        spin_ns=table.integer("spin_ns", EchoConfig.spin_ns, 0, 10_000_000),
    )
