#!/bin/sh
# tools/send-hook signs any bytes with any secret, tells nobody the secret,
# and sends what Sentry would send.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck disable=SC1091
. "$here/../support/tap.sh"
send_hook=$here/../../tools/send-hook
unset SENTRY_CLIENT_SECRET SENTRY_CLIENT_SECRET_FILE

# Bytes named by octal escapes, $2 times.
many() {
	i=0
	while [ "$i" -lt "$2" ]; do
		printf '%b' "$1"
		i=$((i + 1))
	done
}

# signature FILE: what send-hook says of it, by the secret in secret-file.
signature() {
	$shell "$send_hook" --secret-file "$work/secret" --print-signature "$1"
}

# What Python says of it, by the key in the file `key`.
expected() {
	python3 - "$work/key" "$1" <<'END'
import hashlib, hmac, sys
key, body = (open(name, "rb").read() for name in sys.argv[1:])
print(hmac.new(key, body, hashlib.sha256).hexdigest())
END
}

# agrees NAME: send-hook and Python agree on `key` and `body`.
agrees() {
	cp "$work/key" "$work/secret"
	is "$(signature "$work/body")" "$(expected "$work/body")" "$shell: $1"
}

# RFC 4231, as far as its keys are words of 8 bytes: cases 1, 3, 6.
test_rfc4231() {
	many '\0013' 20 >"$work/secret"
	printf 'Hi There' >"$work/body"
	is "$(signature "$work/body")" \
	    b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7 \
	    "$shell: a key of control characters (RFC 4231, 1)"
	many '\0252' 20 >"$work/secret"
	many '\0335' 50 >"$work/body"
	is "$(signature "$work/body")" \
	    773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe \
	    "$shell: a key and a body that are no UTF-8 (RFC 4231, 3)"
	many '\0252' 131 >"$work/secret"
	printf 'Test Using Larger Than Block-Size Key - Hash Key First' \
	    >"$work/body"
	is "$(signature "$work/body")" \
	    60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54 \
	    "$shell: a key of 131 bytes is hashed first (RFC 4231, 6)"
}

test_odd_bytes() {
	printf '666\\%%s%%b\001\0021234' >"$work/key"
	: >"$work/body"
	agrees "an empty body"
	printf 'a\0b\0\0\n\n' >"$work/body"
	agrees "a body with NUL bytes and final newlines"
	# Every byte but NUL, white space and #.
	python3 -c 'import sys; sys.stdout.buffer.write(bytes(
	    b for b in range(1, 256) if b not in b"\t\n\r #"))' >"$work/all"
	for part in 1-64 65-128 129-192 193-250; do
		cut -z -b "$part" "$work/all" | tr -d '\0' >"$work/key"
		agrees "a key of the bytes $part of all there are"
	done
	cp "$work/all" "$work/key"
	agrees "a key of all bytes there are"
	many a 64 >"$work/key"
	agrees "a key of exactly one block"
	many a 65 >"$work/key"
	agrees "a key of one block and a byte"
	python3 -c 'import sys; sys.stdout.buffer.write(
	    bytes(range(256)) * 8192)' >"$work/body"
	agrees "a body of 2 MiB"
}

# reads NAME: the first secret of `secret` is s3cret-8.
reads() {
	is "$(signature "$work/body")" "$right" "$shell: $1"
}

test_secrets() {
	printf '{}' >"$work/body"
	printf s3cret-8 >"$work/key"
	right=$(expected "$work/body")
	printf 's3cret-8\n' >"$work/secret"
	reads "a secret alone on its line"
	printf '# old: 123\n\n \t\n  new\ts3cret-8  # since May\nold 1\n' \
	    >"$work/secret"
	reads "a secret after its name, after comments and empty lines"
	printf 's3cret-8#since May\n' >"$work/secret"
	reads "a comment close behind a secret"
	printf '\357\273\277s3cret-8\n' >"$work/secret"
	reads "a byte order mark"
	printf '1234567\nold 123456#\nnew s3cret-8\n' >"$work/secret"
	reads "a secret of 7 characters is passed over"
	printf '%s production\ns3cret-8\n' \
	    0123456789abcdef0123456789ABCDEF >"$work/secret"
	reads "a secret before its name is passed over"
	is "$($shell "$send_hook" --secret-file="$work/secret" \
	    --print-signature "$work/body")" "$right" "$shell: a value by ="
	printf 's3cret-8\r\nother\r\n' >"$work/secret"
	reads "a file with carriage returns"
	printf 'three words here\ns3cret-8 # the right one\n' >"$work/secret"
	reads "a line that is neither is passed over"
	is "$(SENTRY_CLIENT_SECRET=' ,1234567,s3cret-8,other
	    third' $shell "$send_hook" --print-signature "$work/body")" \
	    "$right" "$shell: the first secret of the environment's list"
	printf '# nothing\n' >"$work/secret"
	is "$(signature "$work/body" 2>&1 || echo "$?")" \
	    "send-hook: $work/secret holds no secret
1" "$shell: a file without a secret is named"
	is "$($shell "$send_hook" "$work/body" 2>&1 || echo "$?")" \
	    'send-hook: no secret: use --secret-file or SENTRY_CLIENT_SECRET
1' "$shell: no secret at all is said"
}

