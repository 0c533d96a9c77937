#!/bin/bash
# Every test of lepton on a fresh Debian 12 or 13: installs what is missing, builds, runs, prints what took how long.
#
#   tests/run.sh [--long] [--only LABEL]
#
#   --long        the long forms too: twenty kills, images, Debian 13 in a folder
#   --only LABEL  tests with that ctest label only (unit, decode, pipeline, kafka, fuzz, house, ...)
#
# LEPTON_TEST_CACHE  where brokers' jars are kept (default build/deps)
# LEPTON_TEST_JOBS   CPUs to use (default: all)
#
# Nothing is skipped: what cannot be installed, built or started fails the run.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. tests/support/packages.sh

long= only=
while [ $# -gt 0 ]; do
    case $1 in
        --long) long=1 ;;
        --only) only=${2:?--only needs a label}; shift ;;
        *) sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done

jobs=${LEPTON_TEST_JOBS:-$(nproc)}
export LEPTON_TEST_CACHE=${LEPTON_TEST_CACHE:-$root/build/deps}
export TSAN_OPTIONS=suppressions=$root/tests/support/tsan.supp
if [ -n "$long" ]; then export LEPTON_TEST_LONG=1; fi
results=$root/build/results
rm -rf "$results"
mkdir -p "$results"

# phase NAME COMMAND...: say what begins, note how long it took.
phase() {
    local name=$1 begin=$SECONDS status=0
    shift
    echo "== $name"
    "$@" || status=$?
    echo "$name $((SECONDS - begin))" >>"$results/phases"
    return $status
}

install() {
    # shellcheck disable=SC2086
    install_packages $BUILD_PACKAGES $TEST_PACKAGES && install_packages "$(clang_runtime_package)"
}

make_venv() {
    local venv=build/venv want=tests/support/requirements.txt attempt
    if cmp -s $want $venv/.installed; then return 0; fi
    rm -rf $venv
    /usr/bin/python3 -m venv $venv
    for attempt in 1 2 3; do
        if $venv/bin/pip install -q --disable-pip-version-check --only-binary :all: -r $want; then
            cp $want $venv/.installed
            return 0
        fi
        sleep $((attempt * 3))
    done
    echo "pip could not install $want" >&2
    return 1
}

# XGBoost 1.7, beside the current one, for the oracle of its files.
make_old_xgboost() {
    local folder=build/xgboost-1.7
    if [ -e $folder/.installed ]; then return 0; fi
    rm -rf $folder
    build/venv/bin/pip install -q --disable-pip-version-check --only-binary :all: --no-deps --target $folder xgboost==1.7.6
    touch $folder/.installed
}

# Programs that a preset is for; none named: all.
targets() {
    local file
    if [ "$1" = fuzz ]; then
        for file in tests/fuzz/fuzz_*.c; do basename "$file" .c; done
    fi
}

# build PRESET
build() {
    cmake --preset "$1" "-DLEPTON_PYTHON=$root/build/venv/bin/python" \
        "-DLEPTON_XGBOOST_OLD=$root/build/xgboost-1.7" >"$results/configure-$1.log" ||
        { cat "$results/configure-$1.log"; return 1; }
    # shellcheck disable=SC2046
    cmake --build --preset "$1" -j "$jobs" --target $(targets "$1" | grep . || echo all) -- -k 0 \
        >"$results/build-$1.log" || { grep -A15 '^FAILED:' "$results/build-$1.log" | tail -100; return 1; }
}

failed=
# suite NAME PRESET CTEST-ARGUMENTS...: one run of ctest; failures are remembered and the run goes on. Most tests wait for
# a group to form or a session to end, so that six share a CPU; those that compute take more slots (PROCESSORS).
suite() {
    local name=$1 preset=$2 slots=$((jobs * 6))
    if [ "$preset" = fuzz ]; then slots=$jobs; fi
    shift 2
    ctest --test-dir "build/$preset" --show-only=json-v1 "$@" >"$results/$name.json"
    # A second try is told below: it is a finding, but on a busy machine no reason to lose the run. Fuzzing has none.
    local tries=until-pass:2
    if [ "$preset" = fuzz ]; then tries=until-pass:1; fi
    if ! phase "test $name" ctest --test-dir "build/$preset" --output-on-failure --no-tests=error \
        --repeat $tries -j "$slots" \
        --output-junit "$results/$name.xml" "$@" 2>&1 | tee "$results/$name.txt"; then
        failed="$failed $name"
    fi
}

# has PRESET LABEL: does that build register tests with the label?
has() {
    [ "$(ctest --test-dir "build/$1" -N -L "^$2\$" | sed -n 's/^Total Tests: //p')" -gt 0 ]
}

begin=$SECONDS
phase install install
phase venv make_venv
phase xgboost-1.7 make_old_xgboost
phase fetch tests/support/fetch.sh "$LEPTON_TEST_CACHE"
for preset in release debug tsan fuzz; do phase "build $preset" build $preset; done

if [ -n "$only" ]; then
    for preset in release debug tsan fuzz; do
        if has $preset "$only"; then suite $preset $preset -L "^$only\$"; fi
    done
else
    # A suite that quietly registered nothing would look green. Kernels and golden rows repeat themselves at lesser CPUs.
    for label in unit fuzz kernels golden pipeline broker chaos house; do
        has release $label || { echo "no tests with the label $label" >&2; exit 1; }
    done
    suite release release
    suite debug debug -LE '^house$'
    suite tsan tsan -L '^(kafka|worker|pipeline)$'
    suite fuzz fuzz -L '^fuzz$'
fi
if [ -n "$long" ]; then suite long release -C Long -L '^long$'; fi

/usr/bin/python3 tests/support/budget.py "$results" $((SECONDS - begin))
unsteady=$(grep -hE '^ *[0-9]*/?[0-9]* *Test +#[0-9]+: .*\*\*\*' "$results"/*.txt | sed -E 's/.*Test +#[0-9]+: ([^ ]+) .*/\1/' | sort -u | tr '\n' ' ') || true
if [ -n "$unsteady" ]; then echo "UNSTEADY (failed at least once): $unsteady"; fi
# ctest's own summaries close the run.
for text in "$results"/*.txt; do
    echo "== $(basename "$text" .txt)"
    grep -E '^[0-9]+% tests passed' "$text" || tail -3 "$text"
done
if [ -n "$failed" ]; then
    echo "FAILED:$failed" >&2
    exit 1
fi
