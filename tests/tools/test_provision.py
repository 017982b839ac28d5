# SPDX-License-Identifier: Apache-2.0
"""vagrant/provision.sh, as far as it works without a network, a package manager or root.

Installing from scratch is tested in bare Debian roots, not here.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from checkout import CHECKOUT

SCRIPTS = [*sorted((CHECKOUT / "vagrant").glob("*.sh")), CHECKOUT / ".ci/run"]
PROGRAMS = [*SCRIPTS, *sorted((CHECKOUT / "vagrant").glob("*.py"))]
# Sources of the package, one of each kind.
BUILT = ("ebpf/steer.h", "cext/dns/reply.c", "xdpkit/_core/_loop.pyx", "xdpkit/errors.py")
VAGRANTFILE = CHECKOUT / "vagrant/Vagrantfile"


def bash(*arguments: object, **environment: object) -> subprocess.CompletedProcess[str]:
    env = os.environ | {name: str(value) for name, value in environment.items()}
    command = ["bash", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=env, timeout=30)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The script in a checkout of its own: nothing here touches the real one's .venv and .cache."""
    root = tmp_path / "a checkout"
    for folder in ("vagrant", "tools", "cext/dns", "ebpf", "xdpkit/_core", ".ci"):
        (root / folder).mkdir(parents=True)
    for script in SCRIPTS:
        shutil.copy(script, root / script.relative_to(CHECKOUT))
    for name in (
        "pyproject.toml",
        "meson.build",
        "meson.options",
        "tools/package_files.py",
        *BUILT,
    ):
        (root / name).write_text("one\n")
    return root


def call(checkout: Path, commands: str, **environment: object) -> str:
    """Runs functions of the script; returns their output."""
    script = checkout / "vagrant/provision.sh"
    done = bash("-c", f'source "$1"; cd "$root"; {commands}', "bash", script, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_is_bash(script: Path) -> None:
    assert bash("-n", script).stderr == ""


@pytest.mark.parametrize("script", PROGRAMS, ids=lambda path: path.name)
def test_is_executable(script: Path) -> None:
    assert os.access(script, os.X_OK)


@pytest.mark.skipif(shutil.which("ruby") is None, reason="no ruby: test-vm has it")
def test_vagrantfile_is_ruby() -> None:
    done = subprocess.run(["ruby", "-c", VAGRANTFILE], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "Syntax OK\n"), done.stderr


@pytest.mark.skipif(shutil.which("vagrant") is None, reason="no vagrant: test-vm has it")
def test_vagrantfile_is_valid(tmp_path: Path) -> None:
    where = {"VAGRANT_HOME": tmp_path / "home", "VAGRANT_DOTFILE_PATH": tmp_path / "dot"}
    done = bash("-c", f"cd '{VAGRANTFILE.parent}' && vagrant validate", **where)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments", [["dmeo"], ["install", "more"], ["test-vm", "9"]], ids=" ".join
)
def test_misuse_exits_2(checkout: Path, arguments: list[str]) -> None:
    done = bash(checkout / "vagrant/provision.sh", *arguments)
    assert done.returncode == 2
    assert "usage: vagrant/provision.sh" in done.stderr
    assert not (checkout / ".cache").exists()


