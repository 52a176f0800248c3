// library.c — loads the CUDA driver's library and connects the trampolines with it.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE  // dladdr
#endif
#include <dlfcn.h>
#include <stddef.h>

#include "driver.h"
#include "trampolines.h"

int vqsd_driver_load(const char *name, VqsdLibrary *library, const char **error) {
  void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) {
    *error = dlerror();
    return -1;
  }
  void *init = dlsym(handle, "cuInit");
  if (init == NULL) {
    *error = "the library has no cuInit";
    dlclose(handle);
    return -1;
  }
  *library = (VqsdLibrary){.handle = handle, .path = name};
  Dl_info info;
  if (dladdr(init, &info) != 0 && info.dli_fname != NULL) library->path = info.dli_fname;
  CUresult (*version)(int *) = (CUresult(*)(int *))dlsym(handle, "cuDriverGetVersion");
  if (version != NULL && version(&library->version) != CUDA_SUCCESS) library->version = 0;
  library->emulated = dlsym(handle, "vqsd_emulated") != NULL;
  library->control = (int (*)(const char *, long long *))dlsym(handle, "vqsd_emu_control");
  return 0;
}

CUresult vqsd_driver_start(const VqsdLibrary *library) {
  CUresult (*init)(unsigned int) = (CUresult(*)(unsigned int))dlsym(library->handle, "cuInit");
  const CUresult result = init(0);
  if (result != CUDA_SUCCESS) return result;
  for (const VqsdSlot *slot = vqsd_slots; slot->name != NULL; ++slot) {
    // One that this driver does not have keeps answering that nothing is initialised.
    void *entry = dlsym(library->handle, slot->name);
    if (entry != NULL) *slot->target = entry;
  }
  return CUDA_SUCCESS;
}

int vqsd_driver_control(const VqsdLibrary *library, const char *command, long long *answer) {
  return library->control == NULL ? -1 : library->control(command, answer);
}

CUresult vqsd_driver_load_module(const void *ptx, char *log, size_t log_bytes, CUmodule *module) {
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void *values[] = {log, (void *)(uintptr_t)log_bytes};  // the second takes a number in the place of a pointer
  log[0] = '\0';
  const CUresult result = cuModuleLoadDataEx(module, ptx, 2, options, values);
  log[log_bytes - 1] = '\0';
  return result;
}