test_wrong_use() {
	for wrong in '' '--wat f' '--url' 'a b' '--quiet=1 f' \
	    "--resource a${newline}b f"; do
		status=0
		IFS='|'
		# Words are split where the test says so.
		# shellcheck disable=SC2046
		$shell "$send_hook" $(echo "$wrong" | sed 's/ /|/g') \
		    >"$work/out" 2>"$work/err" || status=$?
		unset IFS
		is "$status $(wc -l <"$work/err") $(wc -c <"$work/out")" \
		    '64 1 0' "$shell: one line and status 64 for '$(
		    echo "$wrong" | tr '\n' ' ')'"
	done
}

# A receiver that keeps the last request and answers with the status that
# its path names. Prints its port.
start_server() {
	python3 - "$work" <<'END' &
import http.server, os, sys
work = sys.argv[1]

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(work + "/got.body", "wb") as f:
            f.write(body)
        with open(work + "/got.headers", "w") as f:
            f.write("".join("%s: %s\n" % h for h in self.headers.items()))
        answer = b'{"received":true}'
        self.send_response(int(self.path[1:]))
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *args):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
with open(work + "/port.new", "w") as f:
    f.write(str(server.server_port))
os.rename(work + "/port.new", work + "/port")
server.serve_forever()
END
	ends_with_test $!
	wait_for test -e "$work/port"
	port=$(cat "$work/port")
}

# post STATUS OPTION...: sends `body` to a server that answers with STATUS.
post() {
	answer=$1
	shift
	status=0
	$shell "$send_hook" --secret-file "$work/secret" \
	    --url "http://127.0.0.1:$port/$answer" "$@" "$work/body" \
	    >"$work/out" 2>"$work/err" || status=$?
}

got() {
	sed -n "s/^$1: //p" "$work/got.headers"
}

test_request() {
	printf 's3cret-s3cret' >"$work/secret"
	printf '{"action":"created","data":{"issue":{}}}' >"$work/body"
	post 200
	is "$status $(sed '1s/ in .*//' "$work/out")" \
	    '0 HTTP 200
{"received":true}' "$shell: the status and the answer are shown"
	is "$(cat "$work/got.body")" "$(cat "$work/body")" \
	    "$shell: the body is sent as it is"
	is "$(got Sentry-Hook-Signature)" "$(signature "$work/body")" \
	    "$shell: the signature is sent"
	is "$(got Content-Type) $(got Sentry-Hook-Resource)" \
	    'application/json issue' "$shell: type and resource are sent"
	is "$(got Request-ID | grep -Ecx '[0-9a-f]{32}')" 1 \
	    "$shell: the request id is 32 hex digits"
	is "$(got Sentry-Hook-Timestamp | grep -Ecx '[0-9]{10}')" 1 \
	    "$shell: the time stamp is in seconds"
	is "$(got Idempotency-Key)$(got Expect)" '' \
	    "$shell: no idempotency key unless one is given, and no Expect"
	first=$(got Request-ID)
	post 200 --quiet
	is "$(cat "$work/out" "$work/err")" '' "$shell: --quiet prints nothing"
	[ "$first" != "$(got Request-ID)" ] && new=0 || new=1
	ok "$new" "$shell: every request has a new id"
}

