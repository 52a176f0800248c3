// plane.h — a picture component as the kernels take it.
#ifndef VQS_COMMON_PLANE_H_
#define VQS_COMMON_PLANE_H_

#include <stddef.h>
#include <stdint.h>

// VqsPlane is one component in host memory: u8 samples at 8 bits, else u16 with the value in the low bits. Rows lie
// stride_bytes apart, first row first. Kernels read only the samples themselves, never the padding.
typedef struct VqsPlane {
  const void* data;
  size_t stride_bytes;
} VqsPlane;

#endif  // VQS_COMMON_PLANE_H_
