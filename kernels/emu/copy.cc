// copy.cc — memory: allocating, copying, setting.
//
// Copies keep the driver's bargain with the host. From and to pinned memory an asynchronous copy really happens later, so a buffer that is reused or
// read too early shows; from pageable memory it is taken at once, into pageable memory the call waits.
#include <string.h>
#include <sys/mman.h>

#include "machine.h"

namespace vqs_emu {
namespace {

constexpr size_t kPitchAlignment = 512;
constexpr size_t kMaxPitch = 0x7fffffff;
constexpr unsigned kHostFlags = 0xf;

// Place is one side of a copy: a rectangle of rows, in a device's memory or the host's.
struct Place {
  uintptr_t address = 0;
  size_t pitch = 0;
  Memory* memory = nullptr;  // nullptr: the host's
};

Memory* MemoryOf(uintptr_t address) {
  for (auto& device : TheMachine().devices) {
    if (device->memory.Reserved(address)) return &device->memory;
  }
  return nullptr;
}

Place DevicePlace(CUdeviceptr address) { return Place{static_cast<uintptr_t>(address), 0, MemoryOf(address)}; }
Place HostPlace(const void* p) { return Place{reinterpret_cast<uintptr_t>(p), 0, nullptr}; }

bool IsPinned(uintptr_t address, size_t bytes) {
  const auto& all = TheMachine().host_memory;
  auto after = all.upper_bound(address);
  if (after == all.begin()) return false;
  --after;
  return address - after->first < after->second.bytes && bytes <= after->second.bytes - (address - after->first);
}

size_t Span(const Place& p, size_t width, size_t height) { return (height - 1) * p.pitch + width; }

// Good says whether a rectangle lies in one live allocation.
bool Good(const Place& p, size_t width, size_t height) {
  return p.memory == nullptr ? p.address != 0 : p.memory->Holds(p.address, Span(p, width, height));
}

void CopyRows(Place to, Place from, size_t width, size_t height) {
  for (size_t y = 0; y < height; ++y) {
    memmove(reinterpret_cast<void*>(to.address), reinterpret_cast<const void*>(from.address), width);
    if (to.memory != nullptr) {
      if (from.memory != nullptr) {
        to.memory->CopyStates(to.address, *from.memory, from.address, width);
      } else {
        to.memory->Define(to.address, width);
      }
    }
    to.address += to.pitch;
    from.address += from.pitch;
  }
}

// Copy gives a copy to a stream. Pitches are set.
CUresult Copy(Lock& lock, const std::shared_ptr<Stream>& stream, Place to, Place from, size_t width, size_t height, bool asynchronous) {
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (width == 0 || height == 0) return 0;
  if (!Good(to, width, height) || !Good(from, width, height)) return CUDA_ERROR_INVALID_VALUE;
  std::shared_ptr<std::vector<char>> taken;
  if (from.memory == nullptr && (!asynchronous || !IsPinned(from.address, Span(from, width, height)))) {
    taken = std::make_shared<std::vector<char>>(width * height);
    const Place into{reinterpret_cast<uintptr_t>(taken->data()), width, nullptr};
    CopyRows(into, from, width, height);
    from = into;
  }
  const Mark done = Give(lock, stream, [=]() -> CUresult {
    CopyRows(to, from, width, height);
    static_cast<void>(taken);  // is where from lies
    return 0;
  });
  const bool into_pageable = to.memory == nullptr && !IsPinned(to.address, Span(to, width, height));
  // Between devices' memories not even the synchronous calls wait.
  const bool between = to.memory != nullptr && from.memory != nullptr;
  return into_pageable || (!asynchronous && !between) ? Await(lock, done) : 0;
}

CUresult Linear(const char* call, Place to, Place from, size_t bytes, CUstream stream, bool asynchronous, bool device_to, bool device_from) {
  return Enter(call, kLiveContext, [&](Lock& lock, Context* context) -> CUresult {
    if ((device_to && to.memory == nullptr) || (device_from && from.memory == nullptr)) {
      return bytes == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    }
    to.pitch = from.pitch = bytes;
    return Copy(lock, FindStream(context, stream), to, from, bytes, 1, asynchronous);
  });
}

// Side is one side of a copy of rectangles as the caller describes it; false where it cannot be.
bool Side(Place* out, CUmemorytype type, const void* host, CUdeviceptr device, size_t pitch, size_t x, size_t y, size_t width, size_t height) {
  Place p;
  switch (type) {
    case kHostMemory:
      p = HostPlace(host);
      break;
    case kDeviceMemory:
      p = DevicePlace(device);
      if (p.memory == nullptr) return false;
      break;
    case kUnifiedMemory:
      p = DevicePlace(device);
      break;
    default:
      return false;
  }
  p.pitch = pitch == 0 ? x + width : pitch;
  if (p.pitch > kMaxPitch || p.pitch < x + width || (pitch == 0 && height > 1 && type == kArrayMemory)) return false;
  p.address += y * p.pitch + x;
  *out = p;
  return true;
}

CUresult Rectangle(const char* call, const CUDA_MEMCPY2D* c, CUstream stream, bool asynchronous) {
  return Enter(call, kLiveContext, [&](Lock& lock, Context* context) -> CUresult {
    if (c == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (c->WidthInBytes == 0 || c->Height == 0) return 0;
    Place to, from;
    if (!Side(&to, c->dstMemoryType, c->dstHost, c->dstDevice, c->dstPitch, c->dstXInBytes, c->dstY, c->WidthInBytes, c->Height) ||
        !Side(&from, c->srcMemoryType, c->srcHost, c->srcDevice, c->srcPitch, c->srcXInBytes, c->srcY, c->WidthInBytes, c->Height)) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    return Copy(lock, FindStream(context, stream), to, from, c->WidthInBytes, c->Height, asynchronous);
  });
}

// Fill sets rows of values of 1, 2 or 4 bytes. No call of the family waits.
CUresult Fill(const char* call, CUdeviceptr address, size_t pitch, uint32_t value, size_t value_bytes, size_t width, size_t height, CUstream handle) {
  return Enter(call, kLiveContext, [&](Lock& lock, Context* context) -> CUresult {
    const std::shared_ptr<Stream> stream = FindStream(context, handle);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (width == 0 || height == 0) return 0;
    Place to = DevicePlace(address);
    to.pitch = height == 1 ? width * value_bytes : pitch;
    if (to.memory == nullptr || to.pitch < width * value_bytes || address % value_bytes != 0 || to.pitch % value_bytes != 0 ||
        !Good(to, width * value_bytes, height)) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    Give(lock, stream, [=]() -> CUresult {
      for (size_t y = 0; y < height; ++y) {
        char* const row = reinterpret_cast<char*>(to.address + y * to.pitch);
        if (value_bytes == 1) {
          memset(row, static_cast<int>(value & 0xff), width);
        } else {
          for (size_t x = 0; x < width; ++x) memcpy(row + x * value_bytes, &value, value_bytes);  // the low bytes: little end first
        }
        to.memory->Define(reinterpret_cast<uintptr_t>(row), width * value_bytes);
      }
      return 0;
    });
    return 0;
  });
}

CUresult Allocate(const char* call, CUdeviceptr* address, size_t bytes) {
  return Enter(call, kLiveContext, [&](Lock&, Context* context) -> CUresult {
    if (address == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    const uintptr_t at = context->device->memory.Allocate(bytes, call, context);
    if (at == 0) return CUDA_ERROR_OUT_OF_MEMORY;
    *address = at;
    return 0;
  });
}

CUresult AllocateHost(const char* call, void** p, size_t bytes, unsigned flags) {
  return Enter(call, kLiveContext, [&](Lock&, Context* context) -> CUresult {
    if (p == nullptr || bytes == 0 || (flags & ~kHostFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
    void* const at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
    TheMachine().host_memory[reinterpret_cast<uintptr_t>(at)] = HostMemory{bytes, false, context};
    *p = at;
    return 0;
  });
}

}  // namespace

// --- allocation

VQS_API CUresult cuMemAlloc_v2(CUdeviceptr* address, size_t bytes) { return Allocate("cuMemAlloc_v2", address, bytes); }

VQS_API CUresult cuMemAllocPitch_v2(CUdeviceptr* address, size_t* pitch, size_t width, size_t height, unsigned element_bytes) {
  if (pitch == nullptr || width == 0 || height == 0 || (element_bytes != 4 && element_bytes != 8 && element_bytes != 16)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const size_t padded = (width + kPitchAlignment - 1) / kPitchAlignment * kPitchAlignment;
  const CUresult error = Allocate("cuMemAllocPitch_v2", address, padded * height);
  if (error == 0) *pitch = padded;
  return error;
}

VQS_API CUresult cuMemFree_v2(CUdeviceptr address) {
  return Enter("cuMemFree_v2", kLiveContext, [&](Lock& lock, Context* context) -> CUresult {
    if (address == 0) return 0;
    Memory* const memory = MemoryOf(address);
    const Allocation* const a = memory == nullptr ? nullptr : memory->Find(address);
    if (a == nullptr || a->address != address) return CUDA_ERROR_INVALID_VALUE;
    // What runs may use it: freeing waits for the context that it is of.
    const CUresult error = AwaitAll(lock, context);
    if (error != 0) return error;
    return memory->Free(address) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  });
}

VQS_API CUresult cuMemGetInfo_v2(size_t* free, size_t* total) {
  return Enter("cuMemGetInfo_v2", kLiveContext, [&](Lock&, Context* context) -> CUresult {
    if (free == nullptr || total == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *total = context->device->memory.capacity();
    *free = *total - context->device->memory.used();
    return 0;
  });
}

VQS_API CUresult cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* bytes, CUdeviceptr address) {
  return Enter("cuMemGetAddressRange_v2", kLiveContext, [&](Lock&, Context*) -> CUresult {
    Memory* const memory = MemoryOf(address);
    const Allocation* const a = memory == nullptr ? nullptr : memory->Find(address);
    if (a == nullptr) return CUDA_ERROR_NOT_FOUND;
    if (base != nullptr) *base = a->address;
    if (bytes != nullptr) *bytes = a->bytes;
    return 0;
  });
}

VQS_API CUresult cuPointerGetAttribute(void* data, int attribute, CUdeviceptr address) {
  return Enter("cuPointerGetAttribute", kDriver, [&](Lock&, Context*) -> CUresult {
    Memory* const memory = MemoryOf(address);
    const Allocation* const a = memory == nullptr ? nullptr : memory->Find(address);
    const bool pinned = IsPinned(address, 1);
    if (data == nullptr || (a == nullptr && !pinned)) return CUDA_ERROR_INVALID_VALUE;
    switch (attribute) {
      case 1:  // the context
        if (a == nullptr) return CUDA_ERROR_INVALID_VALUE;
        *static_cast<const void**>(data) = a->context;
        return 0;
      case 2:  // the type of memory
        *static_cast<unsigned*>(data) = a != nullptr ? kDeviceMemory : kHostMemory;
        return 0;
      case 9:  // the device
        if (a == nullptr) return CUDA_ERROR_INVALID_VALUE;
        *static_cast<int*>(data) = static_cast<const Context*>(a->context)->device->ordinal;
        return 0;
      default:
        return CUDA_ERROR_NOT_SUPPORTED;
    }
  });
}

VQS_API CUresult cuMemHostAlloc(void** p, size_t bytes, unsigned flags) { return AllocateHost("cuMemHostAlloc", p, bytes, flags); }
VQS_API CUresult cuMemAllocHost_v2(void** p, size_t bytes) { return AllocateHost("cuMemAllocHost_v2", p, bytes, 0); }

VQS_API CUresult cuMemFreeHost(void* p) {
  return Enter("cuMemFreeHost", kLiveContext, [&](Lock& lock, Context* context) -> CUresult {
    auto& all = TheMachine().host_memory;
    const auto found = all.find(reinterpret_cast<uintptr_t>(p));
    if (found == all.end() || found->second.registered) return CUDA_ERROR_INVALID_VALUE;
    const size_t bytes = found->second.bytes;
    all.erase(found);
    AwaitAll(lock, context);
    munmap(p, bytes);
    return context->error;
  });
}

VQS_API CUresult cuMemHostRegister_v2(void* p, size_t bytes, unsigned flags) {
  return Enter("cuMemHostRegister_v2", kLiveContext, [&](Lock&, Context* context) -> CUresult {
    if (p == nullptr || bytes == 0 || (flags & ~kHostFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
    const uintptr_t address = reinterpret_cast<uintptr_t>(p);
    auto& all = TheMachine().host_memory;
    auto after = all.lower_bound(address + bytes);
    if (after != all.begin()) {
      --after;
      if (after->first + after->second.bytes > address) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
    }
    all[address] = HostMemory{bytes, true, context};
    return 0;
  });
}

VQS_API CUresult cuMemHostUnregister(void* p) {
  return Enter("cuMemHostUnregister", kLiveContext, [&](Lock& lock, Context* context) -> CUresult {
    auto& all = TheMachine().host_memory;
    const auto found = all.find(reinterpret_cast<uintptr_t>(p));
    if (found == all.end() || !found->second.registered) return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    all.erase(found);
    return AwaitAll(lock, context);
  });
}

// --- copies

VQS_API CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t bytes) {
  return Linear("cuMemcpyHtoD_v2", DevicePlace(to), HostPlace(from), bytes, nullptr, false, true, false);
}
VQS_API CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
  return Linear("cuMemcpyHtoDAsync_v2", DevicePlace(to), HostPlace(from), bytes, stream, true, true, false);
}
VQS_API CUresult cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t bytes) {
  return Linear("cuMemcpyDtoH_v2", HostPlace(to), DevicePlace(from), bytes, nullptr, false, false, true);
}
VQS_API CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return Linear("cuMemcpyDtoHAsync_v2", HostPlace(to), DevicePlace(from), bytes, stream, true, false, true);
}
VQS_API CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return Linear("cuMemcpyDtoD_v2", DevicePlace(to), DevicePlace(from), bytes, nullptr, false, true, true);
}
VQS_API CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return Linear("cuMemcpyDtoDAsync_v2", DevicePlace(to), DevicePlace(from), bytes, stream, true, true, true);
}
// Addresses of the host and of devices are distinct, so these find out by themselves.
VQS_API CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return Linear("cuMemcpy", DevicePlace(to), DevicePlace(from), bytes, nullptr, false, false, false);
}
VQS_API CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return Linear("cuMemcpyAsync", DevicePlace(to), DevicePlace(from), bytes, stream, true, false, false);
}
VQS_API CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D* c) { return Rectangle("cuMemcpy2D_v2", c, nullptr, false); }
VQS_API CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D* c) { return Rectangle("cuMemcpy2DUnaligned_v2", c, nullptr, false); }
VQS_API CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D* c, CUstream stream) { return Rectangle("cuMemcpy2DAsync_v2", c, stream, true); }

