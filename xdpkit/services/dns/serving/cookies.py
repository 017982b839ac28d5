"""Random secrets for DNS cookies, used if none is configured: one at the start, then one a day."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

import anyio

from xdpkit._core._limits import SIPHASH_KEY_BYTES
from xdpkit.runtime.publisher import SnapshotPublisher

# The key of SipHash-2-4, RFC 9018 section 4.4.
SECRET_BYTES = SIPHASH_KEY_BYTES

# RFC 7873 section 7.1: at most 26 hours, and not all servers at the same time.
ROLL_SECONDS = 24 * 3600.0


class CookieSecrets:
    """Owns the secret in use and the previous one, which is accepted until the next rollover.

    A cookie is valid for an hour, so no client notices. The first is published by the owner.
    """

    def __init__(self, publisher: SnapshotPublisher) -> None:
        self._publisher = publisher
        self._secrets: tuple[bytes, ...] = (secrets.token_bytes(SECRET_BYTES),)
        self._until = time.monotonic() + ROLL_SECONDS

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """The one that cookies are made with comes first."""
        return self._secrets

    def handed_over(self) -> dict[str, Any]:
        """The handed-over state, JSON. The time is this machine's CLOCK_MONOTONIC."""
        return {"secrets": [secret.hex() for secret in self._secrets], "until": self._until}

    def take_over(self, handed_over: Mapping[str, Any]) -> None:
        """Takes over a predecessor's secrets, so that its clients' cookies stay valid."""
        self._secrets = tuple(bytes.fromhex(secret) for secret in handed_over["secrets"])
        self._until = float(handed_over["until"])
        self.publish()

    def roll(self) -> None:
        """Generates a new secret and publishes it with the previous one."""
        self._secrets = (secrets.token_bytes(SECRET_BYTES), *self._secrets[:1])
        self._until = time.monotonic() + ROLL_SECONDS
        self.publish()

    def publish(self) -> None:
        """Has the answering threads use these secrets."""
        self._publisher.change(cookie_secrets=self._secrets)

    async def run(self) -> None:
        """Rolls over once a day, until cancelled."""
        while True:
            await anyio.sleep(max(0.0, self._until - time.monotonic()))
            self.roll()
