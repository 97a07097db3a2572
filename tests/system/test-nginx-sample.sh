#!/bin/sh
# nginx.conf.sample is what nginx accepts, hands on the requests as the worker
# needs them, and refuses by itself in the worker's form.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck disable=SC1091
. "$here/../support/tap.sh"

# The sample, with a free port. Its time limits become the test's: a neighbour
# may be noisy.
# shellcheck disable=SC2154 # limit_s is tap.sh's
write_config() {
	port=$(free_port)
	sed -e "s/127\.0\.0\.1:8080/127.0.0.1:$port/" \
	    -e 's|unix:/run/sentry-webhooks/sentry-webhooks.sock|unix:sock|' \
	    -e "s/\(_timeout\) [0-9]*s;/\1 ${limit_s}s;/" \
	    "$here/../../nginx.conf.sample" >"$work/server.conf"
	echo 'include server.conf;' | write_nginx_config
}

# A FastCGI responder: answers 200 with the parameters it got and the length
# of the body. The file `seen` gets a line for each request, with that length.
start_responder() {
	(cd "$work" && exec python3 - <<'END') &
import socket, struct, threading

def read(conn, size):
    data = b""
    while len(data) < size:
        more = conn.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data

def params(data):
    at, found = 0, []
    while at < len(data):
        sizes = []
        for _ in range(2):
            size = data[at]
            if size < 128:
                at += 1
            else:
                size = struct.unpack(">I", data[at:at + 4])[0] & 0x7fffffff
                at += 4
            sizes.append(size)
        name, value = data[at:at + sizes[0]], data[at + sizes[0]:][:sizes[1]]
        found.append((name.decode(), value.decode()))
        at += sum(sizes)
    return found

def serve(conn):
    streams = {4: b"", 5: b""}
    while True:
        _, kind, _, size, pad, _ = struct.unpack(">BBHHBB", read(conn, 8))
        data = read(conn, size + pad)[:size]
        if kind in streams:
            streams[kind] += data
        if kind == 5 and not data:
            break
    found = params(streams[4])
    with open("seen", "a") as f:
        f.write("%d\n" % len(streams[5]))
    text = "".join("%s=%s\n" % pair for pair in found)
    text += "body=%d\n" % len(streams[5])
    answer = ("Content-Type: text/plain\r\n\r\n" + text).encode()
    conn.sendall(struct.pack(">BBHHBB", 1, 6, 1, len(answer), 0, 0) + answer +
                 struct.pack(">BBHHBB8x", 1, 3, 1, 8, 0, 0))
    conn.close()

def guarded(conn):
    try:
        serve(conn)
    except (EOFError, OSError):
        pass

listener = socket.socket(socket.AF_UNIX)
listener.bind("sock")
listener.listen(64)
while True:
    threading.Thread(target=guarded, args=(listener.accept()[0],)).start()
END
	responder=$!
	ends_with_test "$responder"
	wait_for test -S "$work/sock"
}

hooks=/api/sentry/webhooks

# get PATH [CURL OPTION...]: sets status, type, cache and body. The Expect
# header would make curl wait.
get() {
	path=$1
	shift
	curl -q -s --max-time "$limit_s" --noproxy '*' -o "$work/body.out" \
	    -D "$work/head.out" -H Expect: "$@" \
	    "http://127.0.0.1:$port$path" || :
	tr -d '\r' <"$work/head.out" >"$work/head"
	status=$(sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p' "$work/head")
	body=$(tr -d '\0' <"$work/body.out")
}

head_of() {
	sed -n "s/^$1: //p" "$work/head"
}

# refused STATUS ERROR NAME: nginx itself answered, in the worker's form.
refused() {
	is "$status $(head_of Content-Type) $(head_of Cache-Control) $body" \
	    "$1 application/json no-store {\"error\":\"$2\"}" "$3"
}

param() {
	printf '%s\n' "$body" | sed -n "s/^$1=//p"
}

test_syntax() {
	(exec_nginx -t) 2>"$work/syntax" && status=0 || status=$?
	ok "$status" 'nginx -t accepts the sample'
	sed 's/^/# /' "$work/syntax"
	is "$(grep -c warn "$work/syntax")" 0 'without a warning'
}

test_parameters() {
	get "$hooks?a=b" -d '{"a": 1}' -H 'Content-Type: application/json' \
	    -H 'Sentry-Hook-Signature: 12' -H 'Proxy: evil'
	is "$status $(param REQUEST_METHOD) $(param CONTENT_TYPE) $(
	    param CONTENT_LENGTH) $(param body)" \
	    '200 POST application/json 8 8' 'a hook reaches the worker'
	is "$(param SCRIPT_NAME) $(param QUERY_STRING) $(param REMOTE_ADDR)" \
	    "$hooks a=b 127.0.0.1" 'with path, query and address'
	is "$(param HTTP_SENTRY_HOOK_SIGNATURE) $(param HTTP_PROXY)" '12 ' \
	    'with its headers, but for Proxy'
	is "$(param GATEWAY_INTERFACE)" '' 'and not as a CGI program'
	is "$(head_of Server)" nginx 'nginx does not tell its version'
	get "$hooks" -H 'Transfer-Encoding: chunked' -d '{"a": 1}'
	is "$status $(param CONTENT_LENGTH) $(param body)" '200 8 8' \
	    'a chunked hook reaches the worker with its length'
}

