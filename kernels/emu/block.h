// block.h — what a kernel sees of the machine that executes it: its thread, its block, and what happens when it errs.
//
// A block runs on one thread of the host, worker in what follows; each of its threads is a fiber with a stack of its own. Fibers run one after the
// other until they wait, so between two barriers nothing is concurrent within a block, and races are found by bookkeeping, not by luck.
#ifndef VQS_EMU_BLOCK_H_
#define VQS_EMU_BLOCK_H_

#include <stddef.h>
#include <stdint.h>

namespace vqs_emu {

constexpr int kWarp = 32;
constexpr int kMaxThreads = 1024;          // of a block
constexpr size_t kSharedBytes = 64 << 10;  // most that a block can have; 48 KiB without asking
constexpr int kSharedSites = 64;           // arrays that one kernel can declare

// Where names a place in a kernel's source, for messages.
struct Where {
  const char* file;
  int line;
};

enum class State : uint8_t { kReady, kAtBlockBarrier, kAtWarpBarrier, kExited };

// Fiber is one thread of the block.
struct Fiber {
  void* stack_pointer;  // while it does not run
  int x, y, z;
  int thread;  // x + blockDim.x · (y + blockDim.y · z)
  State state;
  uint8_t slot;           // of exchange, for the next shuffle
  uint64_t exchange[2];   // what it offers to the lanes of its warp; two in turn, so that a shuffle needs one barrier
  Where waits;            // for which barrier
};

struct Warp {
  int first, end;  // its threads
  int live;        // that have not exited
  int waiting;     // at a barrier of the warp
  uint32_t epoch;  // counts its SyncWarp
};

// One declaration of shared memory in a kernel, and where it lies for the block that runs.
struct SharedPlace {
  const void* site;
  uint32_t offset;  // into the block's shared memory
  uint32_t record;  // of its first element, checked kernels only
};

// AccessRecord is who last touched an element of shared memory, and when: an access key each, 0 for nobody. A key has the epoch
// of the block in its upper half (barriers, counted over the blocks that a worker runs), below it the epoch of the warp (its SyncWarp)
// and the thread, or one of the figures below.
struct AccessRecord {
  uint64_t write, read;
};
constexpr uint16_t kByAtomics = 0xffff, kSeveralWarps = 0xfffe;
constexpr uint16_t kSeveralLanes = 0x8000;  // plus the warp: more than one of its threads

constexpr uint64_t AccessKey(uint32_t epoch, uint32_t warp_epoch, int thread) {
  return static_cast<uint64_t>(epoch) << 32 | (warp_epoch & 0xffff) << 16 | static_cast<uint16_t>(thread);
}
constexpr uint32_t KeyEpoch(uint64_t key) { return static_cast<uint32_t>(key >> 32); }
constexpr uint16_t KeyWarpEpoch(uint64_t key) { return static_cast<uint16_t>(key >> 16); }
constexpr uint16_t KeyThread(uint64_t key) { return static_cast<uint16_t>(key); }
// KeyWarp is the warp of whoever it was; meaningless for several warps and atomics.
constexpr int KeyWarp(uint64_t key) {
  return (KeyThread(key) & kSeveralLanes) != 0 ? KeyThread(key) & ~kSeveralLanes : KeyThread(key) / kWarp;
}

// Arena describes a device's memory for checks: one byte of state a byte, one tag a word of four. See memory.h.
struct Arena {
  uintptr_t base;
  size_t bytes;
  uint8_t* states;
  uint64_t* tags;
};

struct Block {
  Fiber* current;
  Fiber* fibers;
  Warp* warps;
  int threads, live;
  int dim_x, dim_y, dim_z;
  int block_x, block_y, block_z, grid_x, grid_y, grid_z;
  uint32_t epoch, first_epoch;  // of barriers: now, and when the block began
  uint64_t key;                 // of the thread that runs, now
  uint64_t launch_tag;          // launch and block, as in a word's tag
  Arena arena;
  unsigned char* shared;
  uint32_t shared_used, records_used;
  int places;
  SharedPlace place[kSharedSites];
  AccessRecord* records;
};

// The block that this thread of the host runs. It stays the same while fibers are switched.
extern thread_local Block* block __attribute__((tls_model("initial-exec"), visibility("hidden")));

#define VQS_EMU_HIDDEN __attribute__((visibility("hidden")))

// WaitBlock and WaitWarp let the other threads run, and return when all have arrived.
VQS_EMU_HIDDEN void WaitBlock(Where where);
VQS_EMU_HIDDEN void WaitWarp(Where where, bool orders_memory);

// Shared finds or makes the array of a declaration. The first thread of a block that comes to it makes it.
VQS_EMU_HIDDEN const SharedPlace& Shared(const void* site, size_t bytes, size_t alignment, size_t elements);

// What a kernel can do wrong. other: the key of an access that clashes, 0 without one. Each of these reports it, ends the launch and does not return.
enum class Access { kRead, kLoad, kStore, kAtomic };
[[noreturn]] VQS_EMU_HIDDEN void FailGlobal(Access access, const void* p, size_t bytes, Where where);
[[noreturn]] VQS_EMU_HIDDEN void FailShared(const char* array, int64_t index, int64_t count, const char* what, uint64_t other);
[[noreturn]] VQS_EMU_HIDDEN void FailArithmetic(const char* what, Where where);

// InTable says whether bytes at p lie in tables of constants (VQS_TABLE), which are the program's and not the device's.
VQS_EMU_HIDDEN bool InTable(const void* p, size_t bytes);

// Kernel is one entry point as it was compiled: how it is called with the values that cuLaunchKernel gets.
struct Kernel {
  const char* name;
  bool checked;
  void (*call)(void** parameters);
  int parameters;
  const size_t* parameter_bytes;
  const Kernel* next;
};
VQS_EMU_HIDDEN void Register(Kernel* kernel);

}  // namespace vqs_emu

#endif  // VQS_EMU_BLOCK_H_
