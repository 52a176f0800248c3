// unchecked.h — global and shared memory for speed: plain accesses. Part of emulated.h.
#ifndef VQS_EMU_UNCHECKED_H_
#define VQS_EMU_UNCHECKED_H_

#define VQS_SHARED(type, name, count)                                                                   \
  static const char name##_site = 0;                                                                    \
  type* const name = reinterpret_cast<type*>(::vqs_emu::block->shared +                                 \
                                             ::vqs_emu::Shared(&name##_site, sizeof(type) * (count), alignof(type), 0).offset)

template <typename T>
using VqsShared = T*;

// By bytes, since a picture of bytes is read in words too.
template <typename T>
VQS_DEVICE T Read(const T* p) {
  T v;
  memcpy(&v, p, sizeof v);
  return v;
}
template <typename T>
VQS_DEVICE T Global(const T* p) {
  return Read(p);
}
template <typename T>
VQS_DEVICE void Store(T* p, T v) {
  memcpy(p, &v, sizeof v);
}
VQS_DEVICE void AtomicAdd(uint64_t* p, uint64_t v) { __atomic_fetch_add(p, v, __ATOMIC_RELAXED); }
VQS_DEVICE void AtomicAdd(uint32_t* p, uint32_t v) { __atomic_fetch_add(p, v, __ATOMIC_RELAXED); }

#endif  // VQS_EMU_UNCHECKED_H_
