#!/bin/sh
# What `make fuzz` runs: each target for $FUZZ_SECONDS, from its corpus and
# the golden hooks on, and a line about each. What is found stays in the build
# folder, beside the log: fix it, and put it into the corpus. FUZZ_SEED in the
# environment has it go the same way each time.
#
# run.sh SOURCE-FOLDER TARGET...
set -eu
source=$1
shift
TMPDIR=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
passed=0
failed=0

# figure NAME: of the engine's own sum, `stat::NAME: 1234`.
figure() {
	sed -n "s/^stat::$1: *//p" "$log"
}

# Memory and time are bounded too: 1 GB, 10 s for one input. Where other threads
# are at work, leaks are looked for at the end alone: in the middle, what they
# have in their hands looks like one.
fuzz() {
	seeds=$source/fuzz/corpus/$name
	leaks=1
	case $name in
	observe|request|redact)
		seeds="$seeds $source/tests/golden" ;;
	esac
	case $name in
	request|fcgi|sink)
		leaks=0 ;;
	esac
	# shellcheck disable=SC2086 # word by word: it is a list
	"$target" -max_total_time="$FUZZ_SECONDS" -seed="${FUZZ_SEED:-0}" \
	    -max_len=65536 \
	    -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
	    -close_fd_mask=2 -detect_leaks=$leaks \
	    -artifact_prefix="$found" \
	    -dict="$source/fuzz/dictionaries/$name.dict" \
	    "$work" $seeds >"$log" 2>&1
}

for target in "$@"; do
	name=${target##*fuzz-}
	case $target in
	/*)	;;
	*)	target=./$target ;;
	esac
	if ! "$target" -help=1 2>&1 | grep -q max_total_time; then
		echo "make fuzz: there is no engine: configure CC=clang" \
		    "--enable-sanitize --with-fuzz-engine" >&2
		exit 1
	fi
	work=fuzz/work/$name
	log=fuzz/work/$name.log
	found=fuzz/work/found-$name-
	mkdir -p "$work"
	if fuzz; then
		passed=$((passed + 1))
		verdict='nothing found'
	else
		failed=$((failed + 1))
		verdict="FOUND something: see $log and $found*"
	fi
	edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
	echo "$name: $(figure number_of_executed_units) runs," \
	    "$edges edges, $verdict"
done
# As automake's summary has it, for those who add up.
printf '# PASS:  %d\n# FAIL:  %d\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
