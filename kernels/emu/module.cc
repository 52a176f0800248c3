// module.cc — modules, functions, launches. A module's text says which kernels it has and what they need; what runs is their compiled source.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "execute.h"
#include "machine.h"

namespace vqs_emu {
namespace {

constexpr int kPtxVersion = 84, kCompute = 75;  // newest text and architecture that are taken
constexpr size_t kSharedWithoutAsking = 48 << 10;
constexpr int kMultiprocessorThreads = 1024, kMultiprocessorBlocks = 16;

// Text is PTX, read word by word; what words mean depends on those before.
class Text {
 public:
  explicit Text(const char* at) : at_(at) {}

  // Next gives the next word: a name, directive or number, or one character; "" at the end. Comments and strings are passed over.
  std::string Next() {
    for (;;) {
      while (*at_ != 0 && strchr(" \t\r\n", *at_) != nullptr) ++at_;
      if (at_[0] == '/' && at_[1] == '/') {
        while (*at_ != 0 && *at_ != '\n') ++at_;
      } else if (at_[0] == '/' && at_[1] == '*') {
        const char* const end = strstr(at_ + 2, "*/");
        at_ = end == nullptr ? at_ + strlen(at_) : end + 2;
      } else {
        break;
      }
    }
    if (*at_ == 0) return "";
    const char* const begin = at_;
    if (!OfWord(*at_)) {
      ++at_;
    } else {
      while (OfWord(*at_)) ++at_;
    }
    return std::string(begin, at_);
  }

 private:
  static bool OfWord(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != 0 && strchr("_$.%", c) != nullptr);
  }
  const char* at_;
};

size_t BytesOf(const std::string& type) {
  static const std::map<std::string, size_t> kTypes = {{".b8", 1},  {".u8", 1},  {".s8", 1},  {".b16", 2}, {".u16", 2}, {".s16", 2},
                                                       {".f16", 2}, {".b32", 4}, {".u32", 4}, {".s32", 4}, {".f32", 4}, {".b64", 8},
                                                       {".u64", 8}, {".s64", 8}, {".f64", 8}};
  const auto found = kTypes.find(type);
  return found == kTypes.end() ? 0 : found->second;
}

// Variable reads a declaration after its state space, up to its end: .align 4 .b8 name[count]
size_t Variable(Text& text, std::string* last) {
  size_t bytes = 0;
  for (std::string word = text.Next(); !word.empty(); word = text.Next()) {
    if (BytesOf(word) != 0) bytes = BytesOf(word);
    if (word == "[") bytes *= static_cast<size_t>(atol(text.Next().c_str()));
    if (word == "," || word == ")" || word == ";" || word == "=") {
      *last = word;
      break;
    }
  }
  return bytes;
}

// Kernel reads one after ".entry": its name, parameters, directives and the variables in its body.
bool ReadEntry(Text& text, std::string* name, Entry* entry) {
  *name = text.Next();
  std::string word = text.Next();
  if (word == "(") {
    for (word = text.Next(); word == ".param"; word = text.Next()) {
      entry->parameters.push_back(Variable(text, &word));
      if (word == ")") break;
    }
    if (word != ")") return false;
    word = text.Next();
  }
  for (; word != "{"; word = text.Next()) {
    if (word.empty()) return false;
    if (word != ".maxntid") continue;
    int threads = atoi(text.Next().c_str());
    for (word = text.Next(); word == ","; word = text.Next()) threads *= atoi(text.Next().c_str());
    entry->max_threads = threads;
    if (word == "{") break;
  }
  int depth = 1;
  while (depth > 0) {
    word = text.Next();
    if (word.empty()) return false;
    if (word == "{") ++depth;
    if (word == "}") --depth;
    if (word == ".shared") entry->shared_bytes += Variable(text, &word);
    if (word == ".local") entry->local_bytes += Variable(text, &word);
  }
  return true;
}

// ReadModule reads what a module's text says; the error is the driver's.
CUresult ReadModule(const char* ptx, Module* module) {
  Text text(ptx);
  if (text.Next() != ".version") return CUDA_ERROR_INVALID_IMAGE;
  const double version = atof(text.Next().c_str());
  module->ptx_version = static_cast<int>(version * 10 + 0.5);
  if (module->ptx_version < 10) return CUDA_ERROR_INVALID_PTX;
  if (module->ptx_version > kPtxVersion) return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
  if (text.Next() != ".target") return CUDA_ERROR_INVALID_PTX;
  const std::string target = text.Next();
  if (target.compare(0, 3, "sm_") != 0) return CUDA_ERROR_INVALID_PTX;
  if (atoi(target.c_str() + 3) > kCompute) return CUDA_ERROR_NO_BINARY_FOR_GPU;
  for (std::string word = text.Next(); !word.empty(); word = text.Next()) {
    if (word != ".entry") continue;
    std::string name;
    Entry entry;
    if (!ReadEntry(text, &name, &entry)) return CUDA_ERROR_INVALID_PTX;
    module->entries[name] = entry;
  }
  return 0;
}

CUresult Load(const char* call, CUmodule* module, const void* image) {
  return Enter(call, kLiveContext, [&](Lock&, Context* context) -> CUresult {
    if (module == nullptr || image == nullptr) return CUDA_ERROR_INVALID_VALUE;
    auto made = std::make_unique<Module>();
    made->context = context;
    const CUresult error = ReadModule(static_cast<const char*>(image), made.get());
    if (error != 0) return error;
    context->modules.insert(made.get());
    *module = reinterpret_cast<CUmodule>(made.release());
    return 0;
  });
}

void Unload(Module* module) {
  for (auto& [_, function] : module->functions) TheMachine().functions.erase(function.get());
  delete module;
}

// Refuse says on stderr why a launch cannot be, which a driver does not.
CUresult Refuse(const Function& f, const char* why, CUresult code) {
  if (TheSettings().check) fprintf(stderr, "vqsd_emu: launch of %s refused: %s\n", f.name.c_str(), why);
  return code;
}

int MaxThreads(const Function& f) { return f.entry.max_threads > 0 ? f.entry.max_threads : kMaxThreads; }

CUresult CheckShape(const Function& f, const unsigned grid[3], const unsigned block[3], size_t dynamic_shared) {
  for (int i = 0; i < 3; ++i) {
    if (grid[i] == 0 || block[i] == 0) return Refuse(f, "a dimension of grid or block is 0", CUDA_ERROR_INVALID_VALUE);
  }
  if (grid[0] > 0x7fffffff || grid[1] > 65535 || grid[2] > 65535) {
    return Refuse(f, "the grid exceeds 2147483647 × 65535 × 65535", CUDA_ERROR_INVALID_VALUE);
  }
  if (block[0] > 1024 || block[1] > 1024 || block[2] > 64) return Refuse(f, "the block exceeds 1024 × 1024 × 64", CUDA_ERROR_INVALID_VALUE);
  const unsigned threads = block[0] * block[1] * block[2];
  if (threads > static_cast<unsigned>(kMaxThreads)) return Refuse(f, "more than 1024 threads in a block", CUDA_ERROR_INVALID_VALUE);
  if (threads > static_cast<unsigned>(MaxThreads(f))) return Refuse(f, "more threads than __launch_bounds__ allows", CUDA_ERROR_INVALID_VALUE);
  if (f.entry.shared_bytes > kSharedWithoutAsking) return Refuse(f, "more than 48 KiB of static shared memory", CUDA_ERROR_INVALID_VALUE);
  if (dynamic_shared > static_cast<size_t>(f.dynamic_shared_limit)) {
    return Refuse(f, "more dynamic shared memory than the function has been allowed", CUDA_ERROR_INVALID_VALUE);
  }
  return 0;
}

// WithFunction enters a call that names a function.
template <typename Body>
CUresult WithFunction(const char* call, CUfunction handle, Body body, CUresult* later = nullptr) {
  return Enter(call, kLiveContext, [&](Lock& lock, Context* context) -> CUresult {
    Function* const f = reinterpret_cast<Function*>(handle);
    if (TheMachine().functions.count(f) == 0 || f->module->context != context) return CUDA_ERROR_INVALID_HANDLE;
    return body(lock, *f);
  }, later);
}

}  // namespace

