"""Configuration files for tests, and how one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from xdpkit.config import load
from xdpkit.config.toml_location import place
from xdpkit.errors import ConfigError

INTERFACE = '[interface]\nname = "eth1"\nqueues = [2]\n'


def write(directory: Path, text: str | bytes) -> Path:
    path = directory / "xdpkit.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{path}:")
    return caught.value


def refused_at(directory: Path, marked: str, words: str) -> None:
    """The file is refused where § stands in it, and each of the words (a|b) is in the reason."""
    offset = marked.index("§")
    path = write(directory, marked.replace("§", ""))
    error = refusal(path)
    assert (error.line, error.column) == place(marked, offset), str(error)
    assert str(error).startswith(f"{path}:{error.line}:{error.column}: ")
    for part in words.split("|"):
        assert part in error.reason
