"""The configuration: read from its file into one frozen ``Config``; imports nothing above it.

load.py            the whole file                          -> Config, or everything that is wrong
interface.py, ntp.py, dns.py, rrl.py, echo.py, metrics.py  one table each, declared key by key
schema.py          what a key's declaration says, and reading a table by it
difference.py      what a reload applies, and what needs a restart
toml_document.py   typed reading, and errors that give file:line:column, key and fix
toml_location.py   where each key and value is in the file
address.py, prefixes.py, refid.py                          values with a syntax of their own
"""

from xdpkit.config.address import ServedAddress
from xdpkit.config.dns import DnsConfig
from xdpkit.config.echo import EchoConfig
from xdpkit.config.interface import InterfaceConfig
from xdpkit.config.load import Config, load
from xdpkit.config.metrics import MetricsConfig
from xdpkit.config.ntp import NtpConfig

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
