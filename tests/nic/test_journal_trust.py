"""A journal that somebody else may have written: root undoes nothing that is not a NIC's setting.

``ExecStopPost=+xdpkit restore`` reads it as root, and with ``User=`` it belongs to that user.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from control_lab import needs_root
from fake_driver import IFNAME, NIC, FakeDriver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nic_lab import changed, in_memory, new_journal, planned

from xdpkit.cli import plan as plan_view
from xdpkit.errors import JournalError
from xdpkit.nic.setup import journal as journals
from xdpkit.nic.setup import plan, schema, setting
from xdpkit.nic.setup.apply import apply_steps, restore
from xdpkit.nic.setup.facts import NTUPLE

NOBODY = 65534
HEAD = {
    "version": 1,
    "interface": IFNAME,
    "ifindex": 7,
    "address": "02:00:00:00:00:01",
    "boot": journals.boot_id(),
    "pid": 1 << 22,
    "started": 1,
}
CHANGE = {"step": 0, "setting": "feature rx-lro", "old": True, "new": False}


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with in_memory() as directory:
        yield directory


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    made = FakeDriver(tmp_path / "sys")
    made.install(monkeypatch)
    (tmp_path / "run").mkdir(mode=0o700)
    return made


def write(path: Path, *lines: Any) -> Path:
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    path.chmod(0o600)
    return path


def refused(driver: FakeDriver, path: Path, words: str) -> None:
    """One line that names the file, and nothing is undone."""
    before = driver.state()
    with pytest.raises(JournalError, match=words) as caught:
        restore(driver.device(), path)
    [line] = caught.value.lines()
    assert str(path) in line and line.isprintable()
    assert driver.state() == before


@pytest.mark.parametrize(
    "line",
    [
        {"setting": "/etc/passwd"},
        {"setting": "../../../../etc/passwd"},
        {"setting": "mtu"},
        {"setting": "napi_defer_hard_irqs /x"},
        {"setting": "channels 1", "old": {"rx": 0, "tx": 0, "other": 0, "combined": 1}},
        {"setting": "feature rx-all"},
        {"setting": "feature rx-lro", "old": "on"},
        {"setting": "feature rx-lro", "old": None},
        {"setting": "gro_flush_timeout", "old": "1\n2"},
        {"setting": "gro_flush_timeout", "old": -1},
        {"setting": "gro_flush_timeout", "old": 1.5},
        {"setting": "gro_flush_timeout", "old": True},
        {"setting": "interrupt ../1", "old": {"cpus": "1", "irq": 1}},
        {"setting": "interrupt 1", "old": {"cpus": "1\n", "irq": 1}},
        {"setting": "interrupt 1", "old": {"cpus": "1", "irq": "../../etc"}},
        {"setting": "interrupt 1", "old": {"cpus": "1"}},
        {"setting": "channels", "old": {"rx": 0, "tx": 0, "other": 0, "combined": 1 << 32}},
        {"setting": "channels", "old": {"rx": 0}},
        {"setting": "rss", "old": [0, -1]},
        {"setting": "rss", "old": []},
        {"setting": "rss", "old": {"weights": [1]}},
        {"setting": "rss", "old": [[[[[]]]]]},
        {"setting": "rule 192.0.2.1", "old": None},
        {"setting": "rule 192.0.2.1 99999", "old": None},
        {"setting": "rule fe80::1%eth0 53", "old": None},
        {"setting": "rule 192.0.2.1 53 0x0/0x1ffffffff", "old": None},
        {"setting": "rule 192.0.2.1 53", "old": {"queue": 1 << 64, "location": 1}},
        {"setting": "rule 192.0.2.1 53", "old": {"queue": 1}},
        {"setting": "stamps", "old": {"flags": 0, "tx_type": 0, "rx_filter": 1 << 31}},
        {"setting": "\x1b[2J\n"},
        {"setting": 5},
        {"setting": None},
        {"step": -1},
        {"step": True},
        {"step": 1 << 80},
        {"more": 1},
    ],
)
def test_a_line_that_no_run_writes(
    line: dict[str, Any], driver: FakeDriver, tmp_path: Path
) -> None:
    path = write(tmp_path / "run" / "j", HEAD, CHANGE | {"step": 1}, CHANGE | line)
    refused(driver, path, r"j:3: not a line of a journal.*nothing was undone: remove the file")


@pytest.mark.parametrize(
    "head",
    [
        {"interface": "../../etc"},
        {"interface": "a b"},
        {"interface": "x" * 16},
        {"interface": "\x1b[31m"},
        {"interface": "\ud800"},
        {"interface": 5},
        {"ifindex": "7"},
        {"ifindex": 0},
        {"address": "2:0"},
        {"address": "\u202e"},
        {"address": None},
        {"boot": "x\ny"},
        {"pid": 0},
        {"pid": 1e3},
        {"started": -1},
        {"started": 1 << 63},
        {"version": 2},
        {"version": True},
        {"extra": {}},
    ],
)
def test_a_head_that_no_run_writes(
    head: dict[str, Any], driver: FakeDriver, tmp_path: Path
) -> None:
    path = write(tmp_path / "run" / "j", HEAD | head, CHANGE)
    refused(driver, path, r"j:1: not a line of a journal")


def test_features_that_a_plan_changes() -> None:
    assert {NTUPLE, *plan.MERGING, *plan.UNTAGGING} == schema.FEATURES


def test_every_change_of_a_run_is_one_that_may_be_undone(
    driver: FakeDriver, tmp_path: Path
) -> None:
    journal = new_journal(driver.device(), tmp_path / "run")
    apply_steps(driver.device(), journal, planned(driver.device()).steps)
    kinds = {setting.split(entry.setting)[0] for entry in journal.pending}
    assert kinds == set(schema._KINDS)
    found = journals.read(journal.path)
    assert found is not None and found.pending == journal.pending


def planted_link(path: Path) -> None:
    (path.parent.parent / "target").write_text("")
    path.symlink_to(path.parent.parent / "target")


def planted_hard_link(path: Path) -> None:
    write(path.parent / "other", HEAD, CHANGE)
    path.hardlink_to(path.parent / "other")


def planted_giant(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10 << 30)


def planted_writable(path: Path) -> None:
    write(path, HEAD, CHANGE).chmod(0o666)


def planted_owner(path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give files away")
    os.chown(write(path, HEAD, CHANGE), NOBODY, NOBODY)


@pytest.mark.parametrize(
    "plant, words",
    [
        (planted_link, "not a regular file"),
        (planted_hard_link, "another name"),
        (os.mkfifo, "not a regular file"),
        (Path.mkdir, "not a regular file"),
        (planted_giant, "more than the 33,554,432 possible"),
        (planted_writable, "others may write it"),
        (planted_owner, "it belongs to user 65534"),
    ],
)
def test_what_is_planted_in_its_place(
    plant: Callable[[Path], Any], words: str, driver: FakeDriver, tmp_path: Path
) -> None:
    plant(path := tmp_path / "run" / "eth1.journal")
    refused(driver, path, words)
    # Nor is it written to.
    journal = journals.Journal(path, journals.Owner(**{k: HEAD[k] for k in list(HEAD)[1:]}))
    with pytest.raises(JournalError, match=f"nothing was changed, as the journal.*{words}"):
        journal.note(*[CHANGE[name] for name in ("setting", "old", "new")])
    assert not (tmp_path / "target").exists() or not (tmp_path / "target").read_text()


def test_a_directory_that_others_can_write(driver: FakeDriver, tmp_path: Path) -> None:
    path = write(tmp_path / "run" / "j", HEAD, CHANGE)
    (tmp_path / "run").chmod(0o777)
    with pytest.raises(JournalError, match=r"run: others may write there: chmod go-w"):
        restore(driver.device(), path)
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with pytest.raises(JournalError, match=r"link: not a directory: remove it"):
        restore(driver.device(), tmp_path / "link" / "j")


@needs_root
def test_roots_files_are_not_undone_for_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CAP_NET_ADMIN, which the service's user has, does not change them."""
    driver, device, path = changed(tmp_path, monkeypatch)
    for each in (path.parent, path):
        os.chown(each, NOBODY, NOBODY)
    outcomes, _ = restore(device, path)
    left = {outcome.setting for outcome in outcomes if outcome.result == "left"}
    assert left == {"interrupt 5", "napi_defer_hard_irqs", "gro_flush_timeout"}
    assert all("only root can have changed it" in o.why for o in outcomes if o.result == "left")
    assert driver.nic["channels"] == NIC["channels"] and driver.nic["rules"] == {}
    assert driver.state()["interrupts"]["45"] == "1\n"
    assert not path.exists()


