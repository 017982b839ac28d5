"""The arena cached between starts: used if it is intact and current, else compiled again."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import struct
import subprocess
import sys
from functools import partial
from pathlib import Path

import anyio
import dns.message
import pytest
from dns_bytes_call import HEAD

from xdpkit._core._answer import answer
from xdpkit._core._snapshot import Snapshot
from xdpkit.errors import ZoneError
from xdpkit.services.dns.compiler import arena_file
from xdpkit.services.dns.compiler.arena import CHECKSUM_AT, checksum
from xdpkit.services.dns.compiler.arena_file import FOOTER, cache_file, open_cached, read_sources
from xdpkit.services.dns.query.query import explain
from xdpkit.services.dns.serving.store import Arena, load_zones
from xdpkit.services.dns.zonefile import sources

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user: needs root")


class Site:
    """A directory of zones and one for their cache."""

    def __init__(self, directory: Path) -> None:
        self.zones, self.cache = directory / "zones", directory / "cache"
        self.zones.mkdir()
        self.write("z.zone", HEAD + "x A 192.0.2.1\n$INCLUDE part\n")
        self.write("part", "y A 192.0.2.2\n")

    def write(self, name: str, text: str) -> None:
        """Writes a file with old times, so that later changes can be told apart."""
        path = self.zones / name
        path.write_text(text)
        os.utime(path, ns=(0, path.stat().st_mtime_ns - 60 * 10**9))

    @property
    def cached(self) -> Path:
        """The cache file."""
        return cache_file(self.cache, self.zones)

    def load(self) -> Arena:
        """Loads like a starting daemon."""
        return anyio.run(partial(load_zones, self.zones, self.cache))

    @property
    def files(self) -> list[str]:
        """The files in the cache."""
        return sorted(path.name for path in self.cache.iterdir())

    def damage(self, data: bytes) -> None:
        """Overwrites the cache file."""
        self.cached.write_bytes(data)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    assert made.load().origin == "compiled"
    return made


def address(arena: Arena, name: str) -> bytes:
    """The address that the zones have for a name, or b""."""
    request = dns.message.make_query(name, "A").to_wire()
    reply = answer(Snapshot({"dns": 53}, zones=arena.map), "dns", request)[1]
    assert reply is not None
    return reply[-4:] if reply[7] else b""


def test_the_second_start_compiles_nothing(site: Site) -> None:
    assert stat.S_IMODE(site.cached.stat().st_mode) == 0o600
    assert stat.S_IMODE(site.cache.stat().st_mode) == 0o700
    assert site.files == [site.cached.name]
    before = sources.stat_of(site.cached)
    arena = site.load()
    assert arena.origin == "cache"
    assert address(arena, "x.z") == bytes((192, 0, 2, 1))
    assert address(arena, "y.z") == bytes((192, 0, 2, 2))
    assert {name: (zone.serial, zone.names) for name, zone in arena.zones.items()} == {
        "z": (2026112201, 3)
    }
    assert sources.stat_of(site.cached) == before
    # What happens to the file afterwards does not affect answers.
    os.truncate(site.cached, 0)
    assert address(arena, "x.z") == bytes((192, 0, 2, 1))


def test_instances_share_a_directory_by_the_path_of_their_zones(site: Site, tmp_path: Path) -> None:
    shutil.copytree(site.zones, tmp_path / "others")
    other = anyio.run(load_zones, tmp_path / "others", site.cache)
    assert other.origin == "compiled"
    assert len(site.files) == 2
    assert site.load().origin == "cache"
    (tmp_path / "link").symlink_to(site.zones)
    assert cache_file(site.cache, tmp_path / "link") == site.cached


# -------------------------------------------------------------------------------------------------


def edit(site: Site) -> None:
    site.write("z.zone", HEAD + "x A 192.0.2.9\n$INCLUDE part\n")


def edit_the_included(site: Site) -> None:
    site.write("part", "x A 192.0.2.9\n")


def edit_with_the_times_of_before(site: Site) -> None:
    before = (site.zones / "z.zone").stat()
    (site.zones / "new").write_text(HEAD + "x A 192.0.2.9\n$INCLUDE part\n")
    os.utime(site.zones / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    (site.zones / "new").rename(site.zones / "z.zone")
    assert (site.zones / "z.zone").stat().st_size == before.st_size


def add_a_zone(site: Site) -> None:
    site.write("a.zone", HEAD)


def take_a_zone(site: Site) -> None:
    (site.zones / "z.zone").rename(site.zones / "other.zone")


@pytest.mark.parametrize(
    "change",
    [edit, edit_the_included, edit_with_the_times_of_before, add_a_zone, take_a_zone],
    ids=lambda change: change.__name__,
)
def test_changed_zones_are_compiled_and_cached(site: Site, change: object) -> None:
    assert callable(change)
    change(site)
    assert site.load().origin == "compiled"
    assert site.load().origin == "cache"
    assert len(site.files) == 1


def test_a_touched_file_is_the_same_file(site: Site) -> None:
    os.utime(site.zones / "z.zone")
    (site.zones / "part").rename(site.zones / "p")
    shutil.copy(site.zones / "p", site.zones / "part")
    assert site.load().origin == "cache"


def test_a_file_changed_while_read_is_checked_by_content(tmp_path: Path) -> None:
    """Within a clock tick a file can change without a change of its times."""
    site = Site(tmp_path)
    path = site.zones / "z.zone"
    path.touch()
    assert site.load().origin == "compiled"
    found = path.stat()
    with path.open("r+") as file:
        file.write(HEAD + "x A 192.0.2.7\n")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert sources.stat_of(path) == (found.st_size, found.st_mtime_ns, found.st_ino)
    assert address(site.load(), "x.z") == bytes((192, 0, 2, 7))


def test_another_compiler_is_another_arena(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(arena_file, "compiler_key", lambda: "another")
    fd = open_cached(site.cached)
    try:
        with pytest.raises(arena_file.Stale):
            read_sources(fd)
    finally:
        os.close(fd)
    monkeypatch.undo()
    assert site.load().origin == "cache"
    assert caplog.text == ""


def test_the_compilers_key_is_of_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = sources.compiler_key.__wrapped__
    copied = tmp_path / "dns"
    shutil.copytree(Path(sources.__file__).parents[1], copied)
    monkeypatch.setattr(sources, "__file__", str(copied / "zonefile" / "sources.py"))
    assert key() == sources.compiler_key()
    for name in (
        "compiler/images.py",
        "compiler/arena.py",
        "zonefile/read.py",
        "compiler/chain.py",
    ):
        before = key()
        (copied / name).write_text((copied / name).read_text() + "\n")
        assert key() != before


# -------------------------------------------------------------------------------------------------


def rechecksummed(data: bytes, size: int) -> bytes:
    """The file with a corrected checksum of its arena."""
    total = checksum(memoryview(data)[:size]).to_bytes(8, "little")
    return data[:CHECKSUM_AT] + total + data[CHECKSUM_AT + 8 :]


def test_every_bit_counts(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    data = site.cached.read_bytes()
    positions = {
        *range(0, 64),
        *range(64, len(data), 97),
        *range(len(data) - FOOTER.size, len(data)),
    }
    for at in sorted(positions):
        damaged = bytearray(data)
        damaged[at] ^= 1 << at % 8
        site.damage(damaged)
        caplog.clear()
        fd = open_cached(site.cached)
        try:
            with pytest.raises(ValueError, match=r"checksum|valid zone arena|cut off|record"):
                arena_file.read_arena(fd, *read_sources(fd))
        finally:
            os.close(fd)


@pytest.mark.parametrize("left", [0, 1, FOOTER.size - 1, FOOTER.size, 200, 1000, -1])
def test_a_file_cut_off_is_replaced(
    site: Site, caplog: pytest.LogCaptureFixture, left: int
) -> None:
    data = site.cached.read_bytes()
    site.damage(data[:left])
    assert site.load().origin == "compiled"
    assert len(caplog.messages) == 1
    assert str(site.cached) in caplog.text and "compiling the zones again" in caplog.text
    caplog.clear()
    assert site.load().origin == "cache"
    assert caplog.messages == []


@pytest.mark.parametrize(
    "at, value, words",
    [
        (0, b"kztixnoz", "valid zone arena"),  # the other byte order
        (8, struct.pack("<I", 1), "valid zone arena"),  # another version of the arena
        (16, struct.pack("<Q", 1 << 40), "valid zone arena"),  # larger than the file
        (40, struct.pack("<I", 1 << 31), "valid zone arena"),  # the table past the end
        (64, struct.pack("<I", 0xFFFFFFF), "valid zone arena"),  # a zone's apex past the end
        (64 + 12, struct.pack("<I", 1), "valid zone arena"),  # NXDOMAIN's image in the header
    ],
)
def test_wrong_offsets_are_found(
    site: Site, caplog: pytest.LogCaptureFixture, at: int, value: bytes, words: str
) -> None:
    """With a correct checksum, as a deliberate attacker would write it."""
    data = site.cached.read_bytes()
    size = FOOTER.unpack(data[-FOOTER.size :])[1]
    site.damage(rechecksummed(data[:at] + value + data[at + len(value) :], size))
    assert site.load().origin == "compiled"
    assert len(caplog.messages) == 1 and words in caplog.text
    assert site.load().origin == "cache"


def test_an_invalid_record_is_found(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    data = site.cached.read_bytes()
    size = FOOTER.unpack(data[-FOOTER.size :])[1]
    for record in (
        b"[]",
        b"{}",
        b"null",
        b"[" * 1000,
        b"\xff",
        b'{"compiler": "%s", "sources": [1]}',
    ):
        text = record.replace(b"%s", sources.compiler_key().encode())
        digest = arena_file._digest(text, size)
        site.damage(data[:size] + text + FOOTER.pack(arena_file.MAGIC, size, len(text), digest))
        caplog.clear()
        assert site.load().origin == "compiled"
        assert len(caplog.messages) == 1


def give_away(path: Path) -> None:
    os.chown(path, 12345, 12345)


def open_up(path: Path) -> None:
    path.chmod(0o620)


def link(path: Path) -> None:
    path.rename(path.with_suffix(".away"))
    path.symlink_to(path.with_suffix(".away"))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


@pytest.mark.parametrize(
    "how", [pytest.param(give_away, marks=ROOT), open_up, link, pipe], ids=lambda how: how.__name__
)
def test_a_file_that_others_could_have_written_is_not_used(
    site: Site, caplog: pytest.LogCaptureFixture, how: object
) -> None:
    assert callable(how)
    how(site.cached)
    assert site.load().origin == "compiled"
    assert len(caplog.messages) == 1 and str(site.cached) in caplog.text
    assert site.load().origin == "cache"


# -------------------------------------------------------------------------------------------------


def test_an_unusable_cache_directory(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.cache.write_text("a file")
    arena = site.load()
    assert arena.origin == "compiled"
    assert str(site.cache) in arena.cache_error
    assert address(arena, "x.z") == bytes((192, 0, 2, 1))


def test_a_full_disk_leaves_the_old_file(site: Site, tmp_path: Path) -> None:
    before = site.cached.read_bytes()
    source = tmp_path / "larger"
    source.write_bytes(bytes(1 << 20))

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))

    code = (
        "import sys; from pathlib import Path;"
        "from xdpkit.services.dns.compiler.arena_file import write_cache;"
        "file = open(sys.argv[1], 'rb'); write_cache(file.fileno(), Path(sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, source, site.cached],
        preexec_fn=limited,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "File too large" in done.stderr
    assert site.cached.read_bytes() == before
    assert site.files == [site.cached.name]


def test_a_partial_file_of_a_killed_writer_is_reused(site: Site) -> None:
    part = site.cached.with_suffix(".part")
    part.write_bytes(b"x" * 10_000_000)
    edit(site)
    assert site.load().origin == "compiled"
    assert site.files == [site.cached.name]
    assert site.load().origin == "cache"


def test_two_writers_at_once_leave_one_whole_file(site: Site, tmp_path: Path) -> None:
    data = site.cached.read_bytes()
    copy = tmp_path / "copy"
    copy.write_bytes(data)
    code = (
        "import sys; from pathlib import Path\n"
        "from xdpkit.services.dns.compiler.arena_file import write_cache\n"
        "file = open(sys.argv[1], 'rb')\n"
        "for _ in range(200): write_cache(file.fileno(), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(copy), str(site.cached)]
    writers = [subprocess.Popen(command) for _ in range(2)]
    assert [writer.wait(100) for writer in writers] == [0, 0]
    assert site.cached.read_bytes() == data
    assert site.files == [site.cached.name]


def test_query_uses_the_cache(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def compiled(directory: Path) -> None:
        raise AssertionError(f"{directory} was compiled")

    monkeypatch.setattr("xdpkit.services.dns.query.query._compile", compiled)
    assert explain(site.zones, "y.z", "A", cache=site.cache).answer == ("y.z. 300 IN A 192.0.2.2",)
    monkeypatch.undo()
    edit(site)
    assert explain(site.zones, "x.z", "A", cache=site.cache).answer == ("x.z. 300 IN A 192.0.2.9",)
    # It only reads the cache.
    cached = site.cached.read_bytes()
    assert explain(site.zones, "x.z", "A", cache=tmp_path / "none").rcode == "NOERROR"
    assert site.cached.read_bytes() == cached and not (tmp_path / "none").exists()


def test_a_broken_zone_leaves_the_cache(site: Site) -> None:
    site.write("z.zone", HEAD + "x A nothing\n")
    with pytest.raises(ZoneError):
        site.load()
    site.write("z.zone", HEAD + "x A 192.0.2.1\n$INCLUDE part\n")
    assert site.load().origin == "cache"
