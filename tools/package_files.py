"""Prints the files of the package that nothing compiles, one a line: what meson installs as it is.

A folder's files whatever they are called would bring in editors' backups and bytecode.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATTERNS = (
    "xdpkit/**/*.py",
    "xdpkit/**/*.pyi",
    "ebpf/*.[ch]",
    "ebpf/include/**/*.h",
    "ebpf/LICENSE",
)

if __name__ == "__main__":
    for path in sorted(path for pattern in PATTERNS for path in ROOT.glob(pattern)):
        print(path.relative_to(ROOT))
