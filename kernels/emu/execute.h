// execute.h — running a grid: blocks on the host's processors, the threads of a block as fibers.
#ifndef VQS_EMU_EXECUTE_H_
#define VQS_EMU_EXECUTE_H_

#include "block.h"
#include "driver.h"

namespace vqs_emu {

class Memory;

struct Shape {
  int x, y, z;
};

struct Launch {
  const Kernel* kernel;
  void** parameters;  // pointers to the values
  Shape grid, block;
  const Memory* memory;
  uint64_t number;  // of the launch, from 1
};

// Execute runs a launch and answers 0 or the error that a device would give. One launch runs at a time. A kernel that errs is described
// on stderr, once a launch.
CUresult Execute(const Launch& launch);

// FindKernel is the compiled kernel of a name, nullptr where the library has none.
const Kernel* FindKernel(const char* name, bool checked);

}  // namespace vqs_emu

#endif  // VQS_EMU_EXECUTE_H_
