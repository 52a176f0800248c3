// driver.h — opens the CUDA driver at run time. See library.c.
#ifndef VQSD_GPU_DRIVER_DRIVER_H_
#define VQSD_GPU_DRIVER_DRIVER_H_

#include "../../include/cuda.h"

// VqsdLibrary is a loaded driver library. It is never unloaded.
typedef struct {
  void *handle;
  const char *path;  // of its file
  int version;       // as cuDriverGetVersion tells, 0 where it does not
  int emulated;      // it is kernels/emu
  int (*control)(const char *, long long *);  // the emulator's; else null
} VqsdLibrary;

// vqsd_driver_load loads a library by the name or path that dlopen takes. On failure it returns −1 and *error is dlerror's text, valid until
// the thread's next dlopen.
int vqsd_driver_load(const char *name, VqsdLibrary *library, const char **error);

// vqsd_driver_start initialises the loaded driver and lets the entry points reach it. Until then, and after a result other than 0, all of
// them answer CUDA_ERROR_NOT_INITIALIZED, but cuInit, which answers 0.
CUresult vqsd_driver_start(const VqsdLibrary *library);

// vqsd_driver_control passes a command to the emulator. It returns −1 where the driver is none.
int vqsd_driver_control(const VqsdLibrary *library, const char *command, long long *answer);

// vqsd_driver_load_module compiles PTX, a text that ends in a zero byte, into a module of the current context. The compiler's
// complaints go to log, of log_bytes bytes, as a text.
CUresult vqsd_driver_load_module(const void *ptx, char *log, size_t log_bytes, CUmodule *module);

#endif  // VQSD_GPU_DRIVER_DRIVER_H_
