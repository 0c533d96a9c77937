#!/bin/bash
# lepton's demo on a fresh Debian 12 or 13: installs what the build needs, builds, runs `lepton demo`.
#
#   docker/demo.sh [arguments of `lepton demo`, as --seconds 30]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tests/support/packages.sh"

# shellcheck disable=SC2086
install_packages $BUILD_PACKAGES
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "building lepton in $root/build/release ..." >&2
if ! { cmake -S "$root" --preset release -DBUILD_TESTING=OFF &&
    cmake --build "$root/build/release" --target lepton; } >"$log" 2>&1; then
    tail -40 "$log" >&2
    echo "the build failed" >&2
    exit 1
fi
rm -f "$log"
exec "$root/build/release/lepton" demo "$@"
