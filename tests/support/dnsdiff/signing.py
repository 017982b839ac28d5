"""Signs the zones with BIND's tools: fresh keys and signatures, nothing from the network."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from checkout import CHECKOUT
from required import missing

from dnsdiff.zone_sets import USUAL, ZoneSet

# Options of dnssec-signzone: NSEC3 with a salt and iterations, and without both.
OPTIONS = {
    "nsec": (),
    "nsec3": ("-3", "0123abcd", "-H", "5"),
    "optout": ("-3", "-", "-H", "0", "-A"),
}


def program(name: str) -> str | None:
    """A program on PATH or unpacked by vagrant/provision.sh."""
    unpacked = sorted(CHECKOUT.glob(f".cache/peers/*/usr/*bin/{name}"))
    return shutil.which(name) or (str(unpacked[0]) if unpacked else None)


def programs(*names: str) -> dict[str, str]:
    """The paths of all of them by name; without one, the test is skipped or fails (required.py)."""
    found = {name: path for name in names if (path := program(name)) is not None}
    if lost := [name for name in names if name not in found]:
        missing(f"no {', '.join(lost)}: vagrant/provision.sh test installs them")
    return found


def run(directory: Path, name: str, *arguments: str) -> str:
    """Runs a BIND program in a directory; returns its output."""
    found = program(name)
    assert found, f"no {name}: vagrant/provision.sh test installs it"
    done = subprocess.run(
        [found, *arguments], cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{name}: {done.stderr}"
    return done.stdout.strip()


def sign(directory: Path, zone: str, options: tuple[str, ...]) -> Path:
    """Signs `ZONE.zone` of a directory in place, children before parents; returns the KSK."""
    key = run(directory, "dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", zone)
    run(directory, "dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", zone)
    given, made = directory / f"{zone}.zone", directory / f"{zone}.signed"
    run(
        directory,
        "dnssec-signzone",
        *("-S", "-g", "-P", "-q", "-O", "full", "-o", zone, "-f", made.name, *options),
        given.name,
    )
    made.replace(given)
    return directory / f"{key}.key"


def write(directory: Path, zone_set: ZoneSet = USUAL) -> dict[str, Path]:
    """Writes the zones of a set and signs them as it says; returns the KSK of each signed zone."""
    directory.mkdir(parents=True)
    for zone, text in zone_set.texts.items():
        (directory / f"{zone}.zone").write_text(text)
    # Children first, so that their parents get the DS.
    signed = sorted(zone_set.signed, key=lambda zone: -len(zone.rstrip(".")))
    return {zone: sign(directory, zone, OPTIONS[zone_set.signed[zone]]) for zone in signed}
