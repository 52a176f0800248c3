// execute.cc — a grid on the processors: workers run blocks, and switch between the fibers of a block where these wait.
#include "execute.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include <atomic>
#include <cinttypes>
#include <condition_variable>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "machine.h"
#include "states.h"

extern "C" {
__attribute__((visibility("hidden"))) void vqs_emu_switch(void** save, void* load);
// Bounds of the tables of constants, by the linker; absent when no kernel has any.
extern const char __start_vqs_tables[] __attribute__((weak, visibility("hidden")));
extern const char __stop_vqs_tables[] __attribute__((weak, visibility("hidden")));
}

// vqs_emu_switch saves what a function must preserve on the stack, leaves the stack at *save, and goes on at another.
#if defined(__x86_64__)
__asm__(R"(
.text
.p2align 4
.globl vqs_emu_switch
.hidden vqs_emu_switch
.type vqs_emu_switch, @function
vqs_emu_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size vqs_emu_switch, .-vqs_emu_switch
)");
constexpr int kSavedWords = 6;
#else
#error "the software libcuda switches stacks on x86-64 only"
#endif

namespace vqs_emu {

thread_local Block* block = nullptr;

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kStackBytes = 64 << 10;  // of a fiber, with its guard page
// Stacks a multiple of a page apart would share the same few lines of the first-level cache.
constexpr size_t kStackStagger = 7 * 64, kStackStaggers = 8;

Kernel* g_kernels = nullptr;  // filled while the library is loaded

// Worker is one processor of the emulated device: a thread of the host with the stacks of a block's threads.
struct Worker {
  Block block = {};  // first, so that a kernel's block leads to it
  Fiber fibers[kMaxThreads];
  Warp warps[kMaxThreads / kWarp];
  char* stacks = nullptr;
  int stacks_ready = 0;
  void* scheduler = nullptr;
  const Launch* launch = nullptr;
  bool reverse = false;
  bool failed = false;
};
static_assert(offsetof(Worker, block) == 0, "TheWorker");

Worker& TheWorker() { return *reinterpret_cast<Worker*>(block); }

// Pool runs launches, one at a time.
struct Pool {
  std::mutex launching;  // held over a launch
  std::mutex mutex;
  std::condition_variable changed;
  const Launch* launch = nullptr;
  uint64_t round = 0;
  int workers = 0, busy = 0;
  std::atomic<int64_t> next{0};
  int64_t blocks = 0;
  std::atomic<int> error{0};
};
Pool& ThePool() {
  static Pool& pool = *new Pool;
  return pool;
}

// --- reports

std::string Named(const Where& where) { return where.file == nullptr ? "" : std::string(" at ") + where.file + ":" + std::to_string(where.line); }

std::string ThreadName(const Worker& w, int thread) {
  const Block& b = w.block;
  char text[64];
  snprintf(text, sizeof text, "(%d,%d,%d)", thread % b.dim_x, thread / b.dim_x % b.dim_y, thread / (b.dim_x * b.dim_y));
  return text;
}

// Report says what a kernel did wrong, for the first of a launch, and sets the launch's error.
void Report(Worker& w, CUresult code, const char* format, ...) __attribute__((format(printf, 3, 4)));
void Report(Worker& w, CUresult code, const char* format, ...) {
  w.failed = true;
  int none = 0;
  if (!ThePool().error.compare_exchange_strong(none, code)) return;
  char what[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  const Block& b = w.block;
  fprintf(stderr, "vqsd_emu: kernel %s, launch %" PRIu64 ", block (%d,%d,%d) of (%d,%d,%d), thread %s of (%d,%d,%d): %s\n", w.launch->kernel->name,
          w.launch->number, b.block_x, b.block_y, b.block_z, w.launch->grid.x, w.launch->grid.y, w.launch->grid.z,
          ThreadName(w, b.current->thread).c_str(), b.dim_x, b.dim_y, b.dim_z, what);
}

// Abandon leaves a block that has failed; its fibers are not gone on with.
[[noreturn]] void Abandon(Worker& w) {
  void* nowhere;
  vqs_emu_switch(&nowhere, w.scheduler);
  abort();
}

// --- the threads of a block

// Order in which threads run: 0 … n−1, or the reverse.
struct Order {
  int first, step, end;
};
Order OrderOf(const Worker& w, int begin, int end) { return w.reverse ? Order{end - 1, -1, begin - 1} : Order{begin, 1, end}; }

void RunNext(Worker& w, Fiber& from, int thread) {
  Fiber& to = w.fibers[thread];
  w.block.current = &to;
  w.block.key = AccessKey(w.block.epoch, w.warps[thread / kWarp].epoch, thread);
  if (&to != &from) vqs_emu_switch(&from.stack_pointer, to.stack_pointer);
}

// Diverged reports that threads wait for each other in vain, or at different barriers.
void Diverged(Worker& w, const Fiber& one, const Fiber& other) {
  w.block.current = const_cast<Fiber*>(&one);
  const char* const kind = one.state == State::kAtBlockBarrier ? "SyncBlock" : "a barrier of its warp";
  std::string what = "thread " + ThreadName(w, other.thread);
  switch (other.state) {
    case State::kExited:
      what += " has exited";
      break;
    case State::kAtBlockBarrier:
      what += " waits in SyncBlock" + Named(other.waits);
      break;
    default:
      what += " waits at a barrier of its warp" + Named(other.waits);
  }
  Report(w, CUDA_ERROR_LAUNCH_FAILED, "waits in %s%s, which not all threads reach: %s", kind, Named(one.waits).c_str(), what.c_str());
}

bool SamePlace(const Where& a, const Where& b) { return a.line == b.line && (a.file == b.file || strcmp(a.file, b.file) == 0); }

// OpenBlockBarrier lets all threads go on that wait for the block. False: it was not the same barrier for all.
bool OpenBlockBarrier(Worker& w) {
  Block& b = w.block;
  const Fiber* waiting = nullptr;
  for (int i = 0; i < b.threads && waiting == nullptr; ++i) {
    if (w.fibers[i].state != State::kExited) waiting = &w.fibers[i];
  }
  for (int i = 0; i < b.threads; ++i) {
    Fiber& f = w.fibers[i];
    const bool elsewhere = f.state == State::kExited || !SamePlace(f.waits, waiting->waits);
    if (f.state == State::kAtWarpBarrier || waiting->state != State::kAtBlockBarrier ||
        (elsewhere && w.launch->kernel->checked)) {
      Diverged(w, *waiting, f);
      return false;
    }
  }
  for (int i = 0; i < b.threads; ++i) {
    if (w.fibers[i].state == State::kAtBlockBarrier) w.fibers[i].state = State::kReady;
  }
  ++b.epoch;
  return true;
}

// OpenWarpBarrier is called when no thread of the warp can run and some wait for the warp. False: not all of it do.
bool OpenWarpBarrier(Worker& w, Warp& warp) {
  const Fiber* waiting = nullptr;
  for (int i = warp.first; i < warp.end && waiting == nullptr; ++i) {
    if (w.fibers[i].state == State::kAtWarpBarrier) waiting = &w.fibers[i];
  }
  for (int i = warp.first; i < warp.end; ++i) {
    const Fiber& f = w.fibers[i];
    if (f.state == State::kAtBlockBarrier || (f.state == State::kExited && w.launch->kernel->checked) ||
        (f.state == State::kAtWarpBarrier && !SamePlace(f.waits, waiting->waits))) {
      Diverged(w, *waiting, f);
      return false;
    }
  }
  for (int i = warp.first; i < warp.end; ++i) {
    if (w.fibers[i].state == State::kAtWarpBarrier) w.fibers[i].state = State::kReady;
  }
  warp.waiting = 0;
  return true;
}

// PassOn gives the processor of a thread that cannot go on to the next one that can. It returns when that thread can again.
void PassOn(Worker& w, Fiber& self) {
  Block& b = w.block;
  Warp& warp = w.warps[self.thread / kWarp];
  const Order lanes = OrderOf(w, warp.first, warp.end);
  for (int i = self.thread + lanes.step; i != lanes.end; i += lanes.step) {
    if (w.fibers[i].state == State::kReady) return RunNext(w, self, i);
  }
  if (warp.waiting > 0) {
    if (!OpenWarpBarrier(w, warp)) Abandon(w);
    for (int i = lanes.first;; i += lanes.step) {
      if (w.fibers[i].state == State::kReady) return RunNext(w, self, i);
    }
  }
  const Order all = OrderOf(w, 0, b.threads);
  for (int i = lanes.end; i != all.end; i += all.step) {
    if (w.fibers[i].state == State::kReady) return RunNext(w, self, i);
  }
  if (b.live == 0) {
    vqs_emu_switch(&self.stack_pointer, w.scheduler);
    return;
  }
  if (!OpenBlockBarrier(w)) Abandon(w);
  for (int i = all.first;; i += all.step) {
    if (w.fibers[i].state == State::kReady) return RunNext(w, self, i);
  }
}

void FiberMain() {
  Worker& w = TheWorker();
  Fiber& self = *w.block.current;
  w.launch->kernel->call(w.launch->parameters);
  self.state = State::kExited;
  --w.block.live;
  --w.warps[self.thread / kWarp].live;
  PassOn(w, self);
  abort();
}

// --- blocks

void PrepareStacks(Worker& w, int threads) {
  if (w.stacks == nullptr) {
    void* const p = mmap(nullptr, kMaxThreads * kStackBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
      perror("vqsd_emu: stacks");
      abort();
    }
    w.stacks = static_cast<char*>(p);
  }
  for (; w.stacks_ready < threads; ++w.stacks_ready) {
    if (mprotect(w.stacks + w.stacks_ready * kStackBytes + kPage, kStackBytes - kPage, PROT_READ | PROT_WRITE) != 0) {
      perror("vqsd_emu: stacks");
      abort();
    }
  }
}

void RunBlock(Worker& w, const Launch& launch, int64_t index) {
  Block& b = w.block;
  b.block_x = static_cast<int>(index % launch.grid.x);
  b.block_y = static_cast<int>(index / launch.grid.x % launch.grid.y);
  b.block_z = static_cast<int>(index / launch.grid.x / launch.grid.y);
  b.live = b.threads;
  b.places = 0;
  b.shared_used = b.records_used = 0;
  // Epoch 0 means never, and a worker that has counted through begins afresh.
  if (b.epoch >= UINT32_MAX / 2) {
    memset(b.records, 0, kSharedBytes * sizeof(AccessRecord));
    b.epoch = 0;
  }
  b.first_epoch = ++b.epoch;
  b.launch_tag = launch.number << kTagLaunch | (static_cast<uint64_t>(index) << kTagBlock & kTagBlocks);
  for (int i = 0; i < b.threads; ++i) {
    Fiber& f = w.fibers[i];
    f.state = State::kReady;
    f.slot = 0;
    f.waits = Where{nullptr, 0};
    // The end of a stack holds what the first switch pops: the saved registers and the function it returns to, aligned as at a call.
    void** top = reinterpret_cast<void**>(w.stacks + (i + 1) * kStackBytes - (i % kStackStaggers) * kStackStagger);
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(FiberMain);
    f.stack_pointer = top - kSavedWords;
  }
  for (int i = 0; i < b.threads; i += kWarp) {
    Warp& warp = w.warps[i / kWarp];
    warp.first = i;
    warp.end = i + kWarp < b.threads ? i + kWarp : b.threads;
    warp.live = warp.end - warp.first;
    warp.waiting = 0;
    warp.epoch = 0;
  }
  Fiber& first = w.fibers[OrderOf(w, 0, b.threads).first];
  b.current = &first;
  b.key = AccessKey(b.epoch, 0, first.thread);
  vqs_emu_switch(&w.scheduler, first.stack_pointer);
}

void Prepare(Worker& w, const Launch& launch) {
  Block& b = w.block;
  w.launch = &launch;
  w.failed = false;
  w.reverse = TheSettings().reverse;
  b.fibers = w.fibers;
  b.warps = w.warps;
  b.dim_x = launch.block.x;
  b.dim_y = launch.block.y;
  b.dim_z = launch.block.z;
  b.grid_x = launch.grid.x;
  b.grid_y = launch.grid.y;
  b.grid_z = launch.grid.z;
  b.threads = launch.block.x * launch.block.y * launch.block.z;
  b.arena = launch.memory->arena();
  if (b.shared == nullptr) {
    b.shared = static_cast<unsigned char*>(aligned_alloc(kPage, kSharedBytes));
    b.records = static_cast<AccessRecord*>(calloc(kSharedBytes, sizeof(AccessRecord)));
  }
  PrepareStacks(w, b.threads);
  for (int i = 0; i < b.threads; ++i) {
    Fiber& f = w.fibers[i];
    f.thread = i;
    f.x = i % b.dim_x;
    f.y = i / b.dim_x % b.dim_y;
    f.z = i / (b.dim_x * b.dim_y);
  }
}

// Work is the life of a worker: launches come in rounds, their blocks one by one.
void Work() {
  Pool& pool = ThePool();
  Worker& w = *new Worker;
  block = &w.block;
  std::unique_lock<std::mutex> lock(pool.mutex);
  for (uint64_t seen = 0;;) {
    pool.changed.wait(lock, [&] { return pool.round != seen; });
    seen = pool.round;
    const Launch& launch = *pool.launch;
    lock.unlock();
    Prepare(w, launch);
    while (pool.error.load(std::memory_order_relaxed) == 0) {
      const int64_t i = pool.next.fetch_add(1, std::memory_order_relaxed);
      if (i >= pool.blocks) break;
      RunBlock(w, launch, w.reverse ? pool.blocks - 1 - i : i);
    }
    lock.lock();
    if (--pool.busy == 0) pool.changed.notify_all();
  }
}

void StartWorkers(Pool& pool) {
  if (pool.workers > 0) return;
  pool.workers = TheSettings().threads;
  // Signals are for the threads of the program: a handler must not run on a fiber's stack.
  sigset_t all, before;
  sigfillset(&all);
  for (int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) sigdelset(&all, s);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (int i = 0; i < pool.workers; ++i) std::thread(Work).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

CUresult Execute(const Launch& launch) {
  Pool& pool = ThePool();
  std::lock_guard<std::mutex> one(pool.launching);
  std::unique_lock<std::mutex> lock(pool.mutex);
  StartWorkers(pool);
  pool.launch = &launch;
  pool.blocks = static_cast<int64_t>(launch.grid.x) * launch.grid.y * launch.grid.z;
  pool.next = 0;
  pool.error = 0;
  pool.busy = pool.workers;
  ++pool.round;
  pool.changed.notify_all();
  pool.changed.wait(lock, [&] { return pool.busy == 0; });
  return pool.error;
}

// --- what kernels call

void WaitBlock(Where where) {
  Worker& w = TheWorker();
  Fiber& self = *w.block.current;
  self.state = State::kAtBlockBarrier;
  self.waits = where;
  PassOn(w, self);
}

void WaitWarp(Where where, bool orders_memory) {
  Worker& w = TheWorker();
  Fiber& self = *w.block.current;
  Warp& warp = w.warps[self.thread / kWarp];
  self.state = State::kAtWarpBarrier;
  self.waits = where;
  // Once for the warp: the first lane that comes. Those that come later have touched memory before it in the old epoch.
  ++warp.waiting;
  if (orders_memory && warp.waiting == warp.live) ++warp.epoch;
  PassOn(w, self);
}

const SharedPlace& Shared(const void* site, size_t bytes, size_t alignment, size_t elements) {
  Worker& w = TheWorker();
  Block& b = w.block;
  for (int i = 0; i < b.places; ++i) {
    if (b.place[i].site == site) return b.place[i];
  }
  const size_t offset = (b.shared_used + alignment - 1) / alignment * alignment;
  if (offset + bytes > kSharedBytes || b.places == kSharedSites) {
    Report(w, CUDA_ERROR_LAUNCH_FAILED, "declares more shared memory than there is: %zu bytes after %zu", bytes, offset);
    Abandon(w);
  }
  SharedPlace& place = b.place[b.places++];
  place = SharedPlace{site, static_cast<uint32_t>(offset), b.records_used};
  b.shared_used = static_cast<uint32_t>(offset + bytes);
  b.records_used += static_cast<uint32_t>(elements);
  return place;
}

void FailGlobal(Access access, const void* p, size_t bytes, Where where) {
  Worker& w = TheWorker();
  const Memory& memory = *w.launch->memory;
  Lock lock(TheMachine().mutex);  // the host may allocate and free meanwhile
  const uintptr_t address = reinterpret_cast<uintptr_t>(p);
  static const char* const kNames[] = {"Read", "Global", "Store", "AtomicAdd"};
  const std::string place = memory.Explain(address, bytes);
  std::string why;
  CUresult code = CUDA_ERROR_LAUNCH_FAILED;
  uintptr_t at;
  if (address % bytes != 0) {
    why = "the address is not a multiple of " + std::to_string(bytes);
    code = CUDA_ERROR_MISALIGNED_ADDRESS;
  } else if (!memory.Holds(address, bytes)) {
    why = "outside any allocation";
    code = CUDA_ERROR_ILLEGAL_ADDRESS;
  } else if (access != Access::kStore && memory.Undefined(address, bytes, &at)) {
    why = "the byte at +" + std::to_string(at - address) + " has never been written";
  } else {
    static const char* const kClashes[] = {
        "this launch has written there, and what is read so must not change while the kernel runs",
        "another block of this launch has written there",
        "this launch reads it through Read, or another block has read or written there",
        "this launch reads it through Read, or another block has read or written there without AtomicAdd",
    };
    why = kClashes[static_cast<int>(access)];
  }
  lock.unlock();
  Report(w, code, "%s of %zu bytes at %#" PRIxPTR "%s: %s (%s)", kNames[static_cast<int>(access)], bytes, address, Named(where).c_str(),
         why.c_str(), place.c_str());
  Abandon(w);
}

void FailShared(const char* array, int64_t index, int64_t count, const char* what, uint64_t other) {
  Worker& w = TheWorker();
  std::string by;
  if (KeyThread(other) == kByAtomics) {
    by = " an atomic sum";
  } else if (KeyThread(other) == kSeveralWarps) {
    by = " several warps";
  } else if ((KeyThread(other) & kSeveralLanes) != 0) {
    by = " several threads of warp " + std::to_string(KeyWarp(other));
  } else if (other != 0) {
    by = " thread " + ThreadName(w, KeyThread(other));
  }
  Report(w, CUDA_ERROR_LAUNCH_FAILED, "shared %s[%" PRId64 "] of %" PRId64 " %s%s", array, index, count, what, by.c_str());
  Abandon(w);
}

void FailArithmetic(const char* what, Where where) {
  Worker& w = TheWorker();
  Report(w, CUDA_ERROR_LAUNCH_FAILED, "%s%s", what, Named(where).c_str());
  Abandon(w);
}

bool InTable(const void* p, size_t bytes) {
  const char* const at = static_cast<const char*>(p);
  return __start_vqs_tables != nullptr && at >= __start_vqs_tables && at + bytes <= __stop_vqs_tables;
}

void Register(Kernel* kernel) {
  kernel->next = g_kernels;
  g_kernels = kernel;
}

const Kernel* FindKernel(const char* name, bool checked) {
  for (const Kernel* k = g_kernels; k != nullptr; k = k->next) {
    if (k->checked == checked && strcmp(k->name, name) == 0) return k;
  }
  return nullptr;
}

}  // namespace vqs_emu
