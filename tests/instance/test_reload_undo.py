"""What a reload does with what its parts have prepared, whatever goes wrong."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from time_server import TimeServer, silent

from xdpkit.config import Config, load
from xdpkit.errors import ReloadError, XdpkitError
from xdpkit.instance.reload import Reloader
from xdpkit.runtime import publisher as publisher_module
from xdpkit.runtime.publisher import SnapshotPublisher, initial_parts
from xdpkit.services.base import Prepared
from xdpkit.services.ntp import service as ntp_service
from xdpkit.services.ntp.service import NtpService
from xdpkit.services.ntp.source import NtpSource

pytestmark = pytest.mark.anyio


class Part:
    """A part of the instance that prepares what it is told to, and keeps what became of it."""

    def __init__(self, refusal: Exception | None = None, **parts: object) -> None:
        self.outcome: list[str] = []
        self._refusal = refusal
        self._parts = parts

    async def prepare(self, config: Config) -> Prepared:
        if self._refusal:
            raise self._refusal
        return Prepared(
            self._parts,
            lambda: self.outcome.append("committed"),
            discard=lambda: self.outcome.append("discarded"),
        )


class Stalled:
    """Snapshots of which a stalled thread keeps one."""

    def publish(self, snapshot: object) -> None:
        """Keeps nothing."""

    def collect(self) -> int:
        return 1


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "xdpkit.toml"
    path.write_text('[interface]\nname = "nic0"\nqueues = [0]\n[ntp]\nport = 123\n')
    return load(path)


async def reload(
    config: Config, *parts: Part | NtpService, publisher: SnapshotPublisher | None = None
) -> None:
    publisher = publisher or SnapshotPublisher(initial_parts(config))
    await Reloader(config, publisher, parts)._reload()


async def test_an_accepted_share_is_committed_once(config: Config) -> None:
    part = Part()
    await reload(config, part)
    assert part.outcome == ["committed"]


@pytest.mark.parametrize("refusal", [XdpkitError("no"), OSError("no")], ids=["said", "unforeseen"])
async def test_what_was_prepared_is_discarded_if_another_part_refuses(
    config: Config, refusal: Exception
) -> None:
    part = Part()
    with pytest.raises((ReloadError, OSError), match="no"):
        await reload(config, part, Part(refusal))
    assert part.outcome == ["discarded"]


async def test_what_was_prepared_is_discarded_if_no_snapshot_can_be_made(config: Config) -> None:
    part = Part(ports={"ntp": 70000})
    with pytest.raises(OverflowError):
        await reload(config, part)
    assert part.outcome == ["discarded"]


async def test_a_stalled_thread_is_logged_and_the_reload_is_applied(
    config: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    part, publisher = Part(), SnapshotPublisher(initial_parts(config))
    monkeypatch.setattr(publisher_module, "GRACE_PERIOD_SECONDS", 0.01)
    monkeypatch.setattr(publisher, "shared", Stalled())
    reply = await Reloader(config, publisher, [part])._reload()
    assert reply == {"changed": []} and part.outcome == ["committed"]
    assert "an answering thread is stalled" in caplog.text


async def test_the_last_reply_of_the_old_time_source_is_not_published(config: Config) -> None:
    assert config.ntp
    publisher = SnapshotPublisher(initial_parts(config))
    service = NtpService("ntp", config.ntp, publisher)
    await service.open()
    old = service._source
    path = Path(config.path)
    path.write_text(path.read_text() + "stratum = 7\n")
    await reload(config, service, publisher=publisher)
    published = publisher._parts.ntp
    old.publish(old.published)
    assert publisher._parts.ntp is published
    service.close()


async def test_the_socket_of_a_silent_new_time_source_is_closed_with_a_refused_reload(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[NtpSource] = []

    class Kept(NtpSource):
        """Not closed by going out of scope."""

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(ntp_service, "NtpSource", Kept)
    with TimeServer(silent) as server:
        assert config.ntp
        service = NtpService("ntp", config.ntp, SnapshotPublisher(initial_parts(config)))
        await service.open()
        path = Path(config.path)
        source = f'source = ["127.0.0.1:{server.where.port}"]\n'
        path.write_text(path.read_text() + source)
        before = sockets()
        with pytest.raises(ReloadError, match="no"):
            await reload(config, service, Part(XdpkitError("no")))
        assert sockets() == before
        assert len(made) == 2
        service.close()


def sockets() -> list[str]:
    names = [path.name for path in Path("/proc/self/fd").iterdir()]
    return sorted(name for name in names if stat.S_ISSOCK(mode_of(int(name))))


def mode_of(descriptor: int) -> int:
    try:
        return os.fstat(descriptor).st_mode
    except OSError:
        return 0  # the listing's own
