# What the shell tests share; to be sourced. Results are TAP, for automake's
# driver. The folder named in $work is removed at the end, with all in it.
# shellcheck shell=sh
set -eu
LC_ALL=C
export LC_ALL
count=0
started=
work=

# ok STATUS NAME
ok() {
	count=$((count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $count - $2"
	else
		echo "not ok $count - $2"
	fi
}

# is GOT WANTED NAME
is() {
	if [ "$1" = "$2" ]; then
		ok 0 "$3"
	else
		ok 1 "$3"
		printf 'got:\n%s\nwanted:\n%s\n' "$1" "$2" | sed 's/^/# /'
	fi
}

# skip REASON NAME
skip() {
	count=$((count + 1))
	echo "ok $count - $2 # SKIP $1"
}

skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}

# needs COMMAND...: no test here makes sense without them.
needs() {
	for command in "$@"; do
		command -v "$command" >/dev/null || skip_all "no $command"
	done
}

done_testing() {
	echo "1..$count"
}

# The one limit, in seconds, of all that is waited for.
limit=120

# wait_for COMMAND...: until it succeeds.
wait_for() {
	tries=0
	until "$@" 2>/dev/null; do
		tries=$((tries + 1))
		if [ "$tries" -ge "$((limit * 10))" ]; then
			echo "Bail out! waited $limit s for: $*"
			exit 1
		fi
		sleep 0.1
	done
}

# A port that was free a moment ago.
free_port() {
	python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# ends_with_test PID: it is stopped when the test ends.
ends_with_test() {
	started="$started $1"
}

finish() {
	for pid in $started; do
		kill "$pid" 2>/dev/null || :
		kill -CONT "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
	[ -z "$work" ] || rm -rf "$work"
}

# nginx and its like are not in every user's PATH.
PATH=$PATH:/usr/sbin:/sbin
trap finish EXIT
trap 'exit 1' INT TERM HUP
