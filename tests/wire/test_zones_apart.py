"""Each zone fails, loads, changes and goes by itself; the others are served, and are up to date."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rights import NOBODY, open_directory
from serving import PATIENCE, QUEUE, QUEUES, Server, eventually, health, look_up, reload, starting

from xdpkit.lab.namespaces import Lab
from xdpkit.runtime.privileges import NEEDED

pytestmark = pytest.mark.netns

CONFIG = """
[interface]
name = "server0"
queues = [2]
[ntp]
[dns]
zones = "zones"
cache = "cache"
[metrics]
listen = "127.0.0.1:9153"
"""

# How long a change of a good zone may take beside bad ones.
TAKEN = 10.0

BAD = "x A 192.0.2\n"


def zone(serial: int = 1, more: str = "") -> str:
    return (
        f"$TTL 300\n@ SOA ns host {serial} 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.1\n"
        f"www A 192.0.2.{serial}\n{more}"
    )


class Site:
    """A directory with a configuration and three zones: a, b and c.test."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.zones = directory, directory / "zones"
        self.zones.mkdir()
        self.config = directory / "xdpkit.toml"
        self.config.write_text(CONFIG)
        for name in "abc":
            self.write(name)

    def write(self, name: str, serial: int = 1, more: str = "") -> Path:
        path = self.zones / f"{name}.test.zone"
        fresh = path.with_suffix(".new")
        fresh.write_text(zone(serial, more))
        fresh.rename(path)
        return path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@contextmanager
def serving(lab: Lab, site: Site) -> Iterator[Server]:
    server = Server(lab.server, site.config)
    try:
        yield server
        assert server.stop() == 0, server.log()
    finally:
        server.kill()


def facts(server: Server, name: str) -> dict[str, Any]:
    found: dict[str, Any] = server.status()["zones"][f"{name}.test"]
    return found


def serial(server: Server, name: str) -> int | None:
    found = server.status()["zones"].get(f"{name}.test", {}).get("serial")
    return None if found is None else int(found)


def rcode(lab: Lab, name: str) -> str:
    """The status of an answer over UDP, and its extended error."""
    done = lab.client.run("dig", "+tries=1", "+time=10", "@192.0.2.1", f"www.{name}.test", "A")
    words = done.stdout.split("status: ")[1].split(",")[0]
    return words + " 24" * ("EDE: 24" in done.stdout)


def test_one_bad_zone_of_three(lab: Lab, site: Site) -> None:
    """At a start, at a reload, after a restart: with its last good version once there is one."""
    bad = site.write("b", 1, BAD)
    place = f"{bad}:6:5: "
    with serving(lab, site) as server:
        assert rcode(lab, "a") == rcode(lab, "c") == "NOERROR"
        assert rcode(lab, "b") == "SERVFAIL 24"
        assert f"{place}" in server.log()
        assert "b.test is answered with SERVFAIL" in server.log()
        assert facts(server, "b")["state"] == "failed"
        status, text = health(lab)
        assert status == 503 and "zone b.test: failed since " in text and place in text

        site.write("b", 2)
        eventually(lambda: serial(server, "b") == 2, "the zone that is right now")
        assert look_up(lab.client, "www.b.test") == ["192.0.2.2"]
        eventually(lambda: "b.test loads again" in server.log(), "the line")
        assert health(lab) == (200, "healthy\n")

        site.write("b", 3, BAD)
        site.write("a", 3)
        done = reload(lab)
        assert done.returncode == 2
        [line] = done.stderr.splitlines()
        assert place in line
        assert (serial(server, "a"), serial(server, "b"), serial(server, "c")) == (3, 2, 1)
        assert facts(server, "b")["state"] == "stale"
        assert look_up(lab.client, "www.b.test") == ["192.0.2.2"]
        made = facts(server, "b")["loaded_at"]
    time.sleep(1)
    with serving(lab, site) as server:
        found = facts(server, "b")
        assert (found["serial"], found["state"], found["loaded_at"]) == (2, "stale", made)
        assert found["since"] > made and place in found["errors"][0]
        assert look_up(lab.client, "www.b.test") == ["192.0.2.2"]
        assert f"the last good version of b.test, of {made}, stays in use" in server.log()
        text = lab.server.run("xdpkit", "status").stdout
        assert "1 not up to date" in text and place in text


def fifo(path: Path) -> None:
    os.mkfifo(path)


def directory(path: Path) -> None:
    path.mkdir()


def unreadable(path: Path) -> None:
    path.write_text(zone())
    os.chown(path, 54321, 54321)
    path.chmod(0)


def endless(path: Path) -> None:
    path.write_text(zone(1, f"$INCLUDE {path}\n"))


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def no_name(path: Path) -> None:
    path.with_name("a..b.zone").write_text(zone())


