// device.h — what a .cu file of ours may use of the device, under one spelling for clang's CUDA and for the software libcuda.
//
// Kernels touch memory through the functions and macros below alone, never through a plain pointer: on a device they are single
// instructions, in kernels/emu they are also where bounds, lifetime, initialisation and races are checked.
#ifndef VQS_CUDA_DEVICE_H_
#define VQS_CUDA_DEVICE_H_

#include <stddef.h>
#include <stdint.h>

#include "hd.h"

// Vectors of 32-bit words: one load or store each, at addresses that are multiples of their size.
struct alignas(8) VqsWord2 {
  uint32_t x, y;
};
struct alignas(16) VqsWord4 {
  uint32_t x, y, z, w;
};

#if defined(VQS_EMULATED)

#include "emulated.h"  // kernels/emu: everything that the other branch defines

#else

#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __constant__ __attribute__((constant))
// __launch_bounds__(threads) or (threads, blocks): threads of a block, and how many blocks the registers are to suffice for.
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))

// VQS_DEVICE marks a function of the device, always inlined.
#define VQS_DEVICE __attribute__((device)) __attribute__((always_inline)) inline

// VQS_SHARED declares an array of count elements in shared memory, within a kernel. Elements are read and written with name[i], which the
// emulator wants to see as values: give them a type, since auto would take the place for its content.
// VQS_SHARED_ALIGNED: at a multiple of 16 bytes, so that neighbouring elements are loaded by one instruction where their place allows.
#define VQS_SHARED(type, name, count) __shared__ type name[count]
#define VQS_SHARED_ALIGNED(type, name, count) __shared__ __attribute__((aligned(16))) type name[count]

// VqsShared is what functions take such an array, or a part of it (name + i), as.
template <typename T>
using VqsShared = T*;

// FourOf loads the elements i … i + 3 of an aligned array, i a multiple of four, at once.
VQS_DEVICE VqsWord4 FourOf(VqsShared<uint32_t> array, int i) {
  typedef uint32_t Four __attribute__((ext_vector_type(4), may_alias));
  const Four v = *reinterpret_cast<const Four*>(array + i);
  return VqsWord4{v.x, v.y, v.z, v.w};
}

// VQS_TABLE declares a table of constants that the device can read. It is read with Read(&name[i]) or name[i].
#define VQS_TABLE(type, name, count) __device__ const type name[count]

// Position of the thread in its block and of the block in the grid.
VQS_DEVICE int ThreadX() { return __nvvm_read_ptx_sreg_tid_x(); }
VQS_DEVICE int ThreadY() { return __nvvm_read_ptx_sreg_tid_y(); }
VQS_DEVICE int BlockX() { return __nvvm_read_ptx_sreg_ctaid_x(); }
VQS_DEVICE int BlockY() { return __nvvm_read_ptx_sreg_ctaid_y(); }
VQS_DEVICE int BlockZ() { return __nvvm_read_ptx_sreg_ctaid_z(); }
VQS_DEVICE int GridX() { return __nvvm_read_ptx_sreg_nctaid_x(); }
VQS_DEVICE int GridY() { return __nvvm_read_ptx_sreg_nctaid_y(); }

// SyncBlock waits for all threads of the block. SyncWarp waits for all 32 of the warp.
VQS_DEVICE void SyncBlock() { __syncthreads(); }
VQS_DEVICE void SyncWarp() { __nvvm_bar_warp_sync(0xffffffffu); }

// Read loads what no thread writes while the kernel runs, through the read-only cache. Global loads what may have been written by
// this thread or before a barrier by its block.
VQS_DEVICE uint8_t Read(const uint8_t* p) { return __nvvm_ldg_uc(p); }
VQS_DEVICE uint16_t Read(const uint16_t* p) { return __nvvm_ldg_us(p); }
VQS_DEVICE int16_t Read(const int16_t* p) { return static_cast<int16_t>(__nvvm_ldg_s(p)); }
VQS_DEVICE uint32_t Read(const uint32_t* p) { return __nvvm_ldg_ui(p); }
VQS_DEVICE int32_t Read(const int32_t* p) { return __nvvm_ldg_i(p); }
VQS_DEVICE float Read(const float* p) { return __nvvm_ldg_f(p); }
VQS_DEVICE double Read(const double* p) { return __nvvm_ldg_d(p); }
VQS_DEVICE uint64_t Read(const uint64_t* p) { return __nvvm_ldg_ull(reinterpret_cast<const unsigned long long*>(p)); }
VQS_DEVICE int64_t Read(const int64_t* p) { return __nvvm_ldg_ll(reinterpret_cast<const long long*>(p)); }
VQS_DEVICE VqsWord2 Read(const VqsWord2* p) {
  typedef unsigned int Pair __attribute__((ext_vector_type(2)));
  const Pair v = __nvvm_ldg_ui2(reinterpret_cast<const Pair*>(p));
  return VqsWord2{v.x, v.y};
}
VQS_DEVICE VqsWord4 Read(const VqsWord4* p) {
  typedef unsigned int Four __attribute__((ext_vector_type(4)));
  const Four v = __nvvm_ldg_ui4(reinterpret_cast<const Four*>(p));
  return VqsWord4{v.x, v.y, v.z, v.w};
}
template <typename T>
VQS_DEVICE T Global(const T* p) {
  return *p;
}
template <typename T>
VQS_DEVICE void Store(T* p, T v) {
  *p = v;
}

