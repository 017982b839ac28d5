"""Zones cached between starts: each is used if it is intact and current, else compiled again."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import anyio
import pytest
from dns_bytes_call import HEAD
from zone_bytes import but_for_its_slot
from zone_loads import addresses, state_of

from xdpkit.services.dns.compiler import arena_file
from xdpkit.services.dns.compiler.arena import CHECKSUM_AT, checksum
from xdpkit.services.dns.compiler.arena_file import FOOTER, cache_directory, file_name
from xdpkit.services.dns.query.query import explain
from xdpkit.services.dns.serving.store import Load, load_zones
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
        """The cache file of the zone."""
        return cache_directory(self.cache, self.zones) / "z.arena"

    def load(self) -> Load:
        """Loads like a starting daemon."""
        return anyio.run(partial(load_zones, self.zones, self.cache))

    def origin(self) -> str:
        """Where a starting daemon has the zones from."""
        load = self.load()
        assert bool(load.cached) != bool(load.compiled)
        return "cache" if load.cached else "compiled"

    @property
    def files(self) -> list[str]:
        """The files in the cache."""
        return sorted(path.name for path in self.cached.parent.iterdir())

    def damage(self, data: bytes) -> None:
        """Overwrites the cache file."""
        self.cached.write_bytes(data)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    assert made.origin() == "compiled"
    return made


def test_the_second_start_compiles_nothing(site: Site) -> None:
    assert stat.S_IMODE(site.cached.stat().st_mode) == 0o600
    assert stat.S_IMODE(site.cache.stat().st_mode) == 0o700
    assert site.files == [site.cached.name]
    before = site.cached.stat().st_mtime_ns
    load = site.load()
    assert (load.cached, load.compiled) == (1, 0)
    assert addresses(load, "x.z") == ["192.0.2.1"]
    assert addresses(load, "y.z") == ["192.0.2.2"]
    arena = state_of(load, "z").arena
    assert arena is not None and (arena.serial, arena.names) == (2026112201, 3)
    assert site.cached.stat().st_mtime_ns == before
    # What happens to the file afterwards does not affect answers.
    os.truncate(site.cached, 0)
    assert addresses(load, "x.z") == ["192.0.2.1"]


def test_instances_share_a_directory_by_the_path_of_their_zones(site: Site, tmp_path: Path) -> None:
    shutil.copytree(site.zones, tmp_path / "others")
    other = anyio.run(load_zones, tmp_path / "others", site.cache)
    assert other.compiled == 1
    assert len(list(site.cache.iterdir())) == 2
    assert site.origin() == "cache"
    (tmp_path / "link").symlink_to(site.zones)
    assert cache_directory(site.cache, tmp_path / "link") == site.cached.parent


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


def rename(site: Site) -> None:
    (site.zones / "z.zone").rename(site.zones / "other.zone")


@pytest.mark.parametrize(
    "change",
    [edit, edit_the_included, edit_with_the_times_of_before, rename],
    ids=lambda change: change.__name__,
)
def test_changed_zones_are_compiled_and_cached(site: Site, change: object) -> None:
    assert callable(change)
    change(site)
    assert site.origin() == "compiled"
    assert site.origin() == "cache"
    assert len(site.files) == 1


def test_only_what_has_changed_is_compiled(site: Site) -> None:
    for name in ("a.zone", "b.zone"):
        site.write(name, HEAD)
    load = site.load()
    assert (load.cached, load.compiled) == (1, 2)
    (site.zones / "a.zone").unlink()
    site.write("b.zone", HEAD + "x A 192.0.2.9\n")
    load = site.load()
    assert (load.cached, load.compiled) == (1, 1)
    assert addresses(load, "x.b") == ["192.0.2.9"] and addresses(load, "a") == "REFUSED"
    # What was kept of a zone that is gone goes, too.
    assert site.files == ["b.arena", "z.arena"]


def test_a_touched_file_is_the_same_file(site: Site) -> None:
    os.utime(site.zones / "z.zone")
    (site.zones / "part").rename(site.zones / "p")
    shutil.copy(site.zones / "p", site.zones / "part")
    assert site.origin() == "cache"


def test_a_file_changed_while_read_is_checked_by_content(tmp_path: Path) -> None:
    """Within a clock tick a file can change without a change of its times."""
    site = Site(tmp_path)
    path = site.zones / "z.zone"
    path.touch()
    assert site.origin() == "compiled"
    found = path.stat()
    with path.open("r+") as file:
        file.write(HEAD + "x A 192.0.2.7\n")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert path.stat().st_mtime_ns == found.st_mtime_ns
    assert addresses(site.load(), "x.z") == ["192.0.2.7"]


def test_what_another_compiler_made_is_made_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(arena_file, "compiler_key", lambda: "another")
    assert site.origin() == "compiled"
    monkeypatch.undo()
    assert site.origin() == "cache"
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
        "compiler/tree.py",
        "compiler/arena.py",
        "zonefile/read.py",
        "compiler/chain.py",
    ):
        before = key()
        (copied / name).write_text((copied / name).read_text() + "\n")
        assert key() != before
    # What is made of C is part of it, too: a copy of the modules, and one of them changed.
    modules = [Path(shutil.copy(path, tmp_path)) for path in sources.COMPILER_MODULES]
    monkeypatch.setattr(sources, "COMPILER_MODULES", modules)
    for module in modules:
        before = key()
        with module.open("ab") as file:
            file.write(b"another")
        assert key() != before


# -------------------------------------------------------------------------------------------------


def rechecksummed(data: bytes, size: int) -> bytes:
    """The file with a corrected checksum of its arena."""
    total = checksum(memoryview(data)[:size]).to_bytes(8, "little")
    return data[:CHECKSUM_AT] + total + data[CHECKSUM_AT + 8 :]


def parsed(data: bytes | bytearray) -> arena_file.CachedZone:
    """The file with this content as it is read."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return arena_file.parse(file.fileno(), len(data))


