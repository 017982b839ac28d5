"""``xdpkit run``: starts one instance, runs it until a signal, and stops it.

The XDP program's compiler, which takes as long as all else, begins before most is imported.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
from contextlib import ExitStack, closing

from xdpkit.bpf.loader import Loading
from xdpkit.config import Config, InterfaceConfig
from xdpkit.dataplane import forms
from xdpkit.errors import XdpkitError
from xdpkit.nic.os import names
from xdpkit.runtime import child, privileges
from xdpkit.runtime.logs import log_to_stderr

log = logging.getLogger("xdpkit")


def run(config: Config, takeover: bool = False, yes: bool = False, wait: bool = False) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit status. Raises XdpkitError.

    With ``takeover`` it takes over from a running instance, if there is one; with ``yes`` it starts
    even if that moves the traffic of an ssh session; with ``wait`` it first waits until the
    interface exists and is up.
    """
    privileges.check(privileges.needed(config.interface.realtime))
    with ExitStack() as stack:
        loading = _begun(config.interface)
        if loading:
            stack.enter_context(closing(loading))
        import anyio

        from xdpkit.instance.server import Server
        from xdpkit.nic.os.interface import await_up
        from xdpkit.runtime import standard_error

        standard_error.install()
        log_to_stderr()
        if note := privileges.raise_open_files():
            log.warning("%s", note)
        if wait:
            anyio.run(await_up, config.interface.name)
        _wait_without_threads()
        server = Server(config, takeover, yes, loading=loading)
        atexit.register(server.ending.exit_without_threads)
        return anyio.run(server.run)


def _begun(config: InterfaceConfig) -> Loading | None:
    """The XDP program, begun; None where it cannot be yet: the start says why, or waits."""
    try:
        child.keep_modules()
        return forms.begin(config, names.index_of(config.name))
    except (XdpkitError, OSError):
        return None


def _wait_without_threads() -> None:
    """Has children waited for by descriptors (pidfd_open(2)), as Python does from 3.12 on.

    3.11 has a thread for each, and one that is begun before ``privileges.settle`` keeps its rights.
    """
    if sys.version_info < (3, 12):
        try:
            os.close(os.pidfd_open(os.getpid()))
        except OSError:
            # A filter: with threads it works, too.
            return
        import asyncio

        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
