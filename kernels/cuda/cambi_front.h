// cambi_front.h — from a picture to the plane of scale 0 (spec/cambi.md §5, §6, §7.1, §7.2), and from each scale to the next. Part of cambi.cu.
#ifndef VQS_CUDA_CAMBI_FRONT_H_
#define VQS_CUDA_CAMBI_FRONT_H_

#include "cambi_device.h"

namespace {

// A block of the front end has a tile of the working size, and what the mask, the flatness below it and the anti-dither filter below that
// need around it: 3 rows and columns before, 3 + 1 + 1 after. Columns are handled by fours, so there is one more before and three after.
constexpr int kFrontThreads = 256, kFrontBlocks = 4;
constexpr int kTileColumns = 64, kTileRows = 32;
constexpr int kTop = vqs::kCambiMaskRadius, kLeft = 4;
constexpr int kSampleRows = kTop + kTileRows + vqs::kCambiMaskRadius + 2;
constexpr int kSampleFours = (kLeft + kTileColumns + 8) / 4;
constexpr int kFlatRows = kTileRows + 2 * vqs::kCambiMaskRadius;
constexpr int kFlatFours = kSampleFours - 1;
static_assert(kLeft >= kTop && 4 * kSampleFours - kLeft >= kTileColumns + vqs::kCambiMaskRadius + 2, "the tile's surroundings");

// Tile is where a block works and what it reads.
struct Tile {
  int width, height;  // working size
  int column, row;    // of the tile's first sample; of the shared arrays' first, kLeft and kTop less
  VqsPicture picture;
  uint64_t columns, rows;  // as in VqsCambiConfig
  bool fours;              // samples can be loaded four at a time
};

VQS_DEVICE int Clamp(int v, int size) { return Max(0, Min(v, size - 1)); }

template <typename T>
VQS_DEVICE Tile MakeTile(const VqsCambiConfig* config, const VqsPicture& picture) {
  Tile tile;
  tile.width = static_cast<int>(Read(&config->width));
  tile.height = static_cast<int>(Read(&config->height));
  const int across = (tile.width + kTileColumns - 1) / kTileColumns;
  tile.column = BlockX() % across * kTileColumns;
  tile.row = BlockX() / across * kTileRows;
  tile.picture = picture;
  tile.columns = Read(&config->columns);
  tile.rows = Read(&config->rows);
  tile.fours = tile.columns == 0 && (picture.address | picture.pitch_bytes) % (4 * sizeof(T)) == 0;
  return tile;
}

// LoadFour reads four neighbouring samples at once, into the halves of two words. Their address is a multiple of what that takes.
VQS_DEVICE VqsWord2 LoadFour(const uint8_t* p) {
  const uint32_t w = Read(reinterpret_cast<const uint32_t*>(p));
  return VqsWord2{Bytes(w, 0, 0x4140), Bytes(w, 0, 0x4342)};
}
VQS_DEVICE VqsWord2 LoadFour(const uint16_t* p) { return Read(reinterpret_cast<const VqsWord2*>(p)); }

// Converted takes a pair of samples to the 10-bit scale. A byte is shifted, which both halves of a word can be at once.
template <typename T>
VQS_DEVICE uint32_t Converted(uint32_t pair, uint32_t left_shift, int bpc) {
  if (sizeof(T) == 1) return pair << (vqs::kCambiBits - 8);
  const uint32_t low = static_cast<uint32_t>(Native(static_cast<T>(pair & 0xffff), left_shift, bpc));
  const uint32_t high = static_cast<uint32_t>(Native(static_cast<T>(pair >> 16), left_shift, bpc));
  return vqs::CambiSample(bpc, low) | static_cast<uint32_t>(vqs::CambiSample(bpc, high)) << 16;
}

// Samples is the picture's samples at working columns x … x + 3 of working row y, on the 10-bit scale. What lies outside is what the border
// has: the mean of four samples of which two are repeated is that of two (§5.3), and neighbours that are equal are flat (§6).
template <typename T>
VQS_DEVICE VqsWord2 Samples(const Tile& tile, int x, int y, int bpc) {
  y = Clamp(y, tile.height);
  if (tile.rows != 0) y = static_cast<int>(Read(reinterpret_cast<const uint32_t*>(tile.rows) + y));
  const T* const row = Row<T>(tile.picture, y);
  VqsWord2 four;
  if (tile.fours && x >= 0 && x + 4 <= tile.width) {
    four = LoadFour(row + x);
  } else {
    uint32_t v[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      int column = Clamp(x + i, tile.width);
      if (tile.columns != 0) column = static_cast<int>(Read(reinterpret_cast<const uint32_t*>(tile.columns) + column));
      v[i] = Read(row + column);
    }
    four = VqsWord2{v[0] | v[1] << 16, v[2] | v[3] << 16};
  }
  return VqsWord2{Converted<T>(four.x, tile.picture.left_shift, bpc), Converted<T>(four.y, tile.picture.left_shift, bpc)};
}

// MeanPair is the anti-dither filter at two samples, of which after is the one to the right; below and after_below are those of the next row.
VQS_DEVICE uint32_t MeanPair(uint32_t pair, uint32_t after, uint32_t below, uint32_t after_below) {
  const uint32_t left = vqs::CambiMean4(pair & 0xffff, pair >> 16, below & 0xffff, below >> 16);
  const uint32_t right = vqs::CambiMean4(pair >> 16, after & 0xffff, below >> 16, after_below & 0xffff);
  return left | right << 16;
}

// AntiDither filters all of the shared samples that have a right and a lower neighbour there; the last four columns, of which only the mean
// with themselves is at hand, nobody looks at.
VQS_DEVICE void AntiDither(const VqsShared<VqsWord2>& in, const VqsShared<VqsWord2>& out) {
  for (int i = ThreadX(); i < (kSampleRows - 1) * kSampleFours; i += kFrontThreads) {
    const bool last = i % kSampleFours == kSampleFours - 1;
    const VqsWord2 now = in[i], below = in[i + kSampleFours];
    const VqsWord2 after = last ? now : in[i + 1], after_below = last ? below : in[i + kSampleFours + 1];
    out[i] = VqsWord2{MeanPair(now.x, now.y, below.x, below.y), MeanPair(now.y, after.x, below.y, after_below.x)};
  }
}

// Flatness is z of §6, in a byte for each of four samples: 1 where the right and the lower neighbour have the same code.
VQS_DEVICE uint32_t Flatness(const VqsWord2& now, uint32_t after, const VqsWord2& below) {
  const uint32_t d0 = (now.x ^ (now.x >> 16 | now.y << 16)) | (now.x ^ below.x);
  const uint32_t d1 = (now.y ^ (now.y >> 16 | after << 16)) | (now.y ^ below.y);
  return ((d0 & 0xffff) == 0 ? 1u : 0u) | (d0 >> 16 == 0 ? 1u << 8 : 0u) | ((d1 & 0xffff) == 0 ? 1u << 16 : 0u) |
         (d1 >> 16 == 0 ? 1u << 24 : 0u);
}

// InsideBytes has 0xff for those of columns x … x + 3 that lie in the picture.
VQS_DEVICE uint32_t InsideBytes(int x, int width) {
  uint32_t inside = 0;
#pragma unroll
  for (int i = 0; i < 4; ++i) inside |= x + i >= 0 && x + i < width ? 0xffu << (8 * i) : 0;
  return inside;
}

VQS_DEVICE void MarkFlat(const Tile& tile, const VqsShared<VqsWord2>& level, const VqsShared<uint32_t>& flat) {
  const bool inside = tile.column >= kLeft && tile.column - kLeft + 4 * kFlatFours <= tile.width;
  for (int i = ThreadX(); i < kFlatRows * kFlatFours; i += kFrontThreads) {
    const int row = i / kFlatFours, four = i % kFlatFours;
    const int y = tile.row - kTop + row;
    const int at = row * kSampleFours + four;
    const VqsWord2 after = level[at + 1];
    uint32_t z = Flatness(level[at], after.x, level[at + kSampleFours]);
    if (!inside) z &= InsideBytes(tile.column - kLeft + 4 * four, tile.width);
    flat[i] = y >= 0 && y < tile.height ? z : 0;
  }
}

// SumDown adds the seven rows around each kept one, four columns in the bytes of a word.
VQS_DEVICE void SumDown(int step, const VqsShared<uint32_t>& flat, const VqsShared<uint32_t>& down) {
  for (int i = ThreadX(); i < kTileRows / step * kFlatFours; i += kFrontThreads) {
    const int at = i / kFlatFours * step * kFlatFours + i % kFlatFours;
    uint32_t sum = 0;
#pragma unroll
    for (int t = 0; t < 2 * vqs::kCambiMaskRadius + 1; ++t) sum += flat[at + t * kFlatFours];
    down[i] = sum;
  }
}

// SumAcross is the 7×7 sum of the four columns of now, at most 49 in a byte.
VQS_DEVICE uint32_t SumAcross(uint32_t before, uint32_t now, uint32_t after) {
  return now + Bytes(before, now, 0x4321) + Bytes(before, now, 0x5432) + Bytes(before, now, 0x6543) + Bytes(now, after, 0x4321) +
         Bytes(now, after, 0x5432) + Bytes(now, after, 0x6543);
}

// Kept is what a thread makes at a time: the samples that are kept of four neighbouring ones, and the one before and after them.
template <int kStep>
struct Kept {
  static constexpr int kCount = 4 / kStep;
  uint16_t v[kCount + 2];
};

// ReadKept reads a row of them; at is the place of the first of the four in the shared array.
template <int kStep>
VQS_DEVICE Kept<kStep> ReadKept(const VqsShared<VqsWord2>& level, int at) {
  const VqsWord2 before = level[at - 1], now = level[at], after = level[at + 1];
  Kept<kStep> k;
  k.v[0] = static_cast<uint16_t>(kStep == 1 ? before.y >> 16 : before.y);
  if (kStep == 1) {
    k.v[1] = static_cast<uint16_t>(now.x);
    k.v[2] = static_cast<uint16_t>(now.x >> 16);
    k.v[3] = static_cast<uint16_t>(now.y);
    k.v[Kept<kStep>::kCount] = static_cast<uint16_t>(now.y >> 16);
  } else {
    k.v[1] = static_cast<uint16_t>(now.x);
    k.v[2] = static_cast<uint16_t>(now.y);
  }
  k.v[Kept<kStep>::kCount + 1] = static_cast<uint16_t>(after.x);
  return k;
}

// FilteredKept is the mode filter (§7.2) at the kept samples of which x, y is the first's place in the plane. Those in its first and last column
// have no neighbour on one side, for which they stand in themselves: two equal ones of three are the result.
template <int kStep>
VQS_DEVICE Kept<kStep> FilteredKept(const VqsShared<VqsWord2>& level, int at, int x, int y, int width, int height) {
  constexpr int kCount = Kept<kStep>::kCount, kRow = kSampleFours * kStep;
  if (y == 0 || y == height - 1) return ReadKept<kStep>(level, at);
  uint16_t h[3][kCount];
#pragma unroll
  for (int i = 0; i < 3; ++i) {
    const Kept<kStep> k = ReadKept<kStep>(level, at + (i - 1) * kRow);
#pragma unroll
    for (int c = 0; c < kCount; ++c) {
      const uint16_t before = c == 0 && x == 0 ? k.v[c + 1] : k.v[c];
      const uint16_t after = x + c == width - 1 ? k.v[c + 1] : k.v[c + 2];
      h[i][c] = vqs::CambiMode3(before, k.v[c + 1], after);
    }
  }
  Kept<kStep> out = {};
#pragma unroll
  for (int c = 0; c < kCount; ++c) out.v[c + 1] = vqs::CambiMode3(h[0][c], h[1][c], h[2][c]);
  return out;
}

// WriteTile makes the tile's part of the plane and is how many of its pixels are active, of the calling thread's.
template <int kStep>
VQS_DEVICE uint32_t WriteTile(const VqsCambiConfig* config, const Tile& tile, uint32_t threshold, const VqsShared<VqsWord2>& level,
                              const VqsShared<uint32_t>& down, uint16_t* slot) {
  constexpr int kFours = kTileColumns / 4, kCount = Kept<kStep>::kCount;
  const VqsCambiScale plane = ReadScale(config, 0);
  const int width = static_cast<int>(plane.width), height = static_cast<int>(plane.height), pitch = static_cast<int>(plane.pitch);
  const uint32_t lowest = Read(&config->lowest), highest = Read(&config->highest);
  uint32_t active = 0;
  for (int i = ThreadX(); i < kTileRows / kStep * kFours; i += kFrontThreads) {
    const int row = i / kFours, four = i % kFours;
    const int y = tile.row / kStep + row, x = tile.column / kStep + kCount * four;
    if (y >= height || x >= pitch) continue;
    const int sums = row * kFlatFours + four;
    const uint32_t box = SumAcross(down[sums], down[sums + 1], down[sums + 2]);
    const int at = (kTop + row * kStep) * kSampleFours + kLeft / 4 + four;
    const Kept<kStep> code = FilteredKept<kStep>(level, at, x, y, width, height);
    uint32_t pairs[kCount / 2] = {};
#pragma unroll
    for (int c = 0; c < kCount; ++c) {
      const bool masked = x + c < width && (box >> (8 * kStep * c) & 0xff) > threshold;
      const uint32_t sample = masked ? code.v[c + 1] : code.v[c + 1] | kMaskedOut;
      active += IsActive(sample, lowest, highest) ? 1 : 0;
      pairs[c / 2] |= sample << (c % 2 * 16);
    }
    uint16_t* const out = slot + plane.offset + static_cast<uint64_t>(y) * plane.pitch + x;
    if (kCount == 4) {
      Store(reinterpret_cast<VqsWord2*>(out), VqsWord2{pairs[0], pairs[kCount / 2 - 1]});
    } else {
      Store(reinterpret_cast<uint32_t*>(out), pairs[0]);
    }
  }
  return active;
}

// BlockSum is the sum over the block, for thread 0. It writes to space, which nobody has used since the last barrier. One addition a block: those
// of thousands to one word of memory follow each other.
VQS_DEVICE uint32_t BlockSum(uint32_t v, const VqsShared<uint32_t>& space) {
  constexpr int kWarps = kFrontThreads / kWarp;
  v = WarpSum(v);
  if (ThreadX() % kWarp == 0) space[ThreadX() / kWarp] = v;
  SyncBlock();
  uint32_t sum = 0;
  for (int i = 0; i < kWarps && ThreadX() == 0; ++i) sum += space[i];
  return sum;
}

template <typename T>
VQS_DEVICE void Front(const VqsCambiConfig* config, const VqsPicture* pictures, VqsCambiState* states, uint16_t* planes, uint64_t slot_samples,
                      int bpc) {
  VQS_SHARED(VqsWord2, samples, kSampleRows * kSampleFours);
  VQS_SHARED(VqsWord2, filtered, kSampleRows * kSampleFours);
  VQS_SHARED(uint32_t, flat, kFlatRows * kFlatFours);
  VQS_SHARED(uint32_t, down, kTileRows * kFlatFours);
  VqsCambiState* const state = &states[BlockZ()];
  const uint32_t index = Read(&state->picture);
  if (index == kVqsNoPicture) return;

  const Tile tile = MakeTile<T>(config, ReadPicture(pictures, index));
  for (int i = ThreadX(); i < kSampleRows * kSampleFours; i += kFrontThreads) {
    const int x = tile.column - kLeft + i % kSampleFours * 4, y = tile.row - kTop + i / kSampleFours;
    samples[i] = Samples<T>(tile, x, y, bpc);
  }
  SyncBlock();
  const bool anti_dither = Read(&config->anti_dither) != 0;
  if (anti_dither) {
    AntiDither(samples, filtered);
    SyncBlock();
  }
  const VqsShared<VqsWord2> level = anti_dither ? filtered + 0 : samples + 0;
  MarkFlat(tile, level, flat);
  SyncBlock();
  const int step = static_cast<int>(Read(&config->step));
  SumDown(step, flat, down);
  SyncBlock();

  const uint32_t threshold = Read(&state->threshold);
  uint16_t* const slot = planes + BlockZ() * slot_samples;
  const uint32_t own = step == 1 ? WriteTile<1>(config, tile, threshold, level, down, slot) : WriteTile<2>(config, tile, threshold, level, down, slot);
  const uint32_t active = BlockSum(own, flat);
  if (ThreadX() == 0 && active != 0) AtomicAdd(&state->active[0], active);
}

// A warp of the filter has a piece of 32 columns and some rows of a scale.
constexpr int kFilterThreads = 128, kFilterRows = 8;

// Across is the mode filter's horizontal step at a sample of the scale that is the even samples of in, whose rows are pitch apart; kept gets
// the sample itself, with the mask's bit.
VQS_DEVICE uint16_t Across(const uint16_t* in, int pitch, int x, int y, int width, uint32_t* kept) {
  const uint16_t* const p = in + static_cast<uint64_t>(2 * y) * pitch + 2 * x;
  *kept = Read(p);
  const uint16_t v = static_cast<uint16_t>(*kept & ~kMaskedOut);
  if (x == 0 || x == width - 1) return v;
  return vqs::CambiMode3(static_cast<uint16_t>(Read(p - 2) & ~kMaskedOut), v, static_cast<uint16_t>(Read(p + 2) & ~kMaskedOut));
}

VQS_DEVICE void Filter(const VqsCambiConfig* config, VqsCambiState* states, uint16_t* planes, uint64_t slot_samples, int scale) {
  VqsCambiState* const state = &states[BlockZ()];
  if (Read(&state->picture) == kVqsNoPicture) return;
  const VqsCambiScale from = ReadScale(config, scale - 1), to = ReadScale(config, scale);
  const int width = static_cast<int>(to.width), height = static_cast<int>(to.height);
  const int pieces = static_cast<int>(to.pitch) / kWarp, lane = ThreadX() % kWarp;
  const int index = BlockX() * (kFilterThreads / kWarp) + ThreadX() / kWarp;
  const int x = index % pieces * kWarp + lane, first = index / pieces * kFilterRows;
  if (first >= height) return;  // the same for all lanes

  uint16_t* const base = planes + BlockZ() * slot_samples;
  const uint16_t* const in = base + from.offset;
  const int pitch = static_cast<int>(from.pitch), inside = Min(x, width - 1);
  const uint32_t lowest = Read(&config->lowest), highest = Read(&config->highest);
  uint32_t active = 0, kept = 0, next_kept = 0;
  uint16_t above = Across(in, pitch, inside, Max(first - 1, 0), width, &kept);
  uint16_t now = Across(in, pitch, inside, first, width, &kept);
  for (int y = first; y < Min(first + kFilterRows, height); ++y) {
    const uint16_t below = Across(in, pitch, inside, Min(y + 1, height - 1), width, &next_kept);
    uint32_t sample = kept;
    if (y != 0 && y != height - 1) sample = vqs::CambiMode3(above, now, below) | (kept & kMaskedOut);
    if (x >= width) sample = kMaskedOut;
    active += IsActive(sample, lowest, highest) ? 1 : 0;
    Store(base + to.offset + static_cast<uint64_t>(y) * to.pitch + x, static_cast<uint16_t>(sample));
    above = now;
    now = below;
    kept = next_kept;
  }
  active = WarpSum(active);
  if (lane == 0 && active != 0) AtomicAdd(&state->active[scale], active);
}

}  // namespace

#endif  // VQS_CUDA_CAMBI_FRONT_H_