def test_what_is_not_damaged_is_read(site: Site) -> None:
    data = site.cached.read_bytes()
    kept = parsed(data)
    assert data.startswith(but_for_its_slot(kept.arena)) and kept.ours


def test_every_bit_counts(site: Site) -> None:
    data = site.cached.read_bytes()
    positions = {
        *range(0, 64),
        *range(64, len(data), 7),
        *range(len(data) - FOOTER.size, len(data)),
    }
    for at in sorted(positions):
        damaged = bytearray(data)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(ValueError, match=r"checksum|valid zone arena|cut off|record"):
            parsed(damaged)


@pytest.mark.parametrize("left", [0, 1, FOOTER.size - 1, FOOTER.size, 200, 1000, -1])
def test_a_file_cut_off_is_replaced(
    site: Site, caplog: pytest.LogCaptureFixture, left: int
) -> None:
    data = site.cached.read_bytes()
    site.damage(data[:left])
    assert site.origin() == "compiled"
    assert len(caplog.messages) == 1
    assert str(site.cached) in caplog.text and "compiling these zones again" in caplog.text
    caplog.clear()
    assert site.origin() == "cache"
    assert caplog.messages == []


@pytest.mark.parametrize(
    "at, value, words",
    [
        (0, b"kztixnoz", "valid zone arena"),  # the other byte order
        (8, struct.pack("<I", 1), "valid zone arena"),  # another version of the arena
        (16, struct.pack("<Q", 1 << 40), "valid zone arena"),  # larger than the file
        (40, struct.pack("<I", 1 << 31), "valid zone arena"),  # buckets past the end
        (44, struct.pack("<I", 0xFFFFFFF), "valid zone arena"),  # the apex past the end
        (56, struct.pack("<I", 1), "valid zone arena"),  # NXDOMAIN's image in the header
    ],
)
def test_wrong_offsets_are_found(
    site: Site, caplog: pytest.LogCaptureFixture, at: int, value: bytes, words: str
) -> None:
    """With a correct checksum, as a deliberate attacker would write it."""
    data = site.cached.read_bytes()
    size = FOOTER.unpack(data[-FOOTER.size :])[1]
    site.damage(rechecksummed(data[:at] + value + data[at + len(value) :], size))
    assert site.origin() == "compiled"
    assert len(caplog.messages) == 1 and words in caplog.text
    assert site.origin() == "cache"


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
        assert site.origin() == "compiled"
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
    assert site.origin() == "compiled"
    assert len(caplog.messages) == 1 and str(site.cached) in caplog.text
    assert site.origin() == "cache"


