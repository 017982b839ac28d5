"""Status files: what changes, what a bad or missing one does, and that it is said once."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from xdpkit.errors import ZoneError
from xdpkit.services.dns.geo import health
from xdpkit.services.dns.geo.health import HealthFiles, Status, read_status
from xdpkit.services.dns.zonefile.sources import packed


class Monitor:
    """A directory of status files, and what is said of them."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.said, self.said_well = directory, list[str](), list[str]()
        self.files = HealthFiles(directory, self.said.append, self.said_well.append)

    def write(self, text: str, name: str = "dns") -> None:
        """Replaces a file whole, as a monitor should."""
        made = self.directory / ".new"
        made.write_text(text)
        made.rename(self.directory / f"{name}.json")


@pytest.fixture
def monitor(tmp_path: Path) -> Monitor:
    return Monitor(tmp_path)


def test_states_and_what_is_answered(monitor: Monitor) -> None:
    monitor.write('{"192.0.2.1": 2, "192.0.2.2": 1, "web": "2", "a/b": 0}')
    assert monitor.files.refresh()
    expected = {
        "dns/192.0.2.1": (Status.HEALTHY, True),
        "dns/192.0.2.2": (Status.UNHEALTHY, False),
        "dns/web": (Status.HEALTHY, True),
        "dns/a/b": (Status.UNKNOWN, False),
        "dns/other": (Status.UNKNOWN, False),
        "nothing/web": (None, True),
        "": (None, True),
    }
    for name, found in expected.items():
        assert (monitor.files.status(name), monitor.files.healthy(name)) == found
    assert monitor.said == []


def test_a_change_is_seen_and_its_absence_too(monitor: Monitor) -> None:
    assert not monitor.files.refresh()
    monitor.write('{"a": 2}')
    assert monitor.files.refresh() and not monitor.files.refresh()
    monitor.write('{"a": 1}')
    assert monitor.files.refresh() and not monitor.files.healthy("dns/a")
    monitor.write('{ "a": 1 }')
    assert not monitor.files.refresh(), "the same states"


def test_a_change_that_the_status_does_not_show_is_seen(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one tick of the file system's clock, and of the same size."""
    path = monitor.directory / "dns.json"
    path.write_text('{"a": 2}')
    before = path.stat()
    real = os.fstat
    monkeypatch.setattr(health, "stat_of", lambda _: packed(before))
    monkeypatch.setattr(os, "fstat", lambda fd: before if real(fd).st_size == 8 else real(fd))
    assert monitor.files.refresh() and monitor.files.healthy("dns/a")
    path.write_text('{"a": 1}')
    assert monitor.files.refresh() and not monitor.files.healthy("dns/a")


def test_a_file_that_has_settled_is_not_read_again(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor.write('{"a": 2}')
    path = monitor.directory / "dns.json"
    # Its time of change is now whatever is done, so now must be later.
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 10_000_000_000)
    assert monitor.files.refresh()
    reads: list[str] = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *a, **k: reads.append(path) or real(path, *a, **k))
    assert not monitor.files.refresh()
    assert str(path) not in map(str, reads)


@pytest.mark.parametrize(
    "bad, words",
    [
        ('{"a": 1', "1:8: the end of the file"),
        ("[1]", "1:1: an array: write an object"),
        ('{"a": 3}', "1:7: a: 3 is not within 0 to 2"),
        ('{"a": 1, "a": 2}', '1:10: "a" is a second time'),
        ("", "the file is empty"),
    ],
)
def test_a_bad_file_keeps_the_states_and_is_said_once(
    monitor: Monitor, bad: str, words: str
) -> None:
    monitor.write('{"a": 2, "b": 1}')
    monitor.files.refresh()
    for blanks in range(3):
        monitor.write(" " * 0 + bad + "\n" * blanks)
        assert not monitor.files.refresh()
    assert monitor.files.healthy("dns/a") and not monitor.files.healthy("dns/b")
    [line] = monitor.said
    assert words in line and line.endswith("its last states stay in use")
    # The place is that of now.
    [failing] = monitor.files.failing
    assert failing.line.endswith("its last states stay in use")
    assert monitor.said_well == []
    monitor.write('{"a": 1}')
    assert monitor.files.refresh() and not monitor.files.healthy("dns/a")
    monitor.write('{"a": 1, "b": 2}')
    monitor.files.refresh()
    path = monitor.directory / "dns.json"
    assert monitor.said_well == [f"{path}: its states are in use again"]
    assert monitor.files.failing == []
    monitor.write(bad)
    monitor.files.refresh()
    assert len(monitor.said) == 2, "after it was good"


def test_a_file_that_is_gone_keeps_the_states(monitor: Monitor) -> None:
    monitor.write('{"a": 1}')
    monitor.files.refresh()
    (monitor.directory / "dns.json").unlink()
    for _ in range(3):
        assert not monitor.files.refresh()
    assert not monitor.files.healthy("dns/a")
    assert len(monitor.said) == 1 and "gone" in monitor.said[0]
    monitor.write('{"a": 2}')
    assert monitor.files.refresh() and monitor.files.healthy("dns/a")
    assert len(monitor.said_well) == 1