test_large() {
	head -c 8388608 /dev/zero >"$work/max"
	head -c 8388609 /dev/zero >"$work/big"
	get "$hooks" --data-binary "@$work/max"
	is "$status $(param body)" '200 8388608' 'the largest hook passes'
	is "$(grep -c 'buffered to a temporary' "$work/error.log")" 0 \
	    'and is not written to a file'
	get "$hooks" --data-binary "@$work/big"
	refused 413 'Payload too large' 'one byte more is refused'
	get "$hooks" --data-binary "@$work/big" -H 'Transfer-Encoding: chunked'
	refused 413 'Payload too large' 'and also when it comes in chunks'
}

test_bad_requests() {
	for length in abc -5 99999999999999999999999; do
		get "$hooks" -d x -H "Content-Length: $length"
		refused 400 'Bad request' "content length $length is refused"
	done
	get "$hooks" -d x -H 'Transfer-Encoding: gzip'
	refused 400 'Bad request' 'an unknown encoding is refused'
	long=$(printf '%010000d' 0)
	get "$hooks?$long" -d x
	refused 414 'Bad request' 'a long URI is refused'
	get "$hooks" -d x -H "X: $long"
	refused 400 'Bad request' 'a long header is refused'
	for method in TRACE CONNECT; do
		get "$hooks" -X "$method"
		refused 405 'Method not allowed' "$method is refused"
		is "$(head_of Allow)" 'GET, HEAD, POST' "$method: Allow"
	done
	get "$hooks" -X PUT
	is "$status $(param REQUEST_METHOD)" '200 PUT' \
	    'other methods are left to the worker'
}

test_paths() {
	for path in "$hooks/" "$hooks/x" "${hooks}x" "$hooks/error/413" \
	    "$hooks/ready/"; do
		get "$path" -d '{}'
		refused 404 'Not found' "$path is not found, not redirected"
	done
	get / -d '{}'
	is "$status" 404 'nothing else is served'
	for path in "$hooks/ready" "$hooks/metrics"; do
		get "$path"
		is "$status $(param SCRIPT_NAME)" "200 $path" \
		    "$path is open to 127.0.0.1"
		get "$path" --interface 127.0.0.2
		refused 403 Forbidden "$path is closed to others"
	done
	get "$hooks" --interface 127.0.0.2
	is "$status" 200 'the hooks are open to others'
}

seen() {
	grep -qsx "$1" "$work/seen"
}

# Sentry hangs up after a second. What it has sent is a hook all the same, even
# where the worker is yet to take it. (One that could not even send hung up too
# soon for this test.)
test_hang_up() {
	head -c 1000000 /dev/zero >"$work/large"
	kill -STOP "$responder"
	hang_up_s=1
	until get "$hooks" --max-time "$hang_up_s" --data-binary "@$work/large" \
	    -w '%{size_upload}' >"$work/sent" &&
	    [ "$(cat "$work/sent")" = 1000000 ]; do
		hang_up_s=$((hang_up_s * 2))
		[ "$hang_up_s" -le "$limit_s" ] || break
	done
	is "$status" '' 'a client hangs up before the worker answers'
	kill -CONT "$responder"
	wait_for seen 1000000
	ok 0 'its hook still reaches the worker'
}

test_down() {
	kill "$responder"
	wait "$responder" 2>/dev/null || :
	get "$hooks" -d '{}'
	refused 502 'Service unavailable' 'a worker that is down gives 502'
	is "$(cat "$work/access.log")" '' 'no access log is written'
}

needs nginx curl python3
work=$(mktemp -d)
write_config
test_syntax
(exec_nginx) >"$work/nginx.out" 2>&1 &
ends_with_test $!
start_responder
get_status() {
	get "$hooks"
	[ "$status" = 200 ]
}
wait_for get_status
test_parameters
test_large
test_bad_requests
test_paths
test_hang_up
test_down
done_testing
