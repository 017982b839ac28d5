"""Each libFuzzer target, with ASAN and UBSAN, on its seeds and for a slice of the time.

XDPKIT_FUZZ_SECONDS, of a processor, are shared by all targets; as many as there are processors run
at a time. What a target died of stays in tests/fuzz/bin; an input that is worth keeping goes to
tests/fuzz/corpus/TARGET and is run for ever after.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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

Tool = Callable[[str], str]

FLAGS = ["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-sanitize-recover=all"]
SANITIZERS = "address,undefined"


@pytest.fixture(scope="module")
def leaves(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The objects that each target is linked with."""
    directory = tmp_path_factory.mktemp("leaves")
    compiled(tool("clang"), "-c", f"-fsanitize=fuzzer-no-link,{SANITIZERS}", *LEAVES, cwd=directory)
    return sorted(directory.glob("*.o"))


def compiled(clang: str, *arguments: str | Path, cwd: Path = ROOT) -> None:
    """Runs the compiler with the flags and folders of all that is built here."""
    folders = [f"-I{ROOT / 'cext'}", f"-I{ROOT / 'ebpf'}"]
    done = subprocess.run(
        [clang, *FLAGS, *folders, *arguments], check=False, capture_output=True, text=True, cwd=cwd
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest,
    tool: Tool,
    leaves: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Future[None]]]:
    """Every target that is to be tried, by name: as many at a time as there are processors."""
    BIN.mkdir(exist_ok=True)
    wanted = [
        item.callspec.params["source"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.function is test_fuzz
    ]
    pool = ThreadPoolExecutor(os.cpu_count())

    def start(source: Path) -> Future[None]:
        return pool.submit(fuzz, tool("clang"), source, leaves, tmp_path_factory.mktemp("corpora"))

    yield {source.stem: start(source) for source in wanted}
    pool.shutdown(cancel_futures=True)


def fuzz(clang: str, source: Path, leaves: list[Path], directory: Path) -> None:
    """Builds one target, and runs it for its slice of the time."""
    binary = BIN / source.stem
    compiled(clang, f"-fsanitize=fuzzer,{SANITIZERS}", "-o", binary, source, *leaves, "-lcrypto")
    name = source.stem.removeprefix("fuzz_")
    grown, given = directory / "grown", directory / "given"
    grown.mkdir()
    given.mkdir()
    for seed, data in MADE.get(name, dict)().items():
        (given / seed).write_bytes(data)
    kept = HERE / "corpus" / name
    corpora = [grown, given, *([kept] if kept.is_dir() else [])]
    assert sum(1 for corpus in corpora for _ in corpus.iterdir()) > 3, "no seeds"

    slice_seconds = max(1, round(SECONDS / len(TARGETS)))
    command = [binary, f"-max_total_time={slice_seconds}", "-timeout=5", f"-max_len={MAX_LENGTH}"]
    command += [f"-artifact_prefix={BIN}/{name}-", "-print_final_stats=1", *corpora]
    done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, (
        f"{source.name} died; the last lines say of what:\n{done.stderr[-6000:]}"
    )


@pytest.mark.fuzz
@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.parametrize("source", TARGETS, ids=lambda source: source.stem)
def test_fuzz(source: Path, running: dict[str, Future[None]]) -> None:
    running[source.stem].result()
