"""A server running in the lab: ``xdpkit run`` in the server's namespace, ready to answer."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from xdpkit.closing import Closing
from xdpkit.control_client import request
from xdpkit.errors import ControlError, LabError
from xdpkit.lab import Lab

# Zones are compiled and bcc is run before the control socket answers: a second, with reserve.
READY_SECONDS = 60.0
STOP_SECONDS = 10.0


class ServedLab(Closing):
    """The lab with one server in it; ``configuration`` is the text of its file, beside ``files``.

    ``program`` is what Python runs as a module: its name and the arguments before the file's path.
    A context manager. Raises LabError when the server does not come up, with its last words.
    """

    def __init__(
        self,
        configuration: str,
        files: dict[str, str] | None = None,
        queues: int = 4,
        cpus: str | None = None,
        program: Sequence[str] = ("xdpkit", "run", "-c"),
    ) -> None:
        self.lab = Lab(queues)
        self._configuration = configuration
        self._files = files or {}
        self._cpus = cpus
        self._program = program
        self._directory = tempfile.TemporaryDirectory(prefix="xdpkit-lab-")
        self._process: subprocess.Popen[str] | None = None

    @property
    def path(self) -> Path:
        """The directory of the configuration file, xdpkit.toml, and what lies beside it."""
        return Path(self._directory.name)

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        try:
            for name, text in {**self._files, "xdpkit.toml": self._configuration}.items():
                target = self.path / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text)
            self.lab.__enter__()
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def _start(self) -> None:
        pinned = ["taskset", "-c", self._cpus] if self._cpus else []
        argv = [sys.executable, "-m", *self._program, str(self.path / "xdpkit.toml")]
        # Whatever the configuration says of a cache, nothing of a lab stays on the machine.
        environment = os.environ | {"CACHE_DIRECTORY": str(self.path / "cache")}
        with (self.path / "log").open("w") as log:
            self._process = self.lab.server.popen(*pinned, *argv, stderr=log, env=environment)
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.status()
                return
            except ControlError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    words = self.log().strip() or "nothing"
                    raise LabError(f"the server did not come up; it said: {words}") from None
            time.sleep(0.02)

    def status(self) -> dict[str, Any]:
        """The document of ``xdpkit status --json``. Raises ControlError."""
        with self.lab.server.entered():
            return request(self.lab.server.ifname, "status")

    def log(self) -> str:
        """What the server has said so far."""
        return (self.path / "log").read_text()

    def stop(self) -> int:
        """Ends the server by SIGTERM; returns its exit status."""
        process = self._process
        if process is None:
            return 0
        process.terminate()
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def close(self) -> None:
        """Ends the server, the lab and the files."""
        self.stop()
        self.lab.close()
        self._directory.cleanup()
