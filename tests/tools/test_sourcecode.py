"""The source itself: formatted, typed, free of warnings, in functions that fit on a screen."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checkout import CHECKOUT

VENV_BIN = Path(sys.executable).parent
Tool = Callable[[str], str]

# The longest function, in lines.
MAX_LINES = 60
GENERATED = {"tests/fuzz/dns_arena.h", "tests/fuzz/geo_arenas.h", "tests/fuzz/zone_arenas.h"}
FOLDERS = ["cext", "ebpf", "packaging", "tests", "tools", "vagrant", "xdpkit"]


def sources(*patterns: str) -> list[Path]:
    """Hand-written files, without those that a program of ours generates."""
    found = {path for pattern in patterns for path in CHECKOUT.glob(pattern)}
    return sorted(path for path in found if str(path.relative_to(CHECKOUT)) not in GENERATED)


C_FILES = sources("cext/**/*.c", "tests/**/*.c")
BPF_FILES = sources("ebpf/*.c")
HEADERS = sources("cext/**/*.h", "ebpf/*.h", "ebpf/include/**/*.h", "tests/**/*.h")
C_FLAGS = [
    "-std=gnu11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Icext",
    "-Iebpf",
    "-Itests/support",
]
CYTHON = sources("xdpkit/**/*.pyx", "xdpkit/**/*.pxd")


def check(*command: str | Path) -> None:
    """Runs a checker over the checkout; its output is the text of the failure."""
    environment = os.environ | {"PATH": f"{VENV_BIN}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(
        command,
        check=False,
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]


def test_ruff_check(tool: Tool) -> None:
    check(tool("ruff"), "check", "--no-cache", ".")


def test_ruff_format(tool: Tool) -> None:
    check(tool("ruff"), "format", "--no-cache", "--check", ".")


def test_mypy(tool: Tool) -> None:
    check(tool("mypy"), "--strict", "xdpkit")


def test_cython_lint(tool: Tool) -> None:
    check(tool("cython-lint"), *CYTHON)


def test_clang_format(tool: Tool) -> None:
    check(tool("clang-format"), "--dry-run", "-Werror", *C_FILES, *BPF_FILES, *HEADERS)


def test_codespell(tool: Tool) -> None:
    check(tool("codespell"))


def shell_scripts() -> list[Path]:
    """Files whose first line names a shell, whatever they are called."""
    everything = sources("*", ".ci/*", *(f"{folder}/**/*" for folder in FOLDERS))
    texts = [path for path in everything if path.is_file() and path.suffix != ".so"]
    return [path for path in texts if re.match(rb"#!\S+/(ba|da)?sh\b", path.read_bytes())]


def test_shellcheck(tool: Tool) -> None:
    scripts = shell_scripts()
    assert {"run", "provision.sh", "xdpkit.prerm"} <= {path.name for path in scripts}
    check(tool("shellcheck"), "-x", *scripts)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_c_without_warnings(tool: Tool, compiler: str) -> None:
    check(tool(compiler), *C_FLAGS, "-fsyntax-only", *C_FILES)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize(
    "header", sources("cext/**/*.h"), ids=lambda path: str(path.relative_to(CHECKOUT))
)
def test_each_header_stands_alone(tool: Tool, compiler: str, header: Path) -> None:
    # _GNU_SOURCE as in the extension modules, where Python.h defines it.
    flags = ["-D_GNU_SOURCE", *C_FLAGS, "-fsyntax-only"]
    check(tool(compiler), *flags, "-include", header, "-xc", os.devnull)


@pytest.mark.parametrize("form", ["STEER_PLAIN", "STEER_RX_TIMESTAMP", "STEER_NO_METADATA"])
def test_the_xdp_program_compiles_with_clang(tool: Tool, tmp_path: Path, form: str) -> None:
    """With libbpf's headers, besides bcc's at run time; catch.c is for bcc only."""
    asm = sysconfig.get_config_var("MULTIARCH")
    flags = ["-target", "bpf", "-O2", "-g", "-Wall", "-Wextra", "-Werror", f"-I/usr/include/{asm}"]
    check(tool("clang"), *flags, f"-D{form}", "-c", "ebpf/steer.c", "-o", tmp_path / "steer.o")


def test_stubs_are_the_built_modules(tool: Tool) -> None:
    modules = [f"xdpkit._core.{path.stem}" for path in sources("xdpkit/_core/*.pyx")]
    # Cython's own helpers and the modules' imports are "missing" from the stubs.
    check(tool("stubtest"), "--ignore-missing-stub", *modules)


def test_functions_fit_on_a_screen() -> None:
    lengths = dict(python_functions()) | dict(c_functions())
    assert len(lengths) > 1000
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def python_functions() -> Iterator[tuple[str, int]]:
    """Every function of the product by file and name, and its length in lines."""
    for path in sources("xdpkit/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                name = f"{path.relative_to(CHECKOUT)}:{node.lineno} {node.name}"
                yield name, node.end_lineno - node.lineno + 1


def c_functions() -> Iterator[tuple[str, int]]:
    """Every function of C by file and line, and its length: their braces are in column 1."""
    for path in sources("cext/**/*.[ch]", "ebpf/*.[ch]"):
        first = 0
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line == "{":
                first = number
            elif line == "}":
                yield f"{path.relative_to(CHECKOUT)}:{first}", number - first + 1
