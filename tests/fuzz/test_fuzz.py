"""Each libFuzzer target, with ASAN and UBSAN, on its seeds and for a slice of the time.

XDPKIT_FUZZ_SECONDS is for all targets together. What a target died of stays in tests/fuzz/bin; an
input that is worth keeping goes to tests/fuzz/corpus/TARGET and is run for ever after.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import seeds

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BIN = HERE / "bin"
TARGETS = sorted(HERE.glob("fuzz_*.c"))
LEAVES = sorted(path for path in (ROOT / "cext").glob("*.c") if path.name[0] != "_")
SECONDS = float(os.environ.get("XDPKIT_FUZZ_SECONDS", "60"))
MADE = {
    "access": seeds.access,
    "frame": seeds.frames,
    "keys": seeds.keys,
    "limit": seeds.limit,
    "ntp": seeds.ntp,
    "rrl": seeds.rrl,
    "tcp": seeds.tcp,
    "zone": seeds.zone,
}

# Largest input: a frame that fills a chunk, with its knobs.
MAX_LENGTH = 1793


@pytest.fixture(scope="session")
def build(tool: Callable[[str], str]) -> Callable[[Path], Path]:
    """Compiles one target."""

    def compiled(source: Path) -> Path:
        BIN.mkdir(exist_ok=True)
        binary = BIN / source.stem
        command = [tool("clang"), "-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror"]
        command += ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
        command += [f"-I{ROOT / 'cext'}", f"-I{ROOT / 'ebpf'}", "-o", str(binary), str(source)]
        command += [*map(str, LEAVES), "-lcrypto"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return binary

    return compiled


@pytest.mark.fuzz
@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.parametrize("source", TARGETS, ids=lambda source: source.stem)
def test_fuzz(source: Path, build: Callable[[Path], Path], tmp_path: Path) -> None:
    name = source.stem.removeprefix("fuzz_")
    grown, given = tmp_path / "grown", tmp_path / "given"
    grown.mkdir()
    given.mkdir()
    for seed, data in MADE.get(name, dict)().items():
        (given / seed).write_bytes(data)
    kept = HERE / "corpus" / name
    corpora = [grown, given, *([kept] if kept.is_dir() else [])]
    assert sum(1 for corpus in corpora for _ in corpus.iterdir()) > 3, "no seeds"

    slice_seconds = max(1, round(SECONDS / len(TARGETS)))
    command = [
        build(source),
        f"-max_total_time={slice_seconds}",
        "-timeout=5",
        f"-max_len={MAX_LENGTH}",
    ]
    command += [f"-artifact_prefix={BIN}/{name}-", "-print_final_stats=1", *corpora]
    done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, (
        f"{source.name} died; the last lines say of what:\n{done.stderr[-6000:]}"
    )
