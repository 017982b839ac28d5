"""What a start says about files that are open to others."""

from __future__ import annotations

from pathlib import Path

import pytest

from xdpkit import config
from xdpkit.instance import within_reach


@pytest.mark.parametrize(
    "secret, mode, said", [(True, 0o644, 1), (True, 0o640, 0), (False, 0o644, 0)]
)
def test_a_secret_in_a_file_that_everybody_can_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, secret: bool, mode: int, said: int
) -> None:
    (tmp_path / "zones").mkdir()
    path = tmp_path / "xdpkit.toml"
    path.write_text(
        '[interface]\nname = "eth1"\nqueues = [0]\n[dns]\nzones = "zones"\n'
        + f'cookie_secret = "{"5a" * 16}"\n' * secret
    )
    path.chmod(mode)
    within_reach.warn_of_readers(config.load(path))
    assert len(caplog.messages) == said
    assert all(f"chmod o-r {path}" in line and "5a5a" not in line for line in caplog.messages)
