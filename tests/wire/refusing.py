"""``xdpkit run`` that is refused: one line, which tests look at."""

from __future__ import annotations

from pathlib import Path

from serving import CONFIG, PATIENCE, XDPKIT, write_config

from xdpkit.lab.namespaces import Lab

# What the log says of the zones, of files that belong to another user, and of the configuration,
# which has a secret and is readable here for a server of any user.
NOT_REFUSALS = ("xdpkit: zones:", "xdpkit: /var/cache/xdpkit/", "xdpkit: /run/xdpkit/")
READABLE = "every user on this machine can read its cookie_secret"


def refused(
    lab: Lab, directory: Path, config: str = CONFIG, before: tuple[str, ...] = (), status: int = 1
) -> str:
    """Starts with the command prefix ``before``, and returns the one line of output."""
    path = write_config(directory, config)
    done = lab.server.run(*before, XDPKIT, "run", "-c", str(path), timeout=PATIENCE)
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    [line] = [line for line in lines if not line.startswith(NOT_REFUSALS) and READABLE not in line]
    assert "Traceback" not in line
    return line