void UnloadModules(const Lock&, Context* context) {
  for (Module* m : context->modules) Unload(m);
  context->modules.clear();
}

VQS_API CUresult cuModuleLoadData(CUmodule* module, const void* image) { return Load("cuModuleLoadData", module, image); }

// The options of the driver's compiler have nothing to act upon here.
VQS_API CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned, int*, void**) {
  return Load("cuModuleLoadDataEx", module, image);
}

VQS_API CUresult cuModuleUnload(CUmodule handle) {
  return Enter("cuModuleUnload", kLiveContext, [&](Lock& lock, Context* context) -> CUresult {
    Module* const module = reinterpret_cast<Module*>(handle);
    if (context->modules.count(module) == 0) return CUDA_ERROR_INVALID_HANDLE;
    AwaitAll(lock, context);
    if (context->modules.erase(module) != 0) Unload(module);
    return context->error;
  });
}

VQS_API CUresult cuModuleGetFunction(CUfunction* function, CUmodule handle, const char* name) {
  return Enter("cuModuleGetFunction", kLiveContext, [&](Lock&, Context* context) -> CUresult {
    Module* const module = reinterpret_cast<Module*>(handle);
    if (context->modules.count(module) == 0) return CUDA_ERROR_INVALID_HANDLE;
    if (function == nullptr || name == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const auto entry = module->entries.find(name);
    if (entry == module->entries.end()) return CUDA_ERROR_NOT_FOUND;
    const Kernel* const kernel = FindKernel(name, TheSettings().check);
    if (kernel == nullptr) {
      fprintf(stderr, "vqsd_emu: the PTX has a kernel %s that this library was built without; run scripts/emu.sh\n", name);
      return CUDA_ERROR_NOT_FOUND;
    }
    std::vector<size_t> parameters(kernel->parameter_bytes, kernel->parameter_bytes + kernel->parameters);
    if (parameters != entry->second.parameters) {
      fprintf(stderr, "vqsd_emu: kernel %s has other parameters in the PTX than in this library; run scripts/ptx.sh and scripts/emu.sh\n", name);
      return CUDA_ERROR_NOT_FOUND;
    }
    std::unique_ptr<Function>& f = module->functions[name];
    if (f == nullptr) {
      const int dynamic_limit = static_cast<int>(kSharedWithoutAsking) - static_cast<int>(entry->second.shared_bytes);
      f.reset(new Function{module, name, entry->second, kernel, dynamic_limit});
      TheMachine().functions.insert(f.get());
    }
    *function = reinterpret_cast<CUfunction>(f.get());
    return 0;
  });
}

VQS_API CUresult cuFuncGetAttribute(int* value, int attribute, CUfunction function) {
  return WithFunction("cuFuncGetAttribute", function, [&](Lock&, const Function& f) -> CUresult {
    if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
    switch (attribute) {
      case 0:
        *value = MaxThreads(f);
        return 0;
      case 1:
        *value = static_cast<int>(f.entry.shared_bytes);
        return 0;
      case 3:
        *value = static_cast<int>(f.entry.local_bytes);
        return 0;
      case 4:
        *value = 32;  // registers: nobody has allotted any; what a kernel of modest size takes
        return 0;
      case 5:
        *value = f.module->ptx_version;
        return 0;
      case 6:
        *value = kCompute;
        return 0;
      case 8:
        *value = f.dynamic_shared_limit;
        return 0;
      case 2:  // constant memory
      case 7:  // cache mode
      case 9:  // carve-out
        *value = 0;
        return 0;
      default:
        return CUDA_ERROR_INVALID_VALUE;
    }
  });
}

VQS_API CUresult cuFuncSetAttribute(CUfunction function, int attribute, int value) {
  return WithFunction("cuFuncSetAttribute", function, [&](Lock&, Function& f) -> CUresult {
    if (attribute == 9) return value < -1 || value > 100 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    if (attribute != 8 || value < 0 || static_cast<size_t>(value) + f.entry.shared_bytes > kSharedBytes) return CUDA_ERROR_INVALID_VALUE;
    f.dynamic_shared_limit = value;
    return 0;
  });
}

VQS_API CUresult cuFuncSetCacheConfig(CUfunction function, int) {
  return WithFunction("cuFuncSetCacheConfig", function, [](Lock&, const Function&) -> CUresult { return 0; });
}

VQS_API CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction function, int threads, size_t dynamic_shared) {
  return WithFunction("cuOccupancyMaxActiveBlocksPerMultiprocessor", function, [&](Lock&, const Function& f) -> CUresult {
    if (blocks == nullptr || threads <= 0) return CUDA_ERROR_INVALID_VALUE;
    const size_t shared = f.entry.shared_bytes + dynamic_shared;
    *blocks = threads > MaxThreads(f) ? 0 : std::min(kMultiprocessorThreads / threads, kMultiprocessorBlocks);
    if (shared > 0) *blocks = std::min(*blocks, static_cast<int>(kSharedBytes / shared));
    return 0;
  });
}

