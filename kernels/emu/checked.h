// checked.h — global and shared memory with every access looked at. Part of emulated.h.
//
// A device's memory has a byte of state for each of its bytes: not allocated, undefined, defined. Each word of four bytes has a tag
// that says how the launch that runs has touched it, so that a word which one block writes and another reads is found whichever ran first.
// Shared memory has a record an element: by whom and in which epoch it was last written and read.
#ifndef VQS_EMU_CHECKED_H_
#define VQS_EMU_CHECKED_H_

#include "states.h"

namespace vqs_emu {

// DefinedStates is kDefined in each of n bytes.
template <typename S>
constexpr S DefinedStates() {
  return static_cast<S>(0x0202020202020202u);
}

template <size_t n>
inline bool AllDefined(const uint8_t* states) {
  if constexpr (n == 16) {
    return AllDefined<8>(states) && AllDefined<8>(states + 8);
  } else {
    using S = std::conditional_t<n == 8, uint64_t, std::conditional_t<n == 4, uint32_t, std::conditional_t<n == 2, uint16_t, uint8_t>>>;
    S s;
    memcpy(&s, states, n);
    return s == DefinedStates<S>();
  }
}

template <size_t n>
inline bool AllAllocated(const uint8_t* states) {
  for (size_t i = 0; i < n; ++i) {
    if (states[i] == kUnallocated) return false;
  }
  return true;
}

// The bytes of a word of four that an access of n bytes at an offset touches, as a mask of four bits.
template <size_t n>
inline uint64_t WordMask(size_t offset) {
  if constexpr (n >= 4) return 0xf;
  return ((uint64_t{1} << n) - 1) << (offset % 4);
}

// SharedTag is a tag for an access that several blocks may make, with the block that it is to name.
inline uint64_t SharedTag(uint64_t tag, uint64_t flags, uint64_t owned, bool mine, uint64_t launch_tag) {
  if (mine) return tag;
  if ((flags & owned * 0xf) != 0) return tag | kTagSeveral;
  return (tag & ~kTagBlocks) | (launch_tag & kTagBlocks);
}

// Touch enters an access into the tags and says whether it can go with what was done there in this launch.
template <size_t n, Access kind>
inline bool Touch(const Block& b, size_t offset) {
  for (size_t i = 0; i < (n + 3) / 4; ++i) {
    uint64_t* const tag = &b.arena.tags[offset / 4 + i];
    const uint64_t mask = WordMask<n>(offset);
    const uint64_t old = __atomic_load_n(tag, __ATOMIC_RELAXED);
    const bool current = old >> kTagLaunch == b.launch_tag >> kTagLaunch;
    const bool mine = ((old ^ b.launch_tag) & kTagBlocks) == 0;
    const uint64_t flags = current ? old & kTagFlags : 0;
    uint64_t next;
    const uint64_t tag_now = current ? old : b.launch_tag;
    constexpr uint64_t kChanged = 1 << kTagWritten | 1 << kTagAtomic, kOwned = kChanged | 1 << kTagLoaded;
    if constexpr (kind == Access::kRead) {
      if ((flags & mask * kChanged) != 0) return false;
      next = tag_now | mask << kTagRead;
    } else if constexpr (kind == Access::kLoad) {
      // What another block writes is known only once the launch is over.
      if (!mine && (flags & mask * kChanged) != 0) return false;
      next = SharedTag(tag_now, flags, kOwned, mine, b.launch_tag) | mask << kTagLoaded;
    } else if constexpr (kind == Access::kStore) {
      if ((flags & mask << kTagRead) != 0) return false;
      if (!mine && (flags & mask * kOwned) != 0) return false;
      // A tag has room for one block: of what others did to the same word's other bytes nothing is remembered.
      next = b.launch_tag | (mine ? flags : flags & uint64_t{0xf} << kTagRead) | mask << kTagWritten;
    } else {
      if ((flags & mask << kTagRead) != 0) return false;
      if (!mine && (flags & (mask << kTagWritten | mask << kTagLoaded)) != 0) return false;
      next = SharedTag(tag_now, flags, kOwned, mine, b.launch_tag) | mask << kTagAtomic;
    }
    if (next != old) __atomic_store_n(tag, next, __ATOMIC_RELAXED);
  }
  return true;
}

template <typename T, Access kind>
inline __attribute__((always_inline)) void CheckGlobal(const T* p, Where where) {
  constexpr size_t n = sizeof(T);
  static_assert(n == 1 || n == 2 || n == 4 || n == 8 || n == 16, "one access of the device");
  const Block& b = *block;
  const size_t offset = reinterpret_cast<uintptr_t>(p) - b.arena.base;
  bool good = offset < b.arena.bytes && offset % n == 0;
  if constexpr (kind == Access::kStore) {
    good = good && AllAllocated<n>(b.arena.states + offset);
  } else {
    good = good && AllDefined<n>(b.arena.states + offset);
  }
  if (__builtin_expect(good && Touch<n, kind>(b, offset), 1)) {
    if constexpr (kind == Access::kStore) memset(b.arena.states + offset, kDefined, n);
    return;
  }
  if (kind == Access::kRead && InTable(p, n)) return;
  FailGlobal(kind, p, n, where);
}

// Element is an element of shared memory; each use of it as a value or assignment to it is checked.
template <typename T>
class SharedArray;

template <typename T>
class Element {
 public:
  Element(const SharedArray<T>* array, int64_t index) : array_(array), index_(index) {}
  Element(const Element&) = default;
  __attribute__((always_inline)) operator T() const { return array_->Get(index_); }
  __attribute__((always_inline)) const Element& operator=(T v) const {
    array_->Put(index_, v);
    return *this;
  }
  const Element& operator=(const Element& other) const { return *this = static_cast<T>(other); }
  const Element& operator+=(T v) const { return *this = static_cast<T>(static_cast<T>(*this) + v); }
  const Element& operator-=(T v) const { return *this = static_cast<T>(static_cast<T>(*this) - v); }
  const Element& operator|=(T v) const { return *this = static_cast<T>(static_cast<T>(*this) | v); }
  SharedArray<T> operator&() const { return *array_ + index_; }

