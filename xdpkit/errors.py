"""Everything xdpkit raises for a person to read.

    XdpkitError                 exit 1
      UsageError                exit 2: the command line
      ConfigError               exit 2: configuration or data files, with file:line
        ZoneError               a zone's master file
      NicError                  an interface or its driver
        QueueError              an RX queue
        AttachError             the XDP program's attachment
        BindError               an AF_XDP socket
        StampError              receive stamps of the NIC's hardware
        SettingError            a setting of the NIC was not read or changed
        JournalError            what an earlier run changed on the NIC, and is not undone
      BpfError                  bcc is missing, or compiler or verifier refused steer.c
      PrivilegeError            a capability or a right that the process does not have
      ThreadError               an answering thread is no more
      SocketError               a kernel socket: of the slow path, of metrics
      ControlError              the control socket: nobody there, two there, not allowed
      LabError                  the network namespaces of demo, tests and benchmarks

The text of each is one line: the thing, the reason, the fix. ``cli.main`` prints it and exits with
``exit_code``; ``--debug`` shows the trace behind it.
"""

from __future__ import annotations

import os
from pathlib import Path


class XdpkitError(Exception):
    """Something failed that the person at the terminal can mend."""

    exit_code = 1


class UsageError(XdpkitError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class ConfigError(XdpkitError):
    """A configuration or data file is wrong; the text starts with ``file:line:column:`` if any."""

    exit_code = 2

    def __init__(
        self, path: Path | str, reason: str, line: int | None = None, column: int | None = None
    ) -> None:
        self.path, self.reason, self.line, self.column = str(path), reason, line, column
        place = ":".join(str(part) for part in (path, line, column) if part is not None)
        super().__init__(f"{place}: {reason}")


class ZoneError(ConfigError):
    """A master file that cannot be served."""


class NicError(XdpkitError):
    """An interface that cannot do what was asked of it."""


class QueueError(NicError):
    """An RX queue that is not there or is taken."""


class AttachError(NicError):
    """The XDP program could not be attached."""


class BindError(NicError):
    """An AF_XDP socket could not be made or bound."""


class StampError(NicError):
    """Receive stamps of the NIC's hardware cannot be had."""


class SettingError(NicError):
    """A setting of an interface could not be read or changed: what was tried, why, what helps."""

    def __init__(self, ifname: str, op: str, number: int = 0, hint: str = "") -> None:
        self.ifname, self.op, self.errno, self.hint = ifname, op, number, hint
        reason = f" ({os.strerror(number)})" if number else ""
        super().__init__(f"{ifname}: {op}{reason}" + (f": {hint}" if hint else ""))


class JournalError(NicError):
    """The journal of changes cannot be written, or tells of what must not be undone here."""


class BpfError(XdpkitError):
    """The XDP program could not be compiled or loaded; ``log`` is the compiler's or verifier's."""

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason)
        self.log = log
        if log:
            self.add_note(log)  # the trace of --debug shows it


class PrivilegeError(XdpkitError):
    """The process may not do what it needs to."""


class ThreadError(XdpkitError):
    """An answering thread is no more, and nothing takes its place."""


class SocketError(XdpkitError):
    """A kernel socket could not be opened."""


class ControlError(XdpkitError):
    """The control socket of a running instance could not be used."""


class LabError(XdpkitError):
    """The lab's namespaces could not be made or entered."""
