"""The compiler as a child process, the read-only arena it returns, and arenas that are refused."""

from __future__ import annotations

from pathlib import Path

import anyio
import dns.message
import pytest
from dns_bytes_call import HEAD
from zone_bytes import but_for_its_slot
from zone_loads import arena_of, state_of

from xdpkit._core._answer import answer
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._zones import ZoneArena
from xdpkit.errors import XdpkitError, ZoneError
from xdpkit.runtime import child
from xdpkit.services.dns.compiler.arena import CHECKSUM_AT, HEADER, checksum, name_hash
from xdpkit.services.dns.compiler.view import ArenaView
from xdpkit.services.dns.serving.batch import Progress
from xdpkit.services.dns.serving.store import Load, compile_zones

COUNT = 20_000


def run(directory: Path, progress: list[Progress] | None = None) -> Load:
    reports = list[Progress]() if progress is None else progress
    return anyio.run(compile_zones, directory, reports.append)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("large")
    hosts = "".join(f"h{i} A 10.0.{i >> 8}.{i & 255}\n" for i in range(COUNT))
    (directory / "large.example.zone").write_text(HEAD + hosts)
    (directory / "Small.Example.zone").write_text(HEAD + "ns1 A 192.0.2.1\n")
    return directory


def test_a_large_zone(large: Path) -> None:
    before, progress = open_files(), list[Progress]()
    load = run(large, progress)
    found = {state.text: state.arena for state in load.table}
    assert {name: (arena.serial, arena.names) for name, arena in found.items() if arena} == {
        "large.example": (2026112201, COUNT + 1),
        "small.example": (2026112201, 2),
    }
    assert (load.names, load.compiled, load.cached, load.unkept) == (COUNT + 3, 2, 0, "")
    paths = {Path(report.path).name for report in progress}
    assert paths == {"large.example.zone", "Small.Example.zone"}
    assert (progress[-1].records, progress[-1].share) == (COUNT + 1, 1)
    assert sorted(progress, key=lambda report: report.share) == progress
    # Besides name and RDATA: node, image, type, fixed part of the record, table.
    assert load.size / COUNT < 100 + 22
    assert open_files() == before
    snapshot = Snapshot({"dns": 53}, zones=load.table.directory_of_arenas())
    for i in range(0, COUNT, 7):
        request = dns.message.make_query(f"H{i}.large.example", "A").to_wire()
        verdict, reply = answer(snapshot, "dns", request)
        assert verdict == "dns_noerror" and reply is not None
        assert reply[-6:] == bytes((0, 4, 10, 0, i >> 8, i & 255))
        request = dns.message.make_query(f"g{i}.large.example", "A").to_wire()
        assert answer(snapshot, "dns", request)[0] == "dns_nxdomain"


def test_an_arena_is_read_only(large: Path) -> None:
    with arena_of(run(large), "large.example").view() as data:
        assert data.readonly
        with pytest.raises(TypeError):
            data[0] = 1


@pytest.mark.parametrize("text, location", [(HEAD + "x A 1.2.3\n", ":4:5: "), ("", ":1:1: ")])
def test_the_childs_error_is_raised(tmp_path: Path, text: str, location: str) -> None:
    path = tmp_path / "z.zone"
    path.write_text(text)
    before = open_files()
    with pytest.raises(ZoneError) as caught:
        run(tmp_path)
    assert str(caught.value).startswith(f"{path}{location}") and caught.value.exit_code == 2
    assert open_files() == before


def test_directories_without_zones(tmp_path: Path) -> None:
    with pytest.raises(ZoneError, match=str(tmp_path)):
        run(tmp_path)
    with pytest.raises(ZoneError, match="No such file"):
        run(tmp_path / "nothing")


def test_includes_are_relative_to_the_zones(tmp_path: Path) -> None:
    (tmp_path / "z.zone").write_text(HEAD + "$INCLUDE part\n")
    (tmp_path / "part").write_text("x A 192.0.2.1\n")
    state = state_of(run(tmp_path), "z")
    assert state.arena is not None and state.arena.names == 2
    assert [(Path(source.path).name, source.zone) for source in state.sources] == [
        ("z.zone", True),
        ("part", False),
    ]


def test_a_child_that_dies(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_files()
    for program, words in (("/bin/false", "status 1"), ("/bin/true", "status 0")):
        monkeypatch.setattr(child, "_interpreter", program)
        with pytest.raises(XdpkitError, match=words):
            run(large)
    assert open_files() == before


def compilers() -> list[int]:
    """Our zone compiler children, including dead ones. Other tests' children do not count."""
    children = Path("/proc/thread-self/children").read_text().split()
    texts = {int(pid): Path("/proc", pid, "cmdline").read_bytes() for pid in children}
    # A dead child that has not been waited for has no command line.
    return [
        pid
        for pid, text in texts.items()
        if not text or b"xdpkit.services.dns.compiler.compile" in text
    ]


def test_cancelling_kills_the_child(large: Path) -> None:
    async def main() -> None:
        with anyio.CancelScope() as scope:
            await compile_zones(large, lambda _: scope.cancel())
        assert scope.cancelled_caught

    before, children = open_files(), compilers()
    anyio.run(main)
    assert open_files() == before
    assert compilers() == children


# -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    directory = tmp_path_factory.mktemp("zones")
    (directory / "z.zone").write_text(HEAD + "x A 192.0.2.1\n")
    return but_for_its_slot(arena_of(run(directory), "z"))


@pytest.mark.parametrize(
    "at, value",
    [
        (0, b"y"),  # magic
        (8, b"\1"),  # version
        (16, b"\1"),  # size
        (12, b"\xff\xff\xff\xff"),  # more nodes than the table holds
        (40, b"\0\0\0\0"),  # no bucket
        (40, b"\xff\xff\xff\xff"),  # buckets past the end
        (44, b"\0\0\0\0"),  # the apex in the header
        (77, b"\xff"),  # least labels above most
    ],
)
def test_c_refuses_wrong_geometry(arena: bytes, at: int, value: bytes) -> None:
    ZoneArena(arena)
    changed = bytearray(arena)
    changed[at : at + len(value)] = value
    changed[CHECKSUM_AT : CHECKSUM_AT + 8] = checksum(changed).to_bytes(8, "little")
    with pytest.raises(ValueError, match="not a valid zone arena"):
        ZoneArena(changed)


def test_the_seed_differs_from_arena_to_arena_and_both_sides_hash_alike(large: Path) -> None:
    one, two = (arena_of(run(large), "large.example").view() for _ in range(2))
    assert one[32:40] != two[32:40]
    view = ArenaView(one)
    assert view.seed == HEADER.unpack_from(one)[5]
    for i in range(0, COUNT, 501):
        name = b"".join(bytes([len(p)]) + p for p in (b"h%d" % i, b"large", b"example", b""))
        node = view.find(name)
        assert node is not None and node.name == name
    assert view.find(b"\1h\5large\7example\0") is None


def test_hash_is_of_every_byte() -> None:
    assert name_hash(b"\0", 1) != name_hash(b"\0", 2)
    names = {name_hash(b"x" * n + b"y" + b"x" * (40 - n), 7) for n in range(41)}
    assert len(names) == 41
