// vif.cu — Visual Information Fidelity in integers: sums over a picture, one scale a launch.         Source: spec/vif.md
//
// in     references, distorted   pictures of T = u8 or u16 brought to 16 bits by their shift, any alignment; at scales 1…3 what the
//                    launch before made
//        frames      which pictures belong together
// out    sums        u64[pairs][3 + limits][4]: DL, C, NV, then NL under each gain limit, by scale; zeroed by the caller
//        next_…      the pictures of the next scale, u16
// fixed  kVifTaps    Q16, Σ = 65536
//        x           sample, 16 bits (8 at scale 0 of 8-bit pictures, with shifts that make up for it: the bits are those of any depth)
//        m           Σ f·x: u32 Q16 → u16;  horizontally A = Σ f·m: u32 Q16
//        p11, p22    Σ f·x²: u32. Kept as P = p − 2^16·m + 2^30 + 2^15, which is E[(x − 2^15)²] and a rounding of less than 2^15: it
//                    lies in 0 … 2^30 + 2^16, so that P of two columns that share a tap can be added in 32 bits first. In the end
//                    (Σ f·p + 2^15) >> 16 = ((Σ f·P + 2^15) >> 16) + A − 2^30 − 2^15, since the other terms have no fraction there.
//        p12         Σ f·x·y: u32, as it is. It would need 33 bits, so its columns are multiplied one by one
//        Q           Σ f·P, Σ f·p12: u64, 48 bits
//        v, n2       integers, of a division with remainder; f64 where that leaves it open, for one pixel in 10^4: vif_device.h
// order  integer sums only, so any order of threads gives the same bits
// moved  at scale 0, a pixel and picture: 1 sample from memory and 1/2 byte to it, the next scale's; 5.3 samples from the first-level cache, since
//        bands of 4 rows look at 20 and strips overlap by 16 columns; 20 bytes to shared memory, 60 from there
// work   at scale 0 with 8 bits, a pixel: of the reference 36 multiply-adds in 32 bits and 10 in 64, of each rendition 50 and 31; pairing of
//        equal taps has halved them. In all about 160 instructions and 300 (350 with 9 to 16 bits); at scale 1 to 3: 130, 100, 75 and 260,
//        220, 190. bench/README.md has what ptxas makes of it
// grid   x: strips of 240 columns (248 from scale 1 on), y: segments of `rows` rows, z: frame; 256 threads; 24 KiB shared; 80 registers
//
// A block goes down its strip in bands of 4 rows: for the reference, then for each of the frame's renditions,
//   vertically    a thread has one of 256 columns, the halo on both sides included, and forms 4 rows from a window of 20 in registers;
//   horizontally  it has 4 neighbouring columns of one row, from a window of 20.
// Of the reference a thread keeps its samples for the renditions, in registers, and A and variance, in shared memory.
#include "batch.h"
#include "mirror.h"
#include "vif_arith.h"
#include "vif_device.h"
#include "vif_log.h"

