# What a fresh Debian 12 or 13 needs; sourced by tests/run.sh, docker/demo.sh and the long form. Functions only.

BUILD_PACKAGES="gcc libc6-dev cmake ninja-build pkg-config git ca-certificates librdkafka-dev libjansson-dev
    libcurl4-openssl-dev libssl-dev libmicrohttpd-dev libopenblas-pthread-dev zlib1g-dev libsnappy-dev libzstd-dev
    libprotobuf-c-dev protobuf-c-compiler"
TEST_PACKAGES="libcmocka-dev libavro-dev libopenmpi-dev openmpi-bin clang kcat openssl python3 python3-venv default-jre-headless
    maven valgrind"

# Name of clang's sanitizer runtime: it carries clang's major version.
clang_runtime_package() {
    local major
    major=$(apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -1)
    echo "libclang-rt-$major-dev"
}

missing_packages() {
    local package
    for package in "$@"; do
        if [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null)" != "ii " ]; then echo "$package"; fi
    done
}

# as_root COMMAND...: directly, or through sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt_update_once() {
    if [ -z "${APT_UPDATED:-}" ]; then
        as_root apt-get -qq update
        APT_UPDATED=1
    fi
}

# install_packages NAME...: those that are missing; fails when one cannot be had.
install_packages() {
    local missing
    missing=$(missing_packages "$@")
    if [ -z "$missing" ]; then return 0; fi
    apt_update_once
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
    missing=$(missing_packages "$@")
    if [ -n "$missing" ]; then
        echo "could not install: $missing" >&2
        return 1
    fi
}
