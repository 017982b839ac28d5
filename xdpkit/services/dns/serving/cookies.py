"""Secrets of DNS cookies that nobody configured: drawn at the start, another one each day."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

import anyio

from xdpkit.runtime.publisher import SnapshotPublisher

# The key of SipHash-2-4, RFC 9018 section 4.4.
SECRET_BYTES = 16

# RFC 7873 section 7.1: 26 hours at most, and not all servers in the same moment.
ROLL_SECONDS = 24 * 3600.0


class CookieSecrets:
    """Owns the secret in use and the one before it, which is accepted until the next takes over.

    A cookie lives for an hour, so no client notices.
    """

    def __init__(self, shared: SnapshotPublisher) -> None:
        self._publisher = shared
        self._secrets: tuple[bytes, ...] = ()
        self.roll()

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """The one that makes cookies first."""
        return self._secrets

    def bequest(self) -> dict[str, Any]:
        """What a successor goes on with; JSON. The time is CLOCK_MONOTONIC's, this machine's."""
        return {"secrets": [secret.hex() for secret in self._secrets], "until": self._until}

    def inherit(self, bequest: Mapping[str, Any]) -> None:
        """Goes on with another instance's secrets, which its clients have cookies of."""
        self._secrets = tuple(bytes.fromhex(secret) for secret in bequest["secrets"])
        self._until = float(bequest["until"])
        self._publisher.change(cookie_secrets=self._secrets)

    def roll(self) -> None:
        """Draws a new secret and publishes it with the one before."""
        self._secrets = (secrets.token_bytes(SECRET_BYTES), *self._secrets[:1])
        self._until = time.monotonic() + ROLL_SECONDS
        self._publisher.change(cookie_secrets=self._secrets)

    async def run(self) -> None:
        """Rolls once a day, until cancelled."""
        while True:
            await anyio.sleep(max(0.0, self._until - time.monotonic()))
            self.roll()