namespace {

constexpr int kThreads = 256, kWarp = 32, kBlocks = 3;     // blocks that a multiprocessor's registers are to suffice for
constexpr int kColumns = kThreads;                         // filtered vertically, halo included
constexpr int kRows = 4;                                   // of a band
constexpr int kGroup = 4;                                  // neighbouring columns that a thread filters at once
constexpr int kRowThreads = kThreads / kRows;              // threads of a row
constexpr int kNextRows = kRows / 2;
static_assert(kRowThreads * kGroup == kColumns, "how rows and columns fall to threads");

constexpr uint32_t kRound = 1u << 15;                      // half of Q16's unit
constexpr uint32_t kCentre = (1u << 30) + (1u << 15);      // what is added to P: see above

// Again is v, and hides from the compiler that it is: what is computed of it in a loop is computed there each time rather than kept
// in registers, which are scarcer than instructions here.
VQS_DEVICE uint32_t Again(uint32_t v) {
  asm volatile("" : "+r"(v));
  return v;
}

template <int kScale>
struct Filter {
  static constexpr int kTaps = kVifTapCount[kScale], kHalf = kTaps / 2;
  static constexpr int kWindow = kRows + 2 * kHalf;        // rows that the rows of a band reach
  static constexpr int kHalo = kScale == 0 ? 8 : 4;        // columns beside those of the block: kHalf at least, and a multiple of kGroup
  static constexpr int kOutputs = kColumns - 2 * kHalo;
  static constexpr int kBefore = kHalo - kHalf;            // columns of the halo that are not reached
  static constexpr int kReach = kGroup + 2 * kHalo;        // columns that are loaded for those of a group
};

constexpr int kLongestWindow = Filter<0>::kWindow;
static_assert(kLongestWindow % 4 == 0, "loaded four at a time");

// Tap is tap k of a scale.
template <int kScale>
VQS_DEVICE constexpr uint32_t Tap(int k) {
  return static_cast<uint32_t>(kVifTaps[kScale][k]);
}

// PairSum is start + Σ f·w over the taps at w[first] …, modulo 2^32. Equal taps share a multiplication; a sum of two values fits 32 bits.
template <int kScale, int n>
VQS_DEVICE uint32_t PairSum(const uint32_t (&w)[n], int first, uint32_t start) {
  constexpr int half = Filter<kScale>::kHalf;
  uint32_t sum = start + w[first + half] * Tap<kScale>(half);
#pragma unroll
  for (int k = 0; k < half; ++k) sum += (w[first + k] + w[first + 2 * half - k]) * Tap<kScale>(k);
  return sum;
}

// WidePairSum is the same in 64 bits; the sum of two values still fits 32.
template <int kScale, int n>
VQS_DEVICE uint64_t WidePairSum(const uint32_t (&w)[n], int first, uint32_t start) {
  constexpr int half = Filter<kScale>::kHalf;
  uint64_t sum = start + MultiplyWide(w[first + half], Tap<kScale>(half));
#pragma unroll
  for (int k = 0; k < half; ++k) sum += MultiplyWide(w[first + k] + w[first + 2 * half - k], Tap<kScale>(k));
  return sum;
}

// WideSum is the same for values of which two do not fit.
template <int kScale, int n>
VQS_DEVICE uint64_t WideSum(const uint32_t (&w)[n], int first, uint32_t start) {
  uint64_t sum = start;
#pragma unroll
  for (int k = 0; k < Filter<kScale>::kTaps; ++k) sum += MultiplyWide(w[first + k], Tap<kScale>(k));
  return sum;
}

// ------------------------------------------------------------------------------------------ vertical filter

// Samples are the window of one column: of 8 bits as they are, others brought to 16.
template <typename T, int kScale>
struct Samples {
  static constexpr int n = Filter<kScale>::kWindow;
  static constexpr int kUnit = sizeof(T) == 1 ? 8 : 0;     // what a sample lacks to 16 bits
  uint32_t x[n];
};

// LoadSamples reads column x of the window's rows. They come from shared memory, four a load, and are mirrored there for all pictures.
template <typename T, int kScale>
VQS_DEVICE Samples<T, kScale> LoadSamples(const VqsPicture& picture, VqsShared<uint32_t> rows, uint32_t x) {
  Samples<T, kScale> s;
  const uint64_t column = picture.address + MultiplyWide(x, sizeof(T));
  const int first = static_cast<int>(Again(0)) * 4;
#pragma unroll
  for (int i = 0; i < s.n; i += 4) {
    const VqsWord4 four = FourOf(rows, first + i);
    const uint32_t row[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
    for (int j = 0; j < 4 && i + j < s.n; ++j) {
      const uint32_t sample = Read(reinterpret_cast<const T*>(column + MultiplyWide(row[j], picture.pitch_bytes)));
      s.x[i + j] = sizeof(T) == 1 ? sample : sample << picture.left_shift & 0xffff;
    }
  }
  return s;
}

// Packed keeps a window in fewer registers.
template <typename T, int kScale>
struct Packed {
  static constexpr int n = Filter<kScale>::kWindow, kPer = 4 / sizeof(T);
  uint32_t word[n / kPer];
};

template <typename T, int kScale>
VQS_DEVICE Packed<T, kScale> Pack(const Samples<T, kScale>& s) {
  Packed<T, kScale> p = {};
#pragma unroll
  for (int i = 0; i < s.n; ++i) p.word[i / p.kPer] |= s.x[i] << (8 * sizeof(T) * (i % p.kPer));
  return p;
}

template <typename T, int kScale>
VQS_DEVICE Samples<T, kScale> Unpack(const Packed<T, kScale>& p) {
  Samples<T, kScale> s;
#pragma unroll
  for (int i = 0; i < s.n; i += p.kPer) {
    const uint32_t word = Again(p.word[i / p.kPer]);
#pragma unroll
    for (int j = 0; j < p.kPer; ++j) s.x[i + j] = Bytes(word, 0, sizeof(T) == 1 ? 0x4440 + j : 0x4410 + j * 0x22);
  }
  return s;
}

// StoreMeans filters a column of one picture: m of a band's rows. rounding gets what the squares need of its roundings.
template <typename T, int kScale>
VQS_DEVICE void StoreMeans(const Samples<T, kScale>& s, VqsShared<uint32_t> means, int column, uint32_t (&rounding)[kRows]) {
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
    const uint32_t m = (PairSum<kScale>(s.x, row, 0) << s.kUnit) + kRound;
    means[row * kColumns + column] = m >> 16;
    rounding[row] = sizeof(T) == 1 ? kCentre - (m & 0xffff0000) : m & 0xffff;
  }
}

// StoreSquares filters the squares of a column: P of a band's rows. Of 16 bits Σ f·(x − 2^15)² is formed, and m's rounding added; of
// 8 bits Σ f·x², and what there is of m taken off.
template <typename T, int kScale>
VQS_DEVICE void StoreSquares(const Samples<T, kScale>& s, const uint32_t (&rounding)[kRows], VqsShared<uint32_t> squares, int column) {
  uint32_t square[Filter<kScale>::kWindow];
#pragma unroll
  for (int i = 0; i < s.n; ++i) {
    const uint32_t x = sizeof(T) == 1 ? s.x[i] : s.x[i] - 0x8000;  // modulo 2^32; its square is right
    square[i] = x * x;
  }
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
    squares[row * kColumns + column] =
        sizeof(T) == 1 ? PairSum<kScale>(square, row, rounding[row])
                       : static_cast<uint32_t>(WidePairSum<kScale>(square, row, kRound) >> 16) + rounding[row];
  }
}

