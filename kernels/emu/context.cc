// context.cc — contexts: the primary one of each device, and those made besides. Each thread of the host has a stack of them.
#include <sys/mman.h>

#include <atomic>

#include "machine.h"

namespace vqs_emu {
namespace {

constexpr unsigned kContextFlags = 0x1f;  // scheduling (3 bits), mapped host memory, local memory kept

thread_local std::vector<Context*>* t_contexts = nullptr;

std::vector<Context*>& Contexts() {
  if (t_contexts == nullptr) t_contexts = new std::vector<Context*>;  // stays with the thread, and leaks a few bytes with it
  return *t_contexts;
}

Context* NewContext(Device* device, unsigned flags, bool primary) {
  auto* const context = new Context;
  context->device = device;
  context->flags = flags;
  context->primary = primary;
  context->null_stream = NewStream(context, 0, 0);
  TheMachine().contexts.insert(context);
  return context;
}

// Destroy ends a context and all that belongs to it. The object itself stays: threads of the host may have it as their current one.
void Destroy(Lock& lock, Context* context) {
  CloseStreams(lock, context);
  UnloadModules(lock, context);
  for (Event* e : context->events) delete e;
  context->events.clear();
  context->device->memory.FreeAllOf(context);
  auto& host = TheMachine().host_memory;
  for (auto it = host.begin(); it != host.end();) {
    if (it->second.context != context) {
      ++it;
      continue;
    }
    if (!it->second.registered) munmap(reinterpret_cast<void*>(it->first), it->second.bytes);
    it = host.erase(it);
  }
  TheMachine().contexts.erase(context);
}

Device* DeviceOf(CUdevice ordinal) {
  Machine& machine = TheMachine();
  if (ordinal < 0 || static_cast<size_t>(ordinal) >= machine.devices.size()) return nullptr;
  return machine.devices[ordinal].get();
}

bool Lives(Context* context) { return TheMachine().contexts.count(context) != 0; }

}  // namespace

Context* Current(const Lock&) {
  Context* const context = Contexts().empty() ? nullptr : Contexts().back();
  return context != nullptr && Lives(context) ? context : nullptr;
}

static CUresult Retain(const char* call, CUcontext* context, CUdevice ordinal) {
  return Enter(call, kDriver, [&](Lock&, Context*) -> CUresult {
    Device* const device = DeviceOf(ordinal);
    if (device == nullptr) return CUDA_ERROR_INVALID_DEVICE;
    if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (device->primary == nullptr) {
      if (!device->memory.Reserve()) return CUDA_ERROR_OUT_OF_MEMORY;
      device->primary = NewContext(device, device->primary_flags, true);
    }
    ++device->primary_uses;
    *context = reinterpret_cast<CUcontext>(device->primary);
    return 0;
  });
}

static CUresult Release(const char* call, CUdevice ordinal) {
  return Enter(call, kDriver, [&](Lock& lock, Context*) -> CUresult {
    Device* const device = DeviceOf(ordinal);
    if (device == nullptr) return CUDA_ERROR_INVALID_DEVICE;
    if (device->primary_uses == 0) return CUDA_ERROR_INVALID_CONTEXT;
    if (--device->primary_uses == 0) {
      Destroy(lock, device->primary);
      device->primary = nullptr;
    }
    return 0;
  });
}

static CUresult SetFlags(const char* call, CUdevice ordinal, unsigned flags) {
  return Enter(call, kDriver, [&](Lock&, Context*) -> CUresult {
    Device* const device = DeviceOf(ordinal);
    if (device == nullptr) return CUDA_ERROR_INVALID_DEVICE;
    if ((flags & ~kContextFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
    if (device->primary != nullptr && device->primary->flags != flags) return CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE;
    device->primary_flags = flags;
    return 0;
  });
}

// Reset destroys a primary context whoever holds it; the next to retain gets a new one, also where the old was poisoned.
static CUresult Reset(const char* call, CUdevice ordinal) {
  return Enter(call, kDriver, [&](Lock& lock, Context*) -> CUresult {
    Device* const device = DeviceOf(ordinal);
    if (device == nullptr) return CUDA_ERROR_INVALID_DEVICE;
    if (device->primary != nullptr) Destroy(lock, device->primary);
    device->primary = nullptr;
    device->primary_uses = 0;
    return 0;
  });
}

VQS_API CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) { return Retain("cuDevicePrimaryCtxRetain", context, device); }
VQS_API CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) { return Release("cuDevicePrimaryCtxRelease_v2", device); }
VQS_API CUresult cuDevicePrimaryCtxRelease(CUdevice device) { return Release("cuDevicePrimaryCtxRelease", device); }
VQS_API CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags) { return SetFlags("cuDevicePrimaryCtxSetFlags_v2", device, flags); }
VQS_API CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned flags) { return SetFlags("cuDevicePrimaryCtxSetFlags", device, flags); }
VQS_API CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) { return Reset("cuDevicePrimaryCtxReset_v2", device); }
VQS_API CUresult cuDevicePrimaryCtxReset(CUdevice device) { return Reset("cuDevicePrimaryCtxReset", device); }

