#!/bin/bash
# The image, without a container engine: Debian 13 in a folder becomes the base, buildah builds docker/Dockerfile on it as
# it stands, the image is looked at and run. Prints its compressed size; fails from 60 MB on.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$root/tests/support/packages.sh"
. "$here/system.sh"
LIMIT_BYTES=$((60 * 1000 * 1000))

install_packages debootstrap buildah skopeo
folder=$(mktemp -d -t lepton-image-XXXXXX)
trap 'rm -rf --one-file-system "$folder"' EXIT
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
storage=(--root "$folder/storage" --runroot "$folder/run")

make_base() {
    system_create trixie "$folder/root"
    # As slim images do.
    chroot "$folder/root" apt-get clean
    rm -rf "$folder/root"/var/lib/apt/lists/* "$folder/root"/usr/share/{doc,man,locale,info}/*
    mkdir "$folder/base"
    tar -C "$folder/root" -cf "$folder/base/rootfs.tar" .
    rm -rf "$folder/root"
    printf 'FROM scratch\nADD rootfs.tar /\nCMD ["bash"]\n' >"$folder/base/Dockerfile"
    buildah "${storage[@]}" bud --format docker -q -t lepton-base "$folder/base" >/dev/null
}

build_image() {
    git clone -q "$root" "$folder/source"
    buildah "${storage[@]}" bud --format docker --build-arg BASE=localhost/lepton-base -t lepton \
        -f "$folder/source/docker/Dockerfile" "$folder/source" >"$folder/build.log" 2>&1 ||
        { tail -40 "$folder/build.log"; return 1; }
    buildah "${storage[@]}" push lepton "oci-archive:$folder/lepton.oci" >/dev/null 2>&1
}

# Everything that compose.yaml and orchestrators rely on.
check_config() {
    buildah "${storage[@]}" inspect --type image lepton >"$folder/inspect.json"
    python3 - "$folder/inspect.json" <<'PYTHON'
import json, sys
with open(sys.argv[1], encoding="utf-8") as file:
    config = json.load(file)["Docker"]["config"]
assert config["User"] not in ("", "0", "root"), config
assert config["StopSignal"] in ("SIGTERM", "15"), config
assert config["Healthcheck"]["Test"] == ["CMD", "lepton", "health"], config
assert config["Entrypoint"] == ["lepton"], config
PYTHON
}

run_in_image() {
    local container
    container=$(buildah "${storage[@]}" from lepton)
    buildah "${storage[@]}" run "$container" -- lepton --version
    buildah "${storage[@]}" run "$container" -- sh -c 'test "$(id -u)" != 0'
    buildah "${storage[@]}" run "$container" -- sh -c '! command -v gcc && ! ls /usr/include/librdkafka 2>/dev/null'
    buildah "${storage[@]}" run "$container" -- lepton demo --seconds 30
    buildah "${storage[@]}" rm "$container" >/dev/null
}

compressed_bytes() {
    skopeo inspect --raw "oci-archive:$folder/lepton.oci" |
        python3 -c 'import json, sys; print(sum(layer["size"] for layer in json.load(sys.stdin)["layers"]))'
}

make_base
build_image
check_config
run_in_image
bytes=$(compressed_bytes)
echo "image: $((bytes / 1000 / 1000)) MB compressed"
[ "$bytes" -lt "$LIMIT_BYTES" ] || { echo "over $((LIMIT_BYTES / 1000 / 1000)) MB" >&2; exit 1; }