 private:
  const SharedArray<T>* array_;
  int64_t index_;
};

// SharedArray is what VQS_SHARED declares, and what a pointer into it is: [i] and + are all that there is to it.
template <typename T>
class SharedArray {
 public:
  SharedArray(const char* name, const SharedPlace& place, int64_t count)
      : name_(name), elements_(reinterpret_cast<T*>(block->shared + place.offset)), records_(block->records + place.record), count_(count) {}
  const Element<T> operator[](int64_t i) const { return Element<T>(this, i); }
  SharedArray operator+(int64_t i) const {
    SharedArray moved(*this);
    moved.first_ += i;
    return moved;
  }

  __attribute__((always_inline)) T Get(int64_t i) const {
    AccessRecord& r = Record(i);
    const Block& b = *block;
    const uint64_t key = b.key;
    if (__builtin_expect(KeyEpoch(r.write) < b.first_epoch, 0)) Fail(i, "is read before anything was written there", 0);
    if (__builtin_expect(KeyEpoch(r.write) == KeyEpoch(key), 0) && Unordered(r.write, key)) {
      Fail(i, "is read without a barrier after it was written by", r.write);
    }
    if (r.read != key) r.read = KeyEpoch(r.read) == KeyEpoch(key) ? BothReaders(r.read, key) : key;
    return elements_[first_ + i];
  }

  __attribute__((always_inline)) void Put(int64_t i, T v) const {
    AccessRecord& r = Record(i);
    Enter(r, i, block->key);
    elements_[first_ + i] = v;
  }

  // Add is atomic: sums of any threads may follow each other without a barrier, plain accesses may not.
  void Add(int64_t i, T v) const {
    AccessRecord& r = Record(i);
    const uint64_t key = block->key;
    if (KeyEpoch(r.write) < block->first_epoch) Fail(i, "is added to before anything was written there", 0);
    if (KeyThread(r.write) != kByAtomics || KeyEpoch(r.write) != KeyEpoch(key)) Enter(r, i, key);
    r.write = key | kByAtomics;
    elements_[first_ + i] += v;
  }

 private:
  [[noreturn]] void Fail(int64_t i, const char* what, uint64_t other) const { FailShared(name_, first_ + i, count_, what, other); }

