"""``xdpkit run`` with its own configuration and files, ready to answer."""

from __future__ import annotations

import subprocess
import tempfile
import time
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from xdpkit.control.client import request
from xdpkit.errors import ControlError, LabError, XdpkitError
from xdpkit.lab.namespaces import Lab
from xdpkit.runtime import child
from xdpkit.runtime.closing import Closing

# How often a starting server is polled.
POLL_SECONDS = 0.02


class Served(Closing):
    """A server with its own files, ready to answer inside a ``with``; a subclass says where.

    ``configuration`` is the text of its configuration file, which lies beside ``files``.
    ``program`` is what Python runs as a module: its name and the arguments before the file's path.
    """

    # Zones are compiled and bcc runs before the control socket answers: a second, plus margin.
    ready_seconds = 60.0
    stop_seconds = 10.0

    def __init__(
        self,
        configuration: str,
        files: dict[str, str] | None = None,
        program: Sequence[str] = ("xdpkit", "run", "-c"),
    ) -> None:
        self._files = {**(files or {}), "xdpkit.toml": configuration}
        self._program = program
        self._directory = tempfile.TemporaryDirectory(prefix="xdpkit-served-")
        self._process: subprocess.Popen[str] | None = None

    @property
    def path(self) -> Path:
        """The directory of the configuration file, xdpkit.toml, and the files beside it."""
        return Path(self._directory.name)

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        try:
            for name, text in self._files.items():
                target = self.path / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text)
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def _start(self) -> None:
        argv = child.python(*self._program, str(self.path / "xdpkit.toml"))
        # Whatever the configuration says about a cache, nothing is left on the machine.
        options = child.options(CACHE_DIRECTORY=str(self.path / "cache"))
        with (self.path / "log").open("w") as log:
            self._process = self._popen(argv, stderr=log, **options)
        deadline = time.monotonic() + self.ready_seconds
        while True:
            try:
                self.status()
                return
            except ControlError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise self._startup_error() from None
            time.sleep(POLL_SECONDS)

    @abstractmethod
    def _popen(self, argv: list[str], **options: Any) -> subprocess.Popen[str]:
        """Starts a program where the server should run."""

    @abstractmethod
    def _startup_error(self) -> XdpkitError:
        """The error to raise for a server that exited or was not ready in time."""

    @abstractmethod
    def status(self) -> dict[str, Any]:
        """The document of ``xdpkit status --json``. Raises ControlError."""

    def log(self) -> str:
        """What the server has logged so far."""
        return (self.path / "log").read_text()

    def stop(self) -> int:
        """Stops the server with SIGTERM; returns its exit status."""
        process = self._process
        if process is None:
            return 0
        process.terminate()
        try:
            return process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def close(self) -> None:
        """Stops the server and removes its files."""
        self.stop()
        self._directory.cleanup()


class ServedLab(Served):
    """The lab with one server in it. Raises LabError with its log if it does not come up."""

    def __init__(
        self,
        configuration: str,
        files: dict[str, str] | None = None,
        queues: int = 4,
        cpus: str | None = None,
        program: Sequence[str] = ("xdpkit", "run", "-c"),
    ) -> None:
        super().__init__(configuration, files, program)
        self.lab = Lab(queues)
        self._cpus = cpus

    def _popen(self, argv: list[str], **options: Any) -> subprocess.Popen[str]:
        self.lab.__enter__()
        pinned = ["taskset", "-c", self._cpus] if self._cpus else []
        return self.lab.server.popen(*pinned, *argv, **options)

    def _startup_error(self) -> LabError:
        lines = self.log().strip().splitlines() or ["nothing"]
        return LabError(f"the server did not come up; its log ends with: {lines[-1]}")

    def status(self) -> dict[str, Any]:
        """The document of ``xdpkit status --json``. Raises ControlError."""
        with self.lab.server.entered():
            return request(self.lab.server.ifname, "status")

    def close(self) -> None:
        """Stops the server, removes its files and closes the lab."""
        super().close()
        self.lab.close()
