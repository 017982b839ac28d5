"""One zone of many is edited, for ``bench --zones``: how long until its new answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xdpkit.bench.zones_servers import Running, Server, started
from xdpkit.bench.zones_site import AGAIN_SECONDS, Say, Site
from xdpkit.errors import LabError
from xdpkit.loadgen.figures import spread
from xdpkit.services.dns.serving.watch import QUIET_SECONDS

# The longest that a new answer may take: compiling 10,000 zones anew took 100 s.
NEW_SECONDS = 300.0

Facts = dict[str, Any]


def measure(
    servers: Sequence[Server], site: Site, scratch: Path, edits: int, say: Say
) -> list[Facts]:
    """A row for each server: seconds from the edit, or the command to reread, to the new answer."""
    rows = []
    for server in servers:
        say(f"edits: starting {server.name}")
        with started(server, site, scratch / f"{server.name}-edits", say) as running:
            taken = []
            for count, number in enumerate(site.chosen(edits, seed=1)):
                say(f"edits, {server.name}: {count + 1} of {edits}")
                taken.append(edit(running, number, say))
        # What is waited for whatever happens: the file must not change for so long.
        quiet = QUIET_SECONDS if server.ours else 0.0
        facts = {"name": server.name, "server": server.version, "edits": edits, "quiet_s": quiet}
        rows.append(facts | spread("new_answer_s", [each - quiet for each in taken]))
    return rows


def edit(running: Running, number: int, say: Say) -> float:
    """Seconds from an edit to its answer. Raises LabError if there is none."""
    begin = time.monotonic()
    address = running.site.edit(number)
    if not running.server.ours:
        begin = time.monotonic()
    running.reread(number)
    said = begin
    while not running.asker.answers(number, address):
        now = time.monotonic()
        if now - begin > NEW_SECONDS or not running.is_alive():
            raise LabError(f"{running.server.name}: an edit did not show in {now - begin:.0f} s")
        if now - said > 1:
            said = now
            say(f"edits, {running.server.name}: {now - begin:.0f} s for one of them so far")
        time.sleep(AGAIN_SECONDS)
    return time.monotonic() - begin
