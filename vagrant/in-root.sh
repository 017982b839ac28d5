#!/bin/bash
# Runs a job of provision.sh in a bare Debian, which may be of another release than this machine's:
#
#   vagrant/in-root.sh trixie test                       # all tests on Debian 13
#   vagrant/in-root.sh trixie test -m package            # its package: built, installed and removed there
#
# As root. The Debian is a directory, .cache/roots/RELEASE, that debootstrap makes and that is kept for the
# next run; the checkout as it is now is copied into it, and what a run makes stays there. The kernel and the
# network are this machine's. Mounts and processes end with the run: it has namespaces of its own.
set -euo pipefail

if (($# < 2)) || [[ ! $1 =~ ^[a-z]+$ ]]; then
    printf 'usage: vagrant/in-root.sh RELEASE JOB [ARG...], where RELEASE is bookworm or trixie\n' >&2
    exit 2
fi
release=$1
shift
checkout=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd -P)
root=$checkout/.cache/roots/$release

# The minimum, and the certificate authorities that this machine's owner trusts (such as a proxy's, for PyPI).
make_root() {
    [[ ! -e $root ]] || return 0
    rm -rf "$root.new"
    unshare --mount debootstrap --variant=minbase "$release" "$root.new"
    mkdir -p "$root.new/usr/local/share/ca-certificates"
    find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$root.new/usr/local/share/ca-certificates/" \; || true
    mv "$root.new" "$root"
}

copy_checkout() {
    local to=$root/srv/xdpkit list=$root.files
    mkdir -p "$to"
    # Files that are no longer in the checkout must not be there either.
    [[ ! -e $list ]] || (cd "$to" && xargs -0 rm -f <"$list")
    git -c "safe.directory=$checkout" -C "$checkout" ls-files -z --cached --others --exclude-standard >"$list"
    tar -C "$checkout" --null --files-from="$list" --ignore-failed-read -c | tar -C "$to" -x --no-same-owner
}

# The root becomes a mount point, because "/" must be one for programs that unshare mounts. A shell stays process 1.
enter() {
    local keep=() name
    for name in CI APT_PROXY "${!PIP_@}"; do
        [[ $name == PIP_CERT || -z ${!name:-} ]] || keep+=("$name=${!name}")
    done
    # shellcheck disable=SC2016 # for the inner shell
    unshare --mount --pid --fork --kill-child env -i HOME=/root LC_ALL=C.UTF-8 TERM="${TERM:-dumb}" DPKG_FORCE=unsafe-io \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${keep[@]}" sh -ec '
            mount --bind "$0" "$0"
            mount -t proc proc "$0/proc"
            mount -t sysfs sysfs "$0/sys"
            mount --rbind /dev "$0/dev"
            chroot "$0" /srv/xdpkit/vagrant/provision.sh "$@"
            exit "$?"' "$root" "$@"
}

fail() {
    printf 'in-root.sh: %s\n' "$*" >&2
    exit 1
}

((EUID == 0)) || fail "run it as root"
command -v debootstrap >/dev/null || fail "no debootstrap: apt-get install debootstrap"
mkdir -p "${root%/*}"
exec 8>"$root.lock"
flock -n 8 || fail "another run is using $root: wait until it has ended"
make_root
copy_checkout
cp /etc/resolv.conf "$root/etc/resolv.conf"
enter "$@"
