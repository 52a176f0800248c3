// emulated.h — device.h for the processor: the same names, executed by the blocks of execute.cc.
//
// Sources are compiled twice: plain, for speed, and checked (VQS_CHECKED), where every access to global and shared memory is looked
// at before it is made. What a kernel can see is the same in both.
#ifndef VQS_EMU_EMULATED_H_
#define VQS_EMU_EMULATED_H_

#include <string.h>

#include <type_traits>
#include <utility>

#include "block.h"

// scripts/emu.sh lists the entry points by what __global__ leaves in the preprocessed text.
#if defined(VQS_LIST_KERNELS)
#define __global__ VQS_ENTRY_POINT
#else
#define __global__ __attribute__((visibility("hidden")))
#endif
#define __launch_bounds__(...)
#define __device__
#define VQS_DEVICE inline __attribute__((always_inline))

// Tables lie together, so that a read of one can be told from a read of other memory of the process.
#define VQS_TABLE(type, name, count) static const type name[count] __attribute__((section("vqs_tables"), aligned(16)))

// Parameters of functions that say where they were called; not for callers to give.
#define VQS_WHERE const char *file = __builtin_FILE(), int line = __builtin_LINE()
#define VQS_HERE \
  ::vqs_emu::Where { file, line }

VQS_DEVICE int ThreadX() { return vqs_emu::block->current->x; }
VQS_DEVICE int ThreadY() { return vqs_emu::block->current->y; }
VQS_DEVICE int BlockX() { return vqs_emu::block->block_x; }
VQS_DEVICE int BlockY() { return vqs_emu::block->block_y; }
VQS_DEVICE int BlockZ() { return vqs_emu::block->block_z; }
VQS_DEVICE int GridX() { return vqs_emu::block->grid_x; }
VQS_DEVICE int GridY() { return vqs_emu::block->grid_y; }

VQS_DEVICE void SyncBlock(VQS_WHERE) { vqs_emu::WaitBlock(VQS_HERE); }
VQS_DEVICE void SyncWarp(VQS_WHERE) { vqs_emu::WaitWarp(VQS_HERE, true); }

#if defined(VQS_CHECKED)
#include "checked.h"
#else
#include "unchecked.h"
#endif

// Every array begins as far on as its type asks; a load of four elements is four here.
#define VQS_SHARED_ALIGNED(type, name, count) VQS_SHARED(type, name, count)
VQS_DEVICE VqsWord4 FourOf(const VqsShared<uint32_t>& array, int i) {
  return VqsWord4{array[i], array[i + 1], array[i + 2], array[i + 3]};
}

// Exchange gives the value that another lane of the warp offers; that of the calling lane where there is no such lane.
VQS_DEVICE uint32_t Exchange(uint32_t v, int lane, vqs_emu::Where where) {
  vqs_emu::Block* const b = vqs_emu::block;
  vqs_emu::Fiber* const self = b->current;
  const int slot = self->slot, from = (self->thread & ~(vqs_emu::kWarp - 1)) + lane;
  self->slot ^= 1;
  self->exchange[slot] = v;
  vqs_emu::WaitWarp(where, false);
  return lane >= 0 && lane < vqs_emu::kWarp && from < b->threads ? static_cast<uint32_t>(b->fibers[from].exchange[slot]) : v;
}
VQS_DEVICE uint32_t ShuffleXor(uint32_t v, int mask, VQS_WHERE) {
  return Exchange(v, (vqs_emu::block->current->thread % vqs_emu::kWarp) ^ mask, VQS_HERE);
}
VQS_DEVICE uint32_t ShuffleDown(uint32_t v, int distance, VQS_WHERE) {
  return Exchange(v, vqs_emu::block->current->thread % vqs_emu::kWarp + distance, VQS_HERE);
}

VQS_DEVICE int LeadingZeros(uint32_t v) { return v == 0 ? 32 : __builtin_clz(v); }

