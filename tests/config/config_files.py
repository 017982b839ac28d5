"""Configuration files for tests, and checks that one is rejected."""

from __future__ import annotations

from pathlib import Path

import pytest

from xdpkit.config import load
from xdpkit.config.toml_location import location_of
from xdpkit.errors import ConfigError

INTERFACE = '[interface]\nname = "eth1"\nqueues = [2]\n'


def write(directory: Path, text: str | bytes) -> Path:
    path = directory / "xdpkit.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def load_error(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{path}:")
    return caught.value


def check_rejected_at(directory: Path, marked: str, words: str) -> None:
    """The file is rejected at the location marked §; the reason has each of the words (a|b)."""
    offset = marked.index("§")
    path = write(directory, marked.replace("§", ""))
    error = load_error(path)
    assert (error.line, error.column) == location_of(marked, offset), str(error)
    assert str(error).startswith(f"{path}:{error.line}:{error.column}: ")
    for part in words.split("|"):
        assert part in error.reason
