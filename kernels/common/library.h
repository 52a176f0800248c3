// library.h — what the entry points of all CPU kernels have in common.
#ifndef VQS_COMMON_LIBRARY_H_
#define VQS_COMMON_LIBRARY_H_

#ifdef __cplusplus
extern "C" {
#endif

// Status values of every entry point.
enum VqsStatus { kVqsOk = 0, kVqsInvalid = 1, kVqsNoMemory = 2 };

// vqs_cpu_is_plain is 1 when the scalar references are in force, and no vector target; see kernels/cpu/native/targets.h.
int vqs_cpu_is_plain(void);

#ifdef __cplusplus
}
#endif

#endif  // VQS_COMMON_LIBRARY_H_
