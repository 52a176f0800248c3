// cambi_values.h — c-values of all scales (spec/cambi.md §7.3), their sums, and how many are not 0. Part of cambi.cu.
//
// N(x) is a sum over the columns of the window of how many of its rows have code x there. A warp goes down a piece of 32 columns with a
// table in shared memory: for each of some neighbouring codes, and for each column that a window of its own reaches, that count, in a byte.
// From row to row one row enters the table and one leaves. A lane adds the counts of its window's columns, four at a time, for its pixel's
// code and each neighbouring one.
//
// The table has room for kRows codes. A piece whose pixels have codes further apart is gone through several times, for kRows − 2n codes
// each: those of pixels that get their c-value this time, whose neighbours are in the table too.
#ifndef VQS_CUDA_CAMBI_VALUES_H_
#define VQS_CUDA_CAMBI_VALUES_H_

#include "cambi_device.h"

namespace {

// A block is one warp, so that one that has much to do holds no others up, and barriers are for the warp alone.
constexpr int kValuesBlocks = 28;  // that a multiprocessor is to hold: 72 registers a thread
constexpr int kMaxHalf = vqs::kCambiMaxWindow / 2;
constexpr int kTableColumns = kWarp + 2 * kMaxHalf;
// Counts of the same columns for four neighbouring codes lie in different banks: 24 words are 3/4 of them.
constexpr int kTableWords = kTableColumns / 4;
static_assert(kTableColumns == 96 && kTableWords % 32 == 24, "rows of the table");
// Rows: for four contrasts what makes 6 KiB, of which multiprocessors have room for 16 or for as many as they hold blocks. For any number of
// contrasts a third of the codes at least must be left for pixels.
constexpr int kFourContrasts = 4, kFourRows = 64, kManyRows = 96;
static_assert(kManyRows - 2 * vqs::kCambiMaxContrasts >= kManyRows / 3, "room for pixels' own codes");

// On a device not a VQS_TABLE, which being const lies in constant memory: lanes want different entries.
#if defined(VQS_EMULATED)
VQS_TABLE(vqs::CambiReciprocals, kReciprocals, 1) = {vqs::MakeCambiReciprocals()};
#else
__device__ vqs::CambiReciprocals kReciprocals[1] = {vqs::MakeCambiReciprocals()};
#endif

// Piece is what a warp has of a scale's plane.
struct Piece {
  const uint16_t* plane;
  int width, height, pitch;
  int column, row, end;  // its columns and rows: column … column + 31, row … end − 1
};

// A code is looked up in the table by its distance from the table's first, which may be negative.
VQS_DEVICE uint32_t TableRow(uint32_t code, int first) { return code - static_cast<uint32_t>(first); }

// PairAt reads columns x and x + 1 of row y, x even; what is outside the plane has no code. The plane's rows end with such samples.
VQS_DEVICE uint32_t PairAt(const Piece& piece, int x, int y) {
  if (x < 0 || x >= piece.pitch || y < 0 || y >= piece.height) return 0xffffffffu;
  return Read(reinterpret_cast<const uint32_t*>(piece.plane + static_cast<uint64_t>(y) * piece.pitch + x));
}

VQS_DEVICE uint32_t SampleAt(const Piece& piece, int x, int y) { return Read(piece.plane + static_cast<uint64_t>(y) * piece.pitch + x); }

// Count adds one (or takes one away) for two neighbouring columns, the columns-th pair of the table's. Many add to a word at a time.
template <int kRows>
VQS_DEVICE void Count(const VqsShared<uint32_t>& table, int first, int columns, uint32_t pair, bool add) {
  const uint32_t left = TableRow(pair & 0xffff, first), right = TableRow(pair >> 16, first);
  const int word = columns / 2, shift = columns % 2 * 16;
  // No byte is below what is taken away from it, so a word's others do not change.
  const uint32_t one = (add ? 1u : 0xffffffffu) << shift;
  if (left == right) {
    if (left < kRows) AtomicAdd(&table[static_cast<int>(left) * kTableWords + word], one + (one << 8));
    return;
  }
  if (left < kRows) AtomicAdd(&table[static_cast<int>(left) * kTableWords + word], one);
  if (right < kRows) AtomicAdd(&table[static_cast<int>(right) * kTableWords + word], one << 8);
}

// Window is which words of a table's row a lane adds, and which bytes of the first and of the last two. Lanes add the same number
// of words; what is not of a lane's window has a factor of 0.
struct Window {
  int word, words;
  uint32_t first, last_but_one, last;
};

// Factors for the bytes of a word that lie in from … to, counted from its first.
VQS_DEVICE uint32_t ByteFactors(int from, int to) {
  uint32_t factors = 0;
#pragma unroll
  for (int i = 0; i < 4; ++i) factors |= i >= from && i <= to ? 1u << (8 * i) : 0;
  return factors;
}

// The window of a lane begins `begin` bytes into the table's rows.
VQS_DEVICE Window MakeWindow(int begin, int half) {
  Window w;
  const int from = begin % 4, to = from + 2 * half;
  const int last = (3 + 2 * half) / 4;  // of any lane; a lane's own is this one or the one before
  w.word = begin / 4;
  w.words = last + 1;
  w.first = ByteFactors(from, to);
  w.last_but_one = last >= 2 ? ByteFactors(0, to - 4 * (last - 1)) : 0;
  w.last = last >= 1 ? ByteFactors(0, to - 4 * last) : 0;
  return w;
}

// Both is the counts of two codes.
struct Both {
  uint32_t a, b;
};

// WindowCounts is N of the codes in two rows of the table.
VQS_DEVICE Both WindowCounts(const VqsShared<uint32_t>& table, const Window& w, int row_a, int row_b) {
  constexpr uint32_t kOnes = 0x01010101;
  static_assert(3 * vqs::kCambiMaxWindow < 256, "sums of three");
  const int a = row_a * kTableWords + w.word, b = row_b * kTableWords + w.word;
  Both n = {Dot4(table[a], w.first, 0), Dot4(table[b], w.first, 0)};
  const int last = w.words - 1;
  // Three counts of at most 65 still fit a byte.
  int i = 1;
  for (; i + 3 < last; i += 3) {
    n.a = Dot4(table[a + i] + table[a + i + 1] + table[a + i + 2], kOnes, n.a);
    n.b = Dot4(table[b + i] + table[b + i + 1] + table[b + i + 2], kOnes, n.b);
  }
  for (; i < last - 1; ++i) {
    n.a = Dot4(table[a + i], kOnes, n.a);
    n.b = Dot4(table[b + i], kOnes, n.b);
  }
  if (last >= 2) {
    n.a = Dot4(table[a + last - 1], w.last_but_one, n.a);
    n.b = Dot4(table[b + last - 1], w.last_but_one, n.b);
  }
  if (last >= 1) {
    n.a = Dot4(table[a + last], w.last, n.a);
    n.b = Dot4(table[b + last], w.last, n.b);
  }
  return n;
}

// CValue is a pixel's c-value. v is its code, row that code's place in the table.
template <int kContrasts>
VQS_DEVICE float CValue(const VqsCambiConfig* config, const VqsShared<uint32_t>& table, const Window& window, int v, int row) {
  const int contrasts = kContrasts != 0 ? kContrasts : static_cast<int>(Read(&config->contrasts));
  const int dark_limit = static_cast<int>(Read(&config->dark_limit));
  const uint32_t at = WindowCounts(table, window, row, row).a;
  float c = 0;
#pragma unroll kContrasts != 0 ? kContrasts : 1
  for (int d = 0; d < contrasts; ++d) {
    if (!vqs::CambiQualifies(v, d, contrasts, Read(&config->visible[d]), dark_limit)) continue;
    const Both n = WindowCounts(table, window, row + d + 1, row - d - 1);
    const uint32_t m = n.a > n.b ? n.a : n.b;
    const float reciprocal = Read(&kReciprocals[0].at[m + at]);
    const float contrast = vqs::CambiContrast(vqs::CambiWeight(d), static_cast<int>(at), static_cast<int>(m), reciprocal);
    if (contrast > c) c = contrast;
  }
  return c;
}

// Found is which codes the pixels of a piece have, of those that may have a c-value and are not below `from`, and which rows these are in.
struct Found {
  uint32_t lowest, highest;  // lowest is 0xffffffff where there is none
  int row, end;
};

VQS_DEVICE Found Find(const Piece& piece, int lane, uint32_t from, uint32_t highest) {
  uint32_t low = 0xffffffffu, high = 0, first = 0xffffffffu, last = 0;
  const int x = piece.column + lane;  // below the pitch
#pragma unroll 4
  for (int y = piece.row; y < piece.end; ++y) {
    const uint32_t sample = SampleAt(piece, x, y);
    if (!IsActive(sample, from, highest)) continue;
    low = sample < low ? sample : low;
    high = sample > high ? sample : high;
    if (first == 0xffffffffu) first = static_cast<uint32_t>(y);
    last = static_cast<uint32_t>(y);
  }
  Found f;
  f.lowest = WarpMin(low);
  f.highest = ~WarpMin(~high);
  f.row = static_cast<int>(WarpMin(first));
  f.end = static_cast<int>(~WarpMin(~last)) + 1;
  return f;
}

// Sink takes the c-values of a piece.
struct Sink {
  float* plane;  // where the scale's c-values are kept for a selection, or nullptr
  uint64_t sum;
  uint32_t nonzero;
};

VQS_DEVICE void Take(Sink* sink, const Piece& piece, int x, int y, float c) {
  sink->sum += Fixed(c);
  sink->nonzero += c > 0 ? 1 : 0;
  if (sink->plane != nullptr) Store(sink->plane + static_cast<uint64_t>(y) * piece.pitch + x, c);
}

// Pass goes down rows found.row … found.end − 1 of a piece and makes the c-values of pixels with codes from the lowest found on, as many codes
// as the table has room for.
template <int kContrasts, int kRows>
VQS_DEVICE void Pass(const VqsCambiConfig* config, const VqsShared<uint32_t>& table, const Piece& piece, const Found& found, int lane,
                     uint32_t highest, Sink* sink) {
  const int contrasts = kContrasts != 0 ? kContrasts : static_cast<int>(Read(&config->contrasts));
  const int half = static_cast<int>(Read(&config->half_window));
  const int first = static_cast<int>(found.lowest) - contrasts;  // code of the table's first row
  const uint32_t end = found.lowest + static_cast<uint32_t>(kRows - 2 * contrasts);
  const int margin = (half + 1) / 2 * 2;  // columns of the table before the piece, even
  const int pairs = (margin + kWarp + half + 1) / 2;
  const Window window = MakeWindow(margin - half + lane, half);
  const int x = piece.column + lane;
  // Where the lane's pair and, in a window that needs more than one for each lane, its second one lie; outside the plane where there is none.
  const bool two = pairs > kWarp;
  const int left = lane < pairs ? piece.column - margin + 2 * lane : -2;
  const int more = lane + kWarp < pairs ? piece.column - margin + 2 * (lane + kWarp) : -2;

  for (int i = lane; i <= kRows * kTableWords; i += kWarp) table[i] = 0;
  SyncBlock();
  for (int y = Max(found.row - half, 0); y < Min(found.row + half, piece.height); ++y) {
    Count<kRows>(table, first, lane, PairAt(piece, left, y), true);
    if (two) Count<kRows>(table, first, lane + kWarp, PairAt(piece, more, y), true);
  }
  for (int y = found.row; y < found.end; ++y) {
    const int entering = y + half, leaving = y == found.row ? -1 : y - half - 1;
    const uint32_t v = SampleAt(piece, x, y), enters = PairAt(piece, left, entering), leaves = PairAt(piece, left, leaving);
    if (two) {
      const uint32_t more_enter = PairAt(piece, more, entering), more_leave = PairAt(piece, more, leaving);
      Count<kRows>(table, first, lane + kWarp, more_enter, true);
      Count<kRows>(table, first, lane + kWarp, more_leave, false);
    }
    Count<kRows>(table, first, lane, enters, true);
    Count<kRows>(table, first, lane, leaves, false);
    SyncBlock();
    if (v >= found.lowest && v < end && v <= highest) {
      const int code = static_cast<int>(v);
      Take(sink, piece, x, y, CValue<kContrasts>(config, table, window, code, code - first));
    }
    SyncBlock();
  }
}

// Values makes the c-values of one piece. The blocks of a slot are the pieces of its scales, one after the other, in columns of 32 and
// segments of `rows` rows. contrasts has a plane for each scale, laid out as the codes'.
template <int kContrasts, int kRows>
VQS_DEVICE void Values(const VqsCambiConfig* config, VqsCambiState* states, const uint16_t* planes, float* contrasts, uint64_t slot_samples,
                       int rows) {
  // One word more: of a window of 63 the last lane's last word lies behind the row, which counts for nothing but is read.
  VQS_SHARED(uint32_t, table, kRows * kTableWords + 1);
  VqsCambiState* const state = &states[BlockZ()];
  if (Read(&state->picture) == kVqsNoPicture) return;
  int scale = 0, index = BlockX();
  VqsCambiScale s = ReadScale(config, 0);
  for (;;) {
    const int pieces = static_cast<int>(s.pitch) / kWarp * ((static_cast<int>(s.height) + rows - 1) / rows);
    if (index < pieces || scale == vqs::kCambiScales - 1) break;
    index -= pieces;
    s = ReadScale(config, ++scale);
  }
  const uint32_t active = Read(&state->active[scale]);
  if (active == 0) return;

  Piece piece;
  piece.plane = planes + BlockZ() * slot_samples + s.offset;
  piece.width = static_cast<int>(s.width);
  piece.height = static_cast<int>(s.height);
  piece.pitch = static_cast<int>(s.pitch);
  piece.column = index % (piece.pitch / kWarp) * kWarp;
  piece.row = index / (piece.pitch / kWarp) * rows;
  piece.end = Min(piece.row + rows, piece.height);
  const int lane = ThreadX();
  const uint32_t highest = Read(&config->highest);
  const uint32_t core = kRows - 2 * (kContrasts != 0 ? kContrasts : Read(&config->contrasts));
  Sink sink = {active > s.pooled ? contrasts + BlockZ() * slot_samples + s.offset : nullptr, 0, 0};
  for (uint32_t from = Read(&config->lowest);;) {
    const Found found = Find(piece, lane, from, highest);
    if (found.lowest == 0xffffffffu) break;
    Pass<kContrasts, kRows>(config, table, piece, found, lane, highest, &sink);
    from = found.lowest + core;
    if (found.highest < from) break;
  }
  const uint64_t sum = WarpSum(sink.sum);
  const uint32_t nonzero = WarpSum(sink.nonzero);
  if (lane == 0 && nonzero != 0) {
    AtomicAdd(&state->sum[scale], sum);
    AtomicAdd(&state->nonzero[scale], nonzero);
  }
}

}  // namespace

#endif  // VQS_CUDA_CAMBI_VALUES_H_
