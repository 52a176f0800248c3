// agree.cc — compiles where the two descriptions of the driver API, written by hand apart from each other, say the same.
#include <stddef.h>
#include <stdint.h>

#include "cuda.h"  // gpu/include

namespace emulator {
#include "driver.h"  // kernels/emu
}

#define VQS_AGREE(name) static_assert(static_cast<int>(::name) == static_cast<int>(emulator::name), #name)
VQS_AGREE(CUDA_SUCCESS);
VQS_AGREE(CUDA_ERROR_INVALID_VALUE);
VQS_AGREE(CUDA_ERROR_OUT_OF_MEMORY);
VQS_AGREE(CUDA_ERROR_NOT_INITIALIZED);
VQS_AGREE(CUDA_ERROR_NO_DEVICE);
VQS_AGREE(CUDA_ERROR_INVALID_DEVICE);
VQS_AGREE(CUDA_ERROR_INVALID_IMAGE);
VQS_AGREE(CUDA_ERROR_INVALID_CONTEXT);
VQS_AGREE(CUDA_ERROR_NO_BINARY_FOR_GPU);
VQS_AGREE(CUDA_ERROR_INVALID_PTX);
VQS_AGREE(CUDA_ERROR_INVALID_HANDLE);
VQS_AGREE(CUDA_ERROR_NOT_FOUND);
VQS_AGREE(CUDA_ERROR_NOT_READY);
VQS_AGREE(CUDA_ERROR_ILLEGAL_ADDRESS);
VQS_AGREE(CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE);
VQS_AGREE(CUDA_ERROR_CONTEXT_IS_DESTROYED);
VQS_AGREE(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
VQS_AGREE(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
VQS_AGREE(CUDA_ERROR_MISALIGNED_ADDRESS);
VQS_AGREE(CUDA_ERROR_LAUNCH_FAILED);
VQS_AGREE(CUDA_ERROR_NOT_SUPPORTED);
VQS_AGREE(CU_STREAM_NON_BLOCKING);
VQS_AGREE(CU_EVENT_BLOCKING_SYNC);
VQS_AGREE(CU_EVENT_DISABLE_TIMING);
static_assert(CU_MEMORYTYPE_HOST == static_cast<int>(emulator::kHostMemory), "memory of the host");
static_assert(CU_MEMORYTYPE_DEVICE == static_cast<int>(emulator::kDeviceMemory), "memory of a device");
static_assert(CU_MEMORYTYPE_ARRAY == static_cast<int>(emulator::kArrayMemory), "arrays");
static_assert(CU_MEMORYTYPE_UNIFIED == static_cast<int>(emulator::kUnifiedMemory), "unified memory");

#define VQS_SAME_SIZE(type) static_assert(sizeof(::type) == sizeof(emulator::type), #type)
VQS_SAME_SIZE(CUresult);
VQS_SAME_SIZE(CUdevice);
VQS_SAME_SIZE(CUdeviceptr);
VQS_SAME_SIZE(CUuuid);
VQS_SAME_SIZE(CUDA_MEMCPY2D);

#define VQS_SAME_PLACE(field) static_assert(offsetof(::CUDA_MEMCPY2D, field) == offsetof(emulator::CUDA_MEMCPY2D, field), #field)
VQS_SAME_PLACE(srcXInBytes);
VQS_SAME_PLACE(srcY);
VQS_SAME_PLACE(srcMemoryType);
VQS_SAME_PLACE(srcHost);
VQS_SAME_PLACE(srcDevice);
VQS_SAME_PLACE(srcPitch);
VQS_SAME_PLACE(dstXInBytes);
VQS_SAME_PLACE(dstY);
VQS_SAME_PLACE(dstMemoryType);
VQS_SAME_PLACE(dstHost);
VQS_SAME_PLACE(dstDevice);
VQS_SAME_PLACE(dstPitch);
VQS_SAME_PLACE(WidthInBytes);
VQS_SAME_PLACE(Height);
