#!/usr/bin/env bash
# arm64.sh — builds the trampolines for 64-bit Arm and calls through them, on any machine.
#
#   gpu/internal/driver/arm64.sh
#
# Needs (Debian's names) gcc-aarch64-linux-gnu and qemu-user-static, unless the machine is an arm64 one. Installs nothing.
# Exit 1: it does not build, or a call goes astray. Exit 2: something is missing.
set -euo pipefail
cd "$(dirname "$0")"

missing() {
	printf 'arm64.sh: %s\n' "$*" >&2
	exit 2
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ "$(uname -m)" = aarch64 ]; then
	cc=${CC:-gcc}
	run=()
else
	cc=aarch64-linux-gnu-gcc
	command -v "$cc" >/dev/null || missing "no $cc; install gcc-aarch64-linux-gnu"
	command -v qemu-aarch64-static >/dev/null || missing 'no qemu-aarch64-static; install qemu-user-static'
	run=(qemu-aarch64-static -L /usr/aarch64-linux-gnu)
fi

# A driver that knows two calls, one of them with more arguments than registers hold.
cat >"$work/libcuda.c" <<'C'
int cuInit(unsigned int flags) { return (int)flags; }
int cuDriverGetVersion(int *version) { *version = 12040; return 0; }
int cuLaunchKernel(void *f, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned g, unsigned h, void *s, void **p,
                   void **x) {
  return (long)f == 1 && a == 2 && b == 3 && c == 4 && d == 5 && e == 6 && g == 7 && h == 8 && (long)s == 9 && (long)p == 10 &&
         (long)x == 11 ? 0 : 77;
}
C
cat >"$work/main.c" <<'C'
#include <stdio.h>
#include "driver.h"
#define WANT(call, result) if ((got = (call)) != (result)) { printf("%s: %d, want %d\n", #call, got, result); return 1; }
int main(int n, char **names) {
  int got, version = 0;
  const char *error = "";
  VqsdLibrary library;
  WANT(n, 2);
  WANT(cuInit(0), CUDA_SUCCESS);
  WANT(cuDriverGetVersion(&version), CUDA_ERROR_NOT_INITIALIZED);
  WANT(vqsd_driver_load("/nowhere/libcuda.so.1", &library, &error), -1);
  WANT(vqsd_driver_load(names[1], &library, &error), 0);
  WANT(library.version, 12040);
  WANT((int)vqsd_driver_start(&library), CUDA_SUCCESS);
  WANT(cuDriverGetVersion(&version), CUDA_SUCCESS);
  WANT(version, 12040);
  WANT(cuLaunchKernel((CUfunction)1, 2, 3, 4, 5, 6, 7, 8, (CUstream)9, (void **)10, (void **)11), CUDA_SUCCESS);
  WANT(cuMemFree(0), CUDA_ERROR_NOT_INITIALIZED);
  puts("arm64: calls go through the trampolines");
  return 0;
}
C
flags=(-Wall -Wextra -O2 -fPIC -I.)
"$cc" "${flags[@]}" -shared -o "$work/libcuda.so.1" "$work/libcuda.c"
"$cc" "${flags[@]}" -o "$work/main" "$work/main.c" trampolines.c library.c -ldl
"${run[@]}" "$work/main" "$work/libcuda.so.1"
