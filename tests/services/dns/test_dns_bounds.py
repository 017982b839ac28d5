"""What a zone may cost: refused where it exceeds it, and never read or made beyond that."""

from __future__ import annotations

import gc
import os
import re
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from dns_bytes_call import HEAD

from xdpkit import regular_file
from xdpkit._core._rrset import RRset
from xdpkit.errors import ZoneError
from xdpkit.regular_file import LargeFileError, read_regular
from xdpkit.services.dns.compiler.zone_arena import compile_zone
from xdpkit.services.dns.zonefile import limits, records
from xdpkit.services.dns.zonefile.read import read_zone
from xdpkit.services.dns.zonefile.sources import Reading
from xdpkit.services.dns.zonefile.zone import Zone


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """$INCLUDE is relative to it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str, name: str = "z.example.zone") -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def refused(path: Path, most: int = limits.MAX_ZONE_BYTES) -> str:
    """The error of a zone without its path, and that nothing of it was found in a second look."""
    with pytest.raises(ZoneError) as caught:
        read_zone(path, reading=Reading(max_bytes=most))
    [line] = caught.value.lines()
    return line


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of what is read from here on."""
    sizes: list[int] = []
    read = os.read

    def counted(fd: int, size: int) -> bytes:
        data = read(fd, size)
        sizes.append(len(data))
        return data

    monkeypatch.setattr(regular_file.os, "read", counted)
    return sizes


def test_a_large_file_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("")
    os.truncate(path, (1 << 30) + 1)
    sizes = count_reads(monkeypatch)
    line = refused(path)
    assert line.startswith(f"{path}: cannot be read: it has 1073741825 bytes, and a zone at most")
    assert "raise max_zone_bytes" in line
    assert not sizes


def test_a_file_of_the_largest_size(tmp_path: Path) -> None:
    path = write(HEAD)
    size = path.stat().st_size
    assert read_zone(path, reading=Reading(max_bytes=size)).size == size
    assert f"it has {size} bytes, and a zone at most {size - 1}" in refused(path, size - 1)


def test_a_file_that_grows_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """As fast as it is read."""
    path = write(HEAD)
    read = os.read

    def growing(fd: int, size: int) -> bytes:
        with path.open("a") as file:
            file.write("x A 192.0.2.1\n" * 1000)
        return read(fd, size)

    monkeypatch.setattr(regular_file.os, "read", growing)
    assert "it has 1000001 bytes, and a zone at most 1000000" in refused(path, 1_000_000)


def test_a_file_that_another_process_appends_to(tmp_path: Path) -> None:
    """A real one; it is refused, or read as it was at some time."""
    path = write(HEAD)
    ended = threading.Event()

    def append() -> None:
        with path.open("a") as file:
            while not ended.is_set() and file.tell() < 1 << 24:
                file.write("x A 192.0.2.1\n" * 100)
                file.flush()

    thread = threading.Thread(target=append)
    thread.start()
    try:
        for _ in range(100):
            with suppress(LargeFileError):
                assert len(read_regular(path, 1 << 20).data) <= 1 << 20
    finally:
        ended.set()
        thread.join()


def nested(depth: int, loop: bool = False) -> Path:
    """A zone that includes so many files one in the other."""
    for level in range(1, depth):
        write(f"\n$INCLUDE part{level + 1}\n", f"part{level}")
    write("\n$INCLUDE part1\n" if loop else "deep A 192.0.2.1\n", f"part{depth}")
    return write(HEAD + "$INCLUDE part1\n")


def test_includes_eight_deep() -> None:
    assert any(name.startswith(b"\4deep") for name in read_zone(nested(8)).nodes)


def test_includes_nine_deep() -> None:
    line = refused(nested(9))
    assert line == (
        "part8:2:1: $INCLUDE part9: nested more than 8 deep; does a file include itself?"
    )


def test_a_loop_of_includes() -> None:
    assert "nested more than 8 deep; does a file include itself?" in refused(nested(3, loop=True))


