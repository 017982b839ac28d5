"""Users and capabilities to run a program with, by setpriv(1)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serving import XDPKIT

from xdpkit.lab.namespaces import Side

NOBODY = ("--reuid=65534", "--regid=65534", "--clear-groups")
NO_CAPABILITIES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all")


def need_readable_checkout(side: Side) -> None:
    """Skips where another user cannot run the programs under test."""
    if side.run("setpriv", *NOBODY, XDPKIT, "--version").returncode:
        pytest.skip("other users cannot read this checkout")


@contextmanager
def open_directory(side: Side) -> Iterator[Path]:
    """A directory that any user may read; skips where the checkout is not."""
    need_readable_checkout(side)
    with tempfile.TemporaryDirectory(prefix="xdpkit-test-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)
