#!/bin/sh
# ./quickstart, as a new user types it, in a copy of the tree: it shows the row,
# leaves nothing behind, and works again after whatever has ended it.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck disable=SC1091
. "$here/../support/tap.sh"

copy_tree() {
	mkdir "$work/tree"
	(cd "$here/../.." && tar -cf - --exclude=./build --exclude=./.git .) |
	    tar -xf - -C "$work/tree"
	chmod -R u+w "$work/tree"
}

# quickstart ARGUMENT...: sets $status; output in `out` and `err`.
quickstart() {
	status=0
	(cd "$work/tree" && exec ./quickstart --port "$port" "$@") \
	    >"$work/out" 2>"$work/err" || status=$?
}

# The processes that work in the copy: nginx, the worker, what shows the log.
members() {
	for cwd in /proc/[0-9]*/cwd; do
		case $(readlink "$cwd" || :) in
		"$work/tree/"*) basename "${cwd%/cwd}" ;;
		esac
	done 2>/dev/null
}

processes() {
	members | wc -l
}

worker() {
	for pid in $(members); do
		! grep -q sentry-webhooks "/proc/$pid/cmdline" || echo "$pid"
	done
}

rows() {
	sqlite3 "$work/tree/build/quickstart/outbox.db" \
	    "SELECT count(*), sum(state = 'pending') FROM outbox"
}

test_once() {
	quickstart --once
	is "$status" 0 "$1: it ends well"
	[ "$status" -eq 0 ] || sed 's/^/# /' "$work/out" "$work/err"
	is "$(grep -c -e '^{"received":true}$' -e 'title = .*PaymentError' \
	    -e 'state = pending' "$work/out")" 3 \
	    "$1: the answer and the row are shown"
	is "$(processes)" 0 "$1: no process is left"
	is "$(cat "$work/out" "$work/err" |
	    grep -Fcf "$work/tree/build/quickstart/secret")" 0 \
	    "$1: the secret is not shown"
}

test_kept() {
	is "$(rows)" '2|2' 'a second run adds a row to those of the first'
	is "$(cat "$work/tree/build/quickstart/secret")" "$1" \
	    'and has the same secret'
	is "$(cd "$work/tree/build" && stat -c %a quickstart \
	    quickstart/secret | tr '\n' ' ')" '700 600 ' \
	    'which nobody else can read'
}

# At first with a libnats.pc that is too old, and shadows a right one.
shadow_library() {
	mkdir "$work/pc"
	printf '%s\n' 'Name: libnats' 'Description: none' 'Version: 0.1' \
	    >"$work/pc/libnats.pc"
	PKG_CONFIG_PATH=$work/pc
	export PKG_CONFIG_PATH
}

# without_nats: 1 if the deliverer that was built is, or else 0.
without_nats() {
	grep -c -a 'built without NATS' "$work/tree/build/sentry-deliver" || :
}

# made: what the last run said that it makes.
made() {
	sed -n 's/^quickstart: \(making configure\|configuring\).*/\1/p' \
	    "$work/out" | tr '\n' ' '
}

test_configured() {
	is "$(made)|$(without_nats)" '|1' \
	    'what is configured is not configured again'
	rm "$work/pc/libnats.pc"
	quickstart --once
	is "$status $(made)|$(without_nats)" '0 configuring |0' \
	    'unless there is more to find, which is then compiled in'
	touch "$work/tree/configure.ac"
	quickstart --once
	is "$status $(made)" '0 making configure configuring ' \
	    'or another way to look for it'
}

test_port_in_use() {
	python3 -c "import socket, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', $port))
s.listen()
open('$work/listening', 'w')
time.sleep(60)" &
	listener=$!
	ends_with_test "$listener"
	wait_for test -e "$work/listening"
	quickstart --once
	is "$status $(cat "$work/err")" "1 quickstart: port $port is in use; $(
	    )choose another with --port N" 'a port in use is said in one line'
	is "$(cat "$work/out")" '' 'and nothing else'
	kill "$listener"
	wait "$listener" 2>/dev/null || :
}

test_blank_in_path() {
	ln -s tree "$work/a tree"
	status=0
	"$work/a tree/quickstart" --once >"$work/out" 2>"$work/err" || status=$?
	is "$status $(wc -l <"$work/err") $(cat "$work/out")" '1 1 ' \
	    'a path with a blank is refused at once, in one line'
}

# Starts one that stays; env: a shell in the background ignores SIGINT.
stay() {
	(cd "$work/tree" && exec env --default-signal=INT ./quickstart \
	    --port "$port") >"$work/out" 2>"$work/err" &
	staying=$!
	ends_with_test "$staying"
	wait_for grep -q 'running until' "$work/out"
}

test_interrupted() {
	stay
	quickstart --once
	is "$status $(wc -l <"$work/err") $(grep -c 'already running' \
	    "$work/err")" '1 1 1' 'a second one at once is told so'
	is "$(processes)" 4 'nginx (two), the worker and the log are running'
	kill -INT "$staying"
	status=0
	wait "$staying" || status=$?
	is "$status $(processes)" '0 0' 'Ctrl-C ends it and all it started'
}

test_killed() {
	stay
	kill -KILL "$staying"
	wait "$staying" 2>/dev/null || :
	test_once 'after a kill -9'
	is "$(rows)" '7|7' 'with all rows of the runs before'
}

test_worker_dies() {
	stay
	kill -KILL "$(worker)"
	status=0
	wait "$staying" || status=$?
	is "$status $(grep -c '^quickstart: worker ended' "$work/err")" '1 1' \
	    'a worker that dies is said'
	is "$(processes)" 0 'and nothing is left of the others'
}

[ -n "${RUNTESTS_FULL:-}" ] || skip_all 'takes long; set RUNTESTS_FULL'
needs nginx curl sqlite3 python3 flock setpriv
work=$(mktemp -d)
copy_tree
# It is compiled three times here, and how well does not matter.
CFLAGS='-O0 -g'
export CFLAGS
port=$(free_port)
shadow_library
test_once 'the first time'
secret=$(cat "$work/tree/build/quickstart/secret")
test_once 'again'
test_kept "$secret"
test_configured
test_port_in_use
test_blank_in_path
test_interrupted
test_killed
test_worker_dies
done_testing