test_overrides() {
	post 200 --resource other --timestamp 5 --request-id 1a \
	    --idempotency-key 2b --signature zz
	is "$(got Sentry-Hook-Resource) $(got Sentry-Hook-Timestamp) $(
	    got Request-ID) $(got Idempotency-Key) $(
	    got Sentry-Hook-Signature)" 'other 5 1a 2b zz' \
	    "$shell: what is given is sent"
	post 200 --signature ''
	is "$(grep -c Signature "$work/got.headers")" 0 \
	    "$shell: an empty signature is not sent"
}

test_refusals() {
	post 401
	is "$status $(cat "$work/err")" \
	    "1 send-hook: refused with status 401: the receiver's secret is$(
	    ) another" "$shell: a refusal fails and says why"
	post 302
	is "$status $(grep -c 'hook is lost' "$work/err")" '1 1' \
	    "$shell: a redirect fails: Sentry would not follow it"
	saved=$port port=1
	post 200
	port=$saved
	is "$status $(wc -l <"$work/err")" '1 1' \
	    "$shell: no answer fails with one line"
}

test_compact() {
	cat >"$work/body" <<'END'
{ "a b" : "x  \" y \\" , "c":	[ 1 , 2.50,
  "Ünï  \u00e9" ] ,
"d" : { } }
END
	post 200 --compact
	is "$(cat "$work/got.body")" \
	    '{"a b":"x  \" y \\","c":[1,2.50,"Ünï  \u00e9"],"d":{}}' \
	    "$shell: --compact drops white space outside of strings alone"
	is "$(tail -c 1 "$work/got.body" | od -An -c | tr -d ' ')" '}' \
	    "$shell: --compact leaves no final newline"
	cp "$work/got.body" "$work/body"
	is "$(got Sentry-Hook-Signature)" "$(signature "$work/body")" \
	    "$shell: --compact signs what it sends"
}

# guesses BODY RESOURCE
guesses() {
	printf '%s' "$1" >"$work/body"
	post 200
	is "$(got Sentry-Hook-Resource)" "$2" "$shell: $2 by the shape of $1"
}

test_resource() {
	guesses '{"data":{"event":{"issue":{}}},"action":"x"}' event_alert
	guesses '{"data": {"x":[{"issue":1}], "error" : {}}}' error
	guesses '{"data":{"metric_alert":{},"t":"\"comment_id\":"}}' \
	    metric_alert
	guesses '{"installation":{},"data":{"comment_id":1}}' comment
	guesses '{"error":1,"data":{"installation":{}}}' installation
	guesses '{"data":{"group_id":1,"run_id":2}}' seer
	guesses '{"data":{"event":{},"issue":{}}}' issue
	guesses '{"data":{"issue":{},"activity":{}}}' activity_alert
	guesses '{"data":{"buildId":"1"}}' preprod_artifact
	guesses '{"data":{"x":{"error":{}}}}' issue
	guesses 'no JSON' issue
}

# No process is ever told the secret, in no form, and no file is left.
test_secrecy() {
	strace -o /dev/null true 2>/dev/null || {
		echo '# no strace that works here'
		return 0
	}
	printf 'a-secret-that-shows' >"$work/secret"
	printf '{}' >"$work/body"
	mkdir -p "$work/tmp"
	TMPDIR=$work/tmp strace -f -qq -s 9999 -e trace=execve \
	    -o "$work/trace" $shell "$send_hook" \
	    --url "http://127.0.0.1:$port/200" \
	    --secret-file "$work/secret" "$work/body" >"$work/out" 2>&1
	hex=$(od -An -v -tx1 "$work/secret" | tr -d ' \n')
	is "$(grep -c -e a-secret -e "$hex" "$work/trace" "$work/out")" \
	    "$work/trace:0
$work/out:0" "$shell: the secret is in no command line and no output"
	is "$(grep -c curl "$work/trace" | sed 's/[1-9][0-9]*/some/')" some \
	    "$shell: (the trace has seen the processes)"
	is "$(ls -A "$work/tmp")" '' "$shell: no temporary file is left"
}

needs python3 curl
work=$(mktemp -d)
newline='
'
start_server
for shell in dash bash; do
	command -v "$shell" >/dev/null || continue
	test_rfc4231
	test_odd_bytes
	test_secrets
	test_wrong_use
	test_request
	test_overrides
	test_refusals
	test_compact
	test_resource
	test_secrecy
done
done_testing
