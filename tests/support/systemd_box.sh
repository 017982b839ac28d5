#!/bin/bash
# Boots this machine's systemd as the first process of new namespaces, over a copy-on-write view of
# the file system: systemd_box.py. Usage: systemd_box.sh DIRECTORY PATH..., where DIRECTORY is empty
# and the paths are visible inside as they are here.
set -euo pipefail
box=$1
shift
mount --make-rprivate /
mount -t tmpfs tmpfs "$box"
root=$box/root
mkdir "$box/upper" "$box/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$box/upper,workdir=$box/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t bpf bpf "$root/sys/fs/bpf"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount --rbind /dev "$root/dev"
for path; do
    mkdir -p "$root$path"
    mount --rbind "$path" "$root$path"
done
# Nothing of this machine is started inside, and no device of it is touched.
find "$root/etc/systemd/system" -type l -delete
for unit in systemd-udevd systemd-udev-trigger systemd-modules-load systemd-sysctl systemd-timesyncd \
    systemd-networkd systemd-resolved systemd-logind systemd-random-seed systemd-binfmt \
    console-getty getty@tty1 dbus; do
    ln -sfn /dev/null "$root/etc/systemd/system/$unit.service"
done
ln -sfn /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" \
    /lib/systemd/systemd --system --log-target=journal --show-status=0