// AtomicAdd adds to a word that other blocks add to as well. Only sums of integers are formed so, in any order the same.
VQS_DEVICE void AtomicAdd(uint64_t* p, uint64_t v) {
  __nvvm_atom_add_gen_ll(reinterpret_cast<long long*>(p), static_cast<long long>(v));
}
VQS_DEVICE void AtomicAdd(uint32_t* p, uint32_t v) { __nvvm_atom_add_gen_i(reinterpret_cast<int*>(p), static_cast<int>(v)); }

// ShuffleXor and ShuffleDown exchange a word between the lanes of a warp, all of which must call.
VQS_DEVICE uint32_t ShuffleXor(uint32_t v, int mask) {
  return static_cast<uint32_t>(__nvvm_shfl_sync_bfly_i32(0xffffffffu, static_cast<int>(v), mask, 0x1f));
}
VQS_DEVICE uint32_t ShuffleDown(uint32_t v, int distance) {
  return static_cast<uint32_t>(__nvvm_shfl_sync_down_i32(0xffffffffu, static_cast<int>(v), distance, 0x1f));
}

// LeadingZeros of a word, 32 for 0.
VQS_DEVICE int LeadingZeros(uint32_t v) { return v == 0 ? 32 : __builtin_clz(v); }

// Dot4 adds to c the products of four unsigned bytes each. Dot4Signed: of unsigned bytes of a with signed ones of b.
VQS_DEVICE uint32_t Dot4(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t d;
  asm("dp4a.u32.u32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}
VQS_DEVICE int32_t Dot4Signed(uint32_t a, int32_t b, int32_t c) {
  int32_t d;
  asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}
// Dot2Low adds to c the products of the two unsigned 16-bit halves of a with the two low unsigned bytes of b; Dot2High: with its two high ones.
VQS_DEVICE uint32_t Dot2Low(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t d;
  asm("dp2a.lo.u32.u32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}
VQS_DEVICE uint32_t Dot2High(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t d;
  asm("dp2a.hi.u32.u32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}
// RoughInverse is 1/v up to a unit in the last place, for 2^-126 ≤ v < 2^126. Devices differ in that, so what is made of it must not.
VQS_DEVICE float RoughInverse(float v) { return __nvvm_rcp_approx_ftz_f(v); }

// MultiplyWide is a·b, the whole product. ptxas makes one instruction of it and a sum; of a MultiplyAdd by a constant it makes three.
VQS_DEVICE uint64_t MultiplyWide(uint32_t a, uint32_t b) {
  uint64_t d;
  asm("mul.wide.u32 %0, %1, %2;" : "=l"(d) : "r"(a), "r"(b));
  return d;
}

// MultiplyAdd is a·b + c with the whole product.
VQS_DEVICE int64_t MultiplyAdd(int32_t a, int32_t b, int64_t c) {
  int64_t d;
  asm("mad.wide.s32 %0, %1, %2, %3;" : "=l"(d) : "r"(a), "r"(b), "l"(c));
  return d;
}
VQS_DEVICE uint64_t MultiplyAdd(uint32_t a, uint32_t b, uint64_t c) {
  uint64_t d;
  asm("mad.wide.u32 %0, %1, %2, %3;" : "=l"(d) : "r"(a), "r"(b), "l"(c));
  return d;
}
// Bytes picks four of the eight bytes of b:a by the four low nibbles of selector.
VQS_DEVICE uint32_t Bytes(uint32_t a, uint32_t b, uint32_t selector) { return __nvvm_prmt(a, b, selector); }

#endif  // VQS_EMULATED

VQS_DEVICE int Min(int a, int b) { return a < b ? a : b; }
VQS_DEVICE int Max(int a, int b) { return a > b ? a : b; }

// WarpSum is the sum over the 32 lanes of a warp, in each of them.
VQS_DEVICE uint32_t WarpSum(uint32_t v) {
  for (int mask = 16; mask > 0; mask /= 2) v += ShuffleXor(v, mask);
  return v;
}
VQS_DEVICE uint64_t WarpSum(uint64_t v) {
  for (int mask = 16; mask > 0; mask /= 2) {
    const uint32_t low = ShuffleXor(static_cast<uint32_t>(v), mask);
    const uint32_t high = ShuffleXor(static_cast<uint32_t>(v >> 32), mask);
    v += static_cast<uint64_t>(high) << 32 | low;
  }
  return v;
}
VQS_DEVICE int64_t WarpSum(int64_t v) { return static_cast<int64_t>(WarpSum(static_cast<uint64_t>(v))); }

#endif  // VQS_CUDA_DEVICE_H_
