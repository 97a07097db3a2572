# What quickstart, runtests and bench/prepare share; they source this file.
#
#   install_packages installs the Debian packages that are missing.
#   prepare_source makes `configure`.
#   build_in configures a build folder and makes what has changed.
#
# They set `program`, the name in front of messages, `root`, the top of the
# source tree, and `logs`, the folder for long output.
# shellcheck shell=sh
# shellcheck disable=SC2154

# nginx and its like are not in every user's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() {
	printf '%s\n' "$program: $1"
}

die() {
	printf '%s\n' "$program: $1" >&2
	exit "${2:-1}"
}

# What automake calls an unsafe srcdir, once all else is done.
case $root in
*[\\\"\#\$\&\'\`[:space:]]*)
	die "$root: a path with blanks, quotes or the like cannot be built in" ;;
esac

# A package a line: what it is needed for, its name in Debian, and what shows
# that it is there: a command, a module of pkg-config, or a file. It may have
# come by other means than apt.
#   build    to build the programs
#   run      to try them and to deliver
#   test     to test them
#   package  to build the Debian package and to install it in a tree
#   bench    to measure
#   compare  to measure others beside them; never installed unasked
packages() {
	cat <<END
build	gcc			command	gcc
build	libc6-dev		file	/usr/include/stdio.h
build	make			command	make
build	autoconf		command	autoreconf
build	automake		command	automake
build	pkg-config		command	pkg-config
build	libfcgi-dev		file	/usr/include/fcgiapp.h
build	libsodium-dev		module	libsodium
build	libjson-c-dev		module	json-c
build	libsqlite3-dev		module	sqlite3
build	libcurl4-openssl-dev	module	libcurl
build	libnats-dev		module	libnats
run	nginx			command	nginx
run	sqlite3			command	sqlite3
run	curl			command	curl
test	fcgiwrap		command	fcgiwrap
test	nats-server		command	nats-server
test	python3			command	python3
test	valgrind		command	valgrind
test	strace			command	strace
test	binutils		command	readelf
test	shellcheck		command	shellcheck
test	clang-tidy		command	clang-tidy
test	cppcheck		command	cppcheck
test	gcovr			command	gcovr
test	systemd			command	systemd-analyze
test	clang			command	clang
test	libclang-rt-dev		file	$(clang_resources)/include/fuzzer
test	prometheus		command	promtool
test	mandoc			command	mandoc
test	xz-utils		command	xz
test	e2fsprogs		command	mkfs.ext4
package	build-essential		file	/usr/share/build-essential/list
package	debhelper		command	dh
package	lintian			command	lintian
package	debootstrap		command	debootstrap
bench	wrk			command	wrk
bench	gnuplot-nox		command	gnuplot
bench	sqlite3			command	sqlite3
bench	python3			command	python3
compare	webhook			command	webhook
compare	nodejs			command	node
compare	npm			command	npm
END
}

clang_resources() {
	clang -print-resource-dir 2>/dev/null
}

# find_package HOW WHAT: prints the command's path, the module's version or the
# file's name; fails if it is not there.
find_package() {
	case $1 in
	command)	command -v "$2" ;;
	module)		pkg-config --modversion "$2" 2>/dev/null ;;
	file)		[ -e "$2" ] && echo "$2" ;;
	esac
}

# missing_packages USE...: each with a space before it.
missing_packages() {
	packages | while read -r use package how what; do
		case " $* " in
		*" $use "*)
			find_package "$how" "$what" >/dev/null ||
			    printf ' %s' "$package" ;;
		esac
	done
}

# install_packages USE...: installs with apt what is missing, and says what.
install_packages() {
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null ||
	    die "missing, and there is no apt-get here to install it:$missing"
	become_root
	say "installing$missing"
	mkdir -p "$logs"
	run_apt update
	# Word by word: it is a list.
	# shellcheck disable=SC2086
	run_apt install -y --no-install-recommends $missing
	keep_services_down
	rest=$(missing_packages "$@")
	[ -z "$rest" ] || die "installed, but still not found:$rest"
}

