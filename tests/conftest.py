"""Shared by all tests: which ones need root, and the environments where those must have run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from package_making import Making, making
from required import missing, required

HERE = Path(__file__).parent

# These create network namespaces or load BPF programs, as do other tests marked netns.
NETNS_FOLDERS = ("wire", "ebpf")

# No deadline: the machines that run this have few cores, which are busy.
hypothesis.settings.register_profile("xdpkit", deadline=None)
hypothesis.settings.load_profile("xdpkit")

ran_netns = pytest.StashKey[int]()


# Programs that tests start must find the installed package, as a user's do, not the sources here.
os.environ["PYTHONSAFEPATH"] = "1"


@pytest.fixture(scope="session", autouse=True)
def no_cache_on_the_machine(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Makes every server that a test starts cache compiled zones in the tests' own directory."""
    os.environ["CACHE_DIRECTORY"] = str(tmp_path_factory.mktemp("cache"))


def namespaces_missing() -> str:
    """Why network namespaces cannot be created here; empty if they can."""
    if os.geteuid() != 0:
        return "needs root"
    if shutil.which("unshare") is None:
        return "needs unshare (util-linux)"
    done = subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True, text=True)
    return "" if done.returncode == 0 else f"no network namespaces: {done.stderr.strip()}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE) and item.path.relative_to(HERE).parts[0] in NETNS_FOLDERS:
            item.add_marker("netns")
    needing = [item for item in items if "netns" in item.keywords]
    reason = namespaces_missing() if needing else ""
    for item in needing if reason else ():
        item.add_marker(pytest.mark.skip(reason=reason))
    # Tests that need the CPUs to themselves come first; the package, built meanwhile, last.
    items.sort(key=_order)


def _order(item: pytest.Item) -> int:
    if item.get_closest_marker("package"):
        return 3
    return 0 if "netns" in item.keywords else 1 if item.get_closest_marker("fuzz") else 2


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report: pytest.TestReport = yield
    if report.when == "call" and not report.skipped and "netns" in item.keywords:
        item.config.stash[ran_netns] = item.config.stash.get(ran_netns, 0) + 1
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    if unproven(session.config) and session.exitstatus in (
        pytest.ExitCode.OK,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if unproven(terminalreporter.config):
        terminalreporter.write_sep(
            "=",
            "FAILED: not one namespace test ran, and CI=true or XDPKIT_REQUIRE_NETNS=1",
            red=True,
        )


def unproven(config: pytest.Config) -> bool:
    """Whether a run that had to include namespace tests has run none."""
    return required() and not config.option.collectonly and not config.stash.get(ran_netns, 0)


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """Finds a program, in the virtual environment first; if missing, CI fails, others skip."""

    def find(name: str) -> str:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        found = shutil.which(name, path=path)
        if found is None:
            missing(f"{name} is not installed: vagrant/provision.sh test installs it")
        return found

    return find


@pytest.fixture(scope="module", autouse=True)
def package_meanwhile(request: pytest.FixtureRequest) -> None:
    """Starts the slow work for the package's tests during tests that do not depend on speed."""
    if request.path.relative_to(HERE).parts[0] in (*NETNS_FOLDERS, "fuzz"):
        return
    if request.getfixturevalue("package_is_tested"):
        request.getfixturevalue("package_making")


@pytest.fixture(scope="session")
def package_is_tested(request: pytest.FixtureRequest) -> bool:
    """Whether a test of the package will run."""
    of_package = [item for item in request.session.items if item.get_closest_marker("package")]
    return any(item.get_closest_marker("skip") is None for item in of_package)


@pytest.fixture(scope="session")
def package_making(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Making]:
    """The Debian package and a bare Debian; starts building both."""
    with making(tmp_path_factory.mktemp("package")) as in_progress:
        yield in_progress
