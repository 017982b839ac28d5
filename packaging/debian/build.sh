#!/bin/bash
# Builds dist/xdpkit_VERSION_ARCH.deb from this checkout, and prints its path.
#
#   packaging/debian/build.sh PYTHON [DIRECTORY]
#
# PYTHON is that of a virtual environment on /usr/bin/python3: through it pip fetches what builds and what is
# bundled. `vagrant/provision.sh package` calls this with .venv's. The tree that is built is in DIRECTORY,
# which must not exist, or in .cache/package. One commit gives the same package wherever and whenever it is
# built with the same compilers: no path of this machine is in it, and no time but the commit's
# (SOURCE_DATE_EPOCH, where that is set).
set -euo pipefail

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
python=$(realpath -s "${1:?"usage: build.sh PYTHON [DIRECTORY]"}")
work=$(realpath -m "${2:-$root/.cache/package}")
if (($# > 1)) && [[ -e $work ]]; then
    printf 'build.sh: %s exists already: name a new directory\n' "$work" >&2
    exit 2
fi

version=$("$python" -c 'import sys, tomllib
print(tomllib.load(open(sys.argv[1], "rb"))["project"]["version"])' "$root/pyproject.toml")

# The last commit's time; of a checkout without git, its change log's.
commit_time() {
    git -c "safe.directory=$root" -C "$root" log -1 --format=%ct 2>/dev/null || stat -c %Y "$root/CHANGELOG.md"
}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(commit_time)}
export SOURCE_DATE_EPOCH

# The sources without what was built in place, and debian/ where dpkg-buildpackage wants it.
make_tree() {
    local tree=$1
    rm -rf "$work"
    mkdir -p "$tree"
    tar -C "$root" --exclude='*.so' --exclude='__pycache__' \
        -c pyproject.toml meson.build meson.options README.md CHANGELOG.md LICENSE xdpkit cext ebpf | tar -C "$tree" -x --no-same-owner
    cp -r "$here" "$tree/debian"
    rm -rf "$tree/debian/build.sh" "$tree/debian/__pycache__"
    # A tag of Debian 12's lintian: to later ones it is an error to name it.
    # shellcheck source=/dev/null
    if [[ $(. /etc/os-release && printf '%s' "${VERSION_ID:-}") != 12 ]]; then
        sed -i '/^# Notification/d; /alternative-init/d' "$tree/debian/xdpkit.lintian-overrides"
    fi
    cat >"$tree/debian/changelog" <<CHANGELOG
xdpkit ($version) unstable; urgency=medium

  * Version $version: see CHANGELOG.md for what is new in it.

 -- $(sed -n 's/^Maintainer: //p' "$here/control")  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
CHANGELOG
}

tree=$work/xdpkit-$version
make_tree "$tree"
cd "$tree"
# What it says goes to standard error: standard output is the path. Of build-essential, C is enough.
PYTHON=$python DEB_BUILD_OPTIONS="noautodbgsym nocheck" LC_ALL=C.UTF-8 \
    dpkg-buildpackage --build=binary --no-sign --ignore-builtin-builddeps >&2
mkdir -p "$root/dist"
for package in "$work"/xdpkit_"$version"_*.deb; do
    cp "$package" "$root/dist/"
    printf '%s\n' "$root/dist/${package##*/}"
done
