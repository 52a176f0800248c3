// numbers.h — random numbers for the comparisons, the same for the same seed.
#ifndef VQS_PROVE_NUMBERS_H_
#define VQS_PROVE_NUMBERS_H_

#include <stdint.h>

namespace vqs {

// Numbers is a generator of random numbers, splitmix64.
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  int64_t Below(int64_t n) { return static_cast<int64_t>(Next() % static_cast<uint64_t>(n)); }

 private:
  uint64_t state_;
};

}  // namespace vqs

#endif  // VQS_PROVE_NUMBERS_H_
