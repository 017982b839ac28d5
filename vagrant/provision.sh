#!/bin/bash
# Installs xdpkit from this checkout on Debian 12 or 13, and runs its demo, its tests or its benchmarks.
#
# It does not disturb the machine: no service is started, no package removed or replaced, no link
# repointed. Every step first checks whether it is needed, so a second run takes about a second.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: vagrant/provision.sh               install: apt packages, .venv, the build, xdpkit on PATH
       vagrant/provision.sh demo [ARG...] install, then run: xdpkit demo ARG...
       vagrant/provision.sh test [ARG...] also install what the tests need and unpack the servers to compare
                                         with (chrony, knot, nsd, bind9), then run: pytest -q tests ARG...
       vagrant/provision.sh bench [ARG...] also install what the plots need and unpack the servers to compare
                                         with (chrony, knot, nsd, bind9), then run: xdpkit bench ARG...
       vagrant/provision.sh package      build the Debian package dist/xdpkit_VERSION_ARCH.deb
       vagrant/provision.sh test-vm      make a Debian VM with a four-queue NIC from the Vagrantfile, under software
                                         emulation, run this script in it, and run the demo on that NIC
       vagrant/in-root.sh RELEASE JOB... as root: one of these jobs in a bare Debian, such as trixie, in a directory

Run it as yourself, from any directory: it calls sudo where needed.
environment:
  APT_PROXY      http proxy for apt, such as http://192.0.2.1:3142
  XDPKIT_PREFIX  where to link xdpkit: into bin/ below it (default /usr/local)
  PIP_...        pip's own variables (PIP_INDEX_URL, PIP_FIND_LINKS, PIP_CERT)
  XDPKIT_WHEELS  a directory with wheels of xdpkit and all it needs, to install instead of building
USAGE
}

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]:-.}")")/.." && pwd -P)
venv=$root/.venv
stamp=$venv/xdpkit.stamp
builds=$root/.cache/build # meson's, a folder a build, kept: the next one compiles only what has changed
log=$root/.cache/provision.log
prefix=${XDPKIT_PREFIX:-/usr/local}
system_python=/usr/bin/python3

# None of these packages starts a service, or installs an init script or a sysctl setting (procps would);
# that of nftables stays disabled.
run_packages=(python3 python3-venv python3-dev python3-bpfcc gcc libc6-dev libssl-dev linux-libc-dev iproute2 ca-certificates)
demo_packages=(bind9-dnsutils iputils-ping)
bench_packages=(valgrind bind9-utils)
package_packages=(debhelper dh-python dpkg-dev)
test_packages=(clang tshark llvm libclang-rt-dev libbpf-dev bpftool bind9-utils dnsperf ethtool groff-base knot-dnsutils nftables
    shellcheck strace util-linux libcap2-bin "${package_packages[@]}" debootstrap lintian)
# The VM's own tools, libvirt among them, go into a tree under .cache: vagrant/make-box.sh.
vm_packages=(python3 python3-venv mmdebstrap e2fsprogs iproute2 mount util-linux ca-certificates)

# A user's own Python settings must not affect the build: packages in ~/.local would satisfy requirements
# here, and be missing where the demo and the tests run as root. Without bytecode xdpkit would compile its
# modules at every start.
unset PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE
# What is installed is read by root without special rights, which is one of the others here.
umask 022
export PYTHONNOUSERSITE=1 PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1
export PATH=$PATH:/usr/sbin:/sbin # chronyd, ethtool, bpftool for those who have no sbin on PATH

say() { printf '%s\n' "$*"; }

die() {
    printf 'provision.sh: %s\n' "$*" >&2
    exit 1
}

# Runs a command with its output in the log; shows the end of the log if it fails.
logged() {
    printf '\n$ %s\n' "$*" >>"$log"
    "$@" >>"$log" 2>&1 </dev/null && return
    tail -n 40 "$log" >&2
    return 1
}

# Called before the first step that needs root, while sudo can still ask for a password.
need_root() {
    ((EUID == 0)) && return
    command -v sudo >/dev/null || die "$1 needs root: install sudo, or run this as root"
    sudo true || die "$1 needs root and sudo refused: run this on a terminal, or as root"
}

