"""Secrets that nobody configured: drawn, rolled, and the one before still good."""

from __future__ import annotations

import json
import time

import anyio
import pytest
from dns_door import HEAD, Door
from dns_wire import asking, option, options_of

from xdpkit._core._answer import answer
from xdpkit.services.dns.serving import cookies
from xdpkit.services.dns.serving.cookies import CookieSecrets
from xdpkit.runtime.publisher import Parts, Publication

CLIENT = b"8 bytes!"


@pytest.fixture
def publication(tmp_path) -> Publication:
    door = Door(tmp_path, {"z.example": HEAD})
    return Publication(Parts({"dns": 53}, zones=door.snapshot.zones))


def cookie(publication: Publication, sent: bytes) -> bytes:
    _, reply = answer(publication.publisher.current, "dns", asking(option(10, sent)))
    assert reply is not None
    return options_of(reply)[10]


def test_each_roll_keeps_the_secret_before(publication: Publication) -> None:
    rolling = CookieSecrets(publication)
    first = cookie(publication, CLIENT)
    assert cookie(publication, first) == first
    rolling.roll()
    second = cookie(publication, CLIENT)
    assert second != first
    # Accepted and renewed: what is asked without a question says whether it was.
    assert accepted(publication, first) and cookie(publication, first) == second
    rolling.roll()
    assert accepted(publication, second) and not accepted(publication, first)


def accepted(publication: Publication, sent: bytes) -> bool:
    request = asking(option(10, sent), question=b"")
    request = request[:4] + b"\0\0" + request[6:]
    verdict, _ = answer(publication.publisher.current, "dns", request)
    return verdict == "dns_cookie"


def test_two_servers_draw_different_secrets(publication: Publication) -> None:
    CookieSecrets(publication)
    one = cookie(publication, CLIENT)
    CookieSecrets(publication)
    assert cookie(publication, CLIENT) != one


def test_it_rolls_by_itself(publication: Publication, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cookies, "ROLL_SECONDS", 0.01)

    async def live() -> None:
        rolling = CookieSecrets(publication)
        first = cookie(publication, CLIENT)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(rolling.run)
                while accepted(publication, first):
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()

    anyio.run(live)


def test_a_successor_goes_on_and_rolls_when_it_was_due(publication: Publication) -> None:
    """Or a secret would live as long as instances follow each other within a day."""
    predecessor, successor = CookieSecrets(publication), CookieSecrets(publication)
    bequest = json.loads(json.dumps(predecessor.bequest()))
    successor.inherit(bequest)
    first = cookie(publication, CLIENT)

    async def live() -> None:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(successor.run)
                await anyio.sleep(0.1)
                assert successor.secrets == predecessor.secrets
                tasks.cancel_scope.cancel()
            successor.inherit(bequest | {"until": time.monotonic()})
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(successor.run)
                while successor.secrets == predecessor.secrets:
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()

    anyio.run(live)
    assert accepted(publication, first) and cookie(publication, CLIENT) != first


def test_a_secret_is_not_shown() -> None:
    assert "secret" not in repr(Parts({"dns": 53}, cookie_secrets=(b"secret of mine!!",)))
