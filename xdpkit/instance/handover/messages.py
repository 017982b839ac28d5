"""What the messages of a handover may say: each is checked before anything of it is used.

The other process may be of another version, broken, or not xdpkit at all.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from xdpkit._core._stats import KEYS, QUEUES, SERVICES
from xdpkit._core._thread_state import TX_METADATA_BYTES
from xdpkit.errors import ControlError
from xdpkit.services.dns.geo.health import Status
from xdpkit.services.dns.serving.cookies import ROLL_SECONDS, SECRET_BYTES

# The control socket, the link and the pipe of ``rings``.
FIRST_DESCRIPTORS = 3

# Of the facts: those, the metrics port, socket and UMEM of each queue, UDP and TCP sockets of each
# address and port, the lock.
MOST_DESCRIPTORS = FIRST_DESCRIPTORS + 1 + 2 * QUEUES + 2 * KEYS + 1

_WORDS = 200

_STATES = frozenset(Status)


def ready_queues(message: Mapping[str, Any], served: Collection[int]) -> list[int]:
    """The queues of {"ready": [...]}, whose loops are to park. Raises ControlError."""
    queues = message.get("ready")
    if not isinstance(queues, list) or not all(_is_int(queue) for queue in queues):
        raise ControlError('it sent neither "ready" with queues nor "restart"')
    if len(set(queues)) != len(queues) or not set(queues) <= set(served):
        raise ControlError(f"it wants queues that are not served: {str(queues)[:_WORDS]}")
    return queues


def is_serving(message: Mapping[str, Any]) -> bool:
    """Whether it is {"serving": true}."""
    return message.get("serving") is True


def refusal(message: Mapping[str, Any]) -> str | None:
    """The reason of {"error": ...}, on one line, or None if it is another message."""
    if "error" not in message:
        return None
    return "".join(c if c.isprintable() else " " for c in str(message["error"])[:_WORDS])


def check_facts(facts: Mapping[str, Any], descriptors: int) -> None:
    """Raises ControlError for facts that no predecessor of this layout sends."""
    for key, is_valid in _FACTS.items():
        if key not in facts or not is_valid(facts[key]):
            raise ControlError(f"the running instance sends malformed facts ({key})")
    # An older instance of this layout has none.
    if not _are_states(facts.get("health")):
        raise ControlError("the running instance sends malformed facts (health)")
    expected = FIRST_DESCRIPTORS + bool(facts["metrics"]) + 2 * len(facts["queues"])
    expected += len(facts["udp"]) + len(facts["tcp"]) + facts["lock"]
    if descriptors != expected:
        raise ControlError(
            f"the running instance sends {descriptors} descriptors, not the {expected} of its facts"
        )


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _are_queues(value: object) -> bool:
    if not isinstance(value, list) or not all(map(_is_queue, value)):
        return False
    return len({queue["number"] for queue in value}) == len(value)


def _is_queue(value: object) -> bool:
    return (
        isinstance(value, dict)
        and _is_int(value.get("number"))
        and 0 <= value["number"] < QUEUES
        and _is_int(value.get("tx_metadata"))
        and value["tx_metadata"] in (0, TX_METADATA_BYTES)
        and _is_bool(value.get("huge_pages"))
    )


def _are_keys(value: object) -> bool:
    """Of listeners' sockets: address, service, port."""
    if not isinstance(value, list) or len(value) > KEYS or not all(map(_is_key, value)):
        return False
    return len({tuple(key) for key in value}) == len(value)


def _is_key(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 3:
        return False
    address, service, port = value
    try:
        ipaddress.ip_address(address if isinstance(address, str) else "")
    except ValueError:
        return False
    return isinstance(service, str) and service in SERVICES and _is_int(port) and 0 < port < 65536


def _are_cookies(value: object) -> bool:
    if value is None:
        return True
    if not isinstance(value, dict) or not isinstance(value.get("secrets"), list):
        return False
    until = value.get("until")
    return (
        1 <= len(value["secrets"]) <= 2
        and all(map(_is_secret, value["secrets"]))
        and isinstance(until, int | float)
        and math.isfinite(until)
        # Never longer than one that starts now.
        and until <= time.monotonic() + ROLL_SECONDS
    )


def _are_states(value: object) -> bool:
    if value is None:
        return True
    if not isinstance(value, dict) or not isinstance(value.get("directory"), str):
        return False
    files = value.get("files")
    if not isinstance(files, dict) or not all(isinstance(each, dict) for each in files.values()):
        return False
    found = (state for states in files.values() for state in states.values())
    return all(_is_int(state) and state in _STATES for state in found)


def _is_secret(value: object) -> bool:
    try:
        return isinstance(value, str) and len(bytes.fromhex(value)) == SECRET_BYTES
    except ValueError:
        return False


_FACTS: Mapping[str, Callable[[object], bool]] = {
    "mode": lambda value: value in ("native", "generic"),
    "bound": _is_bool,
    "hardware_stamps": _is_bool,
    "lock": _is_bool,
    "metrics": lambda value: value is None or (isinstance(value, str) and value != ""),
    "queues": _are_queues,
    "udp": _are_keys,
    "tcp": _are_keys,
    "cookies": _are_cookies,
}