as_root() {
    if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

# ------------------------------------------------------------------------------------------ the checkout

check_checkout() {
    [[ -f $root/pyproject.toml && -d $root/cext ]] ||
        die "$root is no checkout of xdpkit: run the vagrant/provision.sh of one (not a copy of it, not through a pipe)"
    local path owner
    for path in "$root" "$root/.cache" "$venv" "$root/cext"; do
        [[ ! -e $path || -w $path ]] ||
            die "cannot write to $path ($(stat -c %U "$path")'s, or mounted read-only): use a checkout of your own," \
                "or: sudo chown -R $(id -un) '$root'"
    done
    owner=$(stat -c %U "$root")
    if ((EUID == 0)) && [[ $owner != root ]]; then
        say "note: $root belongs to $owner and this runs as root: build products are given to $owner;" \
            "git needs safe.directory when root runs it here"
    fi
}

# One run at a time, which truncates the log.
begin() {
    mkdir -p "$root/.cache"
    exec 9>"$root/.cache/provision.lock"
    if ! flock -n 9; then
        say "lock: waiting for another provision.sh in this checkout"
        flock 9
    fi
    : >"$log"
    trap 'exit 130' INT # do not print the log as if a step had failed
}

check_system() {
    command -v apt-get >/dev/null ||
        die "no apt here: install Python 3.11+ (venv, headers), gcc, OpenSSL's headers, bcc's Python module and iproute2, then run:" \
            "python3 -m venv --system-site-packages .venv && .venv/bin/pip install ."
    local name
    # shellcheck source=/dev/null
    name=$(. /etc/os-release 2>/dev/null && printf '%s %s' "${ID:-?}" "${VERSION_ID:-}") || name="this system"
    case $name in
    "debian 12" | "debian 13") ;;
    *) say "warning: $name is untested, only Debian 12 and 13 are tested: trying the same packages" ;;
    esac
}

# ------------------------------------------------------------------------------------------ apt

apt_options=(-y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2)
[[ -z ${APT_PROXY:-} ]] || apt_options+=(-o "Acquire::http::Proxy=$APT_PROXY")

apt_get() {
    local keep=() name
    for name in http_proxy https_proxy no_proxy; do # sudo drops them
        [[ -z ${!name:-} ]] || keep+=("$name=${!name}")
    done
    # needrestart would restart services after a library upgrade: "l" makes it only list them.
    as_root env "${keep[@]}" DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l APT_LISTCHANGES_FRONTEND=none \
        apt-get "${apt_options[@]}" "$@"
}

updated=
apt_update() {
    [[ -z $updated ]] || return 0
    updated=yes
    need_root "apt-get"
    say "apt: reading package lists"
    # A broken source of the user's need not matter: if it does, the install fails.
    logged apt_get update || say "apt: warning: apt-get update complained (see $log), continuing"
}

