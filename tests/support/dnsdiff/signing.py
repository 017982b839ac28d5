"""Signs the zones with BIND's tools: keys and signatures of today, nothing from the network."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from checkout import CHECKOUT

from dnsdiff.worlds import USUAL, World

# What dnssec-signzone is told beside the zone: a salt and some iterations, and none.
OPTIONS = {
    "nsec": (),
    "nsec3": ("-3", "0123abcd", "-H", "5"),
    "optout": ("-3", "-", "-H", "0", "-A"),
}


def program(name: str) -> str | None:
    """A program on PATH or unpacked by vagrant/provision.sh."""
    unpacked = sorted(CHECKOUT.glob(f".cache/peers/*/usr/*bin/{name}"))
    return shutil.which(name) or (str(unpacked[0]) if unpacked else None)


def run(directory: Path, name: str, *arguments: str) -> str:
    """A program of BIND's in a directory; its output."""
    found = program(name)
    assert found, f"no {name}: vagrant/provision.sh test installs it"
    done = subprocess.run(
        [found, *arguments], cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{name}: {done.stderr}"
    return done.stdout.strip()


def sign(directory: Path, zone: str, options: tuple[str, ...]) -> Path:
    """Signs `ZONE.zone` of a directory in its place, children before parents; gives the KSK."""
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


def write(directory: Path, world: World = USUAL) -> dict[str, Path]:
    """Writes a world's zones, the signed ones signed; gives the KSK of each of those."""
    directory.mkdir(parents=True)
    for zone, text in world.texts.items():
        (directory / f"{zone}.zone").write_text(text)
    # A child first, so that its parent gets the DS.
    signed = sorted(world.signed, key=lambda zone: -len(zone.rstrip(".")))
    return {zone: sign(directory, zone, OPTIONS[world.signed[zone]]) for zone in signed}
