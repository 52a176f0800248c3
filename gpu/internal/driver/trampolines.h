// trampolines.h — the slots through which the entry points jump.
#ifndef VQSD_GPU_DRIVER_TRAMPOLINES_H_
#define VQSD_GPU_DRIVER_TRAMPOLINES_H_

// VqsdSlot is the entry point of one name.
typedef struct {
  const char *name;
  void **target;
} VqsdSlot;

// vqsd_slots are all slots, up to one without a name.
extern const VqsdSlot vqsd_slots[];

#endif  // VQSD_GPU_DRIVER_TRAMPOLINES_H_
