#!/usr/bin/env bash
# arm64.sh — builds the CPU kernels for 64-bit Arm and holds NEON against the plain reference, on any machine.
#
#   kernels/check/arm64.sh [SEED]
#
# Needs (Debian's names): g++-aarch64-linux-gnu and qemu-user-static, unless the machine is an arm64 one; libhwy-dev for the
# headers; and libhwy1 for arm64, which is taken from VQSD_ARM64_LIBHWY (a folder), from where Debian installs it, or fetched
# with apt-get into a temporary folder after `dpkg --add-architecture arm64 && apt-get update`. Installs nothing.
# Exit 1: a difference, or it does not build. Exit 2: something is missing.
set -euo pipefail
cd "$(dirname "$0")/../cpu/native"

missing() {
	printf 'arm64.sh: %s\n' "$*" >&2
	exit 2
}

seed=${1:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ "$(uname -m)" = aarch64 ]; then
	cxx=${CXX:-g++}
	run=()
else
	cxx=aarch64-linux-gnu-g++
	command -v "$cxx" >/dev/null || missing "no $cxx; install g++-aarch64-linux-gnu"
	command -v qemu-aarch64-static >/dev/null || missing 'no qemu-aarch64-static; install qemu-user-static'
	run=(qemu-aarch64-static -L /usr/aarch64-linux-gnu)
fi

# Highway's headers are the same for all architectures. Only they, not the rest of this machine's include folder.
include=$(pkg-config --variable=includedir libhwy 2>/dev/null || true)
[ -e "${include:=/usr/include}/hwy/highway.h" ] || missing 'no hwy/highway.h; install libhwy-dev'
mkdir "$work/include"
ln -s "$include/hwy" "$work/include/hwy"

lib=${VQSD_ARM64_LIBHWY:-/usr/lib/aarch64-linux-gnu}
if [ ! -e "$lib/libhwy.so.1" ]; then
	echo 'fetching libhwy1:arm64'
	(cd "$work" && apt-get -q -o APT::Sandbox::User=root download libhwy1:arm64 >/dev/null) ||
		missing 'no libhwy1 for arm64; run: dpkg --add-architecture arm64 && apt-get update'
	dpkg-deb -x "$work"/libhwy1_*_arm64.deb "$work/root"
	lib=$work/root/usr/lib/aarch64-linux-gnu
fi

# The flags of cgo.go; -O1 because each file takes long and the arithmetic is the same.
flags=(-std=c++17 -O1 -march=armv8-a+crypto -fno-exceptions -fno-rtti -Wall -Wextra
	-DHWY_SHARED_DEFINE -I"$work/include" -I. -I../../common)
for source in *.cc sse/*.cc psnrhvs/*.cc speed/*.cc ssim/*.cc ciede/*.cc cambi/*.cc ../../check/native/parity.cc; do
	"$cxx" "${flags[@]}" -c "$source" -o "$work/$(basename "$source" .cc).o"
done
"$cxx" "$work"/*.o -L"$lib" -l:libhwy.so.1 -Wl,-rpath,"$lib" -o "$work/parity"

# shellcheck disable=SC2086 # no seed, no argument
"${run[@]}" "$work/parity" $seed
