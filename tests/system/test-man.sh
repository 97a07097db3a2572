#!/bin/sh
# The man pages: clean mdoc, with every option of --help and every exit status
# and no other, every environment variable, every table and column.
. "${top_srcdir:-.}/tests/support/tap.sh"
top_srcdir=${top_srcdir:-.}
man=$top_srcdir/man
work=$(mktemp -d)
needs mandoc sqlite3

# has TEXT FILE NAME: as a line of its own.
has() {
	if grep -qxF "$1" "$2"; then
		ok 0 "$3"
	else
		ok 1 "$3"
	fi
}

# options FILE: the words that begin with two hyphens.
options() {
	grep -oE -- '(^|[^-a-z])--[a-z][-a-z]*' "$1" |
	    sed 's/^[^-]*//' | sort -u
}

# page FILE: as text, without the overstrikes of bold and underlined letters.
page() {
	mandoc -Tascii -O width=78 "$1" | sed "s/.$(printf '\b')//g"
}

# section NAME FILE: of a page as text, on one line.
section() {
	sed -n "/^$1\$/,/^[A-Z]/p" "$2" | sed '1d;/^[A-Z]/d' | tr -s ' \n' ' '
}

links='s/^\.Xr \(sentry-[a-z]*\) \([1-8]\).*/\1.\2/p'
for file in "$man"/*.[1-8]; do
	name=${file##*/}
	for word in ENVIRONMENT FILES 'EXIT STATUS' EXAMPLES \
	    'SECURITY CONSIDERATIONS'; do
		has ".Sh $word" "$file" "$name has $word"
	done
	is "$(grep -c '^\.Nd .' "$file")" 1 \
	    "$name says in a line what it is about"
	lost=
	sed -n "$links" "$file" >"$work/links"
	while read -r link; do
		[ -f "$man/$link" ] || lost="$lost $link"
	done <"$work/links"
	is "$lost" '' "$name leads to pages that are there"
done

# What other pages are installed is no matter of ours.
found=$(mandoc -Tlint "$man"/*.[1-8] 2>&1 |
    grep -v -e 'referenced manual not found' -e 'outdated mandoc.db' || :)
is "$found" '' 'mandoc has nothing to say about the pages'

# same WHAT PROGRAM PAGE: what --help says and what the page says.
same() {
	program=$2
	name=${program##*/}
	"$program" --help >"$work/help"
	page "$man/$3" >"$work/page"
	# Options of other programs stand in examples, and behind their names.
	sed -e '/^EXAMPLES$/,/^[A-Z]/{/^ /d}' \
	    -e '/^WHEN SENTRY IS SILENT$/,/^[A-Z]/{/^ /d}' "$work/page" \
	    >"$work/own"
	options "$work/help" >"$work/options"
	is "$(options "$work/own")" "$(cat "$work/options")" \
	    "$3 names the options of $name --help, and no other"
	is "$(sed -n '/^\.It Fl/s/Fl -/\n--/gp' "$man/$3" |
	    sed -n 's/^\(--[-a-z]*\).*/\1/p' | sort -u)" \
	    "$(cat "$work/options")" "$3 explains each of them"
	said=$(tr -s ' \n' ' ' <"$work/help" |
	    sed 's/.*Exit status: //' | grep -oE '(^|[;:] )[0-9]+' |
	    tr -dc '0-9\n' | sort -n | tr '\n' ' ')
	listed=$(sed -n '/^\.Sh EXIT STATUS/,/^\.Sh EX/s/^\.It //p' \
	    "$man/$3" | tr -d ',' | tr ' ' '\n' | grep . |
	    awk '$1 < 128' | sort -n | tr '\n' ' ')
	is "$listed" "$said" "$3 has the exit statuses of $name --help"
	missing=
	# Word by word: it is a list.
	variables=$(grep -oE '\b(SENTRY|INNGEST)_[A-Z_]+' "$work/help")
	for word in $variables; do
		section ENVIRONMENT "$work/page" | grep -qF "$word" ||
		    missing="$missing $word"
	done
	is "$missing" '' "$3 has the variables of $name --help"
}

same options "${top_builddir:?}/sentry-webhooks" sentry-webhooks.8
same options "$top_builddir/sentry-webhooks-page" sentry-webhooks-page.8
same options "$top_builddir/sentry-deliver" sentry-deliver.8
same options "$top_srcdir/tools/sentry-replay" sentry-replay.1
same options "$top_builddir/sentry-backfill" sentry-backfill.8
same options "$top_builddir/sentry-send-hook" sentry-send-hook.1

# The worker's help shortens its variables' names; the sample has them all.
page "$man/sentry-webhooks.8" >"$work/page"
is "$(section ENVIRONMENT "$work/page" | grep -oE 'SENTRY_[A-Z_]+' | sort -u)" \
    "$(sed -n 's/^#\(SENTRY_[A-Z_]*\)=.*/\1/p' \
	"$top_srcdir/conf/sentry-webhooks.env.sample" | sort -u)" \
    'sentry-webhooks.8 has the variables of the environment sample'

# The defaults in brackets are those of --help.
for pair in sentry-webhooks:8 sentry-deliver:8 sentry-backfill:8; do
	name=${pair%:*}
	"$top_builddir/$name" --help | tr -s ' \n' ' ' >"$work/help"
	page "$man/$name.${pair#*:}" | tr -s ' \n' ' ' >"$work/page"
	missing=
	for value in $(grep -oE '\([0-9]+[;)]' "$work/help" |
	    tr -dc '0-9\n' | sort -u); do
		grep -qE "\(${value}[,;)]" "$work/page" ||
		    missing="$missing $value"
	done
	is "$missing" '' "$name's page has the defaults of its help"
done

sqlite3 "$work/outbox.db" <"$top_srcdir/lib/store/schema.sql"
grep -v '^\.\\"' "$man/sentry-outbox.5" >"$work/page"
missing=
for table in $(sqlite3 "$work/outbox.db" "SELECT name FROM sqlite_schema
    WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"); do
	grep -qw "$table" "$work/page" || missing="$missing $table"
done
is "$missing" '' 'sentry-outbox.5 has every table and view'
missing=
for column in $(sqlite3 "$work/outbox.db" "SELECT t.name || '.' || c.name
    FROM sqlite_schema t, pragma_table_info(t.name) c
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'
    AND t.name <> 'workspace_map_edits'"); do
	table=${column%.*}
	# Between its heading and the next.
	sed -n "/^\.Ss $table\$/,/^\.S[sh] /p" "$work/page" |
	    grep -E '^(\.It )?(\.)?Va ' | grep -qw "${column#*.}" ||
	    missing="$missing $column"
done
is "$missing" '' 'sentry-outbox.5 has every column under its table'
number() {
	sed -n "s/^#define $1[[:space:]]*\([0-9a-fx]*\).*/\1/p" \
	    "$top_srcdir/lib/store/migrate.c" "$top_srcdir/lib/store/migrate.h"
}
has "$(number APPLICATION_ID)" "$work/page" \
    "sentry-outbox.5 has the file's application_id"
has "$(number MIGRATE_VERSION)." "$work/page" \
    "sentry-outbox.5 has the file's user_version"
done_testing
