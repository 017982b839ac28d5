"""What may be the name of an interface."""

from __future__ import annotations

from typing import Any

# linux/if.h IFNAMSIZ, with the terminating zero; linux/if_link.h ALTIFNAMSIZ for altnames.
IFNAMSIZ, ALTIFNAMSIZ = 16, 128


def is_ifname(name: Any, limit: int = IFNAMSIZ) -> bool:
    """Whether the kernel accepts it as an interface's name (dev_valid_name of net/core/dev.c).

    Only printable ones: the others are legal, and used by nobody who means well.
    """
    return (
        isinstance(name, str)
        and name.isprintable()
        and 0 < len(name.encode()) < limit
        and name not in (".", "..")
        and not any(char in "/:" or char.isspace() for char in name)
    )
