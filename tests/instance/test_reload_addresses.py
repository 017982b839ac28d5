"""A reload of [interface] addresses: refused, or over once they are served."""

from __future__ import annotations

import math
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from xdpkit.config import Config, EchoConfig, InterfaceConfig, ServedAddress
from xdpkit.errors import NicError
from xdpkit.instance import served_addresses
from xdpkit.instance.served_addresses import Served, ServedAddresses
from xdpkit.nic.os.address_watch import AddressWatch
from xdpkit.nic.os.interface import InterfaceAddress

pytestmark = pytest.mark.anyio

PATIENCE = 30.0
MOST = 4096  # cext/runtime/snapshot.h, SNAPSHOT_RESERVED_MAX


def config(*addresses: ServedAddress) -> Config:
    return Config(
        Path("x.toml"), InterfaceConfig("nic0", (0,), addresses=addresses), echo=EchoConfig(port=7)
    )


def served(count: int) -> tuple[ServedAddress, ...]:
    return tuple(ServedAddress(ip_address((10 << 24) + number)) for number in range(count))


def addresses_of(loaded: Config, master: int = 0, own: int = 0) -> ServedAddresses:
    watch = object.__new__(AddressWatch)
    watch.configured = loaded.interface.addresses
    watch._now = [
        InterfaceAddress(each.address, None)
        for each in (ServedAddress(ip_address(f"192.0.2.{number + 1}")) for number in range(own))
    ]
    where: Any = SimpleNamespace(
        watch=watch,
        slow_path=SimpleNamespace(udp=None),
        dataplane=SimpleNamespace(interface=SimpleNamespace(master=master)),
    )
    return ServedAddresses(loaded, cast(Served, where))


async def test_a_reload_is_over_even_if_they_are_served_before_it_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(served_addresses, "GRACE_PERIOD_SECONDS", math.inf)
    addresses = addresses_of(config(*served(1)))

    async def serve() -> list[str]:
        return []

    monkeypatch.setattr(addresses, "_serve", serve)
    prepared = await addresses.prepare(config(*served(2)))
    prepared.commit()
    await addresses._apply()
    with anyio.fail_after(PATIENCE):
        await prepared.settled()


async def test_as_many_as_fit_beside_the_interfaces_own() -> None:
    addresses = addresses_of(config(*served(1)), own=1)
    await addresses.prepare(config(*served(MOST - 1)))
    with pytest.raises(NicError, match="too many addresses"):
        await addresses.prepare(config(*served(MOST)))


async def test_none_on_a_member_of_a_bridge() -> None:
    addresses = addresses_of(config(*served(1)), master=5)
    with pytest.raises(NicError, match="is a member of a bridge and has no address of its own"):
        await addresses.prepare(config())
