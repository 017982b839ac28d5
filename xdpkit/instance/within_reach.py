"""What a configuration names, kept within reach before the rights to go anywhere are given up."""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from pathlib import Path

import xdpkit
from xdpkit.config import Config
from xdpkit.errors import PrivilegeError
from xdpkit.reach import keep, out_of_reach, reach
from xdpkit.regular_file import open_regular
from xdpkit.runtime import child
from xdpkit.services.dns.zonefile.sources import compiler_key

log = logging.getLogger("xdpkit")


def keep_files(config: Config) -> None:
    """Keeps modules, and the directories of the configuration, the keys and the zones.

    Raises PrivilegeError where not even our own modules would be within reach.
    """
    child.keep_modules()
    if blocked := out_of_reach(Path(xdpkit.__file__).parent):
        raise PrivilegeError(
            f"{blocked}: xdpkit is installed where root without special rights (as run is) may not "
            f"go: chmod -R o+rX {blocked}"
        )
    directories = [config.path.parent]
    directories += [config.ntp.keys.parent] if config.ntp and config.ntp.keys else []
    if config.dns:
        directories.append(config.dns.zones)
        geo = config.dns.geo
        named = [config.dns.geoip, geo and geo.health, geo and geo.map and geo.map.parent]
        directories += [each for each in named if each]
        # Read from our sources, and remembered.
        compiler_key()
    for directory in directories:
        # What is not there will be said when it is to be read.
        with suppress(OSError):
            keep(directory)


def warn_of_reload(config: Config) -> None:
    """Logs if the file could be read at the start only."""
    try:
        os.close(open_regular(config.path))
    except OSError as error:
        log.warning("%s; every reload will fail", error)


def warn_of_readers(config: Config) -> None:
    """Logs if the file has a secret, and everybody can read it."""
    if config.dns is None or not config.dns.cookie_secret:
        return
    with suppress(OSError):
        if os.stat(reach(config.path)).st_mode & stat.S_IROTH:  # noqa: PTH116
            log.warning(
                "%s: every user on this machine can read its cookie_secret: chmod o-r %s, and give "
                "it to the user that runs xdpkit",
                config.path,
                config.path,
            )
