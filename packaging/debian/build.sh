#!/bin/bash
# Builds dist/xdpkit_VERSION_ARCH.deb from this checkout, and prints its path.
#
#   packaging/debian/build.sh PYTHON [DIRECTORY]
#
# PYTHON is that of a virtual environment on /usr/bin/python3: its pip fetches the build tools and
# the bundled libraries. `vagrant/provision.sh package` calls this with .venv's. The build tree is in
# DIRECTORY, which must not exist, or in .cache/package. The build is reproducible: one commit gives
# the same package wherever and whenever it is built with the same compilers. It has no path of this
# machine in it, and no time but the commit's (or SOURCE_DATE_EPOCH, if that is set).
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

# The last commit's time; in a checkout without git, that of its changelog.
commit_time() {
    git -c "safe.directory=$root" -C "$root" log -1 --format=%ct 2>/dev/null || stat -c %Y "$root/CHANGELOG.md"
}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(commit_time)}
export SOURCE_DATE_EPOCH

# The sources without build products, and debian/ where dpkg-buildpackage expects it.
make_tree() {
    local tree=$1
    rm -rf "$work"
    mkdir -p "$tree"
    tar -C "$root" --exclude='*.so' --exclude='__pycache__' \
        -c pyproject.toml meson.build meson.options README.md CHANGELOG.md LICENSE xdpkit cext ebpf tools | tar -C "$tree" -x --no-same-owner
    cp -r "$here" "$tree/debian"
    rm -rf "$tree/debian/build.sh" "$tree/debian/__pycache__"
    # A tag that Debian 12's lintian has: later ones report an override of it as an error.
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
# Its output goes to standard error: standard output is for the path. C is all of build-essential
# that is needed.
unset PYTHONSAFEPATH # dh_python3 finds its modules beside itself
PYTHON=$python DEB_BUILD_OPTIONS="noautodbgsym nocheck" LC_ALL=C.UTF-8 \
    dpkg-buildpackage --build=binary --no-sign --ignore-builtin-builddeps >&2
mkdir -p "$root/dist"
for package in "$work"/xdpkit_"$version"_*.deb; do
    cp "$package" "$root/dist/"
    printf '%s\n' "$root/dist/${package##*/}"
done
