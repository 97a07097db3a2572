#!/bin/sh
# `make install` puts everything where a system looks for it, and `make
# uninstall` takes everything away again.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck disable=SC1091
. "$here/../support/tap.sh"

build=${top_builddir:-$here/../../build}
source=${top_srcdir:-$here/../..}

# in_build TARGET: as from a command line, not as a part of the make around.
in_build() {
	(unset MAKEFLAGS MFLAGS MAKELEVEL
	make -C "$build" "$1" DESTDIR="$work/root") >"$work/log" 2>&1
}

# in_place TARGET: the same with no DESTDIR, on a machine whose systemctl writes
# down what it is asked.
in_place() {
	mkdir -p "$work/stand-in"
	cat >"$work/stand-in/systemctl" <<-END
	#!/bin/sh
	echo "\$*" >>"$work/asked"
	case \$1 in
	disable)
		for unit in \$(echo "\$*" | tr ' ' '\\n' | grep ^sentry-); do
			test -e "$work/here/lib/systemd/system/\$unit" ||
			    echo "\$unit is gone" >>"$work/asked"
		done ;;
	esac
	END
	chmod +x "$work/stand-in/systemctl"
	: >"$work/asked"
	(unset MAKEFLAGS MFLAGS MAKELEVEL
	PATH=$work/stand-in:$PATH make -C "$build" "$1" prefix="$work/here" \
	    sysconfdir="$work/here/etc") >"$work/log" 2>&1
}

# installed PATTERN: the paths of what is installed there, without the root.
installed() {
	(cd "$work/root" && find . -path "$1" \( -type f -o -type l \) |
	    sort)
}

test_install() {
	in_build install && status=0 || status=$?
	ok "$status" 'make install ends well'
	[ "$status" -eq 0 ] || sed 's/^/# /' "$work/log"
	programs=$(installed '*bin/*')
	is "$(echo "$programs" | sed 's|.*/||' | tr '\n' ' ')" \
	    "sentry-backfill sentry-deliver sentry-replay sentry-send-hook $(
	    )sentry-webhooks sentry-webhooks-page " 'six programs are installed'
}

test_versions() {
	wanted=$(sed -n 's/^AC_INIT(\[.*\], \[\(.*\)\])$/\1/p' \
	    "$source/configure.ac")
	for program in $programs; do
		name=${program##*/}
		is "$("$work/root/$program" --version)" "$name $wanted" \
		    "$name --version says the version of the package"
	done
	is "$(sed -n '1s/.*(\(.*\)).*/\1/p' "$source/debian/changelog")" \
	    "$wanted" 'and debian/changelog has it too'
}

test_units() {
	for unit in $(installed '*/systemd/system/*.service'); do
		path=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' \
		    "$work/root/$unit")
		is "$(find "$work/root$path" -perm -100)" "$work/root$path" \
		    "${unit##*/} starts a program that is installed"
	done
	is "$(installed '*.d/sentry-webhooks.conf' | sed 's|.*/lib/||' |
	    tr '\n' ' ')$(installed '*/system/*' | wc -l)" \
	    'sysusers.d/sentry-webhooks.conf tmpfiles.d/sentry-webhooks.conf 5' \
	    'user, folders, services and sockets are there'
}

# nginx_takes NAME WHAT...: nginx -t accepts a server with this in it.
nginx_takes() {
	name=$1
	shift
	if ! command -v nginx >/dev/null; then
		skip 'no nginx' "$name"
		return
	fi
	write_nginx_config <<END
	server {
		listen unix:$work/sock;
		$*
	}
END
	(exec_nginx -t) >"$work/log" 2>&1 && status=0 || status=$?
	ok "$status" "$name"
	[ "$status" -eq 0 ] || sed 's/^/# /' "$work/log"
}

# What people are told to write, in the folder DIR.
include_line() {
	sed -n 's|^# *\(include \)\(snippets/.*;\)$|\1'"$1"'/\2|p' \
	    "$build/nginx-snippet.conf"
}

test_hooks() {
	is "$(installed '*/examples/hooks/*' | sed 's|.*/||')" \
	    "$(ls "$source/docs/hooks")" 'the hooks to try with are there'
}

# Links of installed documents to others; some are in the source alone.
test_documents() {
	here=$work/root/$(dirname "$(installed '*/README.md')")
	lost=
	for file in "$here"/README.md "$here"/docs/*.md; do
		sed -n 's/.*](\([a-z./]*\.\(md\|svg\)\).*/\1/p' "$file" \
		    >"$work/links"
		while read -r link; do
			case $link in
			*bench/README.md | *CONTRIBUTING.md) continue ;;
			esac
			[ -e "$(dirname "$file")/$link" ] ||
			    lost="$lost ${file##*/}:$link"
		done <"$work/links"
	done
	is "$lost" '' 'documents lead to documents that are installed'
	is "$(find "$here/docs" -name '*.md' | wc -l)" 8 'which are eight'
}

test_snippet() {
	snippet=$work/root/$(installed '*/snippets/sentry-webhooks.conf')
	is "$(grep -c '^ *fastcgi_pass' "$snippet") $(
	    grep -c '^error_page' "$snippet")" '3 3' \
	    'the snippet for nginx has what the sample has'
	is "$(grep -cE '^ *(server|listen|server_name)\>' "$snippet")" 0 \
	    'and not the server around it'
	nginx_takes 'nginx -t accepts it' "include $snippet;"
	include=$(include_line "${snippet%/snippets/*}")
	nginx_takes 'and the line that includes it' "$include"
	is "$(exec_nginx -T 2>/dev/null |
	    grep -c '^# configuration file .*snippets/')" 1 \
	    'which finds it'
}

