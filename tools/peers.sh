#!/bin/bash
# Sourced by provision.sh: fetches the servers that tests and benchmarks compare with.
# shellcheck disable=SC2154 # root and apt_options are provision.sh's

# Debian's chrony conflicts with systemd-timesyncd, and chrony, knot, nsd, bind9 and prometheus start daemons,
# so the servers that tests and benchmarks run are unpacked into the checkout's .cache. Only the
# libraries that they depend on are installed, and not those for a web browser (libjs-).
fetch_peers() { # fetch_peers test|bench
    fetch_peer chrony sbin/chronyd
    fetch_knot
    fetch_peer nsd sbin/nsd
    fetch_peer bind9 sbin/named
    [[ $1 == test ]] || return 0
    fetch_ntpdig
    # In Debian 13 promtool is a separate package.
    # shellcheck source=/dev/null
    if [[ $(. /etc/os-release && printf '%s' "${VERSION_ID:-}") == 12 ]]; then
        fetch_peer prometheus bin/prometheus
    else
        fetch_peer prometheus bin/prometheus promtool
    fi
}

fetch_peer() { # fetch_peer PACKAGE PROGRAM [PACKAGE...]: PROGRAM is a path below /usr, the rest are unpacked with it
    local package=$1 program=$2 peers=$root/.cache/peers download deb libraries
    shift 2
    ! command -v "${program##*/}" >/dev/null || return 0
    ! runs "$peers/$package/usr/$program" || return 0
    apt_update
    say "peers: unpacking $package into .cache/peers"
    download=$peers/download
    rm -rf "$download" "${peers:?}/$package"
    mkdir -p "$download"
    (cd "$download" && logged apt-get "${apt_options[@]}" -o APT::Sandbox::User=root download "$package" "$@") ||
        die "apt-get could not download $package (see $log)"
    for deb in "$download"/*.deb; do
        mapfile -t libraries < <(dpkg-deb -f "$deb" Depends | tr ',' '\n' | sed -E 's/[(|:].*//; s/ //g' | grep -E '^(lib|bind9-libs)' | grep -v '^libjs-')
        apt_install "${libraries[@]}"
        dpkg-deb -x "$deb" "$peers/$package"
    done
    rm -r "$download"
    runs "$peers/$package/usr/$program" ||
        die "the unpacked $program lacks a library, see: ldd $peers/$package/usr/$program"
}

# With its module geoip, which a copy unpacked by an older version of this lacks.
fetch_knot() {
    local knot=$root/.cache/peers/knot
    [[ ! -d $knot ]] || compgen -G "$knot/usr/lib/*/knot/modules-*/geoip.so" >/dev/null || rm -rf "$knot"
    fetch_peer knot sbin/knotd knot-module-geoip
}

# NTPsec's Python modules look for their C library where it would be installed, or beside themselves.
fetch_ntpdig() {
    local modules=$root/.cache/peers/ntpsec-ntpdig/usr/lib/python3/dist-packages/ntp
    fetch_peer ntpsec-ntpdig bin/ntpdig python3-ntp
    [[ ! -d $modules || -e $modules/libntpc.so ]] || ln -srf "$modules"/../../../*/ntp/libntpc.so "$modules"
}

# Whether it is an executable with all its libraries (a system upgrade may have dropped one).
runs() {
    [[ -x $1 ]] && ! ldd "$1" 2>/dev/null | grep -q 'not found' # a script has none
}