@pytest.mark.parametrize(
    "make",
    [fifo, directory, unreadable, endless, dangling, no_name],
    ids=lambda make: make.__name__,
)
def test_what_is_no_zone(lab: Lab, site: Site, make: Callable[[Path], None]) -> None:
    """Beside it, at a start and later, the others are served and their changes taken."""
    path = site.zones / "odd.test.zone"
    make(path)
    names = {"a..b.zone"} if make is no_name else {"odd.test.zone"}
    with serving(lab, site) as server:
        [line] = [line for line in server.log().splitlines() if any(n in line for n in names)]
        assert "SERVFAIL" in line or make is no_name
        for number in (2, 3):
            started = time.monotonic()
            site.write("a", number)
            eventually(lambda n=number: serial(server, "a") == n, "the change", TAKEN)
            assert time.monotonic() - started < TAKEN
        assert sum(any(n in line for n in names) for line in server.log().splitlines()) == 1
    assert server.log().count("SERVFAIL") == (make is not no_name)


def test_what_becomes_no_zone(lab: Lab, site: Site) -> None:
    with serving(lab, site) as server:
        path = site.zones / "b.test.zone"
        path.unlink()
        os.mkfifo(path)
        eventually(lambda: "it is a FIFO" in server.log(), "the line")
        assert look_up(lab.client, "www.b.test") == ["192.0.2.1"]
        site.write("a", 2)
        eventually(lambda: serial(server, "a") == 2, "the change", TAKEN)
        path.unlink()
        site.write("b", 4)
        eventually(lambda: serial(server, "b") == 4, "the zone")


def test_two_files_for_one_zone(lab: Lab, site: Site) -> None:
    """Neither is guessed: what was served is served on, until one of them goes."""
    with serving(lab, site) as server:
        other = site.zones / "B.test.zone"
        other.write_text(zone(9))
        eventually(lambda: "the same zone as" in server.log(), "the line")
        errors = facts(server, "b")["errors"]
        assert [error.partition(": ")[0] for error in errors] == sorted(
            str(site.zones / f"{name}.test.zone") for name in "Bb"
        )
        assert (serial(server, "b"), facts(server, "b")["state"]) == (1, "stale")
        done = reload(lab)
        assert done.returncode == 2 and done.stderr.count("the same zone as") == 2
        (site.zones / "b.test.zone").unlink()
        eventually(lambda: serial(server, "b") == 9, "the one that is left")
        eventually(lambda: "errors" not in facts(server, "b"), "the end of the error")


def test_a_zone_that_goes(lab: Lab, site: Site) -> None:
    with serving(lab, site) as server:
        [kept] = (site.directory / "cache").iterdir()
        assert sorted(path.name for path in kept.iterdir()) == [
            f"{name}.test.arena" for name in "abc"
        ]
        (site.zones / "b.test.zone").unlink()
        eventually(lambda: serial(server, "b") is None, "it to go")
        assert rcode(lab, "b").split()[0] == "REFUSED"
        eventually(lambda: not (kept / "b.test.arena").exists(), "its cache to go")
        assert rcode(lab, "a") == "NOERROR"


def test_a_directory_that_goes_and_comes_back(lab: Lab, site: Site) -> None:
    with serving(lab, site) as server:
        away = site.zones.rename(site.zones.with_name("away"))
        eventually(lambda: "are served on" in server.log(), "the line")
        assert look_up(lab.client, "www.b.test") == ["192.0.2.1"]
        assert reload(lab).returncode == 2
        shutil.copytree(away, site.zones)
        site.write("b", 2)
        eventually(lambda: serial(server, "b") == 2, "the zone")
        assert server.log().count("are served on") == 1
        for path in site.zones.iterdir():
            path.unlink()
        eventually(lambda: server.log().count("are served on") == 2, "the line about no zones")
        assert look_up(lab.client, "www.b.test") == ["192.0.2.2"]


def test_a_file_that_never_settles_holds_up_no_other(lab: Lab, site: Site) -> None:
    with serving(lab, site) as server, (site.zones / "b.test.zone").open("a") as file:
        for number in (2, 3):
            site.write("a", number)
            deadline = time.monotonic() + TAKEN
            while serial(server, "a") != number:
                assert time.monotonic() < deadline
                file.write("; more\n")
                file.flush()
                time.sleep(0.1)
        assert serial(server, "b") == 1


def test_a_damaged_cache(lab: Lab, site: Site) -> None:
    with serving(lab, site):
        pass
    [kept] = (site.directory / "cache").iterdir()
    for path in kept.iterdir():
        path.write_bytes(path.read_bytes()[:-5])
    with serving(lab, site) as server:
        assert rcode(lab, "a") == rcode(lab, "b") == rcode(lab, "c") == "NOERROR"
        lines = [line for line in server.log().splitlines() if "is not used" in line]
        assert len(lines) == 1 and "and 2 more of its files are not" in lines[0]
    with serving(lab, site) as server:
        assert "is not used" not in server.log()
        assert server.status()["dns"]["arena"]["source"] == "cache"


