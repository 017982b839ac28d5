"""Each libFuzzer target, with ASAN and UBSAN, on its seeds and then for its share of the time.

All targets share XDPKIT_FUZZ_SECONDS of CPU time; one per CPU runs at a time. An input that
crashes a target stays in tests/fuzz/bin; one worth keeping goes to tests/fuzz/corpus/TARGET and is
run from then on.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import seeds
from c_programs import fuzz_targets

HERE = Path(__file__).parent
BIN = HERE / "bin"
TARGETS = sorted(HERE.glob("fuzz_*.c"))
SECONDS = float(os.environ.get("XDPKIT_FUZZ_SECONDS", "60"))
# Building all targets takes 50 s of CPU, which other tests and machines may want, too.
BUILD_SECONDS = 900
MADE = {
    "compile": seeds.bodies,
    "frame": seeds.frames,
    "geo": seeds.geo,
    "geo_view": seeds.geo_views,
    "keys": seeds.keys,
    "master": seeds.master,
    "ratelimit": seeds.ratelimit,
    "ntp": seeds.ntp,
    "prefix_map": seeds.prefix_maps,
    "rrl": seeds.rrl,
    "tcp": seeds.tcp,
    "zone": seeds.zone,
}

# Largest input: a frame that fills a chunk, with its option bits.
MAX_LENGTH = 1793

# Ten changes: more of them leave no arena sound. Weighing the inputs of a large corpus by how rare
# what they reach is took longer than trying them.
OPTIONS = {"geo": ("-max_len=63",), "zone": ("-max_len=62", "-entropic=0")}


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Future[None]]]:
    """Every selected target, by name, running: as many at a time as there are CPUs."""
    BIN.mkdir(exist_ok=True)
    wanted = [
        item.callspec.params["source"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.function is test_fuzz
    ]
    binaries = fuzz_targets(*(source.stem for source in wanted))
    pool = ThreadPoolExecutor(os.cpu_count())

    def start(source: Path, binary: Path) -> Future[None]:
        return pool.submit(fuzz, source, binary, tmp_path_factory.mktemp("corpora"))

    yield {
        source.stem: start(source, binary) for source, binary in zip(wanted, binaries, strict=True)
    }
    pool.shutdown(cancel_futures=True)


def fuzz(source: Path, binary: Path, directory: Path) -> None:
    """Runs one target for its share of the time."""
    name = source.stem.removeprefix("fuzz_")
    grown, given = directory / "grown", directory / "given"
    grown.mkdir()
    given.mkdir()
    for seed, data in MADE.get(name, dict)().items():
        (given / seed).write_bytes(data)
    checked_in = HERE / "corpus" / name
    corpora = [grown, given, *([checked_in] if checked_in.is_dir() else [])]
    assert sum(1 for corpus in corpora for _ in corpus.iterdir()) > 3, "no seeds"

    slice_seconds = max(1, round(SECONDS / len(TARGETS)))
    command = [binary, f"-max_total_time={slice_seconds}", "-timeout=5", f"-max_len={MAX_LENGTH}"]
    command += OPTIONS.get(name, ())
    command += [f"-artifact_prefix={BIN}/{name}-", "-print_final_stats=1", *corpora]
    done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, (
        f"{source.name} crashed; its last lines of output:\n{done.stderr[-6000:]}"
    )


@pytest.mark.fuzz
@pytest.mark.timeout(SECONDS + BUILD_SECONDS)
@pytest.mark.parametrize("source", TARGETS, ids=lambda source: source.stem)
def test_fuzz(source: Path, running: dict[str, Future[None]]) -> None:
    running[source.stem].result()