// --- fills

VQS_API CUresult cuMemsetD8_v2(CUdeviceptr p, unsigned char v, size_t n) { return Fill("cuMemsetD8_v2", p, 0, v, 1, n, 1, nullptr); }
VQS_API CUresult cuMemsetD16_v2(CUdeviceptr p, unsigned short v, size_t n) { return Fill("cuMemsetD16_v2", p, 0, v, 2, n, 1, nullptr); }
VQS_API CUresult cuMemsetD32_v2(CUdeviceptr p, unsigned v, size_t n) { return Fill("cuMemsetD32_v2", p, 0, v, 4, n, 1, nullptr); }
VQS_API CUresult cuMemsetD8Async(CUdeviceptr p, unsigned char v, size_t n, CUstream s) { return Fill("cuMemsetD8Async", p, 0, v, 1, n, 1, s); }
VQS_API CUresult cuMemsetD16Async(CUdeviceptr p, unsigned short v, size_t n, CUstream s) { return Fill("cuMemsetD16Async", p, 0, v, 2, n, 1, s); }
VQS_API CUresult cuMemsetD32Async(CUdeviceptr p, unsigned v, size_t n, CUstream s) { return Fill("cuMemsetD32Async", p, 0, v, 4, n, 1, s); }
VQS_API CUresult cuMemsetD2D8_v2(CUdeviceptr p, size_t pitch, unsigned char v, size_t width, size_t height) {
  return Fill("cuMemsetD2D8_v2", p, pitch, v, 1, width, height, nullptr);
}
VQS_API CUresult cuMemsetD2D16_v2(CUdeviceptr p, size_t pitch, unsigned short v, size_t width, size_t height) {
  return Fill("cuMemsetD2D16_v2", p, pitch, v, 2, width, height, nullptr);
}
VQS_API CUresult cuMemsetD2D32_v2(CUdeviceptr p, size_t pitch, unsigned v, size_t width, size_t height) {
  return Fill("cuMemsetD2D32_v2", p, pitch, v, 4, width, height, nullptr);
}
VQS_API CUresult cuMemsetD2D8Async(CUdeviceptr p, size_t pitch, unsigned char v, size_t width, size_t height, CUstream s) {
  return Fill("cuMemsetD2D8Async", p, pitch, v, 1, width, height, s);
}
VQS_API CUresult cuMemsetD2D16Async(CUdeviceptr p, size_t pitch, unsigned short v, size_t width, size_t height, CUstream s) {
  return Fill("cuMemsetD2D16Async", p, pitch, v, 2, width, height, s);
}
VQS_API CUresult cuMemsetD2D32Async(CUdeviceptr p, size_t pitch, unsigned v, size_t width, size_t height, CUstream s) {
  return Fill("cuMemsetD2D32Async", p, pitch, v, 4, width, height, s);
}

}  // namespace vqs_emu
