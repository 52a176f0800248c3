// device.cc — the driver and its devices: what there is and what it can do.
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "execute.h"
#include "machine.h"

VQS_API int vqsd_emulated;
int vqsd_emulated = 1;

namespace vqs_emu {
namespace {

constexpr int kDriverVersion = 12040;
constexpr const char* kDeviceName = "vqsd software CUDA";
constexpr size_t kDefaultMemory = size_t{8} << 30;
constexpr int kMaxDevices = 16, kMaxWorkers = 256;

// Attribute is one line of what cuDeviceGetAttribute knows: those of a device of compute capability 7.5.
struct Attribute {
  int number, value;
};
constexpr Attribute kAttributes[] = {
    {1, kMaxThreads},      // threads of a block
    {2, kMaxThreads},      // block, x
    {3, kMaxThreads},      // y
    {4, 64},               // z
    {5, 0x7fffffff},       // grid, x
    {6, 65535},            // y
    {7, 65535},            // z
    {8, 48 << 10},         // shared memory of a block
    {9, 64 << 10},         // constant memory
    {10, kWarp},           // threads of a warp
    {11, 0x7fffffff},      // pitch of copies
    {12, 65536},           // registers of a block
    {13, 1500000},         // clock, kHz
    {14, 512},             // alignment of textures
    {15, 1},               // copies overlap kernels
    {17, 0},               // limit of a kernel's time
    {18, 0},               // shares the host's memory
    {19, 1},               // maps the host's memory
    {20, 0},               // compute mode: default
    {31, 1},               // kernels overlap
    {32, 0},               // error correction
    {33, 0},               // PCI bus
    {34, 0},               // PCI device
    {35, 0},               // TCC driver
    {36, 5000000},         // clock of the memory, kHz
    {37, 256},             // width of its bus, bits
    {38, 4 << 20},         // second-level cache
    {39, 1024},            // threads of a multiprocessor
    {40, 1},               // engines that copy
    {41, 1},               // unified addresses
    {50, 0},               // PCI domain
    {51, 32},              // alignment of a texture's pitch
    {75, 7},               // compute capability, major
    {76, 5},               // minor
    {78, 1},               // priorities of streams
    {81, 64 << 10},        // shared memory of a multiprocessor
    {82, 65536},           // its registers
    {83, 0},               // managed memory
    {84, 0},               // on a board with others
    {97, 64 << 10},        // shared memory of a block that asks for more
    {106, 16},             // blocks of a multiprocessor
};
constexpr int kMultiprocessors = 16;  // attribute 16: one for each worker

long Number(const char* name, long fallback, long low, long high) {
  const char* const text = getenv(name);
  if (text == nullptr || *text == 0) return fallback;
  char* end;
  const long n = strtol(text, &end, 10);
  if (*end != 0 || n < low || n > high) {
    fprintf(stderr, "vqsd_emu: %s is \"%s\"; must be a number, %ld … %ld\n", name, text, low, high);
    abort();
  }
  return n;
}

int Processors() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

Settings Read() {
  Settings s;
  s.check = Number("VQSD_EMU_CHECK", 1, 0, 1) != 0;
  s.reverse = Number("VQSD_EMU_REVERSE", 0, 0, 1) != 0;
  s.late = Number("VQSD_EMU_LATE", 0, 0, 1) != 0;
  s.leaks = Number("VQSD_EMU_LEAKS", 0, 0, 1) != 0;
  s.threads = static_cast<int>(Number("VQSD_EMU_THREADS", Processors(), 1, kMaxWorkers));
  s.devices = static_cast<int>(Number("VQSD_EMU_DEVICES", 1, 0, kMaxDevices));
  s.memory_bytes = static_cast<size_t>(Number("VQSD_EMU_MEMORY", kDefaultMemory, 1 << 20, long{1} << 40));
  return s;
}

// WithDevice enters a call that names a device.
template <typename Body>
CUresult WithDevice(const char* call, CUdevice ordinal, Body body) {
  return Enter(call, kDriver, [&](Lock&, Context*) -> CUresult {
    Machine& machine = TheMachine();
    if (ordinal < 0 || static_cast<size_t>(ordinal) >= machine.devices.size()) return CUDA_ERROR_INVALID_DEVICE;
    return body(*machine.devices[ordinal]);
  });
}

CUresult Uuid(const char* call, CUuuid* uuid, CUdevice ordinal) {
  return WithDevice(call, ordinal, [&](Device& device) -> CUresult {
    if (uuid == nullptr) return CUDA_ERROR_INVALID_VALUE;
    memcpy(uuid->bytes, "vqsd-emulated-", 14);
    uuid->bytes[14] = 0;
    uuid->bytes[15] = static_cast<char>(device.ordinal);
    return 0;
  });
}

}  // namespace

Machine& TheMachine() {
  static Machine& machine = *new Machine;
  return machine;
}

const Settings& TheSettings() {
  static const Settings& settings = *new Settings(Read());
  return settings;
}

VQS_API CUresult cuInit(unsigned flags) {
  return Enter("cuInit", kNothing, [&](Lock&, Context*) -> CUresult {
    Machine& machine = TheMachine();
    if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
    if (TheSettings().devices == 0) return CUDA_ERROR_NO_DEVICE;
    while (machine.devices.size() < static_cast<size_t>(TheSettings().devices)) {
      const int ordinal = static_cast<int>(machine.devices.size());
      machine.devices.emplace_back(new Device{ordinal, Memory(TheSettings().memory_bytes)});
    }
    machine.initialised = true;
    return 0;
  });
}

VQS_API CUresult cuDriverGetVersion(int* version) {
  return Enter("cuDriverGetVersion", kNothing, [&](Lock&, Context*) -> CUresult {
    if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *version = kDriverVersion;
    return 0;
  });
}

VQS_API CUresult cuDeviceGetCount(int* count) {
  return Enter("cuDeviceGetCount", kDriver, [&](Lock&, Context*) -> CUresult {
    if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *count = static_cast<int>(TheMachine().devices.size());
    return 0;
  });
}

VQS_API CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  return WithDevice("cuDeviceGet", ordinal, [&](Device&) -> CUresult {
    if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *device = ordinal;
    return 0;
  });
}

