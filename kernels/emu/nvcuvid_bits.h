// nvcuvid_bits.h — the bits of parameter sets and of the beginnings of slices, in H.264 and HEVC.
#ifndef VQS_EMU_NVCUVID_BITS_H_
#define VQS_EMU_NVCUVID_BITS_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

namespace vqs_nvcuvid {

class BitWriter {
 public:
  void Bits(unsigned value, int count) {
    while (count-- > 0) {
      if (used_ % 8 == 0) bytes_.push_back(0);
      bytes_.back() = static_cast<uint8_t>(bytes_.back() | (value >> count & 1) << (7 - used_ % 8));
      used_++;
    }
  }
  void Unsigned(unsigned value) {  // ue(v)
    int bits = 0;
    while ((value + 1) >> (bits + 1)) bits++;
    Bits(0, bits);
    Bits(value + 1, bits + 1);
  }
  void Signed(int value) { Unsigned(value > 0 ? 2u * static_cast<unsigned>(value) - 1 : 2u * static_cast<unsigned>(-value)); }

  // Unit appends what was written, and the bit that ends it, as a NAL unit.
  void Unit(std::initializer_list<uint8_t> header, std::vector<uint8_t>* out) {
    Bits(1, 1);
    out->insert(out->end(), {0, 0, 0, 1});
    out->insert(out->end(), header);
    int zeros = 0;
    for (uint8_t b : bytes_) {
      if (zeros == 2 && b <= 3) {
        out->push_back(3);
        zeros = 0;
      }
      zeros = b == 0 ? zeros + 1 : 0;
      out->push_back(b);
    }
  }

 private:
  std::vector<uint8_t> bytes_;
  int used_ = 0;
};

// BitReader reads the beginning of a slice, which emulation prevention leaves alone: its numbers are small.
class BitReader {
 public:
  BitReader(const uint8_t* data, size_t bytes) : data_(data), bits_(bytes * 8) {}
  unsigned Bit() {
    if (at_ >= bits_) return 1;
    const unsigned b = data_[at_ / 8] >> (7 - at_ % 8) & 1;
    at_++;
    return b;
  }
  unsigned Unsigned() {
    int zeros = 0;
    while (zeros < 31 && !Bit()) zeros++;
    unsigned v = 1;
    for (int i = 0; i < zeros; i++) v = v << 1 | Bit();
    return v - 1;
  }

 private:
  const uint8_t* data_;
  size_t bits_, at_ = 0;
};

}  // namespace vqs_nvcuvid

#endif  // VQS_EMU_NVCUVID_BITS_H_
