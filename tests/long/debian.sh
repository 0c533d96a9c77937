#!/bin/bash
# A clean clone on a fresh Debian in a folder: installs, builds, runs the tests of one label there.
#   debian.sh SUITE LABEL      as: debian.sh trixie unit
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$root/tests/support/packages.sh"
. "$here/system.sh"
suite=${1:?suite} label=${2:?label}

install_packages debootstrap
folder=$(mktemp -d -t "lepton-$suite-XXXXXX")
cleanup() {
    system_unmount "$folder/root"
    rm -rf --one-file-system "$folder"
}
trap cleanup EXIT

begin=$SECONDS
system_create "$suite" "$folder/root"
system_mount "$folder/root"
git clone -q "$root" "$folder/root/lepton"
# The brokers' jars are the same on every Debian: no need to fetch them twice.
if [ -d "${LEPTON_TEST_CACHE:-$root/build/deps}" ]; then
    mkdir -p "$folder/root/lepton/build"
    cp -r "${LEPTON_TEST_CACHE:-$root/build/deps}" "$folder/root/lepton/build/deps"
fi
echo "$suite in $((SECONDS - begin)) s"
chroot "$folder/root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt /lepton/tests/run.sh --only "$label"
echo "clean clone to tested in $((SECONDS - begin)) s"
