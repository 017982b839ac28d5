"""The NTP service: where the time comes from, and who may ask for it."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio

from xdpkit._core._snapshot import NtpState
from xdpkit.config import Config, NtpConfig
from xdpkit.regular_file import Content
from xdpkit.runtime.current_task import CurrentTask
from xdpkit.runtime.health import Reason
from xdpkit.runtime.off_loop import off_loop
from xdpkit.runtime.publisher import SnapshotPublisher
from xdpkit.services.access_list import access
from xdpkit.services.base import Prepared, Service
from xdpkit.services.ntp.admission import Admission
from xdpkit.services.ntp.keys import read_key_file
from xdpkit.services.ntp.source import NtpSource


class NtpService(Service):
    """Owns the time source and the admission; a reload replaces either where it changed."""

    def __init__(self, name: str, ntp: NtpConfig, publisher: SnapshotPublisher) -> None:
        super().__init__(name, publisher)
        self._config = ntp
        self._admission = Admission()
        self._source = NtpSource(ntp, self._publish)
        self._following = CurrentTask(lambda: self._source.run)

    def admit(self) -> dict[str, Any]:
        return {"access": access(self._admission.rules, self.nowhere)}

    async def open(self) -> None:
        """Raises ConfigError for the key file. Polls the sources before anybody is answered."""
        prepared = self._admission.prepare(self._config, await _read_keys(self._config))
        self._publisher.change(**prepared.parts)
        prepared.commit()
        await self._source.start()

    async def run(self) -> None:
        await self._following.run()

    async def prepare(self, config: Config) -> Prepared:
        ntp = config.ntp
        if ntp is None:
            return Prepared()
        content = await _read_keys(ntp)
        # In a thread: a hundred thousand prefixes, or keys, take seconds.
        admission = await anyio.to_thread.run_sync(
            self._admission.prepare, ntp, content, self.nowhere
        )
        if _time_of(ntp) == _time_of(self._config):
            return admission
        source = NtpSource(ntp, self._publish_later, self._source.mono_epoch)
        try:
            await source.start()
        except BaseException:
            source.close()
            raise

        def commit() -> None:
            admission.commit()
            self._config = ntp
            # Its last reply may already be on its way here.
            self._source.publish = self._publish_later
            self._source.close()
            self._source = source
            source.publish = self._publish
            self._following.restart()

        return Prepared(
            {**admission.parts, "ntp": NtpState(**source.published)},
            commit,
            facts=admission.facts,
            discard=source.close,
        )

    def _publish(self, state: dict[str, int]) -> None:
        self._publisher.change(ntp=NtpState(**state))

    def _publish_later(self, state: dict[str, int]) -> None:
        """A source that is not in use, yet or any longer: the reload publishes its state."""

    def facts(self) -> dict[str, Any]:
        return {"ntp": self._source.facts(), "key_slots": self._admission.slots}

    def problems(self) -> list[Reason]:
        return self._source.problems()

    def close(self) -> None:
        self._source.close()


async def _read_keys(ntp: NtpConfig) -> Content | None:
    return await off_loop(ntp.keys, partial(read_key_file, ntp.keys)) if ntp.keys else None


def _time_of(ntp: NtpConfig) -> tuple[object, ...]:
    """The settings that a time source is made from."""
    return ntp.source, ntp.source_users, ntp.stratum, ntp.refid, ntp.holdover