// StoreProducts filters the products of two columns: p12 of a band's rows.
template <typename T, int kScale>
VQS_DEVICE void StoreProducts(const Samples<T, kScale>& ref, const Samples<T, kScale>& dis, VqsShared<uint32_t> products, int column) {
  constexpr int n = Filter<kScale>::kWindow;
  uint32_t product[n];
#pragma unroll
  for (int i = 0; i < n; ++i) product[i] = ref.x[i] * dis.x[i];
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
    products[row * kColumns + column] =
        sizeof(T) == 1 ? PairSum<kScale>(product, row, 0)
                       : static_cast<uint32_t>(WideSum<kScale>(product, row, kRound) >> 16);
  }
}

// StoreNext filters a column for the next scale, at even rows alone.
template <typename T, int kScale>
VQS_DEVICE void StoreNext(const Samples<T, kScale>& s, VqsShared<uint32_t> next, int column) {
  if constexpr (kScale + 1 < kVifScales) {
    constexpr int first = Filter<kScale>::kHalf - Filter<kScale + 1>::kHalf;
#pragma unroll
    for (int row = 0; row < kNextRows; ++row) {
      next[row * kColumns + column] = VifRoundQ16(PairSum<kScale + 1>(s.x, first + 2 * row, 0) << s.kUnit);
    }
  }
}

// ------------------------------------------------------------------------------------------ horizontal filter

// LoadGroup reads what the group of columns beside `at` reaches, and where the halo is wider than that, some of what is left of it.
template <int kScale>
VQS_DEVICE void LoadGroup(VqsShared<uint32_t> rows, int at, uint32_t (&w)[Filter<kScale>::kReach]) {
#pragma unroll
  for (int i = 0; i < Filter<kScale>::kReach; i += 4) {
    const VqsWord4 four = FourOf(rows, at + i);
    w[i] = four.x, w[i + 1] = four.y, w[i + 2] = four.z, w[i + 3] = four.w;
  }
}

