"""``python takeover_fault.py POINT SIGNAL -c FILE``: a successor that gets a signal at a point.

``xdpkit run -c FILE --takeover`` that sends itself the signal, once, when it comes to the point.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from xdpkit.cli import main as cli
from xdpkit.dataplane.attach import Attached
from xdpkit.instance.handover import successor
from xdpkit.instance.handover.successor import HandedOverState
from xdpkit.instance.handover.wire import Wire

POINTS = {
    "asked": "has asked for the state",
    "state": "has the state",
    "prepared": "has opened all that it can",
    "ready": "has said that it is ready",
    "rings": "owns the rings",
    "program": "has its program in the link",
    "loops": "runs its loops",
}
"""Each in the order in which a successor comes to it."""

POINT, SIGNAL = sys.argv[1:3] if len(sys.argv) > 2 else ("", "SIGCONT")


def reached(point: str) -> None:
    global POINT
    if point == POINT:
        POINT = ""
        os.kill(os.getpid(), signal.Signals[SIGNAL])


def after(point: str, function: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapped(*arguments: Any) -> Any:
        result = await function(*arguments)
        reached(point)
        return result

    return wrapped


async def send(wire: Wire, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
    if "serving" in message:
        reached("loops")
    await plain_send(wire, message, descriptors)
    if "verb" in message:
        reached("asked")
    if "ready" in message:
        reached("ready")


async def switch(state: HandedOverState, *arguments: Any) -> None:
    reached("prepared")
    await plain_switch(state, *arguments)


def update(attached: Attached) -> None:
    plain_update(attached)
    reached("program")


plain_send, plain_switch, plain_update = Wire.send, HandedOverState.switch, Attached.update

if __name__ == "__main__":
    Wire.send = send  # type: ignore[method-assign,assignment]
    HandedOverState.switch = switch  # type: ignore[method-assign]
    Attached.update = update  # type: ignore[method-assign]
    successor.request_takeover = after("state", successor.request_takeover)
    successor.take_rings = after("rings", successor.take_rings)
    sys.exit(cli.main(["run", *sys.argv[3:]]))
