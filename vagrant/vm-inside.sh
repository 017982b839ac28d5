#!/bin/bash
# The part of test-vm.sh that runs in network, mount and process namespaces of its own, as their process 1:
# however it ends, libvirtd, QEMU, the bridges and every mount end with it.
#
# usage: vm-inside.sh CHECKOUT WORK    descriptor 9 is the machine's network namespace
set -euo pipefail

checkout=$1
work=$2
tools=$work/tools
port=3142 # of the package proxy; by convention that of apt-cacher-ng

mount_all() {
    local name
    ip link set lo up
    mount -t proc proc "$tools/proc"
    mount -t sysfs sysfs "$tools/sys" # of this network namespace, and without cgroups: libvirt works without them
    mount -t tmpfs tmpfs "$tools/run"
    mount -t tmpfs tmpfs "$tools/tmp"
    mount -t tmpfs tmpfs "$tools/dev"
    mkdir "$tools/dev/pts" "$tools/dev/shm" "$tools/dev/net"
    mount -t devpts -o newinstance,ptmxmode=666 devpts "$tools/dev/pts"
    ln -s pts/ptmx "$tools/dev/ptmx"
    ln -s /proc/self/fd "$tools/dev/fd"
    # No /dev/kvm: libvirt would probe it at every call, and a nested one may exist and not work.
    for name in null zero full random urandom tty net/tun; do
        : >"$tools/dev/$name"
        mount --bind "/dev/$name" "$tools/dev/$name"
    done
    # What libvirt and Vagrant write belongs to this run only.
    rm -rf "$work/run"
    mkdir -p "$work/run/vagrant"
    for name in etc/libvirt var/lib/libvirt var/cache/libvirt var/log/libvirt; do
        mkdir -p "$work/run/$name"
        cp -a "$tools/$name/." "$work/run/$name"
        mount --bind "$work/run/$name" "$tools/$name"
    done
    # QEMU without a mount namespace and a log daemon of its own.
    printf 'namespaces = []\nstdio_handler = "file"\n' >"$tools/etc/libvirt/qemu.conf"
    mkdir -p "$tools/checkout"
    mount --bind "$work" "$tools/mnt"
    mount --bind "$checkout" "$tools/checkout"
    mount -o remount,bind,ro "$tools/checkout"
}

in_tools() {
    env -i -C / HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        VAGRANT_HOME=/mnt/run/vagrant VAGRANT_DOTFILE_PATH=/mnt/run/dotfile VAGRANT_CHECKPOINT_DISABLE=1 \
        LIBVIRT_DRIVER=qemu XDPKIT_BOX=xdpkit-ci XDPKIT_KERNEL=/mnt/vmlinuz XDPKIT_INITRD=/mnt/initrd.img XDPKIT_VM_CPUS=2 \
        XDPKIT_WHEELS=/mnt/wheels APT_PROXY="http://192.168.121.1:$port" \
        chroot "$tools" "$@"
}

# Waits until libvirt answers, for up to a minute.
libvirt_starts() {
    local tries=60
    until in_tools virsh --quiet version >/dev/null 2>&1; do
        ((tries-- > 0)) || return 1
        kill -0 "$libvirtd" 2>/dev/null || return 1
        sleep 1
    done
}

mount_all
python3 "$checkout/vagrant/proxy.py" "$port" 9 >"$work/run/proxy.log" 2>&1 &
proxy=$!
exec 9<&-
# XDPKIT_VM=qemu does without libvirt even where it would start.
libvirtd=''
how=qemu
if [[ ${XDPKIT_VM:-} != qemu ]]; then
    in_tools /usr/sbin/libvirtd >"$work/run/libvirtd.log" 2>&1 &
    libvirtd=$!
    ! libvirt_starts || how=vagrant
fi
kill -0 "$proxy" || cat "$work/run/proxy.log" >&2
status=0
in_tools /bin/bash /checkout/vagrant/vm-checks.sh "$how" || status=$?
if ((status)); then
    tail -n 20 "$work"/run/*.log "$work"/run/var/log/libvirt/qemu/*.log >&2 || true
fi
if [[ -n $libvirtd ]]; then
    kill "$libvirtd" 2>/dev/null || true
    wait "$libvirtd" || true
fi
exit "$status"
