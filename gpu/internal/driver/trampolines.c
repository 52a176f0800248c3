// trampolines.c — the CUDA driver's entry points, defined here so that the program links and starts without one.
//
// Each is one jump through a slot, which keeps arguments and stack as they are. The slots lead to a function that answers "not
// initialised" until library.c fills them from the driver. cuInit answers 0 until then: gorgonia.org/cu calls it when the program starts,
// and ends the process where it fails.
//
// The symbols are hidden, so that neither the driver nor FFmpeg, which look theirs up by name at run time, can find these.
//
// Every test runs this on x86-64. For 64-bit Arm, arm64.sh builds it and calls through it under emulation.
#include "trampolines.h"

#include <stddef.h>

#include "symbols.h"  // and not cuda.h, whose macros would turn some of these names into others

static int answer_not_initialised(void) { return 3; }  // CUDA_ERROR_NOT_INITIALIZED
static int answer_initialised(unsigned int flags) { return flags == 0 ? 0 : 1; }

#define SLOT(name) __attribute__((visibility("hidden"), used)) void *vqsd_slot_##name = (void *)answer_not_initialised;
VQSD_DRIVER_SYMBOLS(SLOT)

#define ENTRY(name) {#name, &vqsd_slot_##name},
__attribute__((visibility("hidden"))) const VqsdSlot vqsd_slots[] = {VQSD_DRIVER_SYMBOLS(ENTRY){NULL, NULL}};

__attribute__((constructor)) static void let_cu_start(void) { vqsd_slot_cuInit = (void *)answer_initialised; }

#if defined(__x86_64__)
#define JUMP(name) "\tjmp *vqsd_slot_" #name "(%rip)\n"
#elif defined(__aarch64__)
#define JUMP(name) "\tadrp x16, vqsd_slot_" #name "\n\tldr x16, [x16, :lo12:vqsd_slot_" #name "]\n\tbr x16\n"
#else
#error "the CUDA driver is called on x86-64 and 64-bit Arm alone; build without the tag cuda"
#endif
#define TRAMPOLINE(name)                                                                                \
  __asm__(".text\n.p2align 4\n.globl " #name "\n.hidden " #name "\n.type " #name ", %function\n" #name \
          ":\n" JUMP(name) ".size " #name ", . - " #name "\n");
VQSD_DRIVER_SYMBOLS(TRAMPOLINE)
