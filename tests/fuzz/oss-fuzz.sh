#!/bin/bash
# The build that OSS-Fuzz asks for (its build.sh calls this): every fuzz target, its corpus and its dictionary to $OUT.
#   OUT=folder WORK=folder [CC=clang] [CFLAGS=...] [LIB_FUZZING_ENGINE=-fsanitize=fuzzer] tests/fuzz/oss-fuzz.sh
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
out=${OUT:?where the targets go}
build=${WORK:?where to build}/lepton
flags=${CFLAGS:--O1 -g -fsanitize=address,undefined,fuzzer-no-link}

cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=None "-DCMAKE_C_COMPILER=${CC:-clang}" "-DCMAKE_C_FLAGS=$flags" \
    -DLEPTON_FUZZ=ON "-DLEPTON_FUZZ_ENGINE=${LIB_FUZZING_ENGINE:--fsanitize=fuzzer}" \
    -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON '-DCMAKE_INSTALL_RPATH=$ORIGIN/lib'
targets=$(cd "$root/tests/fuzz" && for file in fuzz_*.c; do echo "${file%.c}"; done)
# shellcheck disable=SC2086
cmake --build "$build" --target $targets

mkdir -p "$out/lib"
for target in $targets; do
    short=${target#fuzz_}
    cp "$build/tests/$target" "$out/"
    # Targets run where our libraries are not installed.
    ldd "$build/tests/$target" | awk '$3 ~ "^/" && $1 !~ /^lib(c|m|dl|rt|pthread|gcc_s|resolv)\.so/ {print $3}' |
        xargs -r cp -L -t "$out/lib"
    python3 -m zipfile -c "$out/${target}_seed_corpus.zip" "$root/tests/fuzz/corpus/$short"/*
    if [ -e "$root/tests/fuzz/dict/$short.dict" ]; then cp "$root/tests/fuzz/dict/$short.dict" "$out/$target.dict"; fi
done