def test_a_directory_that_is_gone_keeps_the_states(tmp_path: Path) -> None:
    (tmp_path / "health").mkdir()
    monitor = Monitor(tmp_path / "health")
    monitor.write('{"a": 1}')
    monitor.files.refresh()
    (tmp_path / "health").rename(tmp_path / "elsewhere")
    for _ in range(3):
        assert not monitor.files.refresh()
    assert not monitor.files.healthy("dns/a") and len(monitor.said) == 1
    assert "cannot be read: No such file or directory" in monitor.said[0]
    (tmp_path / "elsewhere").rename(tmp_path / "health")
    for _ in range(3):
        monitor.files.refresh()
    assert monitor.said_well == [f"{tmp_path / 'health'}: can be read again"]
    assert len(monitor.said) == 1


def test_what_is_no_file_is_left_alone(monitor: Monitor) -> None:
    os.mkfifo(monitor.directory / "fifo.json")
    (monitor.directory / "directory.json").mkdir()
    (monitor.directory / ".hidden.json").write_text("no")
    (monitor.directory / "readme.txt").write_text("no")
    monitor.write('{"a": 2}')
    for _ in range(2):
        monitor.files.refresh()
    assert monitor.files.healthy("dns/a")
    assert [("FIFO" in line, "a directory" in line) for line in sorted(monitor.said)] == [
        (False, True),
        (True, False),
    ]


def test_keys_that_match_nothing(monitor: Monitor) -> None:
    monitor.write('{"a": 1, "b": 2}')
    monitor.files.refresh()
    used = ["dns/a", "dns/c", "web/x", "web/y"]
    assert monitor.files.unmatched(used) == ["dns/b", "dns/c", "web/"]
    directory = monitor.directory
    assert [monitor.files.unmatched_line(name) for name in monitor.files.unmatched(used)] == [
        f'{directory}/dns.json: no record that is served has "b": remove it',
        f'{directory}/dns.json: it has no "c", which records name: they count as unhealthy',
        f"{directory}/web.json: not there, and records name it: they count as healthy",
    ]
    # Of a file that could never be read nothing is known.
    monitor.write("no", "web")
    monitor.files.refresh()
    assert monitor.files.unmatched(used) == ["dns/b", "dns/c"]


def test_every_error_of_a_file(monitor: Monitor) -> None:
    monitor.write('{"a": -1,\n"b": true}')
    with pytest.raises(ZoneError) as caught:
        read_status(monitor.directory / "dns.json")
    assert [error.line for error in caught.value.errors] == [1, 2]


def test_a_file_that_was_never_good_keeps_nothing(monitor: Monitor) -> None:
    monitor.write("[")
    monitor.files.refresh()
    [line] = monitor.said
    assert line.endswith("; its records count as healthy until it can be read")
    (monitor.directory / "dns.json").unlink()
    monitor.files.refresh()
    assert monitor.files.failing == [] and len(monitor.said) == 1
    gone = Monitor(monitor.directory / "gone")
    gone.files.refresh()
    [line] = gone.said
    assert line.endswith("directory; all records count as healthy until it can be read")


def test_files_that_no_record_names_are_forgotten(monitor: Monitor) -> None:
    """A monitor that writes a file of a new name each time, and renames it."""
    monitor.write('{"a": 1}')
    for number in range(300):
        monitor.write('{"a": 2}' if number % 2 else "no", f"tmp{number}")
        monitor.files.refresh(lambda: {"dns", "web"})
        (monitor.directory / f"tmp{number}.json").unlink()
    monitor.files.refresh(lambda: {"dns", "web"})
    assert monitor.said == monitor.said_well == []
    assert monitor.files._files.keys() == {"dns"}
    # Of those that are named, the states stay.
    (monitor.directory / "dns.json").unlink()
    for _ in range(2):
        monitor.files.refresh(lambda: {"dns", "web"})
    assert len(monitor.said) == 1 and not monitor.files.healthy("dns/a")
    monitor.files.refresh(lambda: {"web"})
    assert monitor.files.healthy("dns/a") and not monitor.files._files


def test_a_bad_file_that_comes_to_be_named_is_said(monitor: Monitor) -> None:
    monitor.write("no")
    for named in ({"web"}, {"web"}, {"dns"}, {"dns"}):
        monitor.files.refresh(lambda named=named: named)
    assert len(monitor.said) == 1


def test_two_files_of_one_name(monitor: Monitor) -> None:
    monitor.write('{"a": 1}')
    other = monitor.directory / "dns.JSON"
    other.write_text('{"a": 2}')
    for _ in range(3):
        monitor.files.refresh()
    assert not monitor.files.healthy("dns/a")
    assert monitor.said == [f"{other}: not read beside dns.json: remove one of them"]
    other.unlink()
    monitor.files.refresh()
    assert monitor.files.failing == [] and len(monitor.said) == 1


def test_what_is_wrong_stays_while_the_directory_is_away(tmp_path: Path) -> None:
    (tmp_path / "health").mkdir()
    monitor = Monitor(tmp_path / "health")
    monitor.write("no")
    monitor.files.refresh()
    since = monitor.files.failing[0].since
    (tmp_path / "health").rename(tmp_path / "elsewhere")
    monitor.files.refresh()
    assert len(monitor.said) == len(monitor.files.failing) == 2
    (tmp_path / "elsewhere").rename(tmp_path / "health")
    monitor.files.refresh()
    assert len(monitor.said) == 2
    [left] = monitor.files.failing
    assert left.since == since and "dns.json" in left.line
    assert monitor.said_well == [f"{tmp_path / 'health'}: can be read again"]
