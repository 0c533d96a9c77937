#!/bin/bash
# The kernels for 64-bit ARM: cross-compiled and run under qemu-user, the same tests as on x86. cmocka and OpenBLAS have
# stand-ins in neon/, so that nothing but the cross compiler (gcc-aarch64-linux-gnu) and qemu-user is needed.
#
#     neon.sh [FOLDER]
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/support/packages.sh
. "$root/tests/support/packages.sh"
install_packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
folder=${1:-$(mktemp -d)}
compiler="aarch64-linux-gnu-gcc -O2 -std=gnu11 -D_GNU_SOURCE -I$root/src -I$root/tests/long/neon -Wall -Wextra -Wconversion
    -Wshadow -Werror -ffp-contract=off"
cd "$folder"
objects=""
for source in "$root"/src/core/cpu.c "$root"/src/kernels/activation/*.c "$root"/src/kernels/binary/*.c \
    "$root"/src/kernels/conv2d/*.c "$root"/src/kernels/dense/*.c "$root"/src/kernels/dense_bf16/*.c \
    "$root"/src/kernels/dense_i8/*.c "$root"/src/kernels/embedding/*.c "$root"/src/kernels/matmul/*.c \
    "$root"/src/kernels/norm/*.c "$root"/src/kernels/pool/*.c; do
    case $(basename "$source") in avx2.c | avx512.c | vnni.c | avxvnni.c | bf16.c | amx.c) continue ;; esac
    object=$(echo "${source#"$root"/src/}" | tr / _).o
    $compiler -c "$source" -o "$object"
    objects="$objects $object"
done
for test in activation binary conv2d dense dense_bf16 dense_i8 embedding matmul norm pool; do
    $compiler -static "$root/tests/kernels/test_$test.c" $objects -o "test_$test" -lm
    echo "== $test"
    case $test in activation) sample="--stride 200003" ;; *) sample="" ;; esac
    qemu-aarch64 "./test_$test" $sample
done
echo "every kernel agrees on aarch64 under qemu"
