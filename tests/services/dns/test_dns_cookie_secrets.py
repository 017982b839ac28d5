"""Random cookie secrets: generated, rolled over, and the previous one still valid."""

from __future__ import annotations

import json
import time

import anyio
import pytest
from dns_bytes_call import HEAD, BytesCall
from dns_wire import asking, option, options_of

from xdpkit._core._answer import answer
from xdpkit.runtime.publisher import Parts, SnapshotPublisher
from xdpkit.services.dns.serving import cookies
from xdpkit.services.dns.serving.cookies import CookieSecrets

CLIENT = b"8 bytes!"


@pytest.fixture
def publisher(tmp_path) -> SnapshotPublisher:
    call = BytesCall(tmp_path, {"z.example": HEAD})
    return SnapshotPublisher(Parts({"dns": 53}, zones=call.snapshot.zones))


def cookie(publisher: SnapshotPublisher, sent: bytes) -> bytes:
    _, reply = answer(publisher.shared.current, "dns", asking(option(10, sent)))
    assert reply is not None
    return options_of(reply)[10]


def test_each_roll_keeps_the_secret_before(publisher: SnapshotPublisher) -> None:
    rolling = CookieSecrets(publisher)
    rolling.publish()
    first = cookie(publisher, CLIENT)
    assert cookie(publisher, first) == first
    rolling.roll()
    second = cookie(publisher, CLIENT)
    assert second != first
    # Accepted and renewed: the reply to a request without a question tells.
    assert accepted(publisher, first) and cookie(publisher, first) == second
    rolling.roll()
    assert accepted(publisher, second) and not accepted(publisher, first)


def accepted(publisher: SnapshotPublisher, sent: bytes) -> bool:
    request = asking(option(10, sent), question=b"")
    request = request[:4] + b"\0\0" + request[6:]
    verdict, _ = answer(publisher.shared.current, "dns", request)
    return verdict == "dns_cookie"


def test_two_servers_generate_different_secrets(publisher: SnapshotPublisher) -> None:
    CookieSecrets(publisher).publish()
    one = cookie(publisher, CLIENT)
    CookieSecrets(publisher).publish()
    assert cookie(publisher, CLIENT) != one


def test_it_rolls_over_by_itself(
    publisher: SnapshotPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cookies, "ROLL_SECONDS", 0.01)

    async def live() -> None:
        rolling = CookieSecrets(publisher)
        rolling.publish()
        first = cookie(publisher, CLIENT)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(rolling.run)
                while accepted(publisher, first):
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()

    anyio.run(live)


def test_a_successor_takes_over_and_rolls_on_schedule(publisher: SnapshotPublisher) -> None:
    """Otherwise a secret would never expire if instances are replaced at least once a day."""
    predecessor, successor = CookieSecrets(publisher), CookieSecrets(publisher)
    handed_over = json.loads(json.dumps(predecessor.handed_over()))
    successor.take_over(handed_over)
    first = cookie(publisher, CLIENT)

    async def live() -> None:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(successor.run)
                await anyio.sleep(0.1)
                assert successor.secrets == predecessor.secrets
                tasks.cancel_scope.cancel()
            successor.take_over(handed_over | {"until": time.monotonic()})
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(successor.run)
                while successor.secrets == predecessor.secrets:
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()

    anyio.run(live)
    assert accepted(publisher, first) and cookie(publisher, CLIENT) != first


def test_a_secret_is_not_shown() -> None:
    assert "secret" not in repr(Parts({"dns": 53}, cookie_secrets=(b"secret of mine!!",)))