VQS_API CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                                unsigned block_z, unsigned dynamic_shared, CUstream handle, void** parameters, void** extra) {
  // A fault that a kernel would suffer when it runs is not this call's answer: it is seen when the host waits.
  CUresult later = 0;
  const auto give = [&](Lock& lock, const Function& f) -> CUresult {
    const std::shared_ptr<Stream> stream = FindStream(f.module->context, handle);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (extra != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
    if (parameters == nullptr && f.kernel->parameters > 0) return Refuse(f, "no parameters", CUDA_ERROR_INVALID_VALUE);
    const unsigned grid[] = {grid_x, grid_y, grid_z}, block[] = {block_x, block_y, block_z};
    const CUresult error = CheckShape(f, grid, block, dynamic_shared);
    if (error != 0) return error;
    // The values are the caller's until the call returns.
    std::vector<uint64_t> values(f.kernel->parameters);
    for (int i = 0; i < f.kernel->parameters; ++i) memcpy(&values[i], parameters[i], f.kernel->parameter_bytes[i]);
    Launch launch = {};
    launch.kernel = f.kernel;
    launch.grid = Shape{static_cast<int>(grid_x), static_cast<int>(grid_y), static_cast<int>(grid_z)};
    launch.block = Shape{static_cast<int>(block_x), static_cast<int>(block_y), static_cast<int>(block_z)};
    launch.memory = &f.module->context->device->memory;
    launch.number = TheMachine().launches++ % ((uint64_t{1} << 28) - 1) + 1;  // a tag has 28 bits for it, and 0 means none
    Give(lock, stream, [launch, values, later]() -> CUresult {
      if (later != 0) return later;
      std::vector<uint64_t> own(values);
      std::vector<void*> pointers;
      for (uint64_t& v : own) pointers.push_back(&v);
      Launch run = launch;
      run.parameters = pointers.data();
      return Execute(run);
    });
    return 0;
  };
  return WithFunction("cuLaunchKernel", function, give, &later);
}

}  // namespace vqs_emu
