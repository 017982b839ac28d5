"""Files below /run/xdpkit: whose they are, whatever the umask, and what is planted there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from control_lab import NOBODY, needs_root

from xdpkit.errors import StateError
from xdpkit.runtime.state_files import make_state_directory, open_state_file, read_state_file

CREATE = os.O_RDWR | os.O_CREAT


@pytest.mark.parametrize("umask", [0o777, 0o077, 0])
def test_the_umask_makes_no_difference(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        make_state_directory(tmp_path / "run")
        make_state_directory(tmp_path / "run")
        os.close(open_state_file(tmp_path / "run" / "file", CREATE).fd)
    finally:
        os.umask(before)
    assert (tmp_path / "run").stat().st_mode & 0o7777 == 0o700
    assert (tmp_path / "run" / "file").stat().st_mode & 0o7777 == 0o600
    assert read_state_file(tmp_path / "run" / "file", 10) == (b"", frozenset({os.geteuid()}))


@needs_root
def test_what_root_makes_for_a_user_is_that_users(tmp_path: Path) -> None:
    """Or the user's next instance could not open the lock that root's restore had left."""
    (tmp_path / "run").mkdir(mode=0o700)
    os.chown(tmp_path / "run", NOBODY, NOBODY)
    os.close(open_state_file(tmp_path / "run" / "file", CREATE).fd)
    assert (tmp_path / "run" / "file").stat().st_uid == NOBODY


def test_no_directory_and_no_file(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere" / "file", tmp_path / "file"):
        with pytest.raises(FileNotFoundError):
            read_state_file(path, 10)
    (tmp_path / "file").write_bytes(b"x" * 11)
    (tmp_path / "file").chmod(0o600)
    with pytest.raises(StateError, match="it has 11 bytes, more than the 10 possible"):
        read_state_file(tmp_path / "file", 10)


def test_a_device_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/zero")
    with pytest.raises(StateError, match="not a regular file"):
        read_state_file(tmp_path / "link", 10)
