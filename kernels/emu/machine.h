// machine.h — devices, contexts, streams and what belongs to them: the state behind the entry points.
//
// One mutex guards all of it, Machine::mutex. Work (copies, launches) runs on the threads of streams without it. Nothing here is ever destroyed
// at exit: those threads may outlive the static objects of the process.
#ifndef VQS_EMU_MACHINE_H_
#define VQS_EMU_MACHINE_H_

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "block.h"
#include "driver.h"
#include "memory.h"

namespace vqs_emu {

using Lock = std::unique_lock<std::mutex>;

struct Context;
struct Stream;

// Mark is a point in the work of a stream: reached when the stream has done that many operations.
struct Mark {
  std::shared_ptr<Stream> stream;
  uint64_t operations = 0;
};

struct Operation {
  std::vector<Mark> after;         // first these
  std::function<CUresult()> run;   // without the mutex; an error poisons the context
};

struct Stream {
  Context* context = nullptr;
  unsigned flags = 0;
  int priority = 0;
  std::deque<Operation> queue;
  uint64_t given = 0, done = 0;  // operations
  uint64_t wanted = 0;           // with VQSD_EMU_LATE, up to where somebody has waited for it
  bool closed = false;
};

struct Event {
  Context* context = nullptr;
  unsigned flags = 0;
  Mark recorded;
  std::shared_ptr<std::atomic<int64_t>> when;  // nanoseconds, 0 until then
};

// Entry is what the text of a module says of a kernel.
struct Entry {
  int max_threads = 0;  // .maxntid; 0: not given
  size_t shared_bytes = 0, local_bytes = 0;
  std::vector<size_t> parameters;  // bytes of each
};

struct Module;
struct Function {
  Module* module;
  std::string name;
  Entry entry;
  const Kernel* kernel;
  int dynamic_shared_limit;
};

struct Module {
  Context* context;
  int ptx_version;  // 63
  std::map<std::string, Entry> entries;
  std::map<std::string, std::unique_ptr<Function>> functions;
};

struct HostMemory {
  size_t bytes;
  bool registered;  // by cuMemHostRegister, and the caller's
  Context* context;
};

struct Device {
  int ordinal;
  Memory memory;
  Context* primary = nullptr;  // while it is retained
  unsigned primary_flags = 0;
  int primary_uses = 0;
};

struct Context {
  Device* device;
  unsigned flags;
  bool primary;
  CUresult error = 0;  // that poisoned it
  std::shared_ptr<Stream> null_stream;
  std::map<Stream*, std::shared_ptr<Stream>> streams;  // with the null stream
  std::set<Event*> events;
  std::set<Module*> modules;
};

struct Machine {
  std::mutex mutex;
  std::condition_variable changed;  // any stream's done, wanted, queue
  bool initialised = false;
  std::vector<std::unique_ptr<Device>> devices;
  std::set<Context*> contexts;
  std::set<Function*> functions;
  std::map<uintptr_t, HostMemory> host_memory;
  uint64_t launches = 0;
};

Machine& TheMachine();

// Settings are those of the environment, read once.
struct Settings {
  bool check, reverse, late, leaks;
  int threads, devices;
  size_t memory_bytes;
};
const Settings& TheSettings();

// --- contexts (context.cc)
// Current is the context of this thread, nullptr without one; a destroyed one reads as none.
Context* Current(const Lock&);

// --- streams (stream.cc)
std::shared_ptr<Stream> NewStream(Context* context, unsigned flags, int priority);
std::shared_ptr<Stream> FindStream(Context* context, CUstream handle);  // nullptr: no such stream of the context
// Give appends work to a stream, and answers the mark that is reached when it is done.
Mark Give(const Lock&, const std::shared_ptr<Stream>& stream, std::function<CUresult()> run, std::vector<Mark> after = {});
// Await waits for a mark and answers the context's error.
CUresult Await(Lock&, const Mark& mark);
Mark EndOf(const std::shared_ptr<Stream>& stream);
// AwaitAll waits until a context has no work.
CUresult AwaitAll(Lock&, Context* context);
// CloseStreams ends the streams of a context that goes away.
void CloseStreams(Lock&, Context* context);

// --- modules (module.cc)
void UnloadModules(const Lock&, Context* context);

// --- faults (fault.cc)
// Fault answers what a call is to fail with now, 0 for nothing, and counts the call.
CUresult Fault(const Lock&, const char* call);
// IsSticky says whether an error poisons the context on a device.
bool IsSticky(CUresult code);

// Enter is how every entry point begins: it takes the mutex, counts the call, injects faults, and sees to it that there is a
// driver, a context, and that this one is not poisoned. Where later is given, a fault that poisons is put there for the body.
enum Need { kNothing, kDriver, kContext, kLiveContext };
template <typename Body>
CUresult Enter(const char* call, Need need, Body body, CUresult* later = nullptr) {
  Lock lock(TheMachine().mutex);
  CUresult fault = Fault(lock, call);
  if (need >= kDriver && !TheMachine().initialised) return CUDA_ERROR_NOT_INITIALIZED;
  Context* const context = need >= kContext ? Current(lock) : nullptr;
  if (need >= kContext && context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (need >= kLiveContext && context->error != 0) return context->error;
  if (later != nullptr && IsSticky(fault)) std::swap(*later, fault);
  if (fault != 0) {
    if (context != nullptr && IsSticky(fault)) context->error = fault;
    return fault;
  }
  return body(lock, context);
}

}  // namespace vqs_emu

#endif  // VQS_EMU_MACHINE_H_