// Four has its values computed here, and not where each is used.
VQS_DEVICE VqsWord4 Four(const uint32_t (&v)[kGroup]) { return VqsWord4{Again(v[0]), Again(v[1]), Again(v[2]), Again(v[3])}; }

// FilterMeans makes A of a group.
template <int kScale>
VQS_DEVICE VqsWord4 FilterMeans(VqsShared<uint32_t> means, int at) {
  uint32_t w[Filter<kScale>::kReach], a[kGroup];
  LoadGroup<kScale>(means, at, w);
#pragma unroll
  for (int i = 0; i < kGroup; ++i) a[i] = PairSum<kScale>(w, Filter<kScale>::kBefore + i, 0);
  return Four(a);
}

// FilterSquares makes w − u of a group of one picture, its variance, of P and A.
template <int kScale>
VQS_DEVICE VqsWord4 FilterSquares(VqsShared<uint32_t> squares, const VqsWord4& means, int at) {
  const uint32_t a[kGroup] = {means.x, means.y, means.z, means.w};
  uint32_t w[Filter<kScale>::kReach], v[kGroup];
  LoadGroup<kScale>(squares, at, w);
#pragma unroll
  for (int i = 0; i < kGroup; ++i) {
    const uint32_t square = static_cast<uint32_t>(WidePairSum<kScale>(w, Filter<kScale>::kBefore + i, kRound) >> 16) + a[i] - kCentre;
    v[i] = square - VifMeanProduct(a[i], a[i]);
  }
  return Four(v);
}

// FilterProducts makes w − u of a group of two pictures, their covariance.
template <int kScale>
VQS_DEVICE VqsWord4 FilterProducts(VqsShared<uint32_t> products, const VqsWord4& ref_means, const VqsWord4& dis_means, int at) {
  const uint32_t a1[kGroup] = {ref_means.x, ref_means.y, ref_means.z, ref_means.w};
  const uint32_t a2[kGroup] = {dis_means.x, dis_means.y, dis_means.z, dis_means.w};
  uint32_t w[Filter<kScale>::kReach], v[kGroup];
  LoadGroup<kScale>(products, at, w);
#pragma unroll
  for (int i = 0; i < kGroup; ++i) {
    v[i] = static_cast<uint32_t>(WideSum<kScale>(w, Filter<kScale>::kBefore + i, kRound) >> 16) - VifMeanProduct(a1[i], a2[i]);
  }
  return Four(v);
}

// FilterNext makes the band's part of the next scale: a thread two columns of one row.
template <int kScale>
VQS_DEVICE void FilterNext(VqsShared<uint32_t> next, const VqsPicture& out, int left, int top, int width, int height) {
  if constexpr (kScale + 1 < kVifScales) {
    const int row = ThreadX() / kRowThreads, column = ThreadX() % kRowThreads * kGroup;
    const int x = (left + column) / 2, y = top / 2 + row;
    if (row >= kNextRows || column >= Filter<kScale>::kOutputs || y >= height / 2 || x >= width / 2) return;
    uint32_t w[Filter<kScale>::kReach];
    LoadGroup<kScale>(next, row * kColumns + column, w);
    constexpr int first = Filter<kScale>::kHalo - Filter<kScale + 1>::kHalf;
    uint16_t* const to = const_cast<uint16_t*>(Row<uint16_t>(out, y)) + x;
    Store(to, static_cast<uint16_t>(VifRoundQ16(PairSum<kScale + 1>(w, first, 0))));
    if (x + 1 < width / 2) Store(to + 1, static_cast<uint16_t>(VifRoundQ16(PairSum<kScale + 1>(w, first + 2, 0))));
  }
}

// ------------------------------------------------------------------------------------------ sums

// A thread's sums of the reference over the rows of a block are one word: DL, and above it C.
constexpr int kMostRows = 256;  // of a block; a thread has as many pixels
constexpr uint32_t kFlat = 1u << 23;
static_assert(kMostRows * (31 - 17) * kVifLogUnit < kFlat && kMostRows < 1 << 9, "a logarithm of what is below 2^31, less 17");

