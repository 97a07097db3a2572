#!/bin/sh
# What configure asks compiler and linker for is really in the programs.
. "${top_srcdir:-.}/tests/support/tap.sh"
needs readelf
cd "${top_builddir:?}" || exit

setting() {
	sed -n "s/^$1 = //p" Makefile
}

case $(setting HARDEN_CFLAGS) in
*-fsanitize*)	skip_all 'a sanitizer takes the place of it' ;;
esac

# shows SECTIONS PROGRAM PATTERN NAME: readelf shows a line like that.
shows() {
	status=0
	readelf -W "$1" "$2" | grep -E "$3" >/dev/null || status=$?
	ok "$status" "$4"
}

shows_not() {
	status=0
	readelf -W "$1" "$2" | grep -E "$3" >/dev/null || status=$?
	ok "$((status != 1))" "$4"
}

for p in sentry-webhooks sentry-webhooks-page sentry-deliver; do
	shows -h $p 'Type: +DYN' "$p is loaded at any address (PIE)"
	shows -d $p 'FLAGS_1.*PIE' "$p says so to the kernel and to checkers"
	shows -l $p 'GNU_RELRO' "$p has tables that become read-only"
	shows -d $p 'BIND_NOW|FLAGS.*NOW' "$p has all of them filled by then"
	shows -l $p 'GNU_STACK.* RW ' "$p has a stack that is no code"
	shows_not -l $p 'LOAD.* RWE ' "$p has no memory to write and run"
	shows_not -d $p 'R(UN)?PATH' "$p takes libraries from the system alone"
	shows_not -d $p 'TEXTREL' "$p has code that nothing writes to"
	shows --dyn-syms $p '__stack_chk_fail' "$p guards its stack"
	case $(setting HARDEN_CFLAGS)$(setting CFLAGS)$(setting CPPFLAGS) in
	*FORTIFY_SOURCE*)
		shows --dyn-syms $p '__[a-z]*printf_chk|__read_chk' \
		    "$p checks the length of what it copies" ;;
	*)
		skip 'built without optimisation' \
		    "$p checks the length of what it copies" ;;
	esac
done
done_testing
