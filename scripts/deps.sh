#!/usr/bin/env bash
# deps.sh — sees to it that this machine has what vqsd needs to be built, tested and shown.
#
#   scripts/deps.sh [--check] SET...        SET: build, test, lint, ptx
#
# Only what is missing is installed: Debian packages with apt-get (as root, or through sudo), then the Go
# modules of go.mod. Where neither root nor sudo is at hand it says which packages are missing and how to get
# them, and exits 1. It asks for a password only on a terminal. --check installs nothing and exits 1 when
# something is missing.
#
# A need is tested by what it gives (a command, a pkg-config module, a file), not by package name, so that an
# FFmpeg of one's own, or another distribution, works as well.
set -euo pipefail
cd "$(dirname "$0")/.."

# One line a need: the set that wants it, Debian's package, and the test.
#   cmd NAME           a command on PATH
#   pc MODULE LO HI    a pkg-config module with LO <= version < HI ("-": any)
#   file PATH          a file
# The FFmpeg bounds are those of 5.1, the only series that go-astiav v0.16.0 compiles against.
needs='
build  gcc                cmd gcc
build  g++                cmd g++
build  git                cmd git
build  pkg-config         cmd pkg-config
build  libavcodec-dev     pc libavcodec 59 60
build  libavdevice-dev    pc libavdevice 59 60
build  libavfilter-dev    pc libavfilter 8 9
build  libavformat-dev    pc libavformat 59 60
build  libavutil-dev      pc libavutil 57 58
build  libswscale-dev     pc libswscale 6 7
build  libhwy-dev         pc libhwy 1.0 -
test   ffmpeg             cmd ffmpeg
test   iproute2           cmd ip
test   fonts-dejavu-core  file /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
lint   shellcheck         cmd shellcheck
ptx    clang-19           cmd clang++-19
'
# Each set contains those before it.
declare -A sets=([build]='build' [test]='build test' [lint]='build test lint' [ptx]='ptx')

say() { printf 'deps: %s\n' "$*" >&2; }

usage() {
	say 'usage: scripts/deps.sh [--check] build|test|lint|ptx ...'
	exit 2
}

# present TEST ARG... succeeds when the need is met.
present() {
	case $1 in
	cmd) command -v "$2" >/dev/null ;;
	file) [ -e "$2" ] ;;
	pc)
		command -v pkg-config >/dev/null || return 1
		local want=("$2")
		[ "$3" = - ] || want+=("$2 >= $3")
		[ "$4" = - ] || want+=("$2 < $4")
		pkg-config --exists "${want[@]}"
		;;
	esac
}

# missing SET... prints the packages whose need is not met, one a line.
missing() {
	local set package test
	while read -r set package test; do
		[ -n "$set" ] || continue
		case " $* " in *" $set "*) ;; *) continue ;; esac
		# shellcheck disable=SC2086 # the test is words
		present $test || printf '%s\n' "$package"
	done <<<"$needs"
}

# wrong_version prints the pkg-config modules that are there in a version that will not do.
wrong_version() {
	local set package kind module lo hi
	command -v pkg-config >/dev/null || return 0
	while read -r set package kind module lo hi; do
		if [ "$kind" = pc ] && pkg-config --exists "$module" && ! present pc "$module" "$lo" "$hi"; then
			printf '%s %s, not of %s.x\n' "$module" "$(pkg-config --modversion "$module")" "$lo"
		fi
	done <<<"$needs"
}

# retry WHAT COMMAND... runs the command up to three times: mirrors and proxies have bad moments.
retry() {
	local what=$1 try pause=5
	shift
	for try in 1 2 3; do
		"$@" && return 0
		[ "$try" -lt 3 ] || break
		say "$what failed (try $try of 3); again in $pause s"
		sleep "$pause"
		pause=$((pause * 3))
	done
	return 1
}

install_packages() {
	local as=()
	if ! command -v apt-get >/dev/null; then
		say "missing here: $*"
		say 'these are the names of Debian 12; there is no apt-get on this machine, so please install their equals yourself.'
		return 1
	fi
	if [ "$(id -u)" -ne 0 ]; then
		if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
			as=(sudo -n)
		elif command -v sudo >/dev/null && [ -t 0 ] && [ -t 2 ]; then
			as=(sudo) # it may ask for the password: someone is there to answer
		else
			say "missing packages: $*"
			say 'installing them takes root, and neither root nor a sudo that works without asking is at hand. As root, run:'
			printf '    apt-get update && apt-get install -y --no-install-recommends %s\n' "$*" >&2
			return 1
		fi
	fi
	say "installing: $*"
	local apt=("${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q
		-o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)
	# A list that cannot be had (somebody's own source, say) matters only if the installation then fails.
	retry "apt-get update" "${apt[@]}" -o APT::Update::Error-Mode=any update >&2 ||
		say 'apt-get update did not fetch every list; going on with those at hand'
	retry "apt-get install" "${apt[@]}" install -y --no-install-recommends "$@" >&2 || {
		say "apt-get could not install: $*"
		say 'its own messages are above; the package names are those of Debian 12 (bookworm).'
		return 1
	}
}

check_go() {
	if ! command -v go >/dev/null; then
		say "no go command on PATH. vqsd needs $(sed -n 's/^go /Go /p' go.mod) or newer: https://go.dev/dl (Debian 12's own golang package is too old)."
		return 1
	fi
	# go itself compares its version with go.mod's and, where it may, fetches a newer one.
	go list -m >/dev/null || {
		say "vqsd needs $(sed -n 's/^go /Go /p' go.mod) or newer; $(command -v go) is: $(GOTOOLCHAIN=local go env GOVERSION)"
		return 1
	}
}

check=''
wanted=''
for arg; do
	case $arg in
	--check) check=yes ;;
	build | test | lint | ptx) wanted+=" ${sets[$arg]}" ;;
	*) usage ;;
	esac
done
[ -n "$wanted" ] || usage

check_go
# shellcheck disable=SC2086 # a list of words
mapfile -t packages < <(missing $wanted)
if [ "${#packages[@]}" -gt 0 ]; then
	mapfile -t wrong < <(wrong_version)
	if [ "${#wrong[@]}" -gt 0 ]; then
		say 'pkg-config finds another version than the one vqsd compiles against (FFmpeg 5.1, Highway 1.0 or newer):'
		for line in "${wrong[@]}"; do say "    $line"; done
		say 'point PKG_CONFIG_PATH at the right one, or build on Debian 12.'
		exit 1
	fi
	if [ -n "$check" ]; then
		say "missing packages: ${packages[*]}"
		exit 1
	fi
	install_packages "${packages[@]}"
	# shellcheck disable=SC2086
	mapfile -t packages < <(missing $wanted)
	if [ "${#packages[@]}" -gt 0 ]; then
		say "apt-get succeeded, but what these packages should give is still not found: ${packages[*]}"
		exit 1
	fi
fi
if [ -z "$check" ]; then
	retry "go mod download" go mod download
	case $wanted in *lint*) retry "go mod download" go mod download -modfile=scripts/tools.mod ;; esac
fi
