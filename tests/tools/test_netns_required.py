"""A CI run that has tested nothing with packets fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import CHECKOUT

TEST = "import pytest\n\n{mark}\ndef test_one():\n    {body}\n"
NETNS = "@pytest.mark.netns"
LINE = "not one namespace test ran"


def run(folder: Path, missing: str, mark: str, body: str, **environment: str) -> tuple[int, str]:
    """Runs one test under this project's conftest, where ``missing`` is what namespaces lack."""
    conftest = (CHECKOUT / "tests" / "conftest.py").read_text()
    conftest += f"\n\ndef namespaces_missing():\n    return {missing!r}\n"
    (folder / "conftest.py").write_text(conftest)
    (folder / "test_it.py").write_text(TEST.format(mark=mark, body=body))
    kept = {k: v for k, v in os.environ.items() if k not in ("CI", "XDPKIT_REQUIRE_NETNS")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    command += ["-o", "markers=netns", "-o", f"pythonpath={CHECKOUT / 'tests/support'}"]
    command += [f"--rootdir={folder}", str(folder)]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=kept | environment, timeout=100
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    "missing,mark,body,status",
    [
        ("needs root", NETNS, "pass", 1),
        ("", NETNS, "pytest.skip('the test itself says so')", 1),
        ("", "", "pass", 1),
        ("", NETNS, "pass", 0),
    ],
    ids=["all skipped", "skip themselves", "none exist", "ran"],
)
def test_in_ci(tmp_path: Path, missing: str, mark: str, body: str, status: int) -> None:
    exited, output = run(tmp_path, missing, mark, body, CI="true")
    assert exited == status
    assert (LINE in output) == bool(status)


def test_where_it_is_requested(tmp_path: Path) -> None:
    exited, output = run(tmp_path, "needs root", NETNS, "pass", XDPKIT_REQUIRE_NETNS="1")
    assert exited == 1 and LINE in output


def test_a_failure_stays_a_failure(tmp_path: Path) -> None:
    assert run(tmp_path, "", NETNS, "assert False", CI="true")[0] == 1


def test_elsewhere_they_are_skipped_with_a_reason(tmp_path: Path) -> None:
    status, output = run(tmp_path, "needs root", NETNS, "pass")
    assert status == 0 and "1 skipped" in output and LINE not in output
