"""Every error that xdpkit raises for a person to read.

    XdpkitError                 exit 1
      UsageError                exit 2: the command line
      ConfigError               exit 2: configuration or data files, with file:line
        ConfigErrors            several of them in one file
        ZoneError               a zone's master file
          ZoneErrors            several things in one file, or in the files of a directory
        UnansweredError         a file system that does not answer
      NicError                  an interface or its driver
        QueueError              an RX queue
        AttachError             attaching the XDP program
        BindError               an AF_XDP socket
        StampError              the NIC's hardware receive stamps
        SettingError            a NIC setting could not be read or changed
        JournalError            changes that an earlier run made to the NIC and did not undo
      BpfError                  no bcc, or the compiler or verifier rejected steer.c
      PrivilegeError            a capability or permission that the process lacks
      ThreadError               an answering thread died
      SocketError               a kernel socket: of the slow path, of metrics
      ControlError              the control socket: no instance, several, or no permission
      StateError                a file below /run/xdpkit that must not be believed
      BusyError                 a running instance has too much to do already, or is stopping
      StuckError                a child process that makes no progress
      ReloadError               a reload that applied nothing: all the reasons
      PartialReloadError        a reload of which a fault of xdpkit itself left a part out
      RestartError              settings that only a restart changes
      CaptureError              what was captured cannot be written
      LabError                  the network namespaces of demo, tests and benchmarks

Each message is one line: the thing, the reason, the fix; that of ConfigErrors, one for each error.
What others wrote into it is escaped when it is shown (``lines``).
``cli.main`` prints it and exits with ``exit_code``; ``--debug`` shows the traceback.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from xdpkit.escape import escape


class XdpkitError(Exception):
    """A failure that the user can fix."""

    exit_code = 1
    errors: Sequence[XdpkitError] = ()
    """What it consists of, where several things failed at once."""

    def lines(self) -> list[str]:
        """The message, or those of all its ``errors``, each on one line."""
        if self.errors:
            return [line for error in self.errors for line in error.lines()]
        return [escape(str(self).replace("\n", " "))]


class UsageError(XdpkitError):
    """The command line asks for something impossible."""

    exit_code = 2


class ConfigError(XdpkitError):
    """A configuration or data file is wrong; the message starts with ``file:line:column:``.

    Line and column are left out where they are not known.
    """

    exit_code = 2
    errors: Sequence[ConfigError] = ()

    def __init__(
        self, path: Path | str, reason: str, line: int | None = None, column: int | None = None
    ) -> None:
        self.path, self.reason, self.line, self.column = str(path), reason, line, column
        location = ":".join(str(part) for part in (path, line, column) if part is not None)
        super().__init__(f"{location}: {reason}")

    def location(self) -> dict[str, str | int | None]:
        """Where it is: path, line and column."""
        return {"path": self.path, "line": self.line, "column": self.column}


Wrong = TypeVar("Wrong", bound=ConfigError)

# Lines about one file; and how many errors are counted, as something else may be in its place.
FILE_LINES = 20
ERRORS_MAX = 1000


def shortened(errors: Sequence[Wrong], most: int = FILE_LINES) -> list[Wrong]:
    """The first errors of a file, and one that says how many more there are."""
    if len(errors) <= most:
        return list(errors)
    more = f"{'at least ' * (len(errors) >= ERRORS_MAX)}{len(errors) - most} more"
    last = errors[most - 1]
    return [*errors[:most], type(last)(last.path, f"and {more} errors")]


class ConfigErrors(ConfigError):
    """Several things are wrong with one file: its ``errors``, one line each.

    As a single ConfigError it has the location of the first.
    """

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        first = errors[0]
        super().__init__(first.path, first.reason, first.line, first.column)
        self.errors: tuple[ConfigError, ...] = tuple(errors)
        self.args = ("\n".join(str(error) for error in errors),)


class ZoneError(ConfigError):
    """A master file that cannot be served."""


class ZoneErrors(ConfigErrors, ZoneError):
    """Several things are wrong with one master file, or with those of a directory."""


class UnansweredError(ConfigError):
    """The file system that a configuration or data file is on does not answer."""

    def __init__(self, path: Path | str, what: str) -> None:
        super().__init__(path, f"{what}: check the file system that it is on (df, dmesg)")


class NicError(XdpkitError):
    """An interface cannot do what was requested."""


class QueueError(NicError):
    """An RX queue does not exist or is in use."""


class AttachError(NicError):
    """The XDP program could not be attached."""


class BindError(NicError):
    """An AF_XDP socket could not be created or bound."""


class StampError(NicError):
    """The NIC's hardware receive stamps are not available."""


class SettingError(NicError):
    """An interface setting could not be read or changed: what was tried, why, and a hint."""

    def __init__(self, ifname: str, op: str, number: int = 0, hint: str = "") -> None:
        self.ifname, self.op, self.errno, self.hint = ifname, op, number, hint
        reason = f" ({os.strerror(number)})" if number else ""
        super().__init__(f"{ifname}: {op}{reason}" + (f": {hint}" if hint else ""))


class JournalError(NicError):
    """The journal cannot be written, or lists changes that must not be undone here."""


class BpfError(XdpkitError):
    """The XDP program could not be compiled or loaded; ``log`` is the compiler's or verifier's."""

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason)
        self.log = log
        if log:
            self.add_note(log)  # --debug shows it in the traceback


class PrivilegeError(XdpkitError):
    """The process lacks a permission that it needs."""


class ThreadError(XdpkitError):
    """An answering thread died, and nothing can take over its work."""


class SocketError(XdpkitError):
    """A kernel socket could not be opened."""


class PortTakenError(SocketError):
    """Another program has the port."""


class ControlError(XdpkitError):
    """The control socket of a running instance could not be used."""


class StateError(XdpkitError):
    """A file below /run/xdpkit that somebody else may have written, or that is not a file."""


class BusyError(XdpkitError):
    """An inbox of a running instance is full, or its owner has ended."""


class StuckError(XdpkitError):
    """A child process made no progress, and was ended: the next attempt may succeed."""


class ReloadError(XdpkitError):
    """A reload that applied nothing: one line for each of the ``errors``."""

    def __init__(self, errors: Sequence[XdpkitError]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = tuple(errors)
        self.exit_code = max(error.exit_code for error in errors)


class PartialReloadError(XdpkitError):
    """A reload that is in use, but for parts that a fault of xdpkit itself left as they were."""


class RestartError(XdpkitError):
    """A reload that applied nothing: settings changed that need a restart, which it names."""


class CaptureError(XdpkitError):
    """What was captured cannot be written."""


class LabError(XdpkitError):
    """The lab's namespaces could not be created or entered."""
