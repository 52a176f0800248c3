// batch.h — how a batch of pictures is described to kernels. gpu/batch.go mirrors these structures and checks their sizes.
#ifndef VQS_CUDA_BATCH_H_
#define VQS_CUDA_BATCH_H_

#include "device.h"

// VqsPicture is the luma plane of one picture in device memory, wherever it lies: in the batch's own buffers, or in a decoder's
// surface, which is read in place.
struct VqsPicture {
  uint64_t address;     // of the first sample; of any alignment but that of its sample (a crop begins where it likes)
  uint32_t pitch_bytes;  // from row to row; a multiple of the sample's size
  uint32_t left_shift;   // what brings a sample to 16 bits: 8 for one of 8 bits, 16 − bpc, or 0 where the value is in the word's high bits
};
static_assert(sizeof(VqsPicture) == 16, "as in gpu/batch.go");

// VqsChroma is the chroma planes of one picture: Cb and Cr. A batch has a table for its references and one for its distorted
// pictures, whose indices are those of the luma planes, where a feature looks at chroma.
struct VqsChroma {
  uint64_t address[2];   // of the first sample of either
  uint32_t pitch_bytes;  // from row to row, of both
  uint32_t left_shift;   // as in VqsPicture
  uint32_t step;         // from sample to sample of a row, in samples: 1, or 2 where the two planes alternate
  uint32_t reserved;
};
static_assert(sizeof(VqsChroma) == 32, "as in gpu/batch.go");

constexpr uint32_t kVqsNoPicture = 0xffffffffu;

// VqsFrame is one reference picture of a batch with what it is compared with. A batch has a table of references and one of
// distorted pictures; a pair is a distorted picture with the frame that it belongs to, and numbered as the distorted pictures are.
struct VqsFrame {
  uint32_t reference;    // index into the references
  uint32_t previous[2];  // the pictures one and two frames earlier: indices into the references, or kVqsNoPicture
  uint32_t first_pair;    // its pairs are first_pair … first_pair + pairs − 1
  uint32_t pairs;        // 0 … the batch's number of renditions
};
static_assert(sizeof(VqsFrame) == 20, "as in gpu/batch.go");

// ReadPicture, ReadChroma and ReadFrame read one entry of a table.
VQS_DEVICE VqsPicture ReadPicture(const VqsPicture* table, uint32_t i) {
  VqsPicture p;
  p.address = Read(&table[i].address);
  p.pitch_bytes = Read(&table[i].pitch_bytes);
  p.left_shift = Read(&table[i].left_shift);
  return p;
}

VQS_DEVICE VqsChroma ReadChroma(const VqsChroma* table, uint32_t i) {
  VqsChroma c;
  c.address[0] = Read(&table[i].address[0]);
  c.address[1] = Read(&table[i].address[1]);
  c.pitch_bytes = Read(&table[i].pitch_bytes);
  c.left_shift = Read(&table[i].left_shift);
  c.step = Read(&table[i].step);
  c.reserved = 0;
  return c;
}

VQS_DEVICE VqsFrame ReadFrame(const VqsFrame* table, uint32_t i) {
  VqsFrame f;
  f.reference = Read(&table[i].reference);
  f.previous[0] = Read(&table[i].previous[0]);
  f.previous[1] = Read(&table[i].previous[1]);
  f.first_pair = Read(&table[i].first_pair);
  f.pairs = Read(&table[i].pairs);
  return f;
}

// Row is the address of row y of a picture of samples T (uint8_t or uint16_t).
template <typename T>
VQS_DEVICE const T* Row(const VqsPicture& p, int y) {
  return reinterpret_cast<const T*>(p.address + static_cast<uint64_t>(y) * p.pitch_bytes);
}

// ChromaRow is the same for chroma plane 0 (Cb) or 1 (Cr); sample x of the row is at [x * step].
template <typename T>
VQS_DEVICE const T* ChromaRow(const VqsChroma& c, int plane, int y) {
  return reinterpret_cast<const T*>(c.address[plane] + static_cast<uint64_t>(y) * c.pitch_bytes);
}

// Native brings a sample to its value at the picture's depth, whichever bits of the word hold it. A picture of 8 bits has samples of one
// byte, which are what they are.
VQS_DEVICE int Native(uint8_t v, uint32_t, int) { return v; }
VQS_DEVICE int Native(uint16_t v, uint32_t left_shift, int bpc) {
  return static_cast<int>((static_cast<uint32_t>(v) << left_shift) >> (16 - bpc));
}

#endif  // VQS_CUDA_BATCH_H_
