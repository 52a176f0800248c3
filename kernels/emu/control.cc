// control.cc — faults on demand, and what tests ask about the state of the machine.
//
// A fault is "CALL CODE AFTER [TIMES]": of the calls of an entry point by its exported name, AFTER go through, then TIMES (1; 0: all)
// answer CODE without having done anything. VQSD_EMU_FAULT holds some, separated by semicolons, vqsd_emu_control adds to them.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

namespace vqs_emu {
namespace {

struct PlannedFault {
  CUresult code;
  long after, times;  // still to go through, still to fail; times < 0: always
};

struct Plan {
  std::multimap<std::string, PlannedFault> faults;
  bool environment_read = false;
};
Plan& ThePlan() {
  static Plan& plan = *new Plan;
  return plan;
}

bool AddFault(const std::string& text) {
  char call[64], rest[2];
  int code;
  long after, times = 1;
  const int fields = sscanf(text.c_str(), " %63s %d %ld %ld %1s", call, &code, &after, &times, rest);
  if ((fields != 3 && fields != 4) || code <= 0 || after < 0 || times < 0) return false;
  ThePlan().faults.emplace(call, PlannedFault{code, after, times == 0 ? -1 : times});
  return true;
}

void ReadEnvironment() {
  if (ThePlan().environment_read) return;
  ThePlan().environment_read = true;
  const char* const text = getenv("VQSD_EMU_FAULT");
  if (text == nullptr) return;
  std::string all = text;
  for (size_t begin = 0; begin < all.size();) {
    const size_t end = std::min(all.find(';', begin), all.size());
    const std::string one = all.substr(begin, end - begin);
    if (one.find_first_not_of(" \t") != std::string::npos && !AddFault(one)) {
      fprintf(stderr, "vqsd_emu: VQSD_EMU_FAULT: \"%s\" is not CALL CODE AFTER [TIMES]\n", one.c_str());
      abort();
    }
    begin = end + 1;
  }
}

struct Counts {
  long long allocations = 0, bytes = 0, host_allocations = 0, streams = 0, events = 0, modules = 0, contexts = 0;
};

Counts Count() {
  const Machine& machine = TheMachine();
  Counts c;
  for (auto& device : machine.devices) {
    c.allocations += static_cast<long long>(device->memory.live().size());
    for (auto& [_, a] : device->memory.live()) c.bytes += static_cast<long long>(a.bytes);
  }
  c.host_allocations = static_cast<long long>(machine.host_memory.size());
  c.contexts = static_cast<long long>(machine.contexts.size());
  for (const Context* context : machine.contexts) {
    c.streams += static_cast<long long>(context->streams.size()) - 1;  // but the null stream
    c.events += static_cast<long long>(context->events.size());
    c.modules += static_cast<long long>(context->modules.size());
  }
  return c;
}

void ReportLeaks() {
  for (auto& device : TheMachine().devices) {
    for (auto& [address, a] : device->memory.live()) {
      fprintf(stderr, "vqsd_emu: device %d: allocation %llu (%s, %zu bytes at %#zx) is still there\n", device->ordinal,
              static_cast<unsigned long long>(a.number), a.call, a.bytes, address);
    }
  }
  for (auto& [address, memory] : TheMachine().host_memory) {
    const char* const kind = memory.registered ? "registered" : "pinned";
    fprintf(stderr, "vqsd_emu: %s host memory of %zu bytes at %#zx is still there\n", kind, memory.bytes, address);
  }
  const Counts c = Count();
  if (c.streams + c.events + c.modules + c.contexts > 0) {
    fprintf(stderr, "vqsd_emu: %lld contexts, %lld streams, %lld events, %lld modules are still there\n", c.contexts, c.streams, c.events, c.modules);
  }
}

// Reports what is left when the process ends, if the environment asks.
struct AtExit {
  ~AtExit() {
    if (!TheSettings().leaks) return;
    Lock lock(TheMachine().mutex);
    ReportLeaks();
  }
} g_at_exit;

}  // namespace

CUresult Fault(const Lock&, const char* call) {
  ReadEnvironment();
  auto [it, end] = ThePlan().faults.equal_range(call);
  for (; it != end; ++it) {
    PlannedFault& f = it->second;
    if (f.after > 0) {
      --f.after;
      continue;
    }
    if (f.times == 0) continue;
    if (f.times > 0) --f.times;
    return f.code;
  }
  return 0;
}

bool IsSticky(CUresult code) {
  switch (code) {
    case 214:  // uncorrectable memory error
    case 220:  // NVLink error
    case 226:
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case 702:  // timeout of a kernel
    case 710:  // assertion
    case 714:  // stack error
    case 715:  // illegal instruction
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case 717:  // invalid address space
    case 718:  // invalid program counter
    case CUDA_ERROR_LAUNCH_FAILED:
      return true;
    default:
      return false;
  }
}

}  // namespace vqs_emu

// vqsd_emu_control does what a command says and answers 0; 1 where it does not understand it. Commands:
//
//   fault CALL CODE AFTER [TIMES]   plans a fault
//   clear                           forgets the planned faults
//   allocations, bytes              how much of the devices' memory is in use
//   host                            pinned and registered pieces of host memory
//   streams, events, modules, contexts, launches
//   leaks                           lists on stderr what is in use; the answer is the number of allocations
int vqsd_emu_control(const char* command, long long* answer) {
  using namespace vqs_emu;
  Lock lock(TheMachine().mutex);
  ReadEnvironment();
  const std::string text = command == nullptr ? "" : command;
  if (text.compare(0, 6, "fault ") == 0) return AddFault(text.substr(6)) ? 0 : 1;
  if (text == "clear") {
    ThePlan().faults.clear();
    return 0;
  }
  if (answer == nullptr) return 1;
  const Counts c = Count();
  const std::map<std::string, long long> answers = {
      {"allocations", c.allocations}, {"bytes", c.bytes},     {"host", c.host_allocations}, {"streams", c.streams}, {"events", c.events},
      {"modules", c.modules},         {"contexts", c.contexts}, {"launches", static_cast<long long>(TheMachine().launches)},
      {"leaks", c.allocations},
  };
  const auto found = answers.find(text);
  if (found == answers.end()) return 1;
  if (text == "leaks") ReportLeaks();
  *answer = found->second;
  return 0;
}
