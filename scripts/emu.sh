#!/usr/bin/env bash
# emu.sh — builds the software libcuda, bin/emu/libcuda.so.1, from kernels/emu and kernels/cuda/*.cu. Only what has changed is compiled.
#
#   scripts/emu.sh [--test] [--out FOLDER] [NAME...]     NAME: motion for kernels/cuda/motion.cu; without one, all
#
#   --test  build what kernels/emu's own tests need too: a library with kernels that are wrong on purpose, and the program that drives either
#   --out   put the library there instead: one with some of the kernels only does not belong into bin/emu
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'emu: %s\n' "$*" >&2; }

usage() {
	say 'usage: scripts/emu.sh [--test] [--out FOLDER] [NAME...]'
	exit 2
}

out=bin/emu
test=''
names=()
while [ $# -gt 0 ]; do
	case $1 in
	--test) test=yes ;;
	--out)
		[ $# -ge 2 ] || usage
		out=$2
		shift
		;;
	-*) usage ;;
	*) names+=("$1") ;;
	esac
	shift
done

if [ "${#names[@]}" -gt 0 ] && [ "$out" = bin/emu ]; then
	say 'a library with some of the kernels needs a folder of its own: --out'
	usage
fi
kernels=()
if [ "${#names[@]}" -eq 0 ]; then kernels=(kernels/cuda/*.cu); fi
for name in "${names[@]}"; do
	name=$(basename "$name" .cu)
	[ -e "kernels/cuda/$name.cu" ] || { say "no kernels/cuda/$name.cu"; usage; }
	kernels+=("kernels/cuda/$name.cu")
done

# One build at a time: test runs of several packages may start it side by side.
mkdir -p bin/emu "$out"
exec 9>bin/emu/lock
flock 9

# build OUT OBJ KERNEL... makes one library.
build() {
	local to=$1 objects=$2
	shift 2
	make --no-print-directory -s -j "$(nproc)" -f kernels/emu/build.mk OUT="$to" OBJ="$objects" KERNELS="$*" "$to/libcuda.so.1"
}

build "$out" bin/emu/obj "${kernels[@]}"
if [ -n "$test" ]; then
	build bin/emu/test bin/emu/obj/test kernels/emu/trial/testdata/*.cu
	make --no-print-directory -s -f kernels/emu/build.mk OUT=bin/emu/test OBJ=bin/emu/obj/test KERNELS= bin/emu/test/trial
fi