// The sums of one rendition over a band.
struct PairSums {
  uint32_t nl[2];
  uint64_t nv;
};

// AddRef adds a pixel of the reference.
VQS_DEVICE void AddRef(VqsShared<VqsWord2> log, uint32_t variance, uint32_t& sums) {
  const bool textured = static_cast<int32_t>(variance) >= kVifSigmaNsq;
  sums += textured ? VifLogBelow(log, variance + kVifSigmaNsq) + (kVifLogTop - kVifLogOfSigmaNsq) : kFlat;
}

// Limits are the gain limits of a launch, one or two.
struct Limits {
  double of[2];
  uint32_t whole[2];  // the same as whole numbers
  bool two;
  bool are_whole;     // which those of the models are: 1 and 100
};

// MakeLimits takes limits of 1 … 100.
VQS_DEVICE Limits MakeLimits(double limit0, double limit1, bool two) {
  Limits l = {{limit0, limit1}, {static_cast<uint32_t>(limit0), static_cast<uint32_t>(limit1)}, two, false};
  l.are_whole = l.whole[0] == limit0 && l.whole[1] == limit1;
  return l;
}

// AddRatios adds log2(n2) − log2(n1) under each limit.
VQS_DEVICE void AddRatios(VqsShared<VqsWord2> log, uint32_t n1, uint32_t n20, uint32_t n21, bool two, PairSums& sums) {
  const uint32_t log1 = VifLogBelow(log, n1);
  sums.nl[0] += VifLogBelow(log, n20) - log1;
  if (two) sums.nl[1] += VifLogBelow(log, n21) - log1;
}

// AddPair adds a pixel, unless f64 is needed for it, which it returns. vif_device.h says of which it is: hardly any.
VQS_DEVICE bool AddPair(VqsShared<VqsWord2> log, uint32_t ref_variance, uint32_t dis_variance, uint32_t covariance, const Limits& limits,
                        PairSums& sums) {
  const uint32_t s2 = static_cast<uint32_t>(Max(static_cast<int32_t>(dis_variance), 0));
  if (static_cast<int32_t>(ref_variance) < kVifSigmaNsq) {
    sums.nv += s2;
    return false;
  }
  if (static_cast<int32_t>(covariance) <= 0 || s2 == 0) return false;
  const vqs::VifShares shares = vqs::VifSharesOf(ref_variance, s2, covariance, RoughInverse(static_cast<float>(ref_variance)));
  if (shares.open || !limits.are_whole) return true;
  const uint32_t n1 = shares.v + kVifSigmaNsq;
  AddRatios(log, n1, n1 + vqs::VifLimited(shares.t, ref_variance, covariance, limits.whole[0]),
            n1 + vqs::VifLimited(shares.t, ref_variance, covariance, limits.whole[1]), limits.two, sums);
  return false;
}

// AddOpen adds the pixel that AddPair has not.
VQS_DEVICE void AddOpen(VqsShared<VqsWord2> log, uint32_t ref_variance, uint32_t dis_variance, uint32_t covariance, const Limits& limits,
                        PairSums& sums) {
  const int32_t s1 = static_cast<int32_t>(ref_variance), s2 = static_cast<int32_t>(dis_variance), s12 = static_cast<int32_t>(covariance);
  const VifGain first = VifNumerator(s1, s2, s12, limits.of[0]);
  AddRatios(log, first.n1, first.n2, VifNumerator(s1, s2, s12, limits.of[1]).n2, limits.two, sums);
}

VQS_DEVICE uint32_t Pick(const VqsWord4& four, uint32_t i) { return i < 2 ? (i == 0 ? four.x : four.y) : (i == 2 ? four.z : four.w); }

