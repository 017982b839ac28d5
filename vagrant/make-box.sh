#!/bin/bash
# Makes what vagrant/provision.sh test-vm runs, in one directory, from Debian's archive:
#   tools/                  a Debian 12 tree with Vagrant, libvirt and QEMU: none of it is installed on the host
#   box/                    a Vagrant box (metadata.json, Vagrantfile, box.img): a bare Debian 12, no boot loader
#   vmlinuz, initrd.img     the box's kernel: QEMU loads it directly, hence no boot loader
#   wheels/                 xdpkit and all it needs from PyPI, built here: under emulation that would take long
# Trees and image are kept until this file changes; the wheels are made every time.
#
# usage: make-box.sh CHECKOUT DIRECTORY PIP    as root, all paths absolute; PIP is the host's pip, with the
# host's settings
set -euo pipefail

tools_packages=(vagrant vagrant-libvirt libvirt-daemon-system libvirt-clients libvirt-daemon-driver-qemu
    libvirt-daemon-config-network dnsmasq-base qemu-system-x86 qemu-utils rsync openssh-client iproute2
    iptables python3-venv python3-dev gcc libc6-dev libssl-dev)

# What Vagrant and provision.sh need of Debian's own Vagrant box, and, of what provision.sh installs, the
# compiler: installing that takes minutes under emulation. The rest is installed in the VM.
box_packages=(systemd-sysv udev dbus kmod iproute2 ethtool openssh-server sudo rsync python3 ca-certificates ifupdown
    isc-dhcp-client linux-image-cloud-amd64 initramfs-tools procps gcc libc6-dev libssl-dev python3-dev)

# shellcheck disable=SC2016 # mmdebstrap's $1
tree() { # tree DIRECTORY HOOK PACKAGE...
    local directory=$1 hook=$2 include options=(--quiet --variant=apt --dpkgopt=path-exclude=/usr/share/doc/*
        --dpkgopt=path-exclude=/usr/share/locale/* --dpkgopt=force-unsafe-io
        --aptopt='Acquire::Languages "none"')
    shift 2
    include=$(IFS=, && echo "$*")
    # Not as an apt option: those stay in the tree.
    [[ -z ${APT_PROXY:-} ]] || export http_proxy=$APT_PROXY
    # It mounts /proc, /sys and /dev in the tree; in a namespace of its own, the mounts end with it.
    nice -n 10 unshare --mount --propagation private \
        mmdebstrap "${options[@]}" --include="$include" --customize-hook="$hook" bookworm "$directory" </dev/null
}

# In the box: Vagrant's user, and DHCP on eth0.
box_hook() {
    cat <<'HOOK'
set -eu
echo debian >"$1/etc/hostname"
echo '127.0.0.1 localhost debian' >"$1/etc/hosts"
echo '/dev/vda / ext4 errors=remount-ro 0 1' >"$1/etc/fstab"
printf '%s\n' 'auto lo' 'iface lo inet loopback' 'allow-hotplug eth0' 'iface eth0 inet dhcp' \
    'source /etc/network/interfaces.d/*' >"$1/etc/network/interfaces"
chroot "$1" useradd -m -s /bin/bash vagrant
echo 'vagrant ALL=(ALL) NOPASSWD: ALL' >"$1/etc/sudoers.d/vagrant"
echo 'UseDNS no' >>"$1/etc/ssh/sshd_config"
HOOK
}

in_tools() { # in_tools COMMAND...: with this directory at /work, without a network
    # shellcheck disable=SC2016
    unshare --mount --net --propagation private bash -c '
        set -e
        mount --bind "$PWD" tools/mnt
        mount -t proc proc tools/proc
        mount --rbind /dev tools/dev
        exec chroot tools env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"' bash "$@"
}

make_trees() {
    local key
    key=$(sha256sum "$self" | cut -d ' ' -f 1)
    [[ ! -e trees.key || $(<trees.key) != "$key" ]] || return 0
    rm -rf --one-file-system trees.key tools root root.img box
    trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
    box_hook >box-hook.sh
    tree tools true "${tools_packages[@]}" >tools.log 2>&1 &
    local tools_job=$!
    # shellcheck disable=SC2016
    tree root 'sh ./box-hook.sh "$1"' "${box_packages[@]}" >box.log 2>&1 || failed box.log
    wait "$tools_job" || failed tools.log
    make_box
    echo "$key" >trees.key
}

failed() {
    tail -n 30 "$1" >&2
    echo "make-box.sh: mmdebstrap failed (full log: $PWD/$1): is deb.debian.org reachable, or does APT_PROXY need to be set?" >&2
    exit 1
}

make_box() {
    mkdir box
    install -d -o 1000 -g 1000 -m 700 root/home/vagrant/.ssh
    install -o 1000 -g 1000 -m 600 tools/usr/share/rubygems-integration/all/gems/vagrant-*/keys/vagrant.pub \
        root/home/vagrant/.ssh/authorized_keys
    cp -L root/boot/vmlinuz-* vmlinuz
    cp -L root/boot/initrd.img-* initrd.img
    chmod 644 vmlinuz initrd.img
    nice -n 10 mke2fs -q -t ext4 -d root -L root root.img 4G
    in_tools qemu-img convert -O qcow2 /mnt/root.img /mnt/box/box.img
    echo '{"provider": "libvirt", "format": "qcow2", "virtual_size": 4}' >box/metadata.json
    echo 'Vagrant.configure("2") { |config| }' >box/Vagrantfile
    rm -rf root root.img
}

# The host's own pip, with its settings, downloads what exists as a wheel; xdpkit is compiled with the Python
# of tools/, which is the same as the box's.
make_wheels() { # make_wheels CHECKOUT PIP
    rm -rf wheels source
    mkdir wheels source
    local requires
    mapfile -t requires < <(python3 -c 'import sys, tomllib
project = tomllib.load(open(sys.argv[1], "rb"))
print(*project["build-system"]["requires"], *project["project"]["dependencies"], sep="\n")' "$1/pyproject.toml")
    "$2" download --quiet --disable-pip-version-check --only-binary :all: --python-version 3.11 --implementation cp \
        --abi cp311 --abi abi3 --abi none --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 --platform any \
        --dest wheels "${requires[@]}"
    tar -C "$1" --exclude=.git --exclude=.venv --exclude=.cache --exclude='*.so' --exclude=build -c . | tar -C source -x
    # shellcheck disable=SC2016 # the inner shell's own
    in_tools sh -ec '
        python3 -m venv --clear /opt/build
        /opt/build/bin/pip install --quiet --upgrade --no-index --find-links /mnt/wheels cython meson meson-python ninja
        cd /mnt/source
        export PATH=/opt/build/bin:$PATH
        nice -n 10 pip wheel --quiet --no-index --no-build-isolation --no-deps -w /mnt/wheels .'
}

self=$(readlink -f "${BASH_SOURCE[0]}")
cd "$2"
make_trees
make_wheels "$1" "$3"
