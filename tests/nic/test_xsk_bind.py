# SPDX-License-Identifier: Apache-2.0
"""Which mode a socket gets, by what the driver says to zero-copy."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from xdpkit._core._xsk import XskError
from xdpkit.config import InterfaceConfig
from xdpkit.errors import NicError
from xdpkit.nic.os import xsk_bind
from xdpkit.nic.os.interface import Interface


class Driver:
    """Refuses zero-copy with one errno, and copy mode with another if that is given."""

    def __init__(self, zerocopy: int, copy: int = 0, step: str = "bind") -> None:
        self.zerocopy, self.copy, self.step = zerocopy, copy, step

    def __call__(self, *_: Any, zerocopy: bool = False, **__: Any) -> str:
        if number := self.zerocopy if zerocopy else self.copy:
            raise XskError(self.step, number)
        return "zero-copy" if zerocopy else "copy"


def bound(monkeypatch: pytest.MonkeyPatch, driver: Driver, mode: str) -> tuple[object, list[str]]:
    monkeypatch.setattr(xsk_bind, "XskSocket", driver)
    monkeypatch.setattr(xsk_bind, "raise_memlock", lambda: 0)
    config = InterfaceConfig("lo", (0,), mode=mode)
    notes: list[str] = []
    return xsk_bind.bind(Interface("lo", 1, 1, True, None), 0, config, "native", notes), notes


@pytest.mark.parametrize(
    "number, words",
    [
        (errno.EOPNOTSUPP, "the driver of lo does not support zero-copy"),
        # virtio_net without VIRTIO_F_ACCESS_PLATFORM, which advertises zero-copy all the same.
        (errno.EINVAL, "the driver of lo rejected zero-copy (Invalid argument)"),
        (errno.ENOMEM, "the driver of lo rejected zero-copy (Cannot allocate memory)"),
    ],
)
def test_auto_does_without_zerocopy(
    monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    assert bound(monkeypatch, Driver(number), "auto") == ("copy", [f"{words}: using copy mode"])
    with pytest.raises(NicError, match="zero-copy"):
        bound(monkeypatch, Driver(number), "zerocopy")


def test_zerocopy_where_the_driver_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bound(monkeypatch, Driver(0), "auto") == ("zero-copy", [])


@pytest.mark.parametrize(
    "number, words", [(errno.EBUSY, "in use by another"), (errno.ENETDOWN, "lo is down")]
)
def test_what_copy_mode_cannot_mend(
    monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    with pytest.raises(NicError, match=words):
        bound(monkeypatch, Driver(number), "auto")


def test_copy_mode_tells_why_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NicError, match="Invalid argument"):
        bound(monkeypatch, Driver(errno.EINVAL, errno.EINVAL), "auto")
