#!/usr/bin/env bash
# Finds what s2spec leaves behind when it is killed, and where two of it are in each other's way.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'END'
Usage: tests/together.sh pairs [ROUNDS [TARGET [ID...]]]
       tests/together.sh kills [ROUNDS [TARGET...]]

pairs: after `s2spec doctor`, starts `s2spec run ID...` (personas/row09) against TARGET (reference) twice at
the same time, ROUNDS times (50), beside a partner that holds ports. Fails if a case is an `error` or
`not-run`, or a report has trouble.

kills: kills s2spec with signal 9 while it runs against each TARGET (prosody ejabberd), ROUNDS times (20),
a little later each time. Fails if a process is alive or a file is there five seconds later.

S2SPEC is the program [default: target/debug/s2spec]. Needs jq, and kills needs /proc.
END
}

s2spec=${S2SPEC-target/debug/s2spec}
folder=$(mktemp -d)
started=()

finish() {
    kill ${started[@]+"${started[@]}"} 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT TERM

rounds() {
    [[ $1 =~ ^[0-9]{1,3}$ ]] || { usage >&2; exit 2; }
    echo "$((10#$1))"
}

# What is wrong with a report, a line each.
wrong() {
    jq -r '(.trouble[] | "trouble: " + .),
        (.cases[] | select(.verdict == "error" or .verdict == "not-run") | "\(.verdict) \(.id): \(.why)")' "$1"
}

pairs() {
    local rounds target ids failed=0
    rounds=$(rounds "${1-50}")
    target=${2-reference}
    shift "$(($# < 2 ? $# : 2))"
    ids=("${@:-personas/row09}")
    "$s2spec" doctor --target "$target" >"$folder/doctor"
    "$s2spec" serve modern --listen 127.0.0.1:0 >"$folder/partner" 2>&1 &
    started+=($!)
    for ((round = 1; round <= rounds; round++)); do
        local runs=() bad=
        rm -f "$folder"/*.json
        for one in 1 2; do
            "$s2spec" run "${ids[@]}" --target "$target" --json "$folder/$one.json" \
                >"$folder/$one" 2>&1 &
            runs+=($!)
        done
        for one in 1 2; do
            local code=0
            wait "${runs[one - 1]}" || code=$?
            # Codes 1 and 3 are a matter of its cases.
            if [ -s "$folder/$one.json" ]; then
                wrong "$folder/$one.json" >"$folder/$one.wrong"
            else
                (echo "ended with $code" && cat "$folder/$one") >"$folder/$one.wrong"
            fi
            if [ -s "$folder/$one.wrong" ]; then
                bad=1
                sed "s/^/round $round: /" "$folder/$one.wrong"
            fi
        done
        failed=$((failed + ${bad:-0}))
    done
    echo "$((rounds - failed)) of $rounds pairs had no error and no trouble"
    [ "$failed" = 0 ]
}

# The processes that were started with this folder for temporary files, but for those that have ended.
left() {
    local process name
    for process in /proc/[0-9]*; do
        name=$(tr '\0' '\n' 2>/dev/null <"$process/environ" | grep -Fx "TMPDIR=$1") || continue
        grep -q '^State:.[^Z]' "$process/status" 2>/dev/null && echo "${process#/proc/}"
    done
    return 0
}

# Waits at most so many seconds for a test.
within() {
    local ends=$((SECONDS + $1))
    until "${@:2}"; do
        ((SECONDS < ends)) || return 1
    done
}

more_than() { (($(left "$2" | wc -l) > $1)); }
nothing_left() { [ -z "$(left "$1")$(ls -A "$1")" ]; }

# Kills s2spec this many milliseconds after its first server is there. Says what is left.
killed() {
    local own code=0
    own=$(mktemp -d "$folder/own-XXXXXX")
    TMPDIR=$own "$s2spec" run --target "$1" --no-doctor personas streams >"$folder/log" 2>&1 &
    local program=$!
    started=("$program")
    # Beside itself: the shell that clears up, and a server.
    within 60 more_than 2 "$own" || {
        echo "no server after 60 s"
        kill "$program"
        return 1
    }
    read -r -t "$(printf '%d.%03d' $(($2 / 1000)) $(($2 % 1000)))" <> <(:) || true
    kill -0 "$program" || { echo "it had ended before"; return 1; }
    kill -9 "$program"
    wait "$program" 2>/dev/null || code=$?
    started=()
    within 5 nothing_left "$own" || {
        for process in $(left "$own"); do
            echo "alive: $process $(tr '\0\n' ' ' 2>/dev/null <"/proc/$process/cmdline" | cut -c1-200)"
        done
        ls -A "$own"
        return 1
    }
}

kills() {
    local rounds failed=0
    rounds=$(rounds "${1-20}")
    shift "$(($# < 1 ? $# : 1))"
    (($#)) || set -- prosody ejabberd
    for target; do
        for ((round = 1; round <= rounds; round++)); do
            killed "$target" $((round * 150)) >"$folder/found" || {
                failed=$((failed + 1))
                sed "s/^/$target, round $round: /" "$folder/found"
            }
        done
        echo "$target: killed $rounds times"
    done
    echo "$failed of them left something"
    [ "$failed" = 0 ]
}

case "${1-}" in
pairs | kills) "$@" ;;
*) usage; [ "${1-}" = --help ] || [ "${1-}" = -h ] || exit 2 ;;
esac