# Sets $as_root to `sudo`, or to nothing for root; commands stand behind it.
become_root() {
	as_root=
	[ "$(id -u)" -ne 0 ] || return 0
	if command -v sudo >/dev/null &&
	    { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
		as_root=sudo
		return 0
	fi
	die "needs root for: apt-get install$missing"
}

# SYSTEMD_OFFLINE: else a package starts its service (nginx, fcgiwrap) at once,
# nginx on port 80. Nobody has asked for that.
run_apt() {
	# The empty word vanishes: that is meant.
	# shellcheck disable=SC2086
	$as_root env SYSTEMD_OFFLINE=1 DEBIAN_FRONTEND=noninteractive \
	    apt-get -q -o DPkg::Lock::Timeout=120 -o Acquire::Retries=2 "$@" \
	    >>"$logs/apt.log" 2>&1 </dev/null && return
	why=$(grep '^E: ' "$logs/apt.log" | tail -n 1)
	die "apt-get $1 failed, no network? (${why#E: }) see $logs/apt.log"
}

# A package of a service enables it: it would start when the machine boots.
keep_services_down() {
	case "$missing " in
	*' nginx '*) say 'nginx is installed, but its service is not started' ;;
	esac
	command -v systemctl >/dev/null || return 0
	for unit in nginx.service fcgiwrap.socket fcgiwrap.service \
	    prometheus.service; do
		case "$missing " in
		*" ${unit%.*} "*)
			$as_root systemctl disable "$unit" \
			    >>"$logs/apt.log" 2>&1 || : ;;
		esac
	done
}

cpus() {
	nproc 2>/dev/null || echo 1
}

# run_logged NAME COMMAND...: the command's output goes to $logs/NAME.log; the
# end of it is shown if the command fails.
run_logged() {
	log=$logs/$1.log
	shift
	mkdir -p "$logs"
	if "$@" >"$log" 2>&1; then
		return 0
	fi
	tail -n 30 "$log" >&2
	return 1
}

# Makes `configure` and what belongs to it, unless all of it is there and no
# older than what it is made of.
prepare_source() {
	# Makefile.in is made last.
	[ -x "$root/configure" ] && [ -f "$root/Makefile.in" ] &&
	    ! any_newer "$root/Makefile.in" "$root/configure.ac" \
	    "$root/Makefile.am" && return
	say 'making configure (autoreconf)'
	run_logged autoreconf autoreconf -fi "$root" ||
	    die "autoreconf failed; see $logs/autoreconf.log"
}

# any_newer THAN FILE...: whether one of the files is newer than the first.
any_newer() {
	than=$1
	shift
	[ -n "$(find "$@" -newer "$than")" ]
}

# build_in FOLDER [CONFIGURE ARGUMENT...]: configures the folder, unless that
# was done with the same packages and arguments, and makes what has changed.
build_in() {
	folder=$1
	shift
	mkdir -p "$folder"
	list_found "$@" >"$folder/found.new"
	is_configured || configure_folder "$@"
	run_logged "make-${folder##*/}" make -C "$folder" -j "$(cpus)" ||
	    die "the build failed; see $log"
}

# The arguments of configure, and all packages that it may find; which of them
# it looks for need not be known here. After an upgrade, a path or a version is
# another one.
list_found() {
	echo "configure $*"
	packages | while read -r use package how what; do
		if [ "$use" != compare ] &&
		    found=$(find_package "$how" "$what"); then
			echo "$package $found"
		fi
	done
}

is_configured() {
	[ -f "$folder/Makefile" ] &&
	    cmp -s "$folder/found" "$folder/found.new" &&
	    ! any_newer "$folder/config.status" "$root/configure"
}

# A folder that was configured by hand keeps its arguments. Objects are removed,
# because they may have been compiled with other flags and headers.
configure_folder() {
	say "configuring ${folder#"$root/"}"
	if [ -x "$folder/config.status" ] && { [ ! -f "$folder/found" ] ||
	    [ "$(head -n 1 "$folder/found")" = "configure $*" ]; }; then
		eval "set -- $(in_folder "$folder" ./config.status --config)"
	fi
	run_logged "configure-${folder##*/}" in_folder "$folder" \
	    "$root/configure" "$@" ||
	    die "configure failed; see $folder/config.log"
	run_logged "clean-${folder##*/}" make -C "$folder" mostlyclean ||
	    die "make mostlyclean failed; see $log"
	mv "$folder/found.new" "$folder/found"
}

in_folder() {
	(cd "$1" && shift && "$@")
}