// AddGroup adds the first `pixels` of a group.
VQS_DEVICE PairSums AddGroup(VqsShared<VqsWord2> log, const VqsWord4& s1, const VqsWord4& s2, const VqsWord4& s12, int pixels,
                             const Limits& limits) {
  PairSums sums = {};
  uint32_t open = 0;
  if (0 < pixels) open |= AddPair(log, s1.x, s2.x, s12.x, limits, sums) ? 1 : 0;
  if (1 < pixels) open |= AddPair(log, s1.y, s2.y, s12.y, limits, sums) ? 2 : 0;
  if (2 < pixels) open |= AddPair(log, s1.z, s2.z, s12.z, limits, sums) ? 4 : 0;
  if (3 < pixels) open |= AddPair(log, s1.w, s2.w, s12.w, limits, sums) ? 8 : 0;
#pragma nounroll
  for (; open != 0; open &= open - 1) {
    const uint32_t i = 31 - static_cast<uint32_t>(LeadingZeros(open & (0 - open)));
    AddOpen(log, Pick(s1, i), Pick(s2, i), Pick(s12, i), limits, sums);
  }
  return sums;
}

// Place is where the sums of a pair go: words of kVifScales by scale.
struct Place {
  uint64_t* words;  // DL of the pair at the scale at hand
  uint32_t gain;    // first of the gain limits at hand
  bool two;         // are they two
};

// A pair has four sums of a warp: NL under one limit and the other, and NV's low 16 bits and the rest. They are formed together, each in 8
// of the lanes: SumOfFour of the four gives lane l the sum that stands there at l % 4. Over a block's rows none goes beyond 32 bits, since
// a pixel's are below 2^15, 2^16 and 2^15.
static_assert(static_cast<uint64_t>(kMostRows) * kWarp << 16 < uint64_t{1} << 32, "kMostRows pixels a lane");
constexpr uint32_t kSums = 4, kHeld = kWarp / kSums;

VQS_DEVICE uint32_t SumOfFour(uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t lane) {
  const bool odd = lane % 2 != 0, upper = lane / 2 % 2 != 0;
  const uint32_t ab = (odd ? b : a) + ShuffleXor(odd ? a : b, 1);
  const uint32_t cd = (odd ? d : c) + ShuffleXor(odd ? c : d, 1);
  uint32_t sum = (upper ? cd : ab) + ShuffleXor(upper ? ab : cd, 2);
#pragma unroll
  for (int mask = 4; mask < kWarp; mask *= 2) sum += ShuffleXor(sum, mask);
  return sum;
}

// Deliver adds sum l % 4 of a pair.
VQS_DEVICE void Deliver(const Place& to, uint32_t which, uint64_t sum) {
  if (which >= 2) {
    if (to.gain == 0) AtomicAdd(to.words + 2 * kVifScales, which == 2 ? sum : sum << 16);
  } else if (which == 0 || to.two) {
    AtomicAdd(to.words + kVifScales * (3 + to.gain + which), sum);
  }
}

// ------------------------------------------------------------------------------------------ one scale

