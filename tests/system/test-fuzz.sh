#!/bin/sh
# Every fuzz target lives through its corpus: what leads into the code's
# corners, and what was once found. `make fuzz` looks for more.
. "${top_srcdir:-.}/tests/support/tap.sh"
work=$(mktemp -d)
TMPDIR=$work
export TMPDIR
for folder in "$top_srcdir"/fuzz/corpus/*; do
	name=${folder##*/}
	set -- "$folder"/*
	case $name in
	observe|request|redact)
		set -- "$@" "$top_srcdir"/tests/golden/*.hook ;;
	esac
	status=0
	# Split into words: that is meant.
	# shellcheck disable=SC2086
	${SENTRY_TEST_WRAPPER:-} "${top_builddir:?}/fuzz/fuzz-$name" "$@" \
	    >"$work/log" 2>&1 || status=$?
	ok "$status" "fuzz-$name lives through $# files"
	[ "$status" -eq 0 ] || tail -n 40 "$work/log" | sed 's/^/# /'
done
done_testing