VQS_DEVICE uint32_t ByteOf(uint32_t v, int i) { return v >> (8 * i) & 0xff; }
VQS_DEVICE uint32_t Dot4(uint32_t a, uint32_t b, uint32_t c) {
  for (int i = 0; i < 4; ++i) c += ByteOf(a, i) * ByteOf(b, i);
  return c;
}
VQS_DEVICE int32_t Dot4Signed(uint32_t a, int32_t b, int32_t c) {
  uint32_t sum = static_cast<uint32_t>(c);  // wraps as the instruction does
  for (int i = 0; i < 4; ++i) {
    const int8_t factor = static_cast<int8_t>(ByteOf(static_cast<uint32_t>(b), i));
    sum += static_cast<uint32_t>(static_cast<int32_t>(ByteOf(a, i)) * factor);
  }
  return static_cast<int32_t>(sum);
}
VQS_DEVICE uint32_t Dot2Low(uint32_t a, uint32_t b, uint32_t c) {
  return c + (a & 0xffff) * ByteOf(b, 0) + (a >> 16) * ByteOf(b, 1);
}
VQS_DEVICE uint32_t Dot2High(uint32_t a, uint32_t b, uint32_t c) {
  return c + (a & 0xffff) * ByteOf(b, 2) + (a >> 16) * ByteOf(b, 3);
}
// Off by up to a unit, since devices are.
VQS_DEVICE float RoughInverse(float v) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, v);
  return __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, 1.0f / v) + bits % 3 - 1);
}

VQS_DEVICE uint64_t MultiplyWide(uint32_t a, uint32_t b) { return static_cast<uint64_t>(a) * b; }
VQS_DEVICE int64_t MultiplyAdd(int32_t a, int32_t b, int64_t c) { return static_cast<int64_t>(a) * b + c; }
VQS_DEVICE uint64_t MultiplyAdd(uint32_t a, uint32_t b, uint64_t c) { return static_cast<uint64_t>(a) * b + c; }
// As prmt in its default mode: bit 3 of a nibble spreads the sign of the byte that it picks.
VQS_DEVICE uint32_t Bytes(uint32_t a, uint32_t b, uint32_t selector) {
  const uint64_t both = static_cast<uint64_t>(b) << 32 | a;
  uint32_t out = 0;
  for (int i = 0; i < 4; ++i) {
    const uint32_t pick = selector >> (4 * i) & 0xf;
    const uint32_t byte = static_cast<uint32_t>(both >> (8 * (pick & 7))) & 0xff;
    out |= ((pick & 8) == 0 ? byte : (byte & 0x80) != 0 ? 0xffu : 0u) << (8 * i);
  }
  return out;
}

namespace vqs_emu {

// Caller turns the untyped parameters of a launch into a call of the entry point.
template <auto F>
struct Caller;
template <typename... A, void (*F)(A...)>
struct Caller<F> {
  static_assert(((sizeof(A) <= 8) && ...), "gorgonia.org/cu passes parameters in slots of 64 bits");
  template <size_t... I>
  static void Call(void** parameters, std::index_sequence<I...>) {
    F(*static_cast<std::remove_cv_t<A>*>(parameters[I])...);
  }
  static void Call(void** parameters) { Call(parameters, std::index_sequence_for<A...>()); }
  static constexpr size_t kBytes[] = {sizeof(A)..., 0};
  static constexpr int kCount = sizeof...(A);
};

struct Registration {
  Registration(Kernel* kernel) { Register(kernel); }
};

}  // namespace vqs_emu

// VQS_KERNEL makes an entry point known. The files that scripts/emu.sh generates consist of them.
#if defined(VQS_CHECKED)
#define VQS_IS_CHECKED true
#else
#define VQS_IS_CHECKED false
#endif
#define VQS_KERNEL(name, function)                                                                                   \
  static ::vqs_emu::Kernel kernel_##function{name, VQS_IS_CHECKED, &::vqs_emu::Caller<&function>::Call,             \
                                             ::vqs_emu::Caller<&function>::kCount, ::vqs_emu::Caller<&function>::kBytes, \
                                             nullptr};                                                                  \
  static ::vqs_emu::Registration registration_##function(&kernel_##function);

#endif  // VQS_EMU_EMULATED_H_
