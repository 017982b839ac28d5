"""Why a program could not be compiled or loaded: bcc, clang and the kernel's verifier say it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from xdpkit._core._bpf import VerifierError
from xdpkit.bpf import loader, refusal
from xdpkit.errors import BpfError

# A call in catch.c that is replaced by something that the kernel or clang does not accept.
CALL = "bpf_xdp_adjust_meta(context, bytes)"
NULL = f"{CALL}=(*(volatile int *)8)"
NO_HELPER = f"{CALL}=((int (*)(void *, int))9999)(context, bytes)"
NO_C = f"{CALL}=)"

root = pytest.mark.skipif(os.geteuid() != 0, reason="loads programs: needs root")


def refused(*macros: str) -> BpfError:
    with pytest.raises(BpfError) as caught:
        loader.load("catch", *macros)
    assert "\n" not in str(caught.value)
    return caught.value


@root
@pytest.mark.parametrize(
    "macro, said", [(NULL, "invalid mem access"), (NO_HELPER, "invalid func unknown#9999")]
)
def test_what_the_verifier_rejects(macro: str, said: str) -> None:
    """Its own words, and the end of its log for --debug."""
    error = refused(macro)
    assert str(error).startswith("the kernel's verifier rejected catch.c (")
    assert said in str(error)
    assert said in error.log
    assert "root" not in str(error)


@root
def test_what_clang_rejects() -> None:
    error = refused(NO_C)
    assert str(error).startswith("clang rejected catch.c:77:")
    assert "expected expression" in str(error)
    assert "verifier" not in str(error)


@root
@pytest.mark.parametrize("macro", ["", NULL])
def test_the_programs_descriptors_are_not_lost(macro: str) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    if macro:
        refused(macro)
    else:
        loader.load("catch").close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def in_a_child(script: str, *before: str) -> str:
    """What a program prints that loads catch.c, in an environment of its own."""
    script = (
        "import sys\nfrom xdpkit.bpf import loader\nfrom xdpkit.errors import BpfError\n"
        f"{script}\n"
        "try: print(loader.load('catch'))\nexcept BpfError as error: print(*error.lines())\n"
    )
    command = [*before, sys.executable, "-P", "-c", script]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@root
def test_a_limit_on_address_space() -> None:
    """The compiler does not fit: at its import, in LLVM, or killed by it; the limit is named."""
    for megabytes in (150, 170, 190, 210):
        line = in_a_child("", "prlimit", f"--as={megabytes << 20}")
        if line.startswith("Program("):
            break
        assert "verifier" not in line
        assert f"raise the limit on address space, {megabytes} MiB" in line, line


@root
def test_too_few_open_files_for_the_descriptors() -> None:
    """As many as there are, and one to three more: the answer's descriptors do not all fit."""
    lines = {
        in_a_child(
            "import os, resource\n"
            "used = len(os.listdir('/proc/self/fd'))\n"
            f"resource.setrlimit(resource.RLIMIT_NOFILE, (used + {more}, used + {more}))\n"
        )
        for more in range(1, 6)
    }
    assert lines
    assert all("raise the limit on open files" in line for line in lines)


@root
def test_a_deleted_working_directory(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    line = in_a_child("", "sh", "-c", f'cd {gone} && rmdir {gone} && exec "$@"', "sh")
    assert line.startswith("Program(")


@root
def test_umask_0777() -> None:
    """Without CAP_DAC_OVERRIDE, as the compiler's process runs."""
    plain = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
    line = in_a_child("", *plain, "sh", "-c", 'umask 0777 && exec "$@"', "sh")
    assert line.startswith("Program(")


# -------------------------------------------------------------------------------------------------


def test_no_log_is_no_verdict() -> None:
    """The verifier ran only if it wrote something."""
    line = refusal.load_failure("steer.c", VerifierError(1, ""))
    assert "verifier" not in line
    assert line.startswith("steer.c: bpf(BPF_PROG_LOAD): Operation not permitted")


def test_an_older_kernel_is_said_only_where_it_is_older(monkeypatch: pytest.MonkeyPatch) -> None:
    error = VerifierError(
        22, "0: (85) call unknown#189\ninvalid func unknown#189\nprocessed 9 insns"
    )
    monkeypatch.setattr(refusal.platform, "release", lambda: "5.10.0-30-amd64")
    line = refusal.load_failure("steer.c", error)
    assert "invalid func unknown#189: this kernel is 5.10.0-30-amd64, and 6.1 or later" in line
    monkeypatch.setattr(refusal.platform, "release", lambda: "6.12.1")
    assert "6.1 or later" not in refusal.load_failure("steer.c", error)


@pytest.mark.parametrize(
    "error, words",
    [
        (ModuleNotFoundError("No module named 'bcc'", name="bcc"), "apt-get install python3-bpfcc"),
        (ModuleNotFoundError("No module named 'x'", name="x"), "bcc cannot be loaded: No module"),
        (
            OSError("libbcc.so.0: cannot open shared object file: No such file or directory"),
            "bcc cannot be loaded: libbcc.so.0: cannot open shared object file",
        ),
        (OSError("libbcc.so.0: failed to map segment from shared object"), "memory"),
    ],
)
def test_imports(error: Exception, words: str) -> None:
    assert words in refusal.import_failure(error)


@pytest.mark.parametrize(
    "status, output, words",
    [
        (-6, "x\nLLVM ERROR: out of memory\n", "was ended by SIGABRT: LLVM ERROR: out of memory: "),
        (-9, "", "was ended by SIGKILL: journalctl -k may show who ended it"),
        (1, "Traceback\nImportError: no json\n", "exited with status 1: ImportError: no json"),
    ],
)
def test_a_child_without_an_answer(status: int, output: str, words: str) -> None:
    assert words in refusal.child_failure(status, output)