@needs_root
def test_a_process_that_is_not_the_writers(driver: FakeDriver, tmp_path: Path) -> None:
    """A line cannot keep root from undoing the rest by naming a process that never ends."""
    started = journals.start_time(1)
    path = write(tmp_path / "run" / "j", HEAD | {"pid": 1, "started": started}, CHANGE)
    with pytest.raises(JournalError, match="xdpkit is running, pid 1"):
        restore(driver.device(), path)
    for each in (path.parent, path):
        os.chown(each, NOBODY, NOBODY)
    outcomes, _ = restore(driver.device(), path)
    assert [outcome.setting for outcome in outcomes] == ["feature rx-lro"]


def test_a_process_with_any_name() -> None:
    """Whose PID the one in a journal has become, and what it is called, is nobody's business."""
    # PR_SET_NAME.
    code = r"import ctypes; ctypes.CDLL(None).prctl(15, b') \xff \x1b'); print(flush=True); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen((sys.executable, "-c", code), stdin=pipe, stdout=pipe) as process:
        assert process.stdout and process.stdout.readline()
        assert journals.start_time(process.pid)
        process.kill()


def test_values_that_take_long(driver: FakeDriver, tmp_path: Path) -> None:
    table = [65535] * 65535
    change = {"setting": "rss", "old": table, "new": "default"}
    lines = [{"step": step, **change} for step in range(8)]
    path = write(tmp_path / "run" / "j", HEAD, *lines)
    started = time.process_time()
    outcomes, _ = restore(driver.device(), path)
    assert [outcome.result for outcome in outcomes] == ["failed"]
    assert time.process_time() - started < 20


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just(1 << 70)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner)
)
names = st.sampled_from(
    ["channels", "rss", "stamps", "feature rx-lro", "rule 192.0.2.1 53", "interrupt 1"]
)
lines = st.one_of(
    values,
    st.fixed_dictionaries(
        {"step": st.integers(-1, 3) | values, "setting": names | values, "old": values},
        optional={"new": values},
    ),
    st.fixed_dictionaries({"done": st.integers(-1, 3) | values, "got": values}),
    st.fixed_dictionaries({"undone": st.integers(-1, 3) | values}),
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None
)
@given(st.lists(lines, max_size=4), st.booleans())
def test_any_lines_give_one_line(
    driver: FakeDriver, tmp_path: Path, written: list[Any], has_head: bool
) -> None:
    head = [HEAD, CHANGE] if has_head else []
    path = write(tmp_path / "run" / "j", *head, *written)
    attempt(driver, path)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None
)
@given(st.data())
def test_any_damage_gives_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    """A real journal, with bytes replaced, taken out or put in."""
    tmp_path = Path(tempfile.mkdtemp(dir=tmp_path))
    driver = FakeDriver(tmp_path / "sys")
    driver.install(monkeypatch)
    journal = new_journal(driver.device(), tmp_path / "run")
    apply_steps(driver.device(), journal, planned(driver.device()).steps)
    raw = bytearray(journal.path.read_bytes())
    raw = raw.replace(f'"pid": {os.getpid()}'.encode(), b'"pid": 4194304')
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw)))
        length = data.draw(st.integers(0, 3))
        raw[at : at + length] = data.draw(st.binary(max_size=3) | st.sampled_from([b"[" * 5000]))
    journal.path.write_bytes(raw)
    attempt(driver, journal.path)