  AccessRecord& Record(int64_t i) const {
    const int64_t at = first_ + i;
    if (__builtin_expect(static_cast<uint64_t>(at) >= static_cast<uint64_t>(count_), 0)) Fail(i, "is outside the array", 0);
    return records_[at];
  }

  void Enter(AccessRecord& r, int64_t i, uint64_t key) const {
    if (__builtin_expect(KeyEpoch(r.write) == KeyEpoch(key), 0) && Unordered(r.write, key)) {
      Fail(i, "is written without a barrier after it was written by", r.write);
    }
    if (__builtin_expect(KeyEpoch(r.read) == KeyEpoch(key), 0) && Unordered(r.read, key)) {
      Fail(i, "is written without a barrier after it was read by", r.read);
    }
    r.write = key;
  }

  // Unordered says whether no barrier lies between an earlier access of the same epoch of the block and one of another thread.
  static bool Unordered(uint64_t earlier, uint64_t key) {
    if (KeyThread(earlier) == KeyThread(key)) return false;
    if (KeyThread(earlier) == kByAtomics || KeyThread(earlier) == kSeveralWarps) return true;
    return KeyWarp(earlier) != KeyWarp(key) || KeyWarpEpoch(earlier) == KeyWarpEpoch(key);
  }

  // BothReaders is what is kept of two readers in one epoch of the block. An earlier one that a SyncWarp has ordered before
  // the later one needs no remembering.
  static uint64_t BothReaders(uint64_t earlier, uint64_t key) {
    if (KeyThread(earlier) == KeyThread(key)) return key;
    if (KeyThread(earlier) == kSeveralWarps || KeyWarp(earlier) != KeyWarp(key)) return (key & ~uint64_t{0xffff}) | kSeveralWarps;
    if (KeyWarpEpoch(earlier) != KeyWarpEpoch(key)) return key;
    return (key & ~uint64_t{0xffff}) | kSeveralLanes | static_cast<uint64_t>(KeyWarp(key));
  }

  const char* name_;
  T* elements_;
  AccessRecord* records_;
  int64_t count_, first_ = 0;
};

}  // namespace vqs_emu

#define VQS_SHARED(type, name, count)                                                                                    \
  static const char name##_site = 0;                                                                                     \
  const ::vqs_emu::SharedArray<type> name(#name, ::vqs_emu::Shared(&name##_site, sizeof(type) * (count), alignof(type), count), \
                                          count)

template <typename T>
using VqsShared = ::vqs_emu::SharedArray<T>;

template <typename T>
VQS_DEVICE T Read(const T* p, VQS_WHERE) {
  vqs_emu::CheckGlobal<T, vqs_emu::Access::kRead>(p, VQS_HERE);
  T v;
  memcpy(&v, p, sizeof v);
  return v;
}
template <typename T>
VQS_DEVICE T Global(const T* p, VQS_WHERE) {
  vqs_emu::CheckGlobal<T, vqs_emu::Access::kLoad>(p, VQS_HERE);
  T v;
  memcpy(&v, p, sizeof v);
  return v;
}
template <typename T>
VQS_DEVICE void Store(T* p, T v, VQS_WHERE) {
  vqs_emu::CheckGlobal<T, vqs_emu::Access::kStore>(p, VQS_HERE);
  memcpy(p, &v, sizeof v);
}
VQS_DEVICE void AtomicAdd(uint64_t* p, uint64_t v, VQS_WHERE) {
  vqs_emu::CheckGlobal<uint64_t, vqs_emu::Access::kAtomic>(p, VQS_HERE);
  __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}
VQS_DEVICE void AtomicAdd(uint32_t* p, uint32_t v, VQS_WHERE) {
  vqs_emu::CheckGlobal<uint32_t, vqs_emu::Access::kAtomic>(p, VQS_HERE);
  __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}
VQS_DEVICE void AtomicAdd(const vqs_emu::SharedArray<uint64_t>& at, uint64_t v) { at.Add(0, v); }
VQS_DEVICE void AtomicAdd(const vqs_emu::SharedArray<uint32_t>& at, uint32_t v) { at.Add(0, v); }

#endif  // VQS_EMU_CHECKED_H_
