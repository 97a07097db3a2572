# Completion for bash. It takes the options from --help of the program that is
# typed; there an option's argument stands in capitals behind it.
# shellcheck shell=bash
_sentry_webhooks() {
	local current=$2 before=$3 help wants words
	COMPREPLY=()
	help=$("$1" --help 2>/dev/null </dev/null) || return
	case $before in
	--[a-z]*)
		wants=$(sed -nE "s/.*$before ([A-Z]+).*/\1/p" <<<"$help" |
		    head -n 1) ;;
	esac
	case ${wants:-} in
	'')
		[[ $current == -* ]] || return
		words=$(grep -oE -- '--[a-z]+(-[a-z]+)*' <<<"$help" | sort -u)
		;;
	FILE | DIR | WHERE)
		# Readline completes names of files.
		return ;;
	STATE)
		words=$(sed -nE 's/^ *--state STATE +//p' <<<"$help" |
		    tr -d , | sed 's/ or / /') ;;
	esac
	compopt +o default
	mapfile -t COMPREPLY < <(compgen -W "${words:-}" -- "$current")
}
complete -o default -F _sentry_webhooks \
	sentry-webhooks sentry-backfill sentry-deliver sentry-replay \
	sentry-send-hook sentry-webhooks-page
