# SPDX-License-Identifier: Apache-2.0
"""In copy mode, replies of an RX queue leave on the TX queue of the same number, if enabled."""

from __future__ import annotations

import pytest

from xdpkit.errors import QueueError
from xdpkit.nic.os.xsk_bind import check_transmit_queue


def test_loopback_sends_on_one() -> None:
    check_transmit_queue("lo", 0)
    with pytest.raises(QueueError, match="lo has 1 TX queues, so replies of RX queue 1 would"):
        check_transmit_queue("lo", 1)


def test_what_cannot_be_counted_is_not_refused() -> None:
    """The /sys of another network namespace does not have the interface."""
    check_transmit_queue("nowhere0", 9)