VQS_API CUresult cuDevicePrimaryCtxGetState(CUdevice ordinal, unsigned* flags, int* active) {
  return Enter("cuDevicePrimaryCtxGetState", kDriver, [&](Lock&, Context*) -> CUresult {
    Device* const device = DeviceOf(ordinal);
    if (device == nullptr) return CUDA_ERROR_INVALID_DEVICE;
    if (flags == nullptr || active == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *flags = device->primary_flags;
    *active = device->primary != nullptr;
    return 0;
  });
}

VQS_API CUresult cuCtxCreate_v2(CUcontext* context, unsigned flags, CUdevice ordinal) {
  return Enter("cuCtxCreate_v2", kDriver, [&](Lock&, Context*) -> CUresult {
    Device* const device = DeviceOf(ordinal);
    if (device == nullptr) return CUDA_ERROR_INVALID_DEVICE;
    if (context == nullptr || (flags & ~kContextFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
    if (!device->memory.Reserve()) return CUDA_ERROR_OUT_OF_MEMORY;
    Contexts().push_back(NewContext(device, flags, false));
    *context = reinterpret_cast<CUcontext>(Contexts().back());
    return 0;
  });
}

VQS_API CUresult cuCtxDestroy_v2(CUcontext handle) {
  return Enter("cuCtxDestroy_v2", kDriver, [&](Lock& lock, Context*) -> CUresult {
    Context* const context = reinterpret_cast<Context*>(handle);
    if (!Lives(context) || context->primary) return CUDA_ERROR_INVALID_CONTEXT;
    Destroy(lock, context);
    if (!Contexts().empty() && Contexts().back() == context) Contexts().pop_back();
    return 0;
  });
}

VQS_API CUresult cuCtxSetCurrent(CUcontext handle) {
  return Enter("cuCtxSetCurrent", kDriver, [&](Lock&, Context*) -> CUresult {
    Context* const context = reinterpret_cast<Context*>(handle);
    if (context != nullptr && !Lives(context)) return CUDA_ERROR_INVALID_CONTEXT;
    if (!Contexts().empty()) Contexts().pop_back();
    if (context != nullptr) Contexts().push_back(context);
    return 0;
  });
}

VQS_API CUresult cuCtxGetCurrent(CUcontext* handle) {
  return Enter("cuCtxGetCurrent", kDriver, [&](Lock& lock, Context*) -> CUresult {
    if (handle == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *handle = reinterpret_cast<CUcontext>(Current(lock));
    return 0;
  });
}

VQS_API CUresult cuCtxPushCurrent_v2(CUcontext handle) {
  return Enter("cuCtxPushCurrent_v2", kDriver, [&](Lock&, Context*) -> CUresult {
    Context* const context = reinterpret_cast<Context*>(handle);
    if (!Lives(context)) return CUDA_ERROR_INVALID_CONTEXT;
    Contexts().push_back(context);
    return 0;
  });
}

VQS_API CUresult cuCtxPopCurrent_v2(CUcontext* handle) {
  return Enter("cuCtxPopCurrent_v2", kDriver, [&](Lock&, Context*) -> CUresult {
    if (Contexts().empty()) return CUDA_ERROR_INVALID_CONTEXT;
    if (handle != nullptr) *handle = reinterpret_cast<CUcontext>(Contexts().back());
    Contexts().pop_back();
    return 0;
  });
}

VQS_API CUresult cuCtxGetDevice(CUdevice* device) {
  return Enter("cuCtxGetDevice", kContext, [&](Lock&, Context* context) -> CUresult {
    if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *device = context->device->ordinal;
    return 0;
  });
}

VQS_API CUresult cuCtxGetFlags(unsigned* flags) {
  return Enter("cuCtxGetFlags", kContext, [&](Lock&, Context* context) -> CUresult {
    if (flags == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *flags = context->flags;
    return 0;
  });
}

VQS_API CUresult cuCtxGetApiVersion(CUcontext handle, unsigned* version) {
  return Enter("cuCtxGetApiVersion", kDriver, [&](Lock& lock, Context*) -> CUresult {
    Context* const context = handle == nullptr ? Current(lock) : reinterpret_cast<Context*>(handle);
    if (!Lives(context)) return CUDA_ERROR_INVALID_CONTEXT;
    if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *version = 3020;
    return 0;
  });
}

VQS_API CUresult cuCtxSynchronize() {
  return Enter("cuCtxSynchronize", kLiveContext, [](Lock& lock, Context* context) { return AwaitAll(lock, context); });
}

VQS_API CUresult cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  return Enter("cuCtxGetStreamPriorityRange", kLiveContext, [&](Lock&, Context*) -> CUresult {
    if (least != nullptr) *least = 0;
    if (greatest != nullptr) *greatest = -1;
    return 0;
  });
}

// Limits, cache and bank configurations are hints; nothing of what is emulated depends on them.
VQS_API CUresult cuCtxSetLimit(int limit, size_t) {
  return Enter("cuCtxSetLimit", kLiveContext, [&](Lock&, Context*) -> CUresult { return limit < 0 || limit > 6 ? CUDA_ERROR_INVALID_VALUE : 0; });
}
VQS_API CUresult cuCtxSetCacheConfig(int) {
  return Enter("cuCtxSetCacheConfig", kLiveContext, [](Lock&, Context*) -> CUresult { return 0; });
}
VQS_API CUresult cuCtxSetSharedMemConfig(int) {
  return Enter("cuCtxSetSharedMemConfig", kLiveContext, [](Lock&, Context*) -> CUresult { return 0; });
}

}  // namespace vqs_emu