def test_includes_that_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight deep, each a hundred times: 10^16 files in a few hundred bytes."""
    for level in range(1, 8):
        write(f"$INCLUDE part{level + 1}\n" * 100, f"part{level}")
    write("", "part8")
    line = refused(write(HEAD + "$INCLUDE part1\n"), 1 << 20)
    assert re.match(r"part[67]:\d+:1: \$INCLUDE part[78]: with its \d+ bytes the zone has", line)


def test_an_empty_file_that_is_included_a_million_times() -> None:
    write("", "empty")
    line = refused(write(HEAD + "$INCLUDE empty\n" * 1_000_000), 16 << 20)
    assert "$INCLUDE empty: with its 0 bytes the zone has 167" in line


def test_a_file_that_is_included_ten_thousand_times(monkeypatch: pytest.MonkeyPatch) -> None:
    write("; a comment of 64 bytes, which is as fast to read as anything is\n" * (1 << 14), "part")
    path = write(HEAD + "$INCLUDE part\n" * 10_000)
    sizes = count_reads(monkeypatch)
    line = refused(path, 32 << 20)
    assert line.startswith(f"{path}:35:1: $INCLUDE part: with its ")
    assert "raise max_zone_bytes of [dns]" in line
    assert sum(sizes) <= 32 << 20


def test_other_errors_are_found_up_to_there(monkeypatch: pytest.MonkeyPatch) -> None:
    write("x A 192.0.2.1\n" * 1000, "part")
    path = write(HEAD + "bad A 1\n" + "$INCLUDE part\n" * 10_000)
    with pytest.raises(ZoneError) as caught:
        read_zone(path, reading=Reading(max_bytes=1 << 17 | 1 << 16))
    first, second = caught.value.lines()
    assert first.startswith(f"{path}:4:7: ") and "$INCLUDE part: with its 14000" in second


@pytest.mark.parametrize(
    "text, words",
    [
        ("1-1000001 a$ A 192.0.2.1", "$GENERATE makes 1000001 records, at most 1000000"),
        ("0-2000000/2 a$ A 192.0.2.1", "$GENERATE makes 1000001 records, at most 1000000"),
        ("1-99999999999999999999 a$ A 192.0.2.1", "makes 99999999999999999999 records"),
    ],
)
def test_a_generate_of_too_many_lines(text: str, words: str) -> None:
    path = write(HEAD + f"  \n$GENERATE {text}\n")
    line = refused(path)
    assert line.startswith(f"{path}:5:1: ") and words in line


def test_generates_that_are_too_many_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the one that is too much is made."""
    monkeypatch.setattr(limits, "GENERATED_LINES", 250)
    path = write(HEAD + "".join(f"$GENERATE 1-100 a{n}-$ A 192.0.2.1\n" for n in range(3)))
    made: list[int] = []
    with pytest.raises(ZoneError) as caught:
        read_zone(path, reading=Reading(), progress=made.append)
    assert str(caught.value).startswith(f"{path}:6:1: with this $GENERATE they make 300 lines")
    monkeypatch.setattr(limits, "GENERATED_LINES", 300)
    assert len(read_zone(path).nodes) == 301


def test_what_a_generate_makes_counts_as_text() -> None:
    path = write(HEAD + f"$GENERATE 1-10000 a$ TXT {'x' * 250}\n")
    assert 250 * 10_000 < read_zone(path).size < 300 * 10_000
    line = refused(path, 1 << 20)
    assert line.startswith(f"{path}:4:1: with what this $GENERATE makes")


def test_too_many_types_at_a_name() -> None:
    most = limits.TYPES_AT_NAME
    types = [f"x TYPE{40000 + n} \\# 1 00\n" for n in range(most + 1)]
    assert len(read_zone(write(HEAD + "".join(types[:-1]))).nodes[b"\1x\1z\7example\0"]) == most
    path = write(HEAD + "".join(types))
    assert refused(path) == (
        f"{path}:{4 + most}:1: more than {most} types of records at x.z.example: use several names"
    )


def test_a_name_with_every_type() -> None:
    """One line for each that is listed, and an end to them."""
    path = write(HEAD + "".join(f"x TYPE{n} \\# 0\n" for n in range(400, 65_400)))
    with pytest.raises(ZoneError) as caught:
        read_zone(path)
    assert len(caught.value.lines()) == 21
    assert caught.value.lines()[-1] == f"{path}: and at least 980 more errors"


def test_a_record_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(HEAD + "x TXT (\n" + "a\n" * 200_000)
    with pytest.raises(ZoneError) as caught:
        read_zone(path)
    assert caught.value.lines()[0].startswith(f"{path}:4:1: a record of more than 131200 words")


# ---- time: work is counted, and grows as the input does ------------------------------------------


class Counted(bytes):
    """RDATA that counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return super().__eq__(other)

    __hash__ = bytes.__hash__


def work(make: Callable[[int], None], size: int) -> int:
    Counted.compared = 0
    make(size)
    return Counted.compared


def test_duplicates_are_found_in_linear_time() -> None:
    def fill(size: int) -> None:
        sink = records.Sink(Zone(b"\1z\0", Path("z.zone")), None)
        rrset = RRset(1, 0, 60, "z.zone", 1)
        for n in range(size):
            wire = Counted(n.to_bytes(4, "big"))
            assert not sink._contains(rrset, wire)
            rrset.rdatas.append(wire)
        assert all(sink._contains(rrset, Counted(wire)) for wire in rrset.rdatas[::7])

    assert work(fill, 4000) < 6 * work(fill, 1000)


class Key(int):
    """A type that counts how often it is compared."""

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return int(self) == other

    __hash__ = int.__hash__


def test_types_are_found_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there might be."""
    monkeypatch.setattr(records, "TYPES_AT_NAME", 65_000)

    def fill(size: int) -> None:
        sink = records.Sink(Zone(b"\1z\0", Path("z.zone")), None)
        for n in range(256, 256 + size):
            sink._add(b"\1x\1z\0", 60, Key(n), 0, b"1")
        assert len(sink.zone.nodes[b"\1x\1z\0"]) == size

    assert work(fill, 20_000) < 6 * work(fill, 5_000)


