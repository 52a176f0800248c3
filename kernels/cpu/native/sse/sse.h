// sse.h — the sum of squared differences of two planes.
#ifndef VQS_CPU_SSE_H_
#define VQS_CPU_SSE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// vqs_sse is Σ (ref − dis)² over width × height samples (1 … 65536 each) of bpc bits per component (8 … 16): u8 at 8 bits, else u16, rows
// ref_stride and dis_stride bytes apart. It is given by value alone, so that a caller in Go has nothing to put on its heap.
uint64_t vqs_sse(const void* ref, size_t ref_stride, const void* dis, size_t dis_stride, int width, int height, int bpc);

#ifdef __cplusplus
}
#endif

#endif  // VQS_CPU_SSE_H_