def test_an_empty_directory_stops_the_start(lab: Lab, site: Site) -> None:
    for path in site.zones.iterdir():
        path.unlink()
    done = lab.server.run("xdpkit", "run", "-c", str(site.config), timeout=PATIENCE)
    assert done.returncode == 2 and "no zones found" in done.stderr


def test_reload_of_one_zone(lab: Lab, site: Site) -> None:
    site.config.write_text(CONFIG.replace("[dns]\n", "[dns]\nwatch = false\n"))
    with serving(lab, site) as server:
        site.write("a", 2)
        site.write("b", 2)
        done = reload(lab, "A.Test.")
        assert (done.returncode, done.stderr) == (0, "")
        assert "a.test  serial 2" in done.stdout and "b.test" not in done.stdout
        assert (serial(server, "a"), serial(server, "b")) == (2, 1)
        assert reload(lab, "server0", "b.test").returncode == 0
        assert serial(server, "b") == 2
        # Whatever the stat says: a file may have changed on a system whose times are wrong.
        [kept] = (site.directory / "cache").iterdir()
        made = (kept / "a.test.arena").stat().st_mtime_ns
        assert reload(lab, "a.test").returncode == 0
        eventually(lambda: (kept / "a.test.arena").stat().st_mtime_ns > made, "it to be made")
        bad = site.write("c", 3, BAD)
        done = reload(lab, "c.test")
        assert done.returncode == 2 and f"{bad}:6:5: " in done.stderr
        assert (serial(server, "c"), facts(server, "c")["state"]) == (1, "stale")
        site.write("d", 7)
        assert reload(lab, "d.test").returncode == 0
        assert look_up(lab.client, "www.d.test") == ["192.0.2.7"]
        (site.zones / "d.test.zone").unlink()
        assert reload(lab, "d.test").returncode == 0
        assert rcode(lab, "d").split()[0] == "REFUSED"
        for name in ("d.test", "a..test", "nothing"):
            done = reload(lab, name)
            assert done.returncode == 1 and name in done.stderr
            assert "is no zone here" in done.stderr or "is not a domain name" in done.stderr
        done = reload(lab, "nothing0", "a.test")
        assert done.returncode == 1 and "not served" in done.stderr


def test_another_user(lab: Lab) -> None:
    """Its cache is its own, and what it may not read is one zone's fault."""
    with open_directory(lab.server) as directory:
        site = Site(directory)
        (directory / "cache").mkdir()
        os.chown(directory / "cache", 65534, 65534)
        names = ",".join(["-all", *(f"+{each.name.lower()}" for each in sorted(NEEDED))])
        before = ("setpriv", *NOBODY, f"--inh-caps={names}", f"--ambient-caps={names}")
        for number in (2, 3):
            with starting(lab.server, site.config, before) as server:
                server.wait_for_log("stop with SIGTERM")
                assert rcode(lab, "a") == "NOERROR"
                site.write("b", number)
                server.wait_for_log("b.test.zone changed: ")
                assert look_up(lab.client, "www.b.test") == [f"192.0.2.{number}"]
                assert server.stop() == 0, server.log()
            unreadable(site.zones / f"odd{number}.test.zone")
        [kept] = (directory / "cache").iterdir()
        assert {path.stat().st_uid for path in (kept, *kept.iterdir())} == {65534}
        assert "odd2.test.zone: cannot be read: " in server.log()
        assert "is not used" not in server.log()


@pytest.mark.parametrize("slow_path", ["true", "false"])
def test_a_takeover_keeps_the_last_good_version(lab: Lab, site: Site, slow_path: str) -> None:
    site.config.write_text(CONFIG.replace("queues = [2]", f"queues = [2]\nslow_path = {slow_path}"))
    lab.client.send_on_queue(QUEUE, QUEUES)
    old = Server(lab.server, site.config)
    try:
        site.write("b", 2, BAD)
        eventually(lambda: "errors" in facts(old, "b"), "the bad zone")
        successor = Server(lab.server, site.config, more=("--takeover",))
        try:
            successor.wait_for_log("stop with SIGTERM")
            assert old.process.wait(PATIENCE) == 0, old.log()
            assert (serial(successor, "b"), facts(successor, "b")["state"]) == (1, "stale")
            assert look_up(lab.client, "www.b.test") == ["192.0.2.1"]
            site.write("a", 3)
            eventually(lambda: serial(successor, "a") == 3, "the change", TAKEN)
            assert look_up(lab.client, "www.a.test") == ["192.0.2.3"]
            assert successor.stop() == 0, successor.log()
        finally:
            successor.kill()
    finally:
        old.kill()
