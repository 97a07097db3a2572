# What the shell tests share; they source this file. Results are TAP, for
# automake's driver. At the end, the processes that ends_with_test named are
# stopped and the folder $work is removed.
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

# needs COMMAND...: skips all tests if one of them is missing.
needs() {
	for command in "$@"; do
		command -v "$command" >/dev/null || skip_all "no $command"
	done
}

done_testing() {
	echo "1..$count"
}

# How long a test waits for anything, in seconds: long, for busy machines.
limit_s=120

# wait_for COMMAND...: until it succeeds.
wait_for() {
	tries=0
	until "$@" 2>/dev/null; do
		tries=$((tries + 1))
		if [ "$tries" -ge "$((limit_s * 10))" ]; then
			echo "Bail out! waited $limit_s s for: $*"
			exit 1
		fi
		sleep 0.1
	done
}

# As in sockets.py.
free_port() {
	PYTHONPATH="$top_srcdir/tests/support" \
	    python3 -c 'import sockets; print(sockets.free_port())'
}

# Writes $work/nginx.conf, with the lines of standard input in `http`. nginx
# writes nowhere but into $work.
write_nginx_config() {
	{
		cat <<'END'
daemon off;
pid pid;
error_log error.log warn;
worker_processes 1;
events { worker_connections 64; }
http {
	client_body_temp_path body;
	fastcgi_temp_path fastcgi;
	proxy_temp_path proxy;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	access_log access.log;
END
		cat
		echo '}'
		# Started by root, nginx runs its workers as another user, who
		# may not enter $work.
		[ "$(id -u)" -ne 0 ] || echo 'user root;'
	} >"$work/nginx.conf"
}

# exec_nginx OPTION...: becomes nginx, in $work. The path of its socket is
# relative, because that of $work may be too long for a socket.
exec_nginx() {
	cd "$work" || exit
	exec nginx -e error.log -p "$work/" -c nginx.conf "$@"
}

# ends_with_test PID: the process is stopped when the test ends.
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
