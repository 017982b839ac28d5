"""What is refused in the place of a file, without waiting for it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from xdpkit.config import load
from xdpkit.errors import ConfigError
from xdpkit.regular_file import UnfitFileError, open_regular, read_regular


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "socket"))
    (tmp_path / "link").symlink_to("fifo")
    kinds = {"fifo": "a FIFO", "socket": "a socket", "link": "a FIFO", ".": "a directory"}
    for name, kind in [*kinds.items(), ("/dev/zero", "a device")]:
        with pytest.raises(UnfitFileError, match=f": it is {kind}, not a regular file: put"):
            open_regular(tmp_path / name)


def test_links_where_they_make_sense(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link").data == b"text"
    with pytest.raises(UnfitFileError, match="it is a symbolic link"):
        read_regular(tmp_path / "link", follow=False)


def test_the_size_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1234")
    assert read_regular(path, 4).data == b"1234"
    with pytest.raises(UnfitFileError, match="it is larger than 3 bytes"):
        read_regular(path, 3)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root obeys what others can write")
def test_a_configuration_that_anybody_can_write(tmp_path: Path) -> None:
    path = tmp_path / "xdpkit.toml"
    path.write_text('[interface]\nname = "eth1"\nqueues = [1]\n[echo]\n')
    path.chmod(0o666)
    with pytest.raises(ConfigError, match=f"every user on .* chmod o-w {path}"):
        load(path)
    path.chmod(0o664)
    assert load(path).interface.name == "eth1"
