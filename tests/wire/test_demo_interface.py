"""``xdpkit demo --interface`` and its sender vagrant/ask.py: the VM demo, here across veth."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from checkout import CHECKOUT
from serving import IFNAME, QUEUE, QUEUES, XDPKIT, attached

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

ASK = CHECKOUT / "vagrant/ask.py"
REQUESTS = 640
ENDS_SECONDS = 60


@contextmanager
def demo(lab: Lab, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The demo on the server's side, with the expected number of requests."""
    argv = [XDPKIT, "demo", "--interface", IFNAME, "--requests", str(REQUESTS), *arguments]
    # Tests that run in the background may ignore SIGINT, and so would the demo.
    argv = ["env", "--default-signal=INT", *argv]
    process = lab.server.popen(*argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def await_ready(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("ready: "):
            return
    pytest.fail("the demo ended before it was ready")


def ask(lab: Lab, count: int) -> subprocess.CompletedProcess[str]:
    return lab.client.run(sys.executable, str(ASK), lab.server.ipv4, str(count))


@pytest.mark.parametrize("mode", ["auto", "generic"])
def test_counts_fit(lab: Lab, mode: str) -> None:
    with demo(lab, "--json", "--mode", mode, "--queue", str(QUEUE)) as process:
        await_ready(process)
        assert attached(lab.server) is not None
        asked = ask(lab, REQUESTS)
        out, err = process.communicate(timeout=ENDS_SECONDS)
    assert asked.returncode == 0, asked.stdout
    assert f"{REQUESTS} right answers, 0 wrong, 0 lost" in asked.stdout
    assert process.returncode == 0, err
    facts = json.loads(out)
    counts = facts["counts"]
    assert facts["mode"] == ("native" if mode == "auto" else mode)
    assert counts["redirected"] == {str(QUEUE): counts["ring"]["rx"]}
    assert sum(counts["other_queue"].values()) == counts["slow_path"]["tx"]
    assert counts["ring"]["tx"] + counts["slow_path"]["tx"] == REQUESTS
    # None on the chosen queue was passed: every request that arrived there was redirected.
    assert str(QUEUE) not in counts["other_queue"]
    assert attached(lab.server) is None


def test_nothing_stays_on_the_machine(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiled zone is cached in a directory that is removed with the demo."""
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with demo(lab, "--json") as process:
        await_ready(process)
        assert list(tmp_path.glob("xdpkit-*/cache/*"))
        process.terminate()
        process.communicate(timeout=ENDS_SECONDS)
    assert list(tmp_path.iterdir()) == []


def test_lost_requests_fail_it(lab: Lab) -> None:
    """In a separate process, with a shorter wait for the missing requests."""
    code = (
        "import sys; from xdpkit.cli.main import main; from xdpkit.demo import interface;"
        "interface.QUIET_SECONDS = 2.0;"
        f"sys.exit(main(['demo', '--interface', '{IFNAME}', '--requests', '{REQUESTS}']))"
    )
    process = lab.server.popen(
        sys.executable, "-c", code, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert any(line.startswith("ready: ") for line in process.stdout)
    assert ask(lab, REQUESTS - 40).returncode == 0
    out, err = process.communicate(timeout=ENDS_SECONDS)
    assert process.returncode == 1
    assert f"does not hold: {REQUESTS} requests arrived" in err
    assert err.count("\n") == 1 and "NO: queue" in out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--queue", "9"], f"{IFNAME} has no RX queue 9: it has {QUEUES}"),
        (["--interface", "nowhere0"], "interface 'nowhere0' does not exist"),
    ],
)
def test_refusals_are_the_servers(lab: Lab, arguments: list[str], words: str) -> None:
    done = lab.server.run(XDPKIT, "demo", "--interface", IFNAME, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"xdpkit: {words}") and done.stderr.count("\n") == 1
    assert attached(lab.server) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(lab: Lab, number: signal.Signals) -> None:
    with demo(lab, "--json") as process:
        await_ready(process)
        process.send_signal(number)
        process.communicate(timeout=ENDS_SECONDS)
    assert process.returncode == 128 + number
    assert attached(lab.server) is None


def test_nobody_serves(lab: Lab) -> None:
    """In a separate process, with a shorter wait for replies that do not come."""
    code = (
        f"import sys; sys.path.insert(0, '{ASK.parent}'); import ask; ask.WAIT_SECONDS = 0.5;"
        "sys.exit(ask.main(sys.argv[1:]))"
    )
    asked = lab.client.run(sys.executable, "-c", code, lab.server.ipv4, "64")
    assert asked.returncode == 1
    # The kernel answers some with "port unreachable", as far as its ICMP rate limit allows.
    assert ": 0 right answers, " in asked.stdout and "0 wrong" not in asked.stdout
