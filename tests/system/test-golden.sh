#!/bin/sh
# Every golden hook becomes, to the byte, what its .exp file says.
. "${top_srcdir:-.}/tests/support/tap.sh"
for hook in "$top_srcdir"/tests/golden/*.hook; do
	name=$(basename "$hook" .hook)
	status=0
	"${top_builddir:?}/tests/support/observe" "$hook" |
	    cmp -s - "${hook%.hook}.exp" || status=$?
	ok "$status" "golden $name"
done
done_testing
