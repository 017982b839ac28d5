"""Circles of aliases: refused if a client can get into one, and only then."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from xdpkit.errors import ZoneError
from xdpkit.services.dns.geo.json_text import JsonDocument
from xdpkit.services.dns.geo.targets import (
    Location,
    client_targets,
    join_target,
    parse_targeting,
)
from xdpkit.services.dns.geo.zone_json import parse_zone

TARGETING = "@ country continent region regiongroup"
NAMES = ("", "a", "b", "c")
TARGETS = ("@", "us", "de", "us-ca", "us-ny", "us-west", "europe", "north-america")
CLIENTS = [
    client_targets(None, location, parse_targeting(TARGETING))
    for location in (
        Location(),
        Location("us"),
        Location("us", "us-ca"),
        Location("us", "us-ny"),
        Location("us", "us-wa"),
        Location("de"),
        Location("de", "de-be"),
        Location("fr"),
        Location("ca"),
        Location("jp"),
    )
]


def circles(labels: dict[str, dict[str, str]], targets: tuple[str, ...]) -> bool:
    """Whether a client can come to a name a second time, from any name: by trying."""

    def walk(name: str, above: frozenset[str]) -> bool:
        if name in above:
            return True
        keys = [join_target(name, target) for target in targets]
        ways = [labels[key]["alias"] for key in keys if key in labels]
        return any(walk(to, above | {name}) for to in ways)

    return any(walk(name, frozenset()) for name in {*labels, *NAMES})


@settings(max_examples=400, deadline=None)
@given(
    aliases=st.dictionaries(
        st.tuples(st.sampled_from(NAMES), st.sampled_from(TARGETS)),
        st.sampled_from((*NAMES, "a.us", "us")),
        max_size=8,
    )
)
def test_refused_if_and_only_if_a_client_gets_into_a_circle(
    aliases: dict[tuple[str, str], str],
) -> None:
    labels = {join_target(*at): {"alias": to} for at, to in aliases.items()}
    text = json.dumps({"targeting": TARGETING, "data": labels})
    try:
        parse_zone(JsonDocument(Path("z.json"), text), b"\1z\0", 0)
    except ZoneError as error:
        assert "circle" in str(error)
        refused = True
    else:
        refused = False
    assert refused == any(circles(labels, targets) for targets in CLIENTS)
