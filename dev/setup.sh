# What quickstart and runtests share; to be sourced: the packages that are
# needed and their installation, and the build.
#
# The one who sources this has set `program` (for messages) and `root` (the
# top of the source tree). `logs` is where long output goes.
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

# Debian packages and what shows that they are there: a command, a module of
# pkg-config, or a file. What was installed by other means counts too.
packages_to_build() {
	cat <<'END'
gcc		command	gcc
libc6-dev	file	/usr/include/stdio.h
make		command	make
autoconf	command	autoreconf
automake	command	automake
pkg-config	command	pkg-config
libfcgi-dev	file	/usr/include/fcgiapp.h
libsodium-dev	module	libsodium
libjson-c-dev	module	json-c
libsqlite3-dev	module	sqlite3
libcurl4-openssl-dev	module	libcurl
libnats-dev	module	libnats
END
}

packages_to_run() {
	cat <<'END'
nginx		command	nginx
sqlite3		command	sqlite3
curl		command	curl
END
}

packages_to_test() {
	cat <<END
fcgiwrap	command	fcgiwrap
nats-server	command	nats-server
python3		command	python3
valgrind	command	valgrind
strace		command	strace
binutils	command	readelf
shellcheck	command	shellcheck
clang-tidy	command	clang-tidy
cppcheck	command	cppcheck
gcovr		command	gcovr
systemd		command	systemd-analyze
clang		command	clang
libclang-rt-dev	file	$(clang -print-resource-dir 2>/dev/null)/include/fuzzer
prometheus	command	promtool
mandoc		command	mandoc
xz-utils	command	xz
END
}

packages_to_bench() {
	cat <<'END'
wrk		command	wrk
gnuplot-nox	command	gnuplot
sqlite3		command	sqlite3
python3		command	python3
END
}

# What the bench compares with where it is there; never installed unasked.
packages_to_compare() {
	cat <<'END'
webhook		command	webhook
nodejs		command	node
npm		command	npm
END
}

# For the test that builds the Debian package and installs it in a tree.
packages_to_package() {
	cat <<'END'
build-essential	file	/usr/share/build-essential/list
debhelper	command	dh
lintian		command	lintian
debootstrap	command	debootstrap
END
}

# is_there HOW WHAT
is_there() {
	case $1 in
	command)	command -v "$2" >/dev/null ;;
	module)		pkg-config --exists "$2" 2>/dev/null ;;
	file)		[ -e "$2" ] ;;
	esac
}

# missing_packages TABLE...: each with a space before it.
missing_packages() {
	for table in "$@"; do
		"$table"
	done | while read -r package how what; do
		is_there "$how" "$what" || printf ' %s' "$package"
	done
}

# install_packages TABLE...: whatever of them is missing, by apt. Says what.
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

# Sets $as_root to what has to stand before a command that only root may run.
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

# SYSTEMD_OFFLINE: a package that brings a service (nginx, fcgiwrap) would
# have it started at once, nginx on port 80. Nobody has asked for that.
run_apt() {
	# The empty word vanishes: that is meant.
	# shellcheck disable=SC2086
	$as_root env SYSTEMD_OFFLINE=1 DEBIAN_FRONTEND=noninteractive \
	    apt-get -q -o DPkg::Lock::Timeout=120 -o Acquire::Retries=2 "$@" \
	    >>"$logs/apt.log" 2>&1 </dev/null && return
	why=$(grep '^E: ' "$logs/apt.log" | tail -n 1)
	die "apt-get $1 failed, no network? (${why#E: }) see $logs/apt.log"
}

# What is installed is also enabled: it would start with the next boot.
keep_services_down() {
	case "$missing " in
	*' nginx '*)
		say 'nginx is installed, but its service is not started'
		disable nginx.service ;;
	esac
	case "$missing " in
	*' fcgiwrap '*)
		disable fcgiwrap.socket fcgiwrap.service ;;
	esac
	case "$missing " in
	*' prometheus '*)
		disable prometheus.service ;;
	esac
}

disable() {
	command -v systemctl >/dev/null || return 0
	$as_root systemctl disable "$@" >>"$logs/apt.log" 2>&1 || :
}

cpus() {
	nproc 2>/dev/null || echo 1
}

# logged NAME COMMAND...: its output goes to logs/NAME.log, whose end is shown
# when it fails.
logged() {
	log=$logs/$1.log
	shift
	mkdir -p "$logs"
	if "$@" >"$log" 2>&1; then
		return 0
	fi
	tail -n 30 "$log" >&2
	return 1
}

# Makes `configure` and what belongs to it, unless that is there and whole and
# no older than what it is made of.
prepare_source() {
	# Makefile.in is made last.
	[ -x "$root/configure" ] && [ -f "$root/Makefile.in" ] &&
	    ! newer "$root/Makefile.in" "$root/configure.ac" \
	    "$root/Makefile.am" && return
	say 'making configure (autoreconf)'
	logged autoreconf autoreconf -fi "$root" ||
	    die "autoreconf failed; see $logs/autoreconf.log"
}

# newer THAN FILE...: one of them is.
newer() {
	than=$1
	shift
	[ -n "$(find "$@" -newer "$than")" ]
}

# build_in FOLDER [CONFIGURE ARGUMENT...]: configures it, unless that was done
# with what is there now, and makes what has changed.
build_in() {
	folder=$1
	shift
	mkdir -p "$folder"
	what_is_there "$@" >"$folder/found.new"
	is_configured || configure "$@"
	logged "make-${folder##*/}" make -C "$folder" -j "$(cpus)" ||
	    die "the build failed; see $log"
}

# What configure may find, and what it is told. All tables: it need not be
# known here for what it looks.
what_is_there() {
	echo "configure $*"
	for table in build run test bench package; do
		"packages_to_$table"
	done | while read -r package how what; do
		! is_there "$how" "$what" || echo "$package $(which_is "$how" \
		    "$what")"
	done
}

# which_is HOW WHAT: what a program is compiled with may be another one after
# an upgrade.
which_is() {
	case $1 in
	command)	command -v "$2" ;;
	module)		pkg-config --modversion "$2" ;;
	file)		echo "$2" ;;
	esac
}

is_configured() {
	[ -f "$folder/Makefile" ] &&
	    cmp -s "$folder/found" "$folder/found.new" &&
	    ! newer "$folder/config.status" "$root/configure"
}

# A folder that was configured by hand keeps its arguments. What was compiled
# before may have been so with other flags and headers.
configure() {
	say "configuring ${folder#"$root/"}"
	if [ -x "$folder/config.status" ] && { [ ! -f "$folder/found" ] ||
	    [ "$(head -n 1 "$folder/found")" = "configure $*" ]; }; then
		eval "set -- $(in_folder "$folder" ./config.status --config)"
	fi
	logged "configure-${folder##*/}" in_folder "$folder" \
	    "$root/configure" "$@" ||
	    die "configure failed; see $folder/config.log"
	logged "clean-${folder##*/}" make -C "$folder" mostlyclean ||
	    die "make mostlyclean failed; see $log"
	mv "$folder/found.new" "$folder/found"
}

in_folder() {
	(cd "$1" && shift && "$@")
}
