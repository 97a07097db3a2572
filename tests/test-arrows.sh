#!/bin/sh
# The house's structure: which of our headers each source may include, which
# file alone may open which library, and how long files and functions are. An
# arrow that is not in the table is a decision: put it there, or go without.
. "${top_srcdir:-.}/tests/tap.sh"
cd "${top_srcdir:-.}"

# MODULE: the headers that MODULE.c and MODULE.h include, but its own. Above
# the line of dashes all is pure: no I/O, clock, environment, locks.
arrows='
span:
text: span
json_scan: quoted text
json: json_scan text
member: json
moment: span
signature: json text
personal: span
quoted: text
names: personal text
care: personal span
redact: care json names personal quoted signature
hook: json
observe_list: span
response: json text
retry:
seldom:
envelope: member text
sink: retry text
flight: sink
batch: sink
facts: hook moment
lines: text
frames: facts lines
pull_request: facts lines
title: facts pull_request
actor: facts member
metadata: facts frames lines member
resource: facts observe_list
references: facts member pull_request resource
dedupe_key: resource signature
resource_issue: dedupe_key frames lines member metadata resource title
resource_event: dedupe_key frames lines member metadata resource title
resource_metric_alert: dedupe_key lines member metadata resource title
resource_comment: dedupe_key member metadata resource title
resource_installation: dedupe_key lines metadata resource title
resource_activity_alert: dedupe_key lines member metadata pull_request resource title
resource_seer: dedupe_key lines member metadata pull_request resource title
resource_preprod_artifact: dedupe_key lines member metadata pull_request resource title
resource_other: metadata resource title
observe: actor dedupe_key hook lines member observe_list references resource signature title
record: hook signature
---
args:
clock:
notify:
credential:
log: clock seldom span
environment: log
fault:
receipt: observe redact
spool: fault hook record
round: receipt record spool
guard:
only: log
dbfiles:
sql: fault
checkpoint: dbfiles fault sql
room: fault
migrate: fault schema_sql sql
db: checkpoint clock dbfiles fault migrate room span sql
store: db observe
intake: clock receipt store
bringin: clock intake round spool store
erase: db observe personal record redact spool text
queue: envelope flight store
sink_print: sink
sink_http: batch response
waiting: sink
stream: clock envelope waiting
sink_nats: clock sink stream
tally: store
settle: log queue tally
trouble: fault log sink
pace: clock queue
reading: queue
deliver: clock log notify pace queue reading settle tally trouble
writer: bringin clock intake spool
keyring: log signature
metrics: keyring log resource text writer
exchange: text
memory:
answer: clock exchange keyring log memory metrics status writer
status: answer clock metrics
fcgi: exchange
plain: exchange
listen:
threads: clock exchange fcgi listen
serve: exchange listen log memory notify threads
options: args observe_list
check: environment guard keyring listen options spool store
verify: json keyring
forget: erase log options
page_html: moment text
page_plot: page_html text
page_look: clock db page_html text
page_views: db page_look page_plot text
page: exchange log page_css page_views
page_main: args environment guard log page plain serve
main: answer args check environment forget guard log memory options plain serve status verify
'

# HEADER FILE...: who alone may include a library's header.
doors='
json-c/json.h lib/json.c
sodium.h lib/signature.c
sqlite3.h lib/checkpoint.h lib/db.c lib/migrate.h lib/sql.h
curl/curl.h lib/sink_http.c
fcgiapp.h cgi/fcgi.c
nats/nats.h lib/stream.c
'

# What the pure part must not call: files, clocks, environment, locks.
impure='fopen|open|read|write|stat|time|clock_gettime|gettimeofday|getenv'
impure="$impure|pthread_[a-z_]*|printf|fprintf|syslog|rand|random"

included() {
	sed -n 's/^#include "\(.*\)\.h"$/\1/p' "$@" 2>/dev/null |
	    grep -vx "$module" | sort -u | tr '\n' ' '
}

sources_of() {
	ls lib/"$1".c lib/"$1".h cgi/"$1".c cgi/"$1".h 2>/dev/null
}

# Longer than a screen, or wider than 80 columns with tabs of 8.
too_long() {
	expand "$1" | awk -v file="$1" '
	length($0) > 80 { print file ":" FNR ": wider than 80 columns" }
	/^\{/ { start = FNR }
	/^\}/ && start {
		if (FNR - start > 61)
			print file ":" start ": a function of over 60 lines"
		start = 0
	}
	END { if (FNR > 500 && file !~ /^(tests|fuzz)/) print file ": over 500 lines" }'
}

layer=pure
modules=
while read -r line; do
	case $line in
	'')	continue ;;
	---)	layer=edge
		continue ;;
	esac
	module=${line%%:*}
	modules="$modules $module"
	wanted=$(echo "${line#*:}" | tr ' ' '\n' | grep . | sort | tr '\n' ' ')
	# shellcheck disable=SC2046
	is "$(included $(sources_of "$module"))" "$wanted" \
	    "$module includes what it may"
	[ "$layer" = pure ] || continue
	# shellcheck disable=SC2046
	found=$(grep -nE "(^|[^a-z_>.])($impure)\(" $(sources_of "$module") || :)
	is "$found" '' "$module has no I/O, clock, environment or lock"
done <<END
$arrows
END

for file in lib/*.c lib/*.h cgi/*.c cgi/*.h; do
	module=$(basename "$file" | sed 's/\.[ch]$//')
	case " $modules " in
	*" $module "*) ;;
	*) ok 1 "$file stands in the table of arrows" ;;
	esac
done

while read -r header files; do
	[ -n "$header" ] || continue
	is "$(grep -lF "#include <$header>" lib/*.[ch] cgi/*.[ch] |
	    tr '\n' ' ')" "$files " "$files: the only door to $header"
done <<END
$doors
END

is "$(for file in lib/*.[ch] cgi/*.[ch] tests/*.[ch] fuzz/*.[ch]; do
	too_long "$file"
done)" '' 'no file, function or line is too long'
done_testing
