"""RFC 8906 through the bytes door, with nothing told and with all that may be told."""

from __future__ import annotations

from typing import Any

import pytest
from dns_compliance import Case, cases, check
from dns_door import HEAD, Door

ZONE = HEAD + "".join(f'large TXT "{i:03d}{"y" * 197}"\n' for i in range(8))
TOLD = {"told": {"nsid": b"ns1", "cookie_secrets": (bytes(16),)}, "silent": {}}
CASES = cases("z.example")


@pytest.fixture(scope="module", params=TOLD)
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Door:
    told: dict[str, Any] = TOLD[request.param]
    return Door(tmp_path_factory.mktemp("zones"), {"z.example": ZONE}, **told)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_rfc_8906(door: Door, case: Case) -> None:
    _, reply = door.send(case.request)
    assert reply is not None
    check(case, reply)
