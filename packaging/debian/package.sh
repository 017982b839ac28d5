#!/bin/bash
# vagrant/provision.sh package: installs what the build needs, and builds the package. It does not
# install the package, makes no link, and leaves the xdpkit in this checkout's .venv alone.
set -euo pipefail
# shellcheck source=vagrant/provision.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../vagrant/provision.sh"

package() {
    local built
    prepare "${run_packages[@]}" "${package_packages[@]}"
    say "package: building (a minute or two, the log is $log)"
    built=$(packaging/debian/build.sh "$venv/bin/python" 2>>"$log" </dev/null) || {
        tail -n 40 "$log" >&2
        die "the package could not be built (full log: $log)"
    }
    finish
    say "done: sudo apt-get install $built"
}

(($# == 0)) || misused "package takes no argument"
cd "$root"
package