VQS_API CUresult cuDeviceGetName(char* name, int length, CUdevice ordinal) {
  return WithDevice("cuDeviceGetName", ordinal, [&](Device&) -> CUresult {
    if (name == nullptr || length <= 0) return CUDA_ERROR_INVALID_VALUE;
    snprintf(name, static_cast<size_t>(length), "%s", kDeviceName);
    return 0;
  });
}

VQS_API CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) { return Uuid("cuDeviceGetUuid", uuid, device); }
VQS_API CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device) { return Uuid("cuDeviceGetUuid_v2", uuid, device); }

VQS_API CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice ordinal) {
  return WithDevice("cuDeviceTotalMem_v2", ordinal, [&](Device& device) -> CUresult {
    if (bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *bytes = device.memory.capacity();
    return 0;
  });
}

VQS_API CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice ordinal) {
  return WithDevice("cuDeviceComputeCapability", ordinal, [&](Device&) -> CUresult {
    if (major == nullptr || minor == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *major = 7;
    *minor = 5;
    return 0;
  });
}

VQS_API CUresult cuDeviceGetAttribute(int* value, int attribute, CUdevice ordinal) {
  return WithDevice("cuDeviceGetAttribute", ordinal, [&](Device& device) -> CUresult {
    if (value == nullptr || attribute < 1 || attribute > 200) return CUDA_ERROR_INVALID_VALUE;
    *value = 0;  // of capabilities that are not listed the device has none
    for (const Attribute& a : kAttributes) {
      if (a.number == attribute) *value = a.value;
    }
    if (attribute == 16) *value = kMultiprocessors;
    if (attribute == 34) *value = device.ordinal;
    return 0;
  });
}

VQS_API CUresult cuDeviceGetPCIBusId(char* text, int length, CUdevice ordinal) {
  return WithDevice("cuDeviceGetPCIBusId", ordinal, [&](Device& device) -> CUresult {
    if (text == nullptr || length < 13) return CUDA_ERROR_INVALID_VALUE;
    snprintf(text, static_cast<size_t>(length), "0000:00:%02x.0", device.ordinal);
    return 0;
  });
}

VQS_API CUresult cuDeviceCanAccessPeer(int* can, CUdevice one, CUdevice) {
  return WithDevice("cuDeviceCanAccessPeer", one, [&](Device&) -> CUresult {
    if (can == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *can = 0;
    return 0;
  });
}

}  // namespace vqs_emu