def test_the_same_types_by_the_thousand_and_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The index of a name with many types changes nothing."""
    many = "".join(f"x TYPE{400 + n} \\# 1 00\n" for n in range(20))
    signature = "x RRSIG A 8 3 300 20300101000000 20200101000000 1 z. AAAA\n"
    for text in ("x CNAME y\n", signature + many):
        path = write(HEAD + many + text)
        if "CNAME" in text:
            assert "a CNAME and other data" in refused(path)
        else:
            assert len(read_zone(path).nodes[b"\1x\1z\7example\0"]) == 21
    path = write(HEAD + "x CNAME y\n" + many[: many.index("\n") + 1])
    assert "a CNAME and other data" in refused(path)


def test_a_million_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for more ends after a thousand, of whichever kind."""
    made: list[int] = []
    init = ZoneError.__init__

    def counted(self: ZoneError, *arguments: object) -> None:
        made.append(1)
        init(self, *arguments)  # type: ignore[arg-type]

    kinds = {
        "in lines": HEAD + "x A 1\n" * 100_000,
        "not text": HEAD + "x A \udcff\n" * 100_000,
        "below a DNAME": HEAD + "d DNAME x.\n$GENERATE 1-50000 $.d A 10.0.0.1\n",
    }
    for kind, text in kinds.items():
        path = Path("z.example.zone")
        path.write_text(text, errors="surrogateescape")
        made.clear()
        with monkeypatch.context() as patch:
            patch.setattr(ZoneError, "__init__", counted)
            with pytest.raises(ZoneError) as caught:
                read_zone(path)
        assert len(caught.value.lines()) == 21 and len(made) < 10_000, kind
        assert "errors" in caught.value.lines()[-1]


def test_parentheses_that_are_never_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search goes back to the line after each, and reads little again."""
    from xdpkit.services.dns.zonefile import diagnosis

    taken = 0
    decode = diagnosis.NumberedLines.decode

    def counted(self: diagnosis.NumberedLines, line: bytes) -> str:
        nonlocal taken
        taken += len(line)
        return decode(self, line)

    monkeypatch.setattr(diagnosis.NumberedLines, "decode", counted)
    for record, place in (("x MX (", "5:1"), ("x MX ( 10 a", "4:6"), ("x TXT ( a", "903:7")):
        taken = 0
        path = write(HEAD + f"{record}\n" * 900 + "y TXT a\n" * 30_000)
        with pytest.raises(ZoneError) as caught:
            read_zone(path)
        assert caught.value.lines()[0].startswith(f"{path}:{place}: ")
        assert taken < 3 * path.stat().st_size


# ---- memory ----


@pytest.mark.parametrize("rest", ["", "$GENERATE 1-3 a$ A 192.0.2.1\n", "y LOC 1 N 1 E 1m\n"])
def test_a_zone_goes_with_its_last_reference(rest: str) -> None:
    """There may not be memory for two large ones: nothing waits for the garbage collector."""
    path = write(HEAD + "x A 192.0.2.1\n" + rest)
    gc.disable()
    try:
        zone = weakref.ref(read_zone(path))
        assert zone() is None
    finally:
        gc.enable()


def test_the_garbage_collector_runs_again() -> None:
    read_zone(write(HEAD + "x A 192.0.2.1\n"))
    assert gc.isenabled()
    with pytest.raises(ZoneError):
        read_zone(write(HEAD + "x CNAME y\nx A 192.0.2.1\n"))
    assert gc.isenabled()


# ---- output ------------------------------------------------------------------------------------


def test_an_arena_out_of_proportion() -> None:
    zone = read_zone(write(HEAD + "x A 192.0.2.1\n"))
    most = limits.ARENA_BASE + limits.ARENA_PER_BYTE * zone.size
    limits.check_output(zone, most)
    with pytest.raises(ZoneError, match=rf":2: the zone has {zone.size} bytes of text"):
        limits.check_output(zone, most + 1)
    at = zone.nodes[b"\1x\1z\7example\0"][0]
    with pytest.raises(ZoneError, match=r":4: .* repeat the same large records"):
        limits.check_output(zone, most + 1, at)


def test_answers_that_repeat_the_same_addresses() -> None:
    addresses = "".join(f"mx A 10.0.{n >> 8}.{n & 255}\n" for n in range(3900))
    hosts = "".join(f"h{n} MX 1 mx\n" for n in range(300))
    zone = read_zone(write(HEAD + addresses + hosts))
    fd = os.memfd_create("test-zone", os.MFD_CLOEXEC)
    try:
        with pytest.raises(ZoneError, match="repeat the same large records"):
            compile_zone(zone, fd)
    finally:
        os.close(fd)
