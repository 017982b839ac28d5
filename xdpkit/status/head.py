"""How the status begins: healthy, degraded or down, why, and what runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import groupby
from typing import Any


def head_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The lines before all tables; what an older instance does not say is left out."""
    if health := document.get("health"):
        yield f"{document['interface']}: {health['state']}"
        for reason in health["reasons"]:
            yield f"  {reason['text']}"
    yield _obtained(document)
    if served := document.get("served"):
        yield f"serving {_served(served)}"
    if "version" in document:
        yield f"version {document['version']}, configuration {document['configuration']}"
        yield f"last reload: {_reload(document.get('reload'))}"


def _obtained(document: Mapping[str, Any]) -> str:
    copy = "zero-copy" if document["zerocopy"] else "copy"
    up = timedelta(seconds=int(document["uptime_s"]))
    return (
        f"{document['interface']}: {document['mode']} mode, {copy}, steering"
        f" {document['steering']}, timestamps {document['timestamps']}, pid {document['pid']},"
        f" up {up}"
    )


def _served(served: list[Mapping[str, Any]]) -> str:
    """Services and ports by the addresses that they share."""

    def addresses(each: Mapping[str, Any]) -> str:
        return ", ".join(each["addresses"]) or "no address"

    parts = []
    ports = sorted((each for each in served if "port" in each), key=addresses)
    for where, members in groupby(ports, addresses):
        names = (f"{m['service']} on {m['protocol'].upper()} {m['port']}" for m in members)
        parts.append(f"{', '.join(names)} at {where}")
    parts += [f"metrics at {each['url']}" for each in served if "url" in each]
    return "; ".join(parts)


def _reload(reload: Mapping[str, Any] | None) -> str:
    if not reload:
        return "none since the start"
    if errors := reload["errors"]:
        more = f" (and {len(errors) - 1} more errors)" if len(errors) > 1 else ""
        return f"failed at {reload['at']}: {errors[0]}{more}"
    changed = f", changed {', '.join(reload['changed'])}" if reload["changed"] else ""
    return f"at {reload['at']}, in use{changed}"
