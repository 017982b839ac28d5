"""Files of the Debian package that repeat what the program says: they must not go stale."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Collection, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from checkout import CHECKOUT
from packaging.requirements import Requirement

from xdpkit import config
from xdpkit.cli import check
from xdpkit.cli.parser import parser
from xdpkit.config import Config
from xdpkit.config.load import SECTIONS
from xdpkit.config.schema import name_of, settings
from xdpkit.errors import ConfigError

DEBIAN = CHECKOUT / "packaging/debian"
SAMPLE = (DEBIAN / "xdpkit.toml").read_text()


def load_generator() -> Any:
    spec = importlib.util.spec_from_file_location("manpages", DEBIAN / "manpages.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["manpages"] = module  # where its dataclasses look up their annotations
    spec.loader.exec_module(module)
    return module


manpages = load_generator()
TABLES = manpages.read_sample(SAMPLE).tables
EXAMPLES = [
    (table.name, key.name) for table in TABLES for key in table.keys if "No default" in key.text
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """What the package installs in /etc/xdpkit, and a key file with the name in the sample."""
    (tmp_path / "zones").mkdir()
    shutil.copy(DEBIAN / "example.zone", tmp_path / "zones")
    (tmp_path / "ntp.keys").write_text("1 SHA1 HEX:000102030405060708090a0b0c0d0e0f10111213\n")
    (tmp_path / "ntp.keys").chmod(0o600)
    return tmp_path


def load(directory: Path, text: str) -> Config:
    path = directory / "xdpkit.toml"
    path.write_text(text)
    return config.load(path)


def uncommented(keys: Collection[tuple[str, str]]) -> str:
    """The sample with every table on, and with these keys active besides those that are."""
    lines = []
    for table in TABLES:
        lines.append(f"[{table.name}]")
        lines += [
            f"{key.name} = {key.value}"
            for key in table.keys
            if key.active or key.name == "name" or (table.name, key.name) in keys
        ]
    return "\n".join(lines) + "\n"


def all_keys() -> set[tuple[str, str]]:
    return {(table.name, key.name) for table in TABLES for key in table.keys}


def test_sample_can_be_served_once_the_interface_is_named(directory: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[interface\] needs name"):
        load(directory, SAMPLE)
    facts = check.facts(load(directory, SAMPLE.replace('#name = "eth1"', 'name = "eth1"')))
    assert facts["services"].keys() == {"ntp", "dns"}
    assert facts["services"]["dns"]["zones"].keys() == {"example"}
    assert [each for each in facts["warnings"] if "zone" in each["path"]] == []


def test_sample_has_every_table_and_key() -> None:
    declared: dict[str, set[str]] = {}
    for kind in SECTIONS.values():
        keys = settings(kind)
        nested = [setting.table for setting in keys.values() if setting.table]
        declared[name_of(kind)] = {key for key in keys if not keys[key].table}
        declared |= {name_of(each): set(settings(each)) for each in nested}
    assert {table.name: {key.name for key in table.keys} for table in TABLES} == declared


def test_commented_values_are_the_defaults(directory: Path) -> None:
    defaulted = all_keys() - set(EXAMPLES)
    assert load(directory, uncommented(defaulted)) == load(directory, uncommented(()))


@pytest.mark.parametrize("table, key", EXAMPLES)
def test_examples_are_accepted(directory: Path, table: str, key: str) -> None:
    defaults = load(directory, uncommented(()))
    changed = load(directory, uncommented([(table, key)]))
    assert changed != defaults
    check.facts(changed)


def test_numbers_have_the_bounds_that_are_accepted() -> None:
    accepted = {}
    for kind in SECTIONS.values():
        for each in (kind, *(key.table for key in settings(kind).values() if key.table)):
            accepted |= {(name_of(each), key): s.accepts for key, s in settings(each).items()}
    told = 0
    for table in TABLES:
        for key in table.keys:
            bounds = re.fullmatch(r"integer, (-?\d+) to (\d+)", accepted[table.name, key.name])
            found = re.search(r"(-?\d+) to (\d+)|up to (\d+)", key.text)
            if bounds and found:
                told += 1
                assert bounds[2] == (found[2] or found[3]), (table.name, key)
                assert bounds[1] == found[1] or bounds[1] == "0", (table.name, key)
    assert told > 5


def test_each_key_has_one_line() -> None:
    assert [line for line in SAMPLE.splitlines() if len(line) > 100] == []
    for before, line in pairwise(SAMPLE.splitlines()):
        if re.match(r"#?[a-z0-9_]+ = ", line):
            assert before.startswith("# "), line


# ------------------------------------------------------------------------------- man pages


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both man pages, as the build makes them."""
    directory = tmp_path_factory.mktemp("pages")
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT), "SOURCE_DATE_EPOCH": "1767225600"}
    command = [sys.executable, DEBIAN / "manpages.py", directory]
    subprocess.run(command, check=True, cwd=CHECKOUT, env=environment)
    return directory


