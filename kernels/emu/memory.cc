// memory.cc — where allocations lie, and what is said of an address that is in none.
#include "memory.h"

#include <string.h>
#include <sys/mman.h>

#include <cinttypes>
#include <cstdio>

#include "machine.h"
#include "states.h"

namespace vqs_emu {
namespace {

constexpr size_t kPage = 4096, kAlignment = 256;
// Address space for each byte that a device can have at a time, so that addresses come round late.
constexpr size_t kRangePerByte = 8;
constexpr size_t kFreedKept = 4096;
// What memory holds before it is written, where checks are on: nothing that looks like a picture or a zeroed sum.
constexpr int kGarbage = 0xcd;

size_t RoundUp(size_t n, size_t to) { return (n + to - 1) / to * to; }

void* Map(size_t bytes, int protection) {
  void* const p = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}

}  // namespace

Memory::Memory(size_t capacity) : capacity_(capacity) {}

bool Memory::Reserve() {
  if (arena_.base != 0) return true;
  const size_t bytes = RoundUp(capacity_, kPage) * kRangePerByte;
  void* const data = Map(bytes, PROT_NONE);
  void* const states = Map(bytes, PROT_READ | PROT_WRITE);
  void* const tags = Map(bytes / 4 * sizeof(uint64_t), PROT_READ | PROT_WRITE);
  if (data == nullptr || states == nullptr || tags == nullptr) {
    fprintf(stderr, "vqsd_emu: no address space for a device of %zu bytes; give it less with VQSD_EMU_MEMORY\n", capacity_);
    return false;
  }
  arena_ = Arena{reinterpret_cast<uintptr_t>(data), bytes, static_cast<uint8_t*>(states), static_cast<uint64_t*>(tags)};
  next_ = arena_.base;
  return true;
}

uintptr_t Memory::Allocate(size_t bytes, const char* call, const void* context) {
  const size_t pages = RoundUp(bytes, kPage);
  if (!Reserve() || bytes == 0 || pages > capacity_ - used_) return 0;
  // From where the last one ended, past what is still in use; the range has room, being so many times the capacity.
  uintptr_t begin = next_;
  bool wrapped = false;
  for (;;) {
    if (begin + pages + kPage > arena_.base + arena_.bytes) {
      if (wrapped) return 0;
      wrapped = true;
      begin = arena_.base;
    }
    auto after = live_.upper_bound(begin);
    if (after != live_.begin()) {
      const Allocation& before = std::prev(after)->second;
      const uintptr_t end = RoundUp(before.address + before.bytes, kPage) + kPage;
      if (end > begin) {
        begin = end;
        continue;
      }
    }
    if (after == live_.end() || begin + pages + kPage <= after->first / kPage * kPage) break;
    begin = RoundUp(after->second.address + after->second.bytes, kPage) + kPage;
  }
  void* const first = reinterpret_cast<void*>(begin);
  if (mprotect(first, pages, PROT_READ | PROT_WRITE) != 0) return 0;
  // As far up as the alignment allows, so that an overrun soon meets the page that cannot be touched.
  const uintptr_t address = begin + (pages - bytes) / kAlignment * kAlignment;
  if (TheSettings().check) memset(first, kGarbage, pages);
  memset(arena_.states + (address - arena_.base), kUndefined, bytes);
  live_[address] = Allocation{address, bytes, ++count_, call, context};
  used_ += pages;
  next_ = begin + pages + kPage;
  return address;
}

bool Memory::Free(uintptr_t address) {
  const auto found = live_.find(address);
  if (found == live_.end()) return false;
  const uintptr_t begin = address / kPage * kPage;
  const size_t pages = RoundUp(address - begin + found->second.bytes, kPage);
  void* const first = reinterpret_cast<void*>(begin);
  // Neither can fail on a range that was mapped so; the pages go back to the system, and tags and states to "not allocated".
  mprotect(first, pages, PROT_NONE);
  madvise(first, pages, MADV_DONTNEED);
  memset(arena_.states + (begin - arena_.base), kUnallocated, pages);
  madvise(arena_.tags + (begin - arena_.base) / 4, pages / 4 * sizeof(uint64_t), MADV_DONTNEED);
  used_ -= pages;
  freed_.push_back(found->second);
  if (freed_.size() > kFreedKept) freed_.pop_front();
  live_.erase(found);
  return true;
}

void Memory::FreeAllOf(const void* context) {
  for (auto it = live_.begin(); it != live_.end();) {
    const Allocation a = it->second;
    ++it;
    if (a.context == context) Free(a.address);
  }
}

const Allocation* Memory::Find(uintptr_t address) const {
  auto after = live_.upper_bound(address);
  if (after == live_.begin()) return nullptr;
  const Allocation& a = std::prev(after)->second;
  return address - a.address < a.bytes ? &a : nullptr;
}

bool Memory::Holds(uintptr_t address, size_t bytes) const {
  const Allocation* const a = Find(address);
  return a != nullptr && bytes <= a->bytes - (address - a->address);
}

void Memory::Define(uintptr_t address, size_t bytes) { memset(arena_.states + (address - arena_.base), kDefined, bytes); }

void Memory::CopyStates(uintptr_t to, const Memory& from_memory, uintptr_t from, size_t bytes) {
  memcpy(arena_.states + (to - arena_.base), from_memory.arena_.states + (from - from_memory.arena_.base), bytes);
}

bool Memory::Undefined(uintptr_t address, size_t bytes, uintptr_t* at) const {
  for (size_t i = 0; i < bytes; ++i) {
    if (arena_.states[address - arena_.base + i] != kUndefined) continue;
    *at = address + i;
    return true;
  }
  return false;
}

std::string Memory::Explain(uintptr_t address, size_t bytes) const {
  char text[320];
  auto describe = [&](const Allocation& a, const char* relation, uintptr_t distance) {
    snprintf(text, sizeof text, "%s%" PRIuPTR " bytes %s allocation %" PRIu64 " (%s, %zu bytes at %#" PRIxPTR ")", "", distance, relation, a.number,
             a.call, a.bytes, a.address);
    return std::string(text);
  };
  if (!Reserved(address)) return "no address of the device's memory";
  const Allocation* const in = Find(address);
  if (in != nullptr) {
    if (Holds(address, bytes)) return describe(*in, "into", address - in->address);
    return "across the end: it begins " + describe(*in, "into", address - in->address);
  }
  for (auto a = freed_.rbegin(); a != freed_.rend(); ++a) {
    if (address - a->address < a->bytes) return describe(*a, "into", address - a->address) + ", which has been freed";
  }
  const auto after = live_.upper_bound(address);
  const Allocation* nearest = nullptr;
  if (after != live_.end()) nearest = &after->second;
  if (after != live_.begin()) {
    const Allocation& before = std::prev(after)->second;
    if (nearest == nullptr || address - (before.address + before.bytes) < nearest->address - address) nearest = &before;
  }
  if (nearest == nullptr) return "in no allocation; there are none";
  if (nearest->address > address) return describe(*nearest, "before", nearest->address - address);
  return describe(*nearest, "beyond the end of", address - (nearest->address + nearest->bytes));
}

}  // namespace vqs_emu