# -------------------------------------------------------------------------------------------------


def test_a_damaged_cache_is_one_line(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(20):
        site.write(f"a{number}.zone", HEAD)
    site.load()
    for path in site.cached.parent.iterdir():
        path.write_bytes(path.read_bytes()[:-9])
    load = site.load()
    assert load.compiled == 21
    [line] = caplog.messages
    assert "and 20 more of its files are not; compiling these zones again" in line


def test_an_unusable_cache_directory(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.cache.write_text("a file")
    load = site.load()
    assert load.compiled == 1
    assert str(site.cache) in load.unkept
    assert addresses(load, "x.z") == ["192.0.2.1"]


def test_a_full_disk_leaves_the_old_file(site: Site, tmp_path: Path) -> None:
    before = site.cached.read_bytes()
    source = tmp_path / "larger"
    source.write_bytes(bytes(1 << 20))

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))

    code = (
        "import sys; from pathlib import Path;"
        "from xdpkit.services.dns.compiler.arena_file import write_cached;"
        "file = open(sys.argv[1], 'rb');"
        "write_cached(Path(sys.argv[2]), b'\\1z\\0', file.fileno(), 0, 1 << 20, b'end', 2e9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, source, site.cached.parent],
        preexec_fn=limited,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "File too large" in done.stderr
    assert site.cached.read_bytes() == before
    assert site.files == [site.cached.name]


def test_a_partial_file_of_a_killed_writer_goes(site: Site) -> None:
    """Unless it is so new that its writer may live."""
    old, new = (site.cached.with_name(f"z.arena.{pid}.part") for pid in (1, 2))
    for path in (old, new):
        path.write_bytes(b"x" * 10_000_000)
    os.utime(old, (0, 0))
    assert site.origin() == "cache"
    assert site.files == sorted([site.cached.name, new.name])


def test_two_writers_at_once_leave_one_whole_file(site: Site, tmp_path: Path) -> None:
    data = site.cached.read_bytes()
    copy = tmp_path / "copy"
    copy.write_bytes(data)
    code = (
        "import sys; from pathlib import Path\n"
        "from xdpkit.services.dns.compiler.arena_file import write_cached\n"
        "file, size = open(sys.argv[1], 'rb'), int(sys.argv[3])\n"
        "zone = b'\\1z\\0'\n"
        "for _ in range(200):\n"
        "    write_cached(Path(sys.argv[2]), zone, file.fileno(), 0, size, b'', 4e9)"
    )
    command = [sys.executable, "-c", code, str(copy), str(site.cached.parent), str(len(data))]
    writers = [subprocess.Popen(command) for _ in range(2)]
    assert [writer.wait(100) for writer in writers] == [0, 0]
    assert site.cached.read_bytes() == data
    assert site.files == [site.cached.name]


def test_a_newer_file_is_left_alone(site: Site, tmp_path: Path) -> None:
    """Of two compilers, the one with the older version may be the last to write."""
    before = site.cached.read_bytes()
    with (tmp_path / "old").open("w+b") as file:
        file.write(bytes(100))
        file.flush()
        made = site.cached.stat().st_mtime - 0.001
        arena_file.write_cached(site.cached.parent, b"\1z\0", file.fileno(), 0, 100, b"", made)
    assert site.cached.read_bytes() == before and site.files == [site.cached.name]


def test_query_uses_the_cache(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def compiled(directory: Path) -> None:
        raise AssertionError(f"{directory} was compiled")

    monkeypatch.setattr("xdpkit.services.dns.serving.store._compile", compiled)
    assert explain(site.zones, "y.z", "A", cache=site.cache).answer == ("y.z. 300 IN A 192.0.2.2",)
    monkeypatch.undo()
    edit(site)
    assert explain(site.zones, "x.z", "A", cache=site.cache).answer == ("x.z. 300 IN A 192.0.2.9",)
    # It only reads the cache.
    cached = site.cached.read_bytes()
    assert explain(site.zones, "x.z", "A", cache=tmp_path / "none").rcode == "NOERROR"
    assert site.cached.read_bytes() == cached and not (tmp_path / "none").exists()


def test_the_last_good_version_is_kept(site: Site) -> None:
    """A broken zone is served as it was, with its age, and it is told since when."""
    made = state_of(site.load(), "z").loaded_at
    site.write("z.zone", HEAD + "x A nothing\n")
    for _ in range(2):
        load = site.load()
        state = state_of(load, "z")
        assert (state.condition, state.loaded_at) == ("stale", made)
        assert state.since > made and "z.zone:4:5: " in state.errors[0]
        assert addresses(load, "x.z") == ["192.0.2.1"]
    site.write("z.zone", HEAD + "x A 192.0.2.1\n$INCLUDE part\n")
    assert site.origin() == "cache"


def test_even_of_another_version(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arena_file, "compiler_key", lambda: "another")
    site.write("z.zone", HEAD + "x A nothing\n")
    load = site.load()
    assert state_of(load, "z").condition == "stale" and addresses(load, "x.z") == ["192.0.2.1"]


@pytest.mark.parametrize(
    "name, file",
    [
        (b"\1z\0", "z.arena"),
        (b"\3www\7example\0", "www.example.arena"),
        (b"\0", "="),
        (b"\2a.\1b\0", "="),
        (b"\3a/b\0", "="),
        (b"\1=\0", "="),
        (b"".join(b"\x3f" + b"a" * 63 for _ in range(3)) + b"\x3d" + b"a" * 61 + b"\0", "="),
    ],
)
def test_file_names(name: bytes, file: str) -> None:
    made = file_name(name)
    assert made == file if file != "=" else made.startswith("=")
    assert "/" not in made and len(made) < 220
    assert made not in {file_name(b"\1a" + name), file_name(b"\1y\0")}


@pytest.mark.parametrize("directory", ["/dev/shm", "/var/tmp"])
def test_a_large_arena_is_written_whole(monkeypatch: pytest.MonkeyPatch, directory: str) -> None:
    """Past the page cache where there is one, and where there is nothing else."""
    monkeypatch.setattr(arena_file, "DIRECT_BYTES", 1)
    size = (5 << 21) + 24
    data, fd = os.urandom(size + 2 * 64), os.memfd_create("arenas")
    try:
        os.pwrite(fd, data, 0)
        for at in (0, 64):
            with tempfile.TemporaryDirectory(dir=directory) as name:
                arena_file.write_cached(Path(name), b"\1z\0", fd, at, size, b"the end", time.time())
                assert Path(name, "z.arena").read_bytes() == data[at : at + size] + b"the end"
    finally:
        os.close(fd)


def test_a_large_arena_that_ends_too_early_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(arena_file, "DIRECT_BYTES", 1)
    fd = os.memfd_create("arenas")
    try:
        os.pwrite(fd, bytes(5 << 20), 0)
        with pytest.raises(OSError, match="ends too early"):
            arena_file.write_cached(tmp_path, b"\1z\0", fd, 0, 9 << 20, b"", time.time())
    finally:
        os.close(fd)
    assert [*tmp_path.iterdir()] == []