template <typename T, int kScale>
VQS_DEVICE void Scale(const VqsPicture* references, const VqsPicture* distorted, const VqsFrame* frames,
                      const VqsPicture* next_references, const VqsPicture* next_distorted, int width, int height, int rows, int gain,
                      int gains, double limit0, double limit1, uint64_t* sums) {
  using F = Filter<kScale>;
  VQS_SHARED_ALIGNED(uint32_t, means, kRows * kColumns);
  VQS_SHARED_ALIGNED(uint32_t, squares, kRows * kColumns);
  VQS_SHARED_ALIGNED(uint32_t, products, kRows * kColumns);
  VQS_SHARED_ALIGNED(uint32_t, next, kNextRows * kColumns);
  VQS_SHARED(VqsWord4, ref_means, kThreads);
  VQS_SHARED(VqsWord4, ref_variances, kThreads);
  VQS_SHARED(uint32_t, ref_sums, kThreads);
  VQS_SHARED_ALIGNED(uint32_t, window, kLongestWindow);
  VQS_SHARED(VqsWord2, log, kVifLogSegments);

  const VqsFrame frame = ReadFrame(frames, BlockZ());
  const uint32_t reference = kScale == 0 ? frame.reference : static_cast<uint32_t>(BlockZ());  // from scale 1 on a frame has its own
  const int thread = ThreadX();
  const uint32_t lane = static_cast<uint32_t>(thread) % kWarp;
  const int row = thread / kRowThreads, column = thread % kRowThreads * kGroup;  // of the thread's group
  // Where in shared memory what the group reaches begins. Threads right of the block's columns do what the last one does, for nothing.
  const int at = row * kColumns + Min(column, F::kOutputs - kGroup);
  const int left = BlockX() * F::kOutputs, first = BlockY() * rows;
  const int end = frame.pairs > 0 ? Min(first + rows, height) : first;  // nothing to do without pairs
  // Columns right of what the picture's own columns reach are not used.
  const uint32_t x = static_cast<uint32_t>(MirrorWhole(Min(left - F::kHalo + thread, width - 1 + F::kHalf), width));
  const Limits limits = MakeLimits(limit0, limit1, gain + 1 < gains);
  const auto place = [&](uint32_t rendition) {
    const uint64_t pair = frame.first_pair + rendition;
    return Place{sums + pair * (kVifScales * (3 + static_cast<uint32_t>(gains))) + kScale, static_cast<uint32_t>(gain), limits.two};
  };

  VifLogLoad(log, thread);
  ref_sums[thread] = 0;
  uint32_t held = 0;  // lane l has sum l % 4 of rendition l / 4; those of renditions beyond are delivered at once
  for (int top = first; top < end; top += kRows) {
    // The band before has loaded its samples. Rows below what the picture's own rows reach are not used.
    if (thread < kLongestWindow) {
      window[thread] = static_cast<uint32_t>(MirrorWhole(Min(top + thread, height - 1 + 2 * F::kHalf) - F::kHalf, height));
    }
    SyncBlock();
    const Samples<T, kScale> r = LoadSamples<T, kScale>(ReadPicture(references, Again(reference)), window, x);
    const Packed<T, kScale> ref_samples = Pack(r);
    uint32_t rounding[kRows];
    StoreMeans(r, means, thread, rounding);
    StoreNext(r, next, thread);
    StoreSquares(r, rounding, squares, thread);
    SyncBlock();

    // Of the group and right of it.
    const int pixels = top + row < height && column < F::kOutputs ? width - left - static_cast<int>(Again(static_cast<uint32_t>(column))) : 0;
    const VqsWord4 ref_mean = FilterMeans<kScale>(means, at);
    ref_means[thread] = ref_mean;
    SyncWarp();
    const VqsWord4 s1 = FilterSquares<kScale>(squares, ref_mean, at);
    ref_variances[thread] = s1;
    uint32_t ref_sum = 0;
    if (0 < pixels) AddRef(log, s1.x, ref_sum);
    if (1 < pixels) AddRef(log, s1.y, ref_sum);
    if (2 < pixels) AddRef(log, s1.z, ref_sum);
    if (3 < pixels) AddRef(log, s1.w, ref_sum);
    ref_sums[thread] = ref_sums[thread] + ref_sum;
    if (kScale + 1 < kVifScales) FilterNext<kScale>(next, ReadPicture(next_references, BlockZ()), left, top, width, height);

    for (uint32_t k = 0; k < frame.pairs; ++k) {
      SyncBlock();
      {
        const Samples<T, kScale> d = LoadSamples<T, kScale>(ReadPicture(distorted, frame.first_pair + k), window, x);
        StoreMeans(d, means, thread, rounding);
        StoreNext(d, next, thread);
        StoreProducts(Unpack(ref_samples), d, products, thread);
        StoreSquares(d, rounding, squares, thread);
      }
      SyncBlock();

      // The threads do not need the barriers: without them all that is filtered would be loaded at once, into too many registers.
      const VqsWord4 mean = FilterMeans<kScale>(means, at);
      SyncWarp();
      const VqsWord4 s2 = FilterSquares<kScale>(squares, mean, at);
      SyncWarp();
      const VqsWord4 s12 = FilterProducts<kScale>(products, ref_means[thread], mean, at);
      SyncWarp();
      const PairSums pair_sums = AddGroup(log, ref_variances[thread], s2, s12, pixels, limits);
      const uint32_t sum = SumOfFour(pair_sums.nl[0], pair_sums.nl[1], static_cast<uint32_t>(pair_sums.nv & 0xffff),
                                     static_cast<uint32_t>(pair_sums.nv >> 16), lane);
      if (lane / kSums == k) {
        held += sum;
      } else if (k >= kHeld && lane < kSums) {
        Deliver(place(k), lane, sum);
      }
      if (kScale + 1 < kVifScales) {
        FilterNext<kScale>(next, ReadPicture(next_distorted, frame.first_pair + k), left, top, width, height);
      }
    }
  }

  if (lane / kSums < frame.pairs) Deliver(place(lane / kSums), lane % kSums, held);
  if (gain > 0) return;  // the sums of the reference are those of the first limits' launch
  const uint32_t ref_sum = ref_sums[thread];
  const uint64_t dl = WarpSum(ref_sum % kFlat), c = WarpSum(ref_sum / kFlat);
  for (uint32_t k = lane; k < frame.pairs; k += kWarp) {
    AtomicAdd(place(k).words, dl);
    AtomicAdd(place(k).words + kVifScales, c);
  }
}

}  // namespace

