// trial.cc — drives a CUDA driver library by a script: each line of standard input is one call, and comes back with " -> " and its answer,
// the error's number or what else the line below says. What a line names is made by an earlier one.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "driver.h"

namespace {

using Words = std::vector<std::string>;

void* g_library;

// Call calls an entry point by its name.
template <typename... A>
CUresult Call(const char* name, A... arguments) {
  auto* const f = reinterpret_cast<CUresult (*)(A...)>(dlsym(g_library, name));
  if (f == nullptr) {
    fprintf(stderr, "trial: no %s\n", name);
    exit(1);
  }
  return f(arguments...);
}

struct Block {
  CUdeviceptr address = 0;
  void* host = nullptr;
  size_t bytes = 0;
};
std::map<std::string, Block> g_blocks;
std::map<std::string, CUstream> g_streams;
std::map<std::string, CUevent> g_events;
std::map<std::string, CUcontext> g_contexts;
std::map<std::string, CUfunction> g_functions;

CUstream Stream(const std::string& name) { return name == "null" ? nullptr : g_streams.at(name); }
size_t Number(const std::string& text) { return strtoull(text.c_str(), nullptr, 0); }
std::string Text(long long n) { return std::to_string(n); }

// Code is the answer of a call that tells something where it succeeds.
std::string Told(CUresult code, long long value) { return code != 0 ? "error " + Text(code) : Text(value); }

// Ptx is a module with one kernel, as far as a driver that does not compile it looks.
std::string Ptx(const std::string& kernel, const std::string& version, const std::string& target, int max_threads, int shared) {
  std::ostringstream text;
  text << "// a comment\n.version " << version << "\n.target " << target << "\n.address_size 64\n.visible .entry " << kernel << "(\n"
       << "\t.param .u64 a,\n\t.param .u64 b, /* another */\n\t.param .u32 c\n)\n.maxntid " << max_threads << ", 1, 1\n{\n"
       << "\t.reg .b64 \t%rd<4>;\n\t.shared .align 4 .b8 s[" << shared << "];\n\t{ ret; }\n}\n";
  return text.str();
}

CUresult Load(const std::string& text, const std::string& kernel, CUfunction* function) {
  CUmodule module;
  const CUresult code = Call("cuModuleLoadData", &module, static_cast<const void*>(text.c_str()));
  return code != 0 ? code : Call("cuModuleGetFunction", function, module, kernel.c_str());
}

// launch KERNEL GRID BLOCK IN OUT N [STREAM] — grid and block are X or X,Y,Z
CUresult Launch(const Words& w) {
  CUfunction& f = g_functions[w[1]];
  if (f == nullptr) {
    const CUresult code = Load(Ptx(w[1], "6.3", "sm_75", 256, 16), w[1], &f);
    if (code != 0) return code;
  }
  unsigned size[2][3] = {{1, 1, 1}, {1, 1, 1}};
  for (int i = 0; i < 2; ++i) sscanf(w[2 + i].c_str(), "%u,%u,%u", &size[i][0], &size[i][1], &size[i][2]);
  CUdeviceptr in = g_blocks.at(w[4]).address, out = g_blocks.at(w[5]).address;
  int n = static_cast<int>(Number(w[6]));
  void* parameters[] = {&in, &out, &n};
  return Call("cuLaunchKernel", f, size[0][0], size[0][1], size[0][2], size[1][0], size[1][1], size[1][2], 0u, w.size() > 7 ? Stream(w[7]) : nullptr,
              parameters, static_cast<void**>(nullptr));
}

// Counting is what put writes: word i is 3·i + 1.
std::vector<uint32_t> Counting(size_t bytes) {
  std::vector<uint32_t> words(bytes / 4);
  for (size_t i = 0; i < words.size(); ++i) words[i] = static_cast<uint32_t>(3 * i + 1);
  return words;
}

const std::map<std::string, std::function<std::string(const Words&)>> kCommands = {
    {"init", [](const Words&) { return Text(Call("cuInit", 0u)); }},
    {"call", [](const Words& w) { return Text(Call(w[1].c_str())); }},
    // --- devices and contexts
    {"devices",
     [](const Words&) {
       int n = 0;
       const CUresult code = Call("cuDeviceGetCount", &n);
       return Told(code, n);
     }},
    {"name",
     [](const Words& w) {
       char text[64] = "";
       const CUresult code = Call("cuDeviceGetName", text, 64, static_cast<int>(Number(w[1])));
       return code != 0 ? Told(code, 0) : std::string(text);
     }},
    {"attribute",
     [](const Words& w) {
       int v = 0;
       const CUresult code = Call("cuDeviceGetAttribute", &v, static_cast<int>(Number(w[1])), 0);
       return Told(code, v);
     }},
    // retain CONTEXT DEVICE makes the primary context current, too
    {"retain",
     [](const Words& w) {
       CUresult code = Call("cuDevicePrimaryCtxRetain", &g_contexts[w[1]], static_cast<int>(Number(w[2])));
       if (code == 0) code = Call("cuCtxSetCurrent", g_contexts[w[1]]);
       return Text(code);
     }},
    {"create", [](const Words& w) { return Text(Call("cuCtxCreate_v2", &g_contexts[w[1]], 0u, static_cast<int>(Number(w[2])))); }},
    {"destroy", [](const Words& w) { return Text(Call("cuCtxDestroy_v2", g_contexts.at(w[1]))); }},
    {"current", [](const Words& w) { return Text(Call("cuCtxSetCurrent", w[1] == "none" ? nullptr : g_contexts.at(w[1]))); }},
    {"push", [](const Words& w) { return Text(Call("cuCtxPushCurrent_v2", g_contexts.at(w[1]))); }},
    {"pop",
     [](const Words&) {
       CUcontext c;
       return Text(Call("cuCtxPopCurrent_v2", &c));
     }},
    {"device",
     [](const Words&) {
       int d = -1;
       const CUresult code = Call("cuCtxGetDevice", &d);
       return Told(code, d);
     }},
    {"device_of_another_thread",
     [](const Words&) {
       int d = -1;
       CUresult code = 0;
       std::thread([&] { code = Call("cuCtxGetDevice", &d); }).join();
       return Told(code, d);
     }},
    {"release", [](const Words& w) { return Text(Call("cuDevicePrimaryCtxRelease_v2", static_cast<int>(Number(w[1])))); }},
    {"reset", [](const Words& w) { return Text(Call("cuDevicePrimaryCtxReset_v2", static_cast<int>(Number(w[1])))); }},
    {"flags",
     [](const Words& w) {
       const unsigned flags = static_cast<unsigned>(Number(w[2]));
       return Text(Call("cuDevicePrimaryCtxSetFlags_v2", static_cast<int>(Number(w[1])), flags));
     }},
    {"state",
     [](const Words& w) {
       unsigned flags = 0;
       int active = 0;
       const CUresult code = Call("cuDevicePrimaryCtxGetState", static_cast<int>(Number(w[1])), &flags, &active);
       return code != 0 ? Told(code, 0) : (active != 0 ? "active " : "inactive ") + Text(flags);
     }},
    // --- memory
    {"alloc",
     [](const Words& w) {
       Block& b = g_blocks[w[1]];
       b.bytes = Number(w[2]);
       return Text(Call("cuMemAlloc_v2", &b.address, b.bytes));
     }},
    {"free", [](const Words& w) { return Text(Call("cuMemFree_v2", g_blocks.at(w[1]).address)); }},
    {"pinned",
     [](const Words& w) {
       Block& b = g_blocks[w[1]];
       b.bytes = Number(w[2]);
       const CUresult code = Call("cuMemHostAlloc", &b.host, b.bytes, 0u);
       return Text(code);
     }},
    {"pageable",
     [](const Words& w) {
       Block& b = g_blocks[w[1]];
       b.bytes = Number(w[2]);
       b.host = calloc(1, b.bytes);
       return Text(0);
     }},
    {"register", [](const Words& w) { return Text(Call("cuMemHostRegister_v2", g_blocks.at(w[1]).host, g_blocks.at(w[1]).bytes, 0u)); }},
    {"unregister", [](const Words& w) { return Text(Call("cuMemHostUnregister", g_blocks.at(w[1]).host)); }},
    {"unpin", [](const Words& w) { return Text(Call("cuMemFreeHost", g_blocks.at(w[1]).host)); }},
    {"used",
     [](const Words&) {
       size_t free = 0, total = 0;
       const CUresult code = Call("cuMemGetInfo_v2", &free, &total);
       return Told(code, static_cast<long long>(total - free));
     }},
    // pitched NAME WIDTH HEIGHT tells the pitch
    {"pitched",
     [](const Words& w) {
       Block& b = g_blocks[w[1]];
       size_t pitch = 0;
       const CUresult code = Call("cuMemAllocPitch_v2", &b.address, &pitch, Number(w[2]), Number(w[3]), 16u);
       b.bytes = pitch * Number(w[3]);
       return Told(code, static_cast<long long>(pitch));
     }},
    {"put",
     [](const Words& w) {
       const Block& b = g_blocks.at(w[1]);
       const std::vector<uint32_t> words = Counting(b.bytes);
       return Text(Call("cuMemcpyHtoD_v2", b.address, static_cast<const void*>(words.data()), b.bytes));
     }},
    {"zero",
     [](const Words& w) {
       const Block& b = g_blocks.at(w[1]);
       return Text(Call("cuMemsetD8_v2", b.address, static_cast<unsigned char>(0), b.bytes));
     }},
    // set NAME FIRST WORDS VALUE by cuMemsetD32
    {"set",
     [](const Words& w) {
       return Text(Call("cuMemsetD32_v2", g_blocks.at(w[1]).address + Number(w[2]) * 4, static_cast<unsigned>(Number(w[4])), Number(w[3])));
     }},
    {"set16",
     [](const Words& w) {
       const unsigned short value = static_cast<unsigned short>(Number(w[3]));
       return Text(Call("cuMemsetD2D16_v2", g_blocks.at(w[1]).address, Number(w[2]), value, Number(w[4]), Number(w[5])));
     }},
    // word NAME I is word I of device memory; of host memory as it is now
    {"word",
     [](const Words& w) {
       const Block& b = g_blocks.at(w[1]);
       uint32_t v = 0;
       if (b.host != nullptr) return Text(reinterpret_cast<const volatile uint32_t*>(b.host)[Number(w[2])]);
       const CUresult code = Call("cuMemcpyDtoH_v2", static_cast<void*>(&v), b.address + Number(w[2]) * 4, size_t{4});
       return Told(code, v);
     }},
    {"write",
     [](const Words& w) {
       static_cast<uint32_t*>(g_blocks.at(w[1]).host)[Number(w[2])] = static_cast<uint32_t>(Number(w[3]));
       return Text(0);
     }},
    // upload DEVICE HOST STREAM and download HOST DEVICE STREAM, asynchronously, of what the smaller holds
    {"upload",
     [](const Words& w) {
       const Block &to = g_blocks.at(w[1]), &from = g_blocks.at(w[2]);
       return Text(Call("cuMemcpyHtoDAsync_v2", to.address, static_cast<const void*>(from.host), std::min(to.bytes, from.bytes), Stream(w[3])));
     }},
    {"download",
     [](const Words& w) {
       const Block &to = g_blocks.at(w[1]), &from = g_blocks.at(w[2]);
       return Text(Call("cuMemcpyDtoHAsync_v2", to.host, from.address, std::min(to.bytes, from.bytes), Stream(w[3])));
     }},
    {"copy",
     [](const Words& w) {
       const Block &to = g_blocks.at(w[1]), &from = g_blocks.at(w[2]);
       return Text(Call("cuMemcpyDtoD_v2", to.address, from.address, Number(w[3])));
     }},
    // rectangle TO TOPITCH X Y FROM FROMPITCH WIDTH HEIGHT, from device to device
    {"rectangle",
     [](const Words& w) {
       CUDA_MEMCPY2D c = {};
       c.dstMemoryType = c.srcMemoryType = kDeviceMemory;
       c.dstDevice = g_blocks.at(w[1]).address;
       c.dstPitch = Number(w[2]);
       c.dstXInBytes = Number(w[3]);
       c.dstY = Number(w[4]);
       c.srcDevice = g_blocks.at(w[5]).address;
       c.srcPitch = Number(w[6]);
       c.WidthInBytes = Number(w[7]);
       c.Height = Number(w[8]);
       return Text(Call("cuMemcpy2D_v2", static_cast<const CUDA_MEMCPY2D*>(&c)));
     }},
    // --- modules and launches
    {"launch", [](const Words& w) { return Text(Launch(w)); }},
    // module KERNEL VERSION TARGET MAXTHREADS SHARED makes that what launch uses
    {"module", [](const Words& w) { return Text(Load(Ptx(w[1], w[2], w[3], atoi(w[4].c_str()), atoi(w[5].c_str())), w[1], &g_functions[w[1]])); }},
    {"module_text", [](const Words& w) { return Text(Load(w[1], "vqs_right_copy", &g_functions["text"])); }},
    {"function",
     [](const Words& w) {
       int v = 0;
       const CUresult code = Call("cuFuncGetAttribute", &v, static_cast<int>(Number(w[2])), g_functions.at(w[1]));
       return Told(code, v);
     }},
    // --- streams and events
    {"stream", [](const Words& w) { return Text(Call("cuStreamCreate", &g_streams[w[1]], w.size() > 2 && w[2] == "blocking" ? 0u : 1u)); }},
    {"stream_destroy", [](const Words& w) { return Text(Call("cuStreamDestroy_v2", Stream(w[1]))); }},
    {"stream_wait", [](const Words& w) { return Text(Call("cuStreamWaitEvent", Stream(w[1]), g_events.at(w[2]), 0u)); }},
    {"stream_sync", [](const Words& w) { return Text(Call("cuStreamSynchronize", Stream(w[1]))); }},
    {"stream_query", [](const Words& w) { return Text(Call("cuStreamQuery", Stream(w[1]))); }},
    {"event", [](const Words& w) { return Text(Call("cuEventCreate", &g_events[w[1]], w.size() > 2 ? static_cast<unsigned>(Number(w[2])) : 0u)); }},
    {"event_destroy", [](const Words& w) { return Text(Call("cuEventDestroy_v2", g_events.at(w[1]))); }},
    {"record", [](const Words& w) { return Text(Call("cuEventRecord", g_events.at(w[1]), Stream(w[2]))); }},
    {"event_sync", [](const Words& w) { return Text(Call("cuEventSynchronize", g_events.at(w[1]))); }},
    {"event_query", [](const Words& w) { return Text(Call("cuEventQuery", g_events.at(w[1]))); }},
    {"elapsed",
     [](const Words& w) {
       float ms = -1;
       const CUresult code = Call("cuEventElapsedTime", &ms, g_events.at(w[1]), g_events.at(w[2]));
       return code != 0 ? Told(code, 0) : std::string(ms >= 0 ? "some" : "negative");
     }},
    {"sync", [](const Words&) { return Text(Call("cuCtxSynchronize")); }},
    // --- control
    {"control",
     [](const Words& w) {
       std::string command;
       for (size_t i = 1; i < w.size(); ++i) command += (i > 1 ? " " : "") + w[i];
       long long answer = 0;
       auto* const f = reinterpret_cast<int (*)(const char*, long long*)>(dlsym(g_library, "vqsd_emu_control"));
       return f(command.c_str(), &answer) != 0 ? std::string("refused") : Text(answer);
     }},
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    fprintf(stderr, "usage: trial LIBRARY < script\n");
    return 2;
  }
  g_library = dlopen(arguments[1], RTLD_NOW);
  if (g_library == nullptr) {
    fprintf(stderr, "trial: %s\n", dlerror());
    return 1;
  }
  std::string line;
  while (std::getline(std::cin, line)) {
    Words words;
    std::istringstream in(line);
    for (std::string word; in >> word;) words.push_back(word);
    if (words.empty()) continue;
    const auto command = kCommands.find(words[0]);
    if (command == kCommands.end()) {
      fprintf(stderr, "trial: no command %s\n", words[0].c_str());
      return 2;
    }
    std::cout << line << " -> " << command->second(words) << std::endl;
  }
  return 0;
}