apt_install() {
    local installed missing=() name
    installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null) || true
    for name in "$@"; do
        grep -qxF "$name installed" <<<"$installed" || missing+=("$name")
    done
    ((${#missing[@]})) || return 0
    apt_update
    say "apt: installing ${missing[*]}"
    logged apt_get --no-install-recommends --no-remove -o Dpkg::Options::=--force-confold install "${missing[@]}" ||
        die "apt-get could not install what is missing (full log: $log): fix that, then run this again"
}

# ------------------------------------------------------------------------------------------ .venv and build

# Sets python_version and ext_suffix.
ask_python() {
    read -r python_version ext_suffix < <("$system_python" -c 'import sys, sysconfig
print("%d.%d" % sys.version_info[:2], sysconfig.get_config_var("EXT_SUFFIX"))') ||
        die "$system_python does not run: sudo apt-get install --reinstall python3"
    "$system_python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "$system_python is Python $python_version, xdpkit needs 3.11 or newer: use Debian 12 or later"
}

# False if the checkout was moved, the system's Python has changed, or venv was interrupted.
venv_sound() {
    [[ -d $venv/lib/python$python_version/site-packages/pip ]] &&
        [[ $(readlink -f "$venv/bin/python") == "$(readlink -f "$system_python")" ]] &&
        grep -qsx 'include-system-site-packages = true' "$venv/pyvenv.cfg" &&
        grep -qsF "$venv/bin/python" "$venv/bin/pip"
}

make_venv() {
    ! venv_sound || return 0
    if [[ -e $venv ]]; then
        say "venv: making .venv again (the system's Python has changed, the checkout was moved, or it is incomplete)"
    else
        say "venv: making .venv on $system_python"
    fi
    logged "$system_python" -m venv --clear --system-site-packages "$venv" || die "cannot make $venv (see $log)"
}

# A hash of what the build depends on. That includes the system's Python packages, whose names have their
# versions: one of them may satisfy a requirement.
build_key() {
    {
        printf '%s\n' "$root" "$ext_suffix"
        { find /usr/lib/python3/dist-packages /usr/local/lib/python3*/dist-packages -maxdepth 1 -name '*-info' || true; } \
            2>/dev/null | sort
        find pyproject.toml meson.build meson.options tools/package_files.py cext ebpf xdpkit -type f -print0 |
            grep -zE '\.(toml|build|options|py|pyi|pyx|pxd|c|h)$' | sort -z | xargs -0 sha256sum
    } | sha256sum | cut -d ' ' -f 1
}

modules_installed() {
    local source name
    for source in xdpkit/_core/_*.pyx; do
        name=${source##*/}
        [[ ! -e $source || -e $venv/lib/python$python_version/site-packages/xdpkit/_core/${name%.pyx}$ext_suffix ]] ||
            return 1
    done
}

# Removes what must not get into the package or disturb the build: bytecode and the folders of moved modules,
# what setuptools built in the tree up to version 0.1.0, and meson's files of another path or another Python.
clean_tree() {
    local origin=$builds/origin
    rm -rf xdpkit.egg-info build/lib.* build/temp.* build/bdist.* cext/*.so
    { grep -ls '^/\* Generated by Cython' cext/_*.c || true; } | xargs -r rm -f
    rmdir build 2>/dev/null || true
    find xdpkit cext ebpf -name __pycache__ -prune -exec rm -rf {} +
    find xdpkit cext -depth -type d -empty -delete
    [[ ! -e $builds || $(cat "$origin" 2>/dev/null) == "$root $ext_suffix" ]] || rm -rf "$builds"
    mkdir -p "$builds"
    printf '%s %s\n' "$root" "$ext_suffix" >"$origin"
}

pip_install() {
    PATH=$venv/bin:$PATH logged "$venv/bin/python" -m pip install --no-input --progress-bar off "$@" ||
        die "pip failed (full log: $log); if it could not reach PyPI, set PIP_INDEX_URL or PIP_FIND_LINKS"
}

# All extras of two comma-separated lists, each once.
merged() {
    tr ',' '\n' <<<"$1,$2" | sort -u | sed '/^$/d' | paste -sd ,
}

# build [test|bench]: extras of earlier runs are kept.
build() {
    local extra=${1:-} key had='' requires
    if [[ -n ${XDPKIT_WHEELS:-} ]]; then
        install_wheels
        return
    fi
    key=$(build_key)
    [[ ! -e $stamp ]] || read -r _ had <"$stamp" || true
    extra=$(merged "$extra" "$had")
    if [[ -e $stamp && $(<"$stamp") == "$key $extra" ]] && modules_installed; then
        return
    fi
    say "build: pip install .${extra:+[$extra]}"
    rm -f "$stamp"
    clean_tree
    # The build requirements go into .venv too, so that a rebuild needs no network.
    requires=$("$system_python" -c 'import tomllib
print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")') ||
        die "pyproject.toml cannot be read: restore it, such as with git checkout pyproject.toml"
    mapfile -t requires <<<"$requires"
    pip_install "${requires[@]}"
    pip_install --no-build-isolation --config-settings=build-dir="$builds/package" ".${extra:+[$extra]}"
    logged "$venv/bin/python" -P -c 'import xdpkit._core._loop; from bcc import BPF' ||
        die "xdpkit or bcc cannot be imported in .venv: sudo apt-get install --reinstall python3-bpfcc, rm -r '$venv'," \
            "then run this again"
    printf '%s %s\n' "$key" "$extra" >"$stamp"
}

install_wheels() {
    local key
    key=wheels-$(cat "$XDPKIT_WHEELS"/*.whl | sha256sum | cut -d ' ' -f 1)
    [[ ! -e $stamp || $(<"$stamp") != "$key" ]] || return 0
    say "wheels: installing xdpkit from $XDPKIT_WHEELS"
    # Bytecode is made at the first import: for all modules, under emulation, it would take minutes.
    pip_install --no-index --find-links "$XDPKIT_WHEELS" --force-reinstall --no-compile xdpkit
    printf '%s\n' "$key" >"$stamp"
}

# ------------------------------------------------------------------------------------------ xdpkit on PATH

link_command() {
    local link=$prefix/bin/xdpkit target=$venv/bin/xdpkit old
    if [[ -L $link ]]; then
        old=$(readlink "$link")
        [[ $old != "$target" ]] || return 0
        [[ -e $link ]] && old="a link to $old" || old="a link to $old, which does not exist"
    elif [[ -e $link ]]; then
        old="not a link"
    else
        say "link: $link -> $target"
        [[ -w $prefix/bin ]] || need_root "writing to $prefix/bin"
        mkdir -p "$prefix/bin" 2>/dev/null || as_root mkdir -p "$prefix/bin"
        if [[ -w $prefix/bin ]]; then ln -s "$target" "$link"; else as_root ln -s "$target" "$link"; fi
        return
    fi
    say "link: $link already exists ($old) and is kept; to change it: sudo ln -sfn '$target' '$link'"
}

# ------------------------------------------------------------------------------------------ the jobs

prepare() { # prepare PACKAGE...: the first steps of every job
    check_checkout
    begin
    check_system
    apt_install "$@"
    ask_python
    make_venv
}

# Everything is installed or built: the next run may begin.
finish() {
    trap - INT
    exec 9>&-
    ((EUID != 0)) || give_back
}

install() { # install test|bench|'' PACKAGE...
    local extra=$1
    shift
    prepare "$@"
    if [[ -n $extra ]]; then
        # shellcheck source=tools/peers.sh
        source "$root/tools/peers.sh"
        fetch_peers "$extra"
    fi
    build "$extra"
    link_command
    finish
}

# Gives what root leaves in a user's checkout to the user, except for the trees of test-vm and in-root.sh, which
# are complete systems.
give_back() {
    local owner
    owner=$(id -u):$(id -g)
    ((EUID != 0)) || owner=$(stat -c %u:%g "$root")
    [[ $owner == 0:* ]] || as_root find "$root" -xdev \( -path "$root/.cache/vm" -o -path "$root/.cache/roots" \) -prune \
        -o -user root -exec chown -h "$owner" {} + 2>/dev/null || true
}

# The demo, tests and benchmarks make network namespaces.
run_as_root() {
    local status=0 keep=() name
    need_root "making network namespaces"
    for name in CI APT_PROXY "${!PIP_@}"; do # sudo drops them
        [[ -z ${!name:-} ]] || keep+=("$name=${!name}")
    done
    as_root env "${keep[@]}" "PATH=$venv/bin:$PATH" PYTHONNOUSERSITE=1 "$@" || status=$?
    give_back
    return "$status"
}

# All of them in two halves beside each other; some of them, as pytest's arguments have it, in one run.
run_tests() {
    if (($# == 0)) && (($(nproc) > 1)); then
        say "tests: those on the wire, and beside them all others, whose output follows"
        run_as_root "$venv/bin/python" -P "$root/tools/halves.py" "$venv/bin/pytest"
    else
        run_as_root "$venv/bin/pytest" -q tests "$@"
    fi
}

main() {
    local job=${1:-install}
    (($# == 0)) || shift
    cd "$root"
    case $job in
    -h | --help) usage ;;
    demo)
        install '' "${run_packages[@]}" "${demo_packages[@]}"
        run_as_root "$venv/bin/xdpkit" demo "$@"
        ;;
    test)
        install test "${run_packages[@]}" "${demo_packages[@]}" "${test_packages[@]}"
        run_tests "$@"
        ;;
    bench)
        install bench "${run_packages[@]}" "${bench_packages[@]}"
        run_as_root "$venv/bin/xdpkit" bench "$@"
        ;;
    package) exec packaging/debian/package.sh "$@" ;;
    test-vm)
        (($# == 0)) || misused "test-vm takes no argument"
        prepare "${vm_packages[@]}" # only for pip in .venv
        finish
        run_as_root "$root/vagrant/test-vm.sh"
        ;;
    install)
        (($# == 0)) || misused "install takes no argument"
        install '' "${run_packages[@]}"
        say "done: xdpkit is $venv/bin/xdpkit; next: vagrant/provision.sh demo"
        ;;
    *) misused "unknown job '$job'" ;;
    esac
}

misused() {
    printf 'provision.sh: %s\n' "$1" >&2
    usage >&2
    exit 2
}

if [[ ${BASH_SOURCE[0]:-$0} == "$0" ]]; then
    main "$@"
fi
