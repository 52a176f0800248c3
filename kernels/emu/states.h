// states.h — what is kept of a device's memory for the checks: a byte of state a byte, a tag of 64 bits a word of four bytes.
#ifndef VQS_EMU_STATES_H_
#define VQS_EMU_STATES_H_

#include <stdint.h>

namespace vqs_emu {

// States of a byte. That of memory which is not allocated is 0, so that an untouched page of states means that.
constexpr uint8_t kUnallocated = 0, kUndefined = 1, kDefined = 2;

// A tag: for each byte of the word whether it was read through Read, written by Store, added to, loaded by Global; the block that did so
// first, or "several"; the launch.
constexpr int kTagRead = 0, kTagWritten = 4, kTagAtomic = 8, kTagLoaded = 12, kTagBlock = 16, kTagLaunch = 36;
constexpr uint64_t kTagFlags = (uint64_t{1} << kTagBlock) - 1;
constexpr uint64_t kTagBlocks = ((uint64_t{1} << kTagLaunch) - 1) & ~kTagFlags;
constexpr uint64_t kTagSeveral = kTagBlocks;

}  // namespace vqs_emu

#endif  // VQS_EMU_STATES_H_