# What nginx is told to include may be gone one day: purged, uninstalled.
test_snippet_gone() {
	nginx_takes 'nginx starts without the snippet that it includes' \
	    "$(include_line "$work/nowhere")"
	is "$(grep -rn 'include snippets/sentry-webhooks\.conf' "$source/README.md" \
	    "$source/docs" "$source/debian" "$source/man" "$source/nginx.conf.sample" \
	    "$source/Makefile.am" "$source/tests/system/test-package.py" || :)" '' \
	    'and nothing tells people to include it so that it must be there'
}

# completed PROGRAM BEFORE WORD: what bash would offer for WORD, in one line.
completed() {
	# shellcheck disable=SC2016
	PATH=$work/path:$PATH bash -c '
		compopt() { :; }
		. "$1"
		complete -p "$2" >/dev/null || exit
		_sentry_webhooks "$2" "$4" "$3"
		echo "${COMPREPLY[*]}"
	' bash "$work/root/$(installed "*/completions/$1")" "$@"
}

test_completion() {
	if ! command -v bash >/dev/null; then
		skip 'no bash' 'bash completes'
		return
	fi
	mkdir "$work/path"
	for program in $programs; do
		ln -s "$work/root/$program" "$work/path/"
	done
	is "$(completed sentry-webhooks '' --s)" \
	    '--secret-file --signature --since --socket --socket-mode --spool' \
	    'bash completes the options of sentry-webhooks'
	is "$(completed sentry-deliver --once --re)" '--replicas --requests' \
	    'and those of sentry-deliver'
	is "$(completed sentry-replay --state '')" \
	    'pending acked delivered dead' 'and the states of sentry-replay'
	is "$(completed sentry-send-hook '' --re)" '--request-id --resource' \
	    'and the options of sentry-send-hook'
	is "$(completed sentry-replay --issue --)$(
	    completed sentry-replay --db --)" '' \
	    'and offers no option where a value belongs'
}

test_uninstall() {
	in_build uninstall && status=0 || status=$?
	ok "$status" 'make uninstall ends well'
	[ "$status" -eq 0 ] || sed 's/^/# /' "$work/log"
	is "$(installed '*')" '' 'and leaves no file'
	is "$(find "$work/root" -name sentry-webhooks)" '' 'nor a folder of ours'
}

# A snippet is a setting: who has edited it keeps it.
test_edited() {
	in_place install && status=0 || status=$?
	ok "$status" 'make install in its place ends well'
	[ "$status" -eq 0 ] || sed 's/^/# /' "$work/log"
	ours=$work/here/etc/nginx/snippets/sentry-webhooks.conf
	is "$(cat "$ours")" "$(cat "$build/nginx-snippet.conf")" \
	    'with the snippet'
	# As a version before this one had it, in both places.
	kept=$(find "$work/here/share" -name nginx-snippet.conf)
	echo '# older' | tee "$kept" >"$ours"
	in_place install
	is "$(cat "$ours") $(ls "$ours"*)" \
	    "$(cat "$build/nginx-snippet.conf") $ours" \
	    'an older snippet that nobody has edited is replaced'
	echo '# mine' >>"$ours"
	in_place install
	is "$(tail -n 1 "$ours")" '# mine' 'an edited one is kept'
	is "$(cat "$ours.new")" "$(cat "$build/nginx-snippet.conf")" \
	    'and the new one laid beside it'
	is "$(grep -c "$ours.new" "$work/log")" 1 'which is said'
}

test_uninstall_in_place() {
	is "$(cat "$work/asked")" '' 'an installation asks nothing of systemd'
	in_place uninstall && status=0 || status=$?
	ok "$status" 'make uninstall in its place ends well'
	[ "$status" -eq 0 ] || sed 's/^/# /' "$work/log"
	is "$(sed 1q "$work/asked" | tr ' ' '\n' | sort | tr '\n' ' ')" \
	    "--now disable $(cd "$source/conf" && printf '%s\n' *.socket \
	    *.service.in | sed 's/\.in$//' | sort | tr '\n' ' ')" \
	    'it stops and disables all that may run'
	is "$(sed 1d "$work/asked")" daemon-reload \
	    'while they are there, and then has systemd forget them'
	is "$(cd "$work/here" && find . ! -type d)" \
	    './etc/nginx/snippets/sentry-webhooks.conf' \
	    'what was edited stays, and nothing else'
	rm "$ours"
	in_place install
	in_place uninstall
	is "$(cd "$work/here" && find . ! -type d)" '' \
	    'a snippet that nobody has edited goes'
	: >"$work/asked"
	in_build install
	PATH=$work/stand-in:$PATH in_build uninstall
	is "$(cat "$work/asked")" '' \
	    'with DESTDIR nothing of this machine is stopped'
}

needs make find
work=$(mktemp -d)
test_install
test_versions
test_units
test_hooks
test_documents
test_snippet
test_snippet_gone
test_completion
test_uninstall
test_edited
test_uninstall_in_place
done_testing
