# SPDX-License-Identifier: Apache-2.0
"""Copied replies of an RX queue leave on the TX queue of its number, where that is in use."""

from __future__ import annotations

import pytest

from xdpkit.errors import QueueError
from xdpkit.nic.os.xsk_bind import check_transmit_queue


def test_loopback_sends_on_one() -> None:
    check_transmit_queue("lo", 0)
    with pytest.raises(QueueError, match="lo sends on 1 queues, so replies of RX queue 1 would"):
        check_transmit_queue("lo", 1)


def test_what_cannot_be_counted_is_not_refused() -> None:
    """Another network namespace's /sys does not have the interface."""
    check_transmit_queue("nowhere0", 9)
