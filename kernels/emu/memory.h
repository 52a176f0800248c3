// memory.h — a device's memory: where allocations lie, and what is known of each byte.
#ifndef VQS_EMU_MEMORY_H_
#define VQS_EMU_MEMORY_H_

#include <atomic>
#include <deque>
#include <map>
#include <string>

#include "block.h"

namespace vqs_emu {

struct Allocation {
  uintptr_t address;
  size_t bytes;
  uint64_t number;   // counting from 1 in the order of allocation
  const char* call;  // that made it
  const void* context;
};

// Memory hands out addresses of a reserved range that rises and comes round only at its end, so that what was freed is not soon
// in use again. Between allocations lies at least a page that cannot be touched. Not for use by several threads at once, but for the states.
class Memory {
 public:
  explicit Memory(size_t capacity);
  Memory(const Memory&) = delete;

  // Reserve takes the address range, at the first use of the device; false where the process may not.
  bool Reserve();

  // Allocate gives memory of undefined content; 0 where there is too little. Alignment is that of cuMemAlloc, 256 bytes.
  uintptr_t Allocate(size_t bytes, const char* call, const void* context);
  bool Free(uintptr_t address);
  void FreeAllOf(const void* context);

  // Find is the live allocation that contains the address, nullptr without one.
  const Allocation* Find(uintptr_t address) const;
  // Holds says whether all of the bytes lie in one live allocation.
  bool Holds(uintptr_t address, size_t bytes) const;
  bool Reserved(uintptr_t address) const { return address - arena_.base < arena_.bytes && arena_.base != 0; }

  // Define says that bytes have been written; CopyStates that they have been copied, with what is known of them.
  void Define(uintptr_t address, size_t bytes);
  void CopyStates(uintptr_t to, const Memory& from_memory, uintptr_t from, size_t bytes);

  // Explain says where an address lies: in which allocation, or how far from the nearest, or in which that has been freed.
  std::string Explain(uintptr_t address, size_t bytes) const;
  // Undefined is the first byte of a range that is not defined.
  bool Undefined(uintptr_t address, size_t bytes, uintptr_t* at) const;

  size_t capacity() const { return capacity_; }
  size_t used() const { return used_; }
  const std::map<uintptr_t, Allocation>& live() const { return live_; }
  const Arena& arena() const { return arena_; }

 private:
  const size_t capacity_;
  size_t used_ = 0;
  uint64_t count_ = 0;
  Arena arena_ = {};
  uintptr_t next_ = 0;
  std::map<uintptr_t, Allocation> live_;
  std::deque<Allocation> freed_;  // the latest, for messages
};

}  // namespace vqs_emu

#endif  // VQS_EMU_MEMORY_H_
