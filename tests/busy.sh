#!/usr/bin/env bash
# Finds what depends on chance: runs tests, or cases, again and again on a machine that has too much to do.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'END'
Usage: tests/busy.sh [LOOPS [RUNS [ARGUMENT...]]]
       tests/busy.sh --verdicts [LOOPS [RUNS [ARGUMENT...]]]

Runs `cargo test ARGUMENT...` RUNS times (5) beside LOOPS endless loops (4), says how each run ended,
and fails if one did. A run that takes more than 30 minutes is ended and counts as failed.

With --verdicts, runs `s2spec run ARGUMENT...` once without loops and then RUNS times (10) beside LOOPS of
them (12), names each case with another verdict than at first, and fails if there is one. Needs jq.

    tests/busy.sh
    tests/busy.sh 8 20 --test suites ejabberd::
    tests/busy.sh --verdicts 12 10 --target prosody addresses sasl
END
}

number() {
    [[ $1 =~ ^[0-9]{1,3}$ ]] || { usage >&2; exit 2; }
    echo "$((10#$1))"
}

what=tests
case "${1-}" in
-h | --help) usage; exit ;;
--verdicts) what=verdicts; shift ;;
esac
if [ "$what" = tests ]; then defaults=(4 5); else defaults=(12 10); fi
loops=$(number "${1-${defaults[0]}}")
runs=$(number "${2-${defaults[1]}}")
shift "$(($# < 2 ? $# : 2))"

folder=$(mktemp -d)
started=()

finish() {
    # An empty array is unbound in old versions of bash.
    kill ${started[@]+"${started[@]}"} 2>/dev/null || true
}
trap finish EXIT
trap 'exit 130' INT TERM

# One line for each case. Exit code 1 or 3 of a run is a matter of its cases.
verdicts() {
    local code=0
    target/debug/s2spec run --json "$1.json" "${@:2}" >"$1.log" 2>&1 || code=$?
    case $code in
    0 | 1 | 3) jq -r '.cases[] | "\(.id) \(.verdict)"' "$1.json" | sort >"$1" ;;
    *) cat "$1.log" >&2; return "$code" ;;
    esac
}

run_tests() {
    INSTA_UPDATE=no timeout 1800 cargo test --no-fail-fast "${@:2}" >"$1" 2>&1
}

run_verdicts() {
    verdicts "$1.verdicts" "${@:2}" && diff "$folder/quiet" "$1.verdicts" >"$1"
}

# What is compiled, and what a quiet machine shows, is no matter of the loops.
if [ "$what" = tests ]; then
    cargo test --no-run "$@"
else
    cargo build -p s2spec
    verdicts "$folder/quiet" "$@"
fi

for ((loop = 0; loop < loops; loop++)); do
    # It ends with this script, whatever ends that.
    (trap - EXIT INT TERM; while kill -0 $$ 2>/dev/null; do :; done) &
    started+=($!)
done

passed=0
for ((run = 1; run <= runs; run++)); do
    began=$SECONDS
    log=$folder/run-$run
    # In the background, so that Ctrl-C need not wait for it.
    "run_$what" "$log" "$@" &
    started[loops]=$!
    if wait $!; then
        passed=$((passed + 1))
        echo "run $run of $runs: passed after $((SECONDS - began)) s"
    else
        echo "run $run of $runs: FAILED after $((SECONDS - began)) s, see $log"
        grep -E '^test .*FAILED$|^error: could not|^[<>]' "$log" || true
    fi
done
echo "$passed passed, $((runs - passed)) failed, beside $loops endless loops"
[ "$passed" = "$runs" ]
