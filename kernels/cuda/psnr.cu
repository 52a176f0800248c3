// psnr.cu — sums of squared differences of all planes.                                 Source: spec/classic-metrics.md §2
//
//   sse[pair, plane] = Σ_yx (ref − dis)²
//
// in     references, distorted               luma of T = u8 or u16, any alignment
//        reference_chroma, distorted_chroma  Cb and Cr, one after the other or alternating, where planes is 3
//        frames                              which pairs belong to which reference
// out    sse         u64[pairs][planes], zeroed by the caller, in squared units of the native depth
// fixed  difference  s32, |d| ≤ 65535;  u8: a lane's 64 squares of up to 65025 fit u32, and so does a warp's sum;  u16: u64
// order  integer sums only, so any order of threads gives the same bits
// moved  a sample: the distorted one once from memory; the reference's once from memory and for further renditions from the caches
// grid   a warp for each piece of 128 columns × 16 rows, the pieces of Y before those of Cb and Cr: x: blocks of 8 warps; z: frame.
//        No shared memory and no barrier
#include "batch.h"

namespace {

constexpr int kThreads = 256, kWarp = 32;
constexpr int kGroup = 4;  // columns of a lane
constexpr int kPieceColumns = kWarp * kGroup;
constexpr int kPieceRows = 16;

struct Four {
  int32_t v[kGroup];
};

// Source is one plane of one picture.
struct Source {
  uint64_t address;  // of the first sample
  uint32_t pitch_bytes, left_shift;
  uint32_t step;      // from sample to sample
  uint32_t odd;       // 1 where the other plane's sample comes first, of two that alternate
  bool alternates;    // with a plane that lies one sample before or after
};

VQS_DEVICE Source Luma(const VqsPicture* table, uint32_t i) {
  const VqsPicture p = ReadPicture(table, i);
  return Source{p.address, p.pitch_bytes, p.left_shift, 1, 0, false};
}

template <typename T>
VQS_DEVICE Source Chroma(const VqsChroma* table, uint32_t i, int plane) {
  const VqsChroma c = ReadChroma(table, i);
  // Chosen, not indexed, for which the two would have to lie in memory.
  const uint64_t address = plane == 0 ? c.address[0] : c.address[1], other = plane == 0 ? c.address[1] : c.address[0];
  const uint32_t odd = other < address;
  const bool neighbours = (odd ? address - other : other - address) == sizeof(T);
  return Source{address, c.pitch_bytes, c.left_shift, c.step, odd, c.step == 2 && neighbours};
}

// How a lane gets its four samples.
enum Form {
  kSingly,       // one by one, as far as there are
  kTogether,     // by one load
  kAlternating,  // by one load of eight, of which it takes every other
};

template <typename T>
VQS_DEVICE Form FormOf(const Source& s) {
  if (s.step == 1) return (s.address | s.pitch_bytes) % (kGroup * sizeof(T)) == 0 ? kTogether : kSingly;
  const uint64_t first = s.address - s.odd * sizeof(T);
  return s.alternates && (first | s.pitch_bytes) % (2 * kGroup * sizeof(T)) == 0 ? kAlternating : kSingly;
}

VQS_DEVICE Four Together(const uint8_t* p) {
  const uint32_t w = Read(reinterpret_cast<const uint32_t*>(p));
  return Four{{static_cast<int32_t>(w & 0xff), static_cast<int32_t>(w >> 8 & 0xff), static_cast<int32_t>(w >> 16 & 0xff),
               static_cast<int32_t>(w >> 24)}};
}

VQS_DEVICE Four Together(const uint16_t* p) {
  const VqsWord2 w = Read(reinterpret_cast<const VqsWord2*>(p));
  return Four{{static_cast<int32_t>(w.x & 0xffff), static_cast<int32_t>(w.x >> 16), static_cast<int32_t>(w.y & 0xffff),
               static_cast<int32_t>(w.y >> 16)}};
}

// Alternating: p is of the first of the two planes.
VQS_DEVICE Four Alternating(const uint8_t* p, uint32_t odd) {
  const VqsWord2 w = Read(reinterpret_cast<const VqsWord2*>(p));
  const uint32_t a = w.x >> 8 * odd, b = w.y >> 8 * odd;
  return Four{{static_cast<int32_t>(a & 0xff), static_cast<int32_t>(a >> 16 & 0xff), static_cast<int32_t>(b & 0xff),
               static_cast<int32_t>(b >> 16 & 0xff)}};
}

VQS_DEVICE Four Alternating(const uint16_t* p, uint32_t odd) {
  const VqsWord4 w = Read(reinterpret_cast<const VqsWord4*>(p));
  return Four{{static_cast<int32_t>(w.x >> 16 * odd & 0xffff), static_cast<int32_t>(w.y >> 16 * odd & 0xffff),
               static_cast<int32_t>(w.z >> 16 * odd & 0xffff), static_cast<int32_t>(w.w >> 16 * odd & 0xffff)}};
}

// Load gives columns x … x + 3 of row y at their native values. Singly, those beyond the count-th are 0.
template <typename T, Form kForm>
VQS_DEVICE Four Load(const Source& s, int x, int y, int count, int bpc) {
  const T* const row = reinterpret_cast<const T*>(s.address + static_cast<uint64_t>(y) * s.pitch_bytes);
  Four four = {};
  if (kForm == kTogether) {
    four = Together(row + x);
  } else if (kForm == kAlternating) {
    four = Alternating(row - s.odd + 2 * x, s.odd);
  } else {
#pragma unroll
    for (int i = 0; i < kGroup; ++i) {
      if (i < count) four.v[i] = Read(row + static_cast<int64_t>(x + i) * s.step);
    }
  }
#pragma unroll
  for (int i = 0; i < kGroup; ++i) four.v[i] = Native(static_cast<T>(four.v[i]), s.left_shift, bpc);
  return four;
}

// AddSquare adds to what a lane has: in 32 bits where they suffice. Not with MultiplyAdd, with which clang does not unroll the loop of a
// number of rows that it does not know.
VQS_DEVICE void AddSquare(int32_t d, uint32_t& sum) { sum += static_cast<uint32_t>(d * d); }
VQS_DEVICE void AddSquare(int32_t d, uint64_t& sum) {
  const uint32_t magnitude = static_cast<uint32_t>(d < 0 ? -d : d);
  sum += static_cast<uint64_t>(magnitude) * magnitude;
}

template <typename T>
struct SumOf;
template <>
struct SumOf<uint8_t> {
  using Type = uint32_t;
};
template <>
struct SumOf<uint16_t> {
  using Type = uint64_t;
};

// Piece is where a lane works.
struct Piece {
  int x, row, rows;
  int count;  // of its columns that lie in the plane, 0 … 4
  int bpc;
};

template <typename T, Form kRef, Form kDis>
VQS_DEVICE typename SumOf<T>::Type PieceSum(const Source& ref, const Source& dis, const Piece& piece) {
  typename SumOf<T>::Type sum = 0;
#pragma unroll 4
  for (int i = 0; i < piece.rows; ++i) {
    const Four r = Load<T, kRef>(ref, piece.x, piece.row + i, piece.count, piece.bpc);
    const Four d = Load<T, kDis>(dis, piece.x, piece.row + i, piece.count, piece.bpc);
#pragma unroll
    for (int c = 0; c < kGroup; ++c) AddSquare(r.v[c] - d.v[c], sum);
  }
  return piece.count > 0 ? sum : 0;
}

template <typename T>
VQS_DEVICE typename SumOf<T>::Type PieceSum(const Source& ref, const Source& dis, const Piece& piece, bool whole) {
  const Form r = FormOf<T>(ref), d = FormOf<T>(dis);
  if (!whole || r == kSingly || d == kSingly) return PieceSum<T, kSingly, kSingly>(ref, dis, piece);
  if (r == kTogether) {
    return d == kTogether ? PieceSum<T, kTogether, kTogether>(ref, dis, piece) : PieceSum<T, kTogether, kAlternating>(ref, dis, piece);
  }
  return d == kTogether ? PieceSum<T, kAlternating, kTogether>(ref, dis, piece) : PieceSum<T, kAlternating, kAlternating>(ref, dis, piece);
}

VQS_DEVICE int Pieces(int width, int height) {
  return (width + kPieceColumns - 1) / kPieceColumns * ((height + kPieceRows - 1) / kPieceRows);
}

template <typename T>
VQS_DEVICE void Sse(const VqsPicture* references, const VqsPicture* distorted, const VqsChroma* reference_chroma,
                    const VqsChroma* distorted_chroma, const VqsFrame* frames, int planes, int width, int height, int chroma_width,
                    int chroma_height, int bpc, uint64_t* sse) {
  const int lane = ThreadX() % kWarp;
  int index = BlockX() * (kThreads / kWarp) + ThreadX() / kWarp;
  int plane = 0;
  while (plane < planes && index >= Pieces(width, height)) {
    index -= Pieces(width, height);
    width = chroma_width;
    height = chroma_height;
    ++plane;
  }
  if (plane == planes) return;  // the same for all lanes

  const int across = (width + kPieceColumns - 1) / kPieceColumns;
  Piece piece;
  piece.x = index % across * kPieceColumns + lane * kGroup;
  piece.row = index / across * kPieceRows;
  piece.rows = Min(kPieceRows, height - piece.row);
  piece.count = Max(0, Min(kGroup, width - piece.x));
  piece.bpc = bpc;
  // Lanes beyond the plane read what another one reads.
  if (piece.count == 0) piece.x = 0;
  const bool whole = WarpSum(static_cast<uint32_t>(piece.count % kGroup != 0 || width < kGroup)) == 0;

  const VqsFrame frame = ReadFrame(frames, BlockZ());
  const Source ref = plane == 0 ? Luma(references, frame.reference) : Chroma<T>(reference_chroma, frame.reference, plane - 1);
  for (uint32_t pair = frame.first_pair; pair < frame.first_pair + frame.pairs; ++pair) {
    const Source dis = plane == 0 ? Luma(distorted, pair) : Chroma<T>(distorted_chroma, pair, plane - 1);
    const uint64_t sum = WarpSum(PieceSum<T>(ref, dis, piece, whole));
    if (lane == 0) AtomicAdd(&sse[pair * static_cast<uint32_t>(planes) + static_cast<uint32_t>(plane)], sum);
  }
}

}  // namespace

// planes is 1 or 3.
extern "C" __global__ void __launch_bounds__(kThreads)
    vqs_psnr_sse_u8(const VqsPicture* references, const VqsPicture* distorted, const VqsChroma* reference_chroma,
                    const VqsChroma* distorted_chroma, const VqsFrame* frames, int planes, int width, int height, int chroma_width,
                    int chroma_height, int bpc, uint64_t* sse) {
  Sse<uint8_t>(references, distorted, reference_chroma, distorted_chroma, frames, planes, width, height, chroma_width, chroma_height, bpc,
               sse);
}

extern "C" __global__ void __launch_bounds__(kThreads)
    vqs_psnr_sse_u16(const VqsPicture* references, const VqsPicture* distorted, const VqsChroma* reference_chroma,
                     const VqsChroma* distorted_chroma, const VqsFrame* frames, int planes, int width, int height, int chroma_width,
                     int chroma_height, int bpc, uint64_t* sse) {
  Sse<uint16_t>(references, distorted, reference_chroma, distorted_chroma, frames, planes, width, height, chroma_width, chroma_height, bpc,
                sse);
}