// Every launch takes pictures of one scale, of width × height samples. It forms the sums under limits `gain` and, where there is one, gain + 1
// of `gains`, which are limit0 and limit1; limit0 twice where there is one. A block makes `rows` rows, a multiple of 4 and at most 256. At scale 3
// nothing is made of next_references and next_distorted.

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    vqs_vif_scale0_u8(const VqsPicture* references, const VqsPicture* distorted, const VqsFrame* frames,
                        const VqsPicture* next_references, const VqsPicture* next_distorted, int width, int height, int rows, int gain,
                        int gains, double limit0, double limit1, uint64_t* sums) {
  Scale<uint8_t, 0>(references, distorted, frames, next_references, next_distorted, width, height, rows, gain, gains, limit0, limit1,
                    sums);
}

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    vqs_vif_scale0_u16(const VqsPicture* references, const VqsPicture* distorted, const VqsFrame* frames,
                        const VqsPicture* next_references, const VqsPicture* next_distorted, int width, int height, int rows, int gain,
                        int gains, double limit0, double limit1, uint64_t* sums) {
  Scale<uint16_t, 0>(references, distorted, frames, next_references, next_distorted, width, height, rows, gain, gains, limit0, limit1,
                    sums);
}

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    vqs_vif_scale1_u16(const VqsPicture* references, const VqsPicture* distorted, const VqsFrame* frames,
                        const VqsPicture* next_references, const VqsPicture* next_distorted, int width, int height, int rows, int gain,
                        int gains, double limit0, double limit1, uint64_t* sums) {
  Scale<uint16_t, 1>(references, distorted, frames, next_references, next_distorted, width, height, rows, gain, gains, limit0, limit1,
                    sums);
}

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    vqs_vif_scale2_u16(const VqsPicture* references, const VqsPicture* distorted, const VqsFrame* frames,
                        const VqsPicture* next_references, const VqsPicture* next_distorted, int width, int height, int rows, int gain,
                        int gains, double limit0, double limit1, uint64_t* sums) {
  Scale<uint16_t, 2>(references, distorted, frames, next_references, next_distorted, width, height, rows, gain, gains, limit0, limit1,
                    sums);
}

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    vqs_vif_scale3_u16(const VqsPicture* references, const VqsPicture* distorted, const VqsFrame* frames,
                        const VqsPicture* next_references, const VqsPicture* next_distorted, int width, int height, int rows, int gain,
                        int gains, double limit0, double limit1, uint64_t* sums) {
  Scale<uint16_t, 3>(references, distorted, frames, next_references, next_distorted, width, height, rows, gain, gains, limit0, limit1,
                    sums);
}

// For tests, that every logarithm is right on a device: of x[i] < 2^31, as the sums have it.
extern "C" __global__ void __launch_bounds__(kThreads) vqs_vif_log2(const uint32_t* x, uint32_t* out, int count) {
  VQS_SHARED(VqsWord2, log, kVifLogSegments);
  VifLogLoad(log, ThreadX());
  SyncBlock();
  const int i = BlockX() * kThreads + ThreadX();
  if (i < count) Store(out + i, VifLogBelow(log, Read(x + i)) + kVifLogTop);
}