def verbs() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    root = parser()
    yield "", root
    for action in root._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


@pytest.mark.parametrize("verb, of_verb", list(verbs()), ids=lambda value: value or "xdpkit")
def test_manual_has_every_argument(
    pages: Path, verb: str, of_verb: argparse.ArgumentParser
) -> None:
    sections = (pages / "xdpkit.8").read_text().split("\n.SS ")
    section = next(each for each in sections if not verb or each.startswith(f"xdpkit {verb} "))
    for action in of_verb._actions:
        if verb and action.dest == "help":
            continue
        for word in action.option_strings or [action.metavar or ",".join(action.choices or ())]:
            assert str(word).replace("-", "\\-") in section, word


def test_manual_has_every_key(pages: Path) -> None:
    text = (pages / "xdpkit.toml.5").read_text()
    entries = re.findall(r"^\.SH \[(.+)\]|^\.TP\n\.B (.+)", text, re.MULTILINE)
    assert [name for pair in entries for name in pair if name] == [
        name for table in TABLES for name in (table.name, *(key.name for key in table.keys))
    ]


@pytest.mark.parametrize("page", ["xdpkit.8", "xdpkit.toml.5"])
def test_manual_is_valid_roff(tool: Callable[[str], str], pages: Path, page: str) -> None:
    command = [tool("groff"), "-man", "-ww", "-b", "-z", "-Tutf8", "-K", "utf8", pages / page]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2026\\-01\\-01" in (pages / page).read_text()


def test_text_is_never_a_request() -> None:
    assert manpages.escape(".so /etc/passwd\n'quoted\na-b \\n") == (
        "\\&.so /etc/passwd\n\\&'quoted\na\\-b \\en"
    )


# ------------------------------------------------------------------------------- libraries


def bundled() -> dict[str, str]:
    """Name and version of the libraries bundled in the package."""
    lines = (DEBIAN / "vendor.txt").read_text().splitlines()
    pins = [re.match(r"([a-z0-9-]+)==(\S+) --hash=sha256:[0-9a-f]{64}$", line) for line in lines]
    return {pin[1]: pin[2] for pin in pins if pin}


def test_libraries_are_what_the_project_requires() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    control = (DEBIAN / "control").read_text()
    for requirement in map(Requirement, project["dependencies"]):
        version = bundled().get(requirement.name)
        if version is None:
            assert f" python3-{requirement.name}" in control, requirement
        else:
            assert version in requirement.specifier


def test_license_of_each_library_is_named() -> None:
    stanzas = re.findall(r"^Files: vendor/(\w+)", (DEBIAN / "copyright").read_text(), re.MULTILINE)
    modules = {"dnspython": "dns"}
    for name in bundled():
        assert modules.get(name, name.replace("-", "_")) in stanzas


def test_package_takes_no_argument() -> None:
    command = [CHECKOUT / "vagrant/provision.sh", "package", "more"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: vagrant/provision.sh" in done.stderr
