// hd.h — what every kernel source includes first: exact floating point, and the macro that lets the same arithmetic be
// compiled by a C++ compiler and, later, for a device.
#ifndef VQS_COMMON_HD_H_
#define VQS_COMMON_HD_H_

// A product and a sum are two roundings. Compilers like to fuse them where the target can, intrinsics included, and that
// changes bits. As a pragma because cgo's list of permitted flags lacks -ffp-contract; before any other include,
// because GCC inlines only functions compiled under equal options.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

// The vector targets that are not compiled: SSSE3 and SSE4, since x86 without AVX2 is too slow to measure video with, and the
// plain reference serves it; SVE, because blocks of columns are sized for vectors of at most 512 bits and NEON runs wherever SVE does.
// Each target costs a minute of compiling.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)

#if defined(__CUDA__) || defined(__CUDACC__)
#define VQS_HD __attribute__((host)) __attribute__((device)) inline
#else
#define VQS_HD inline
#endif

#endif  // VQS_COMMON_HD_H_
