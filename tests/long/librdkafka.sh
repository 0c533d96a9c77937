#!/bin/bash
# The Kafka and pipeline tests of a build against a newer librdkafka than the distribution's: built from the source that
# the crate rdkafka-sys carries (needs cargo), put before the system's at run time. Programs built against 2.0.2 run on it.
#   librdkafka.sh BUILD [CTEST OPTIONS]      as: librdkafka.sh build/release -LE broker
set -euo pipefail
crate=4.10.0+2.12.1 version=2.12.1
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$root/tests/support/packages.sh"
build=$(cd "${1:?build folder}" && pwd)
shift
cache=${LEPTON_TEST_CACHE:-$root/build/deps}/librdkafka-$version

if [ ! -e "$cache/librdkafka.so.1" ]; then
    install_packages libsasl2-dev # its build has SCRAM and OAUTHBEARER only beside Cyrus
    folder=$(mktemp -d -t lepton-librdkafka-XXXXXX)
    trap 'rm -rf "$folder"' EXIT
    mkdir -p "$folder/src" "$cache"
    touch "$folder/src/lib.rs"
    printf '[package]\nname = "fetch"\nversion = "0.0.0"\n[dependencies]\nrdkafka-sys = "=%s"\n' "${crate%%+*}" > "$folder/Cargo.toml"
    (cd "$folder" && cargo vendor -q vendor > /dev/null)
    cmake -S "$folder/vendor/rdkafka-sys/librdkafka" -B "$folder/build" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
        -DRDKAFKA_BUILD_TESTS=OFF -DRDKAFKA_BUILD_EXAMPLES=OFF \
        -DWITH_SSL=ON -DWITH_SASL=ON -DWITH_ZLIB=ON -DWITH_CURL=ON > /dev/null
    cmake --build "$folder/build" -j"$(nproc)" --target rdkafka > /dev/null
    cp "$folder/build/src/librdkafka.so.1" "$cache/"
fi
export LD_LIBRARY_PATH=$cache
"$build/lepton" --version | grep -F "librdkafka $version" || { echo "lepton does not run on librdkafka $version" >&2; exit 1; }
exec ctest --test-dir "$build" -R '^(kafka|pipeline)/' --output-on-failure --no-tests=error "$@"
