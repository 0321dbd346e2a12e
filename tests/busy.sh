#!/usr/bin/env bash
# Finds tests that fail by chance: runs them again and again on a machine that has too much to do.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'END'
Usage: tests/busy.sh [LOOPS [RUNS [ARGUMENT...]]]

Runs `cargo test ARGUMENT...` RUNS times (5) beside LOOPS endless loops (4), says how each run ended,
and fails if one did. A run that takes more than 30 minutes is ended and counts as failed.

    tests/busy.sh
    tests/busy.sh 8 20 --test ejabberd
END
}

number() {
    [[ $1 =~ ^[0-9]{1,3}$ ]] || { usage >&2; exit 2; }
    echo "$((10#$1))"
}

case "${1-}" in -h | --help) usage; exit ;; esac
loops=$(number "${1-4}")
runs=$(number "${2-5}")
shift "$(($# < 2 ? $# : 2))"

# What is compiled is no matter of the loops.
cargo test --no-run "$@"

started=()
# An empty array is unbound in old versions of bash.
trap 'kill ${started[@]+"${started[@]}"} 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM
for ((loop = 0; loop < loops; loop++)); do
    # It ends with this script, whatever ends that.
    (trap - EXIT INT TERM; while kill -0 $$ 2>/dev/null; do :; done) &
    started+=($!)
done

passed=0
for ((run = 1; run <= runs; run++)); do
    began=$SECONDS
    log=$(mktemp)
    # In the background, so that Ctrl-C need not wait for it.
    INSTA_UPDATE=no timeout 1800 cargo test --no-fail-fast "$@" >"$log" 2>&1 &
    started[loops]=$!
    if wait $!; then
        passed=$((passed + 1))
        echo "run $run of $runs: passed after $((SECONDS - began)) s"
        rm "$log"
    else
        echo "run $run of $runs: FAILED after $((SECONDS - began)) s, see $log"
        grep -E '^test .*FAILED$|^error: could not' "$log" || true
    fi
done
echo "$passed passed, $((runs - passed)) failed, beside $loops endless loops"
[ "$passed" = "$runs" ]
