"""A million requests back to back on one queue: none wrong, lost or duplicate, no memory leak."""

from __future__ import annotations

import pytest
from loading import all_answered, generator, load_on, send_all
from serving import Server

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

MILLION = 1_000_000

# Far longer than it takes: a limit for a machine that hangs.
PATIENCE = 150.0

# In pages: growth that leaking a byte per request, or an occasional frame, would exceed.
FEW_PAGES = 64


@pytest.mark.timeout(400)
@pytest.mark.parametrize("service", ["ntp", "dns"])
def test_a_million(lab: Lab, server: Server, service: str) -> None:
    with load_on(lab, [2]) as load:
        warm = generator(lab, load, 2, service, 4)
        assert send_all(warm, 10_000) == all_answered(10_000)
        before, status = server.resident_pages(), server.status()
        requests = generator(lab, load, 2, service, 4)
        assert send_all(requests, MILLION, PATIENCE) == all_answered(MILLION)
        after = server.status()
    assert server.resident_pages() - before <= FEW_PAGES
    for name in ("redirected", "ntp_answered" if service == "ntp" else "dns_noerror"):
        assert after["verdicts"][name] - status["verdicts"][name] == MILLION
    assert after["queues"]["2"]["dropped"] == {}
    assert after["queues"]["2"]["loop"]["tx_pending"] == 0