def test_help(checkout: Path) -> None:
    done = bash(checkout / "vagrant/provision.sh", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "APT_PROXY" in done.stdout


def test_outside_a_checkout(checkout: Path) -> None:
    (checkout / "pyproject.toml").unlink()
    done = bash(checkout / "vagrant/provision.sh")
    assert done.returncode == 1
    assert "is no checkout of xdpkit" in done.stderr
    assert done.stderr.count("\n") == 1


def test_ci_runs_the_tests(checkout: Path) -> None:
    script = checkout / "vagrant/provision.sh"
    test_line = f"{checkout}: test\n"
    script.write_text('#!/bin/bash\necho "$PWD: $*"; exit 7\n')
    done = bash(checkout / ".ci/run")
    assert (done.returncode, done.stdout) == (7, test_line)
    script.write_text('#!/bin/bash\necho "$PWD: $*"; [[ $1 == test ]] || exit 8\n')
    done = bash(checkout / ".ci/run")
    assert (done.returncode, done.stdout) == (8, f"{test_line}{checkout}: test-vm\n")


@pytest.mark.parametrize("arguments", [["x"], ["1", "Auto"], ["1", "auto", "more"]], ids=" ".join)
def test_misuse_of_the_vms_demo(arguments: list[str]) -> None:
    done = bash(CHECKOUT / "vagrant/demo.sh", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: vagrant/demo.sh [QUEUE [MODE]]")


@pytest.mark.parametrize("arguments", [[], ["trixie"], ["../trixie", "test"]], ids=" ".join)
def test_misuse_of_the_root(arguments: list[str]) -> None:
    done = bash(CHECKOUT / "vagrant/in-root.sh", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: vagrant/in-root.sh RELEASE JOB")


def test_wheels_are_installed_once(checkout: Path, tmp_path: Path) -> None:
    """Instead of a build, and again only when they have changed."""
    (tmp_path / "one.whl").write_text("one")
    calls = """
        mkdir -p "$venv"
        pip_install() { echo "pip $*"; }
        build; build
        echo two >"$XDPKIT_WHEELS/two.whl"
        build test
    """
    output = call(checkout, calls, XDPKIT_WHEELS=tmp_path)
    line = f"pip --no-index --find-links {tmp_path} --force-reinstall --no-compile xdpkit\n"
    assert output.replace(f"wheels: installing xdpkit from {tmp_path}\n", "") == 2 * line


def test_link_is_made_once(checkout: Path, tmp_path: Path) -> None:
    link = tmp_path / "prefix/bin/xdpkit"
    output = call(checkout, "link_command", XDPKIT_PREFIX=tmp_path / "prefix")
    assert output.startswith(f"link: {link} -> ")
    assert link.readlink() == checkout / ".venv/bin/xdpkit"
    assert call(checkout, "link_command", XDPKIT_PREFIX=tmp_path / "prefix") == ""


@pytest.mark.parametrize("there", ["file", "link", "dangling link"])
def test_existing_command_is_kept(checkout: Path, tmp_path: Path, there: str) -> None:
    (tmp_path / "bin").mkdir()
    link = tmp_path / "bin/xdpkit"
    if there == "file":
        link.write_text("the user's own\n")
    else:
        link.symlink_to("/bin/true" if there == "link" else tmp_path / "gone")
    before = link.lstat()
    output = call(checkout, "link_command", XDPKIT_PREFIX=tmp_path)
    # Reading the link changes its access time.
    now = link.lstat()
    assert (now.st_ino, now.st_mode, now.st_mtime_ns) == (
        before.st_ino,
        before.st_mode,
        before.st_mtime_ns,
    )
    assert output.count("\n") == 1
    assert "is kept; to change it: sudo ln -sfn " in output
    assert ("does not exist" in output) == (there == "dangling link")


@pytest.mark.parametrize(
    "name, rebuilt",
    [
        *((name, True) for name in BUILT),
        ("cext/dns/new.h", True),
        ("meson.build", True),
        ("pyproject.toml", True),
        ("README.md", False),
        ("cext/notes.txt", False),
    ],
)
def test_what_a_rebuild_depends_on(checkout: Path, name: str, rebuilt: bool) -> None:
    before = call(checkout, "ask_python; build_key")
    (checkout / name).write_text("two\n")
    assert (call(checkout, "ask_python; build_key") != before) == rebuilt


@pytest.mark.parametrize(
    "one, other, both", [("", "", ""), ("test", "", "test"), ("bench", "test", "bench,test")]
)
def test_extras_are_kept(checkout: Path, one: str, other: str, both: str) -> None:
    assert call(checkout, f"merged '{one}' '{other}'").strip() == both
    assert call(checkout, f"merged '{both}' '{one}'").strip() == both


def test_a_moved_venv_is_not_valid(checkout: Path, tmp_path: Path) -> None:
    """With only the files that the check reads: making a real .venv takes seconds."""
    sound = "ask_python; venv_sound && echo sound || echo not"
    make = """
        ask_python
        mkdir -p "$venv/bin" "$venv/lib/python$python_version/site-packages/pip"
        ln -s "$system_python" "$venv/bin/python"
        echo 'include-system-site-packages = true' >"$venv/pyvenv.cfg"
        echo "#!$venv/bin/python" >"$venv/bin/pip"
    """
    assert call(checkout, sound) == "not\n"
    call(checkout, make)
    assert call(checkout, sound) == "sound\n"
    assert call(checkout.rename(tmp_path / "moved"), sound) == "not\n"