def attempt(driver: FakeDriver, path: Path) -> None:
    """Undoes it, or says in one line why not."""
    try:
        outcomes, _ = restore(driver.device(), path)
    except JournalError as error:
        [line] = error.lines()
        assert line.isprintable()
    else:
        facts = [
            {"setting": o.setting, "line": o.line, "result": o.result, "why": o.why}
            for o in outcomes
        ]
        shown = plan_view.restore_lines({IFNAME: {"said": "", "changes": facts}})
        assert all(line.isprintable() for line in shown)
    finally:
        path.unlink(missing_ok=True)


def test_the_command_prints_one_line(tmp_path: Path) -> None:
    """The real command, on a journal that is not one, without a traceback."""
    script = (
        "import sys; from pathlib import Path; from xdpkit.nic.setup import journal;"
        f"journal.STATE = Path({str(tmp_path)!r});"
        "from xdpkit.cli.main import main; sys.exit(main(['restore', *sys.argv[1:]]))"
    )
    path = journals.path_of(1, tmp_path)
    tmp_path.chmod(0o700)
    for named in ([], ["lo"]):
        write(path, HEAD, {"setting": "/etc/\x1b[31m\npasswd"})
        done = subprocess.run(
            [sys.executable, "-P", "-c", script, *named],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        [line] = done.stderr.splitlines()
        assert line.startswith(f"xdpkit: {path}:2: not a line of a journal"), line


def test_a_journal_does_not_grow_without_end(
    driver: FakeDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "_LONG_BYTES", 4096)
    journal = new_journal(driver.device(), tmp_path / "run")
    kept = journal.note("feature rx-lro", True, False)
    journal.record_done(kept, False)
    for _ in range(200):
        entry = journal.note("feature rx-gro-hw", True, False)
        assert journal.path.stat().st_size < 8192
        journal.record_done(entry, False)
        found = journals.read(journal.path)
        assert found is not None and found.pending == [kept, entry] == journal.pending
        journal.record_undone(entry)
    journal.record_undone(kept)
    journal.close()
    assert list((tmp_path / "run").iterdir()) == []
