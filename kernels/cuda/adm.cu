// adm.cu — Additive Detail Measure: wavelet detail restored and added, at four scales.        Source: spec/adm.md
//
//   per scale:  A, H, V, D = wavelet(A above)      both pictures
//               r, a = decouple(o, t)              restored and additive detail
//               den = Σ |o|³     num = Σ max(|csf·r| − thr(a), 0)³     aim = Σ max(|csf·a| − thr(r), 0)³
//
// in     references, distorted   pictures of T = u8 or u16 brought to 16 bits by their shift, any alignment
//        settings                the option sets that all pairs are measured with
// out    rows        u64[series][H, V, D][row], zeroed by the caller: sums of rows before their shift, see VqsAdmScale
//                    series: a denominator for each frame, then for each setting its numerators by pair and, where it wants that,
//                    the additive impairment by pair
//        results     u64[pair][1 + series by pair][scale][H, V, D], of vqs_adm_finish: the accumulators of spec §8 and §10,
//                    those of the denominator first
// fixed  as adm_arith.h has it; adm_device.h has forms of the same that suit a device
//        samples     scale 0: s16, recentred and ·2^(16−bpc), sums of products in s32; scales 1…3: s32, sums in s64
//        A           scale 0: s16, others: s32; one plane for each frame and one for each pair
// order  a row's sums are complete before they are shifted, in vqs_adm_finish; otherwise integer sums, any order gives the same bits
// grid   x, y: tiles of 30×30 positions of a band, with their neighbours 32×32; z: frame · groups + group, see AdmScale
//        scale 0: 256 threads of 4 rows each, 22 KiB shared; scales 1…3: 512 threads of 2 rows each, 31 KiB shared
// bytes  a sample of a picture of 1080 lines, over all scales, for each picture: 0.75 samples and 0.61 bytes of A are read, 0.61 bytes
//        of A written. Neighbouring tiles read their halos twice, out of the caches: 0.94 samples and 0.77 bytes are asked for.
// work   instructions a sample of a picture of 1080 lines, over all scales, halos included, as ptxas 11.8 makes them for sm_90: 71 for a
//        reference, 70 for each rendition, and 54 for each setting and masker of it. At scale 0 that is 0.22 positions of 200, 209 and
//        170, at the others together 0.07 of 370, 330 and 220: there filters and masks multiply to 64 bits.
//        Warps wait for the others of their block now and then, so several blocks share a multiprocessor: 64 registers suffice.
// region Tiles cover only what some sum depends on (spec §15.4): the active region, and of A what the next scale needs for it.
#include "adm_wavelet.h"

// VqsAdmSetting is an option set. gpu/adm.go mirrors it.
struct VqsAdmSetting {
  double gain;               // enhancement gain limit, 1…100
  uint32_t weight[4][2];     // contrast sensitivity by scale, for H and V and for D
  int32_t kind;              // of gain: one of AdmGainKind
  int32_t whole_gain;        // where that is kAdmWhole
  int32_t largest;           // see AdmEnhancedWhole
  uint32_t aim;              // 1: sum the additive impairment too
  uint32_t series;           // number of its numerators among the series that are by pair; that of the additive impairment follows
  uint32_t zero;
};
static_assert(sizeof(VqsAdmSetting) == 64, "as in gpu/adm.go");
enum AdmGainKind { kAdmNone = 0, kAdmWhole = 1, kAdmFraction = 2 };

namespace {

using namespace vqs::adm;
using vqs::kAdmBands;
using vqs::kAdmD;
using vqs::kAdmH;

// Decoupled is how a thread keeps details of the distorted picture with their unenhanced restored part; at scale 0 with 16 bits each.
template <bool kWide>
struct Decoupled {
  Bands t, r;
  __device__ void Set(const Kept<true>& details, Bands restored) { t = details.Get(), r = restored; }
  __device__ Bands Details() const { return t; }
  __device__ Bands Restored() const { return r; }
  __device__ void Renew() {
    t = {Anew(t.h), Anew(t.v), Anew(t.d)};
    r = {Anew(r.h), Anew(r.v), Anew(r.d)};
  }
};
template <>
struct Decoupled<false> {
  uint32_t t_hv, r_hv, d;
  __device__ void Set(const Kept<false>& details, Bands r) {
    t_hv = details.hv, r_hv = Bytes(r.h, r.v, 0x5410), d = Bytes(details.d, r.d, 0x5410);
  }
  __device__ Bands Details() const { return {static_cast<int16_t>(t_hv), static_cast<int32_t>(t_hv) >> 16, static_cast<int16_t>(d)}; }
  __device__ Bands Restored() const {
    return {static_cast<int16_t>(r_hv), static_cast<int32_t>(r_hv) >> 16, static_cast<int32_t>(d) >> 16};
  }
  __device__ void Renew() { t_hv = Anew(t_hv), r_hv = Anew(r_hv), d = Anew(d); }
};

// ---------------------------------------------------------------------------------------------------- sums of rows

// AddRows adds what all warps have left in `partial` of each row to the rows of a series. All threads call.
template <int kScale, class Partial>
VQS_DEVICE void AddRows(const Partial& partial, const VqsAdmScale* g, const Position& p, uint64_t* series, int row_count) {
  SyncBlock();
  const int row = p.row + 1 + p.lane;
  const int top = Read(&g->top);
  if (p.warp >= kAdmBands || p.lane >= kInner || !Within(row, top, Read(&g->bottom))) return;
  uint64_t sum = 0;
  for (int group = 0; group < Shape<kScale>::kGroups; ++group) {
    sum += partial[(group * kAdmBands + p.warp) * kInner + p.lane];
  }
  if (sum != 0) AtomicAdd(&series[p.warp * row_count + Read(&g->first_sum) + row - top], sum);
}

// KeepSums leaves for AddRows what a lane has found in its warp's columns of row `lane` of the tile.
template <class Partial>
VQS_DEVICE void KeepSums(Partial& partial, const Position& p, uint64_t h, uint64_t v, uint64_t d) {
  if (!Within(p.lane, 1, kTile - 1)) return;
  const int at = p.warp * kAdmBands * kInner + p.lane - 1;
  partial[at] = h;
  partial[at + kInner] = v;
  partial[at + 2 * kInner] = d;
}

// StoreSignal keeps the magnitudes of a position's bands.
template <bool kWide, class Words>
VQS_DEVICE void StoreSignal(Words& words, int at, Bands s) {
  const uint32_t h = vqs::AdmMagnitude(s.h), v = vqs::AdmMagnitude(s.v), d = vqs::AdmMagnitude(s.d);
  if constexpr (kWide) {
    words[at + kSignal] = h;
    words[at + kSignal + kTile] = v;
    words[at + kSignal + 2 * kTile] = d;
  } else {
    words[at + kSignal] = Bytes(h, v, 0x5410);
    words[at + kSignal + kTile] = d;
  }
}

struct Magnitudes {
  uint32_t h, v, d;
};

// SignalAt is what StoreSignal kept.
template <bool kWide, class Words>
VQS_DEVICE Magnitudes SignalAt(const Words& words, int at) {
  if constexpr (kWide) {
    return {words[at + kSignal], words[at + kSignal + kTile], words[at + kSignal + 2 * kTile]};
  } else {
    const uint32_t hv = words[at + kSignal];
    return {hv & 0xffff, hv >> 16, words[at + kSignal + kTile]};
  }
}

// Denominator is §8 of the tile. A lane has a row, its warp some columns.
template <int kScale, class Words, class Partial>
VQS_DEVICE void Denominator(Words& words, Partial& partial, const VqsAdmScale* g, const Position& p,
                            const Kept<(kScale > 0)> (&o)[Shape<kScale>::kRows], uint64_t* series, int row_count) {
  using S = Shape<kScale>;
#pragma unroll
  for (int k = 0; k < S::kRows; ++k) {
    StoreSignal<S::kWide>(words, (p.warp * S::kRows + k) * S::kPitch + p.lane, o[k].Get());
  }
  SyncBlock();
  if (p.warp < S::kGroups) {
    const int column_shift = Read(&g->column_shift), left = Read(&g->left), right = Read(&g->right);
    uint64_t h = 0, v = 0, d = 0;
#pragma unroll
    for (int k = 0; k < S::kColumns; ++k) {
      const int column = 1 + p.warp * S::kColumns + k;
      if (column >= kTile - 1 || !Within(p.column + column, left, right)) continue;
      const Magnitudes m = SignalAt<S::kWide>(words, p.lane * S::kPitch + column);
      if constexpr (S::kWide) {
        h += vqs::AdmDenominatorTerm(kScale, static_cast<int32_t>(m.h), column_shift);
        v += vqs::AdmDenominatorTerm(kScale, static_cast<int32_t>(m.v), column_shift);
        d += vqs::AdmDenominatorTerm(kScale, static_cast<int32_t>(m.d), column_shift);
      } else {
        h += vqs::AdmDenominatorTerm0(static_cast<int32_t>(m.h));
        v += vqs::AdmDenominatorTerm0(static_cast<int32_t>(m.v));
        d += vqs::AdmDenominatorTerm0(static_cast<int32_t>(m.d));
      }
    }
    KeepSums(partial, p, h, v, d);
  }
  AddRows<kScale>(partial, g, p, series, row_count);
}

// ---------------------------------------------------------------------------------------------------- §6 decoupling

// Inverses are of the reference's details, in two words: a reciprocal less one has 16 bits, a number of bits five.
struct Inverses {
  uint32_t hv, d;
};

VQS_DEVICE Inverses InversesOf(Bands o) {
  const vqs::AdmInverse h = vqs::AdmInverseOf(vqs::AdmMagnitude(o.h)), v = vqs::AdmInverseOf(vqs::AdmMagnitude(o.v)),
                        d = vqs::AdmInverseOf(vqs::AdmMagnitude(o.d));
  return {Bytes(h.reciprocal - 1, v.reciprocal - 1, 0x5410),
          ((d.reciprocal - 1) & 0xffff) | h.excess << 16 | v.excess << 21 | d.excess << 26};
}

VQS_DEVICE Bands Unenhanced(Bands o, Bands t, const Inverses& inverses) {
  return {vqs::AdmUnenhanced(o.h, t.h, {(inverses.hv & 0xffff) + 1, inverses.d >> 16 & 0x1f}),
          vqs::AdmUnenhanced(o.v, t.v, {(inverses.hv >> 16) + 1, inverses.d >> 21 & 0x1f}),
          vqs::AdmUnenhanced(o.d, t.d, {(inverses.d & 0xffff) + 1, inverses.d >> 26})};
}

// Unenhanced0 is the same at scale 0, where inverses are hardly ever needed.
VQS_DEVICE Bands Unenhanced0(Bands o, Bands t) {
  const uint32_t largest = vqs::AdmMagnitude(o.h) | vqs::AdmMagnitude(o.v) | vqs::AdmMagnitude(o.d);
  if (largest < vqs::kAdmPlainBelow) {
    return {vqs::AdmBetween(o.h, t.h), vqs::AdmBetween(o.v, t.v), vqs::AdmBetween(o.d, t.d)};
  }
  return Unenhanced(o, t, InversesOf(o));
}

template <bool kWide>
VQS_DEVICE float AsFloat(int32_t v) {
  return kWide ? static_cast<float>(v) : vqs::AdmSmallFloat(v);
}

// AngleFlag is §6.1. All but few positions are decided in f32.
template <bool kWide>
VQS_DEVICE bool AngleFlag(Bands o, Bands t) {
  const vqs::AdmAngle angle =
      vqs::AdmAngleEstimate(AsFloat<kWide>(o.h), AsFloat<kWide>(o.v), AsFloat<kWide>(t.h), AsFloat<kWide>(t.v));
  if (angle != vqs::AdmAngle::kOpen) return angle == vqs::AdmAngle::kYes;
  const int64_t oh = o.h, ov = o.v, th = t.h, tv = t.v;
  return vqs::AdmAngleFlag(oh * th + ov * tv, oh * oh + ov * ov, th * th + tv * tv);
}

VQS_DEVICE bool Exceeds(int32_t r, int32_t t) { return vqs::AdmMagnitude(r) > vqs::AdmMagnitude(t); }

// AngleMatters tells whether the flag makes a difference without enhancement: r goes beyond t, which it never does at scale 0.
template <bool kWide>
VQS_DEVICE bool AngleMatters(Bands r, Bands t) {
  return kWide && (Exceeds(r.h, t.h) || Exceeds(r.v, t.v) || Exceeds(r.d, t.d));
}

VQS_DEVICE Bands Enhanced(Bands r, Bands t, const VqsAdmSetting* setting, int32_t kind) {
  if (kind == kAdmFraction) {
    const double gain = Read(&setting->gain);
    return {vqs::AdmEnhancedFraction(r.h, t.h, gain), vqs::AdmEnhancedFraction(r.v, t.v, gain),
            vqs::AdmEnhancedFraction(r.d, t.d, gain)};
  }
  const int32_t gain = Read(&setting->whole_gain), largest = Read(&setting->largest);
  return {vqs::AdmEnhancedWhole(r.h, t.h, gain, largest), vqs::AdmEnhancedWhole(r.v, t.v, gain, largest),
          vqs::AdmEnhancedWhole(r.d, t.d, gain, largest)};
}

// ---------------------------------------------------------------------------------------------------- §9 masking, §10 numerator

// Sensitive is AdmSensitive for a weight below 2^31.
VQS_DEVICE int32_t Sensitive(int32_t m, int32_t weight) {
  return static_cast<int32_t>(MultiplyAdd(m, weight, int64_t{1} << 27) >> 28);
}

// PartOf is the sum over bands of (share·c − 2^31) >> 32, which is AdmNeighbour or AdmSelf of each.
VQS_DEVICE int32_t PartOf(uint32_t share, uint32_t h, uint32_t v, uint32_t d) {
  constexpr uint64_t kMinus = uint64_t{0} - (uint64_t{1} << 31);
  return static_cast<int32_t>(static_cast<uint32_t>(MultiplyAdd(share, h, kMinus) >> 32) +
                              static_cast<uint32_t>(MultiplyAdd(share, v, kMinus) >> 32) +
                              static_cast<uint32_t>(MultiplyAdd(share, d, kMinus) >> 32));
}

// Term is AdmNumeratorTerm. half is what rounds before the shift by `shift`.
template <int kSquare>
VQS_DEVICE uint64_t Term(int32_t x, int64_t half, int shift) {
  const int32_t q = static_cast<int32_t>(MultiplyAdd(x, x, int64_t{1} << (kSquare - 1)) >> kSquare);
  return static_cast<uint64_t>(MultiplyAdd(q, x, half) >> shift);
}

// Masked keeps what a position of the masker adds to thresholds, and its signal.
template <bool kWide, class Words>
VQS_DEVICE void Masked(Words& words, int at, Bands masker, Bands signal, int32_t weight_hv, int32_t weight_d) {
  int32_t neighbours, self;
  if constexpr (kWide) {
    const uint32_t h = vqs::AdmMagnitude(Sensitive(masker.h, weight_hv)), v = vqs::AdmMagnitude(Sensitive(masker.v, weight_hv));
    const uint32_t d = vqs::AdmMagnitude(Sensitive(masker.d, weight_d));
    neighbours = PartOf(vqs::kAdmThirtieth, h, v, d);
    self = PartOf(vqs::kAdmFifteenth, h, v, d);
    signal = {Sensitive(signal.h, weight_hv), Sensitive(signal.v, weight_hv), Sensitive(signal.d, weight_d)};
  } else {
    const uint32_t h = vqs::AdmMagnitude(vqs::AdmSensitiveNarrow(masker.h, weight_hv, kAdmH));
    const uint32_t v = vqs::AdmMagnitude(vqs::AdmSensitiveNarrow(masker.v, weight_hv, kAdmH));
    const uint32_t d = vqs::AdmMagnitude(vqs::AdmSensitiveNarrow(masker.d, weight_d, kAdmD));
    neighbours = vqs::AdmNeighbourNarrow(h) + vqs::AdmNeighbourNarrow(v) + vqs::AdmNeighbourNarrow(d);
    self = vqs::AdmSelfNarrow(h) + vqs::AdmSelfNarrow(v) + vqs::AdmSelfNarrow(d);
  }
  words[at + kNeighbours] = static_cast<uint32_t>(neighbours);
  words[at + kSelf] = static_cast<uint32_t>(self) - static_cast<uint32_t>(neighbours);
  StoreSignal<kWide>(words, at, signal);
}

// Numerators are §10 of the tile, from what Masked kept. A lane has a row, its warp some columns.
template <int kScale, class Words, class Partial>
VQS_DEVICE void Numerators(const Words& words, Partial& partial, const VqsAdmScale* g, const Position& p, int32_t weight_hv,
                           int32_t weight_d) {
  using S = Shape<kScale>;
  constexpr int kSquareHV = kScale > 0 ? 30 : 29, kSquareD = 30;  // AdmTermSquareShift
  constexpr uint32_t kSmall = 1 << 14;                             // (x² + half) >> 29 is 0 below it
  if (p.warp >= S::kGroups) return;
  const int shift_hv = Read(&g->term_shift_hv), shift_d = Read(&g->term_shift_d);
  const int64_t half_hv = 1 << (shift_hv - 1), half_d = 1 << (shift_d - 1);
  const int left = Max(Read(&g->left) - p.column, 1), right = Min(Read(&g->right) - p.column, kTile - 1);
  // §9: row −1 is row 1, row `height` the one before it.
  const int row = p.row + p.lane;
  const int centre = Min(Max(p.lane, 1), kInner);  // the lanes beyond compute what is not kept
  const int above = row == 0 ? centre + 1 : centre - 1, below = row == Read(&g->height) - 1 ? centre : centre + 1;
  const int first = 1 + p.warp * S::kColumns;
  const int at_above = above * S::kPitch + first, at = centre * S::kPitch + first, at_below = below * S::kPitch + first;
  // Of three rows, at column first + k. Behind the tile's last column there are words, of no meaning.
  const auto box = [&](int k) { return words[at_above + k] + words[at + k] + words[at_below + k]; };
  uint64_t sum_h = 0, sum_v = 0, sum_d = 0;
  uint32_t before = box(-1), here = box(0);
#pragma unroll
  for (int k = 0; k < S::kColumns; ++k) {
    const uint32_t after = box(k + 1);
    if (Within(first + k, left, right)) {
      const int32_t threshold = static_cast<int32_t>(before + here + after + words[at + k + kSelf]);
      Magnitudes signal = SignalAt<S::kWide>(words, at + k);
      if constexpr (!S::kWide) signal = {signal.h * weight_hv, signal.v * weight_hv, signal.d * weight_d};
      const int32_t h = vqs::AdmVisible(signal.h, threshold, vqs::AdmThresholdShift(kScale, kAdmH));
      const int32_t v = vqs::AdmVisible(signal.v, threshold, vqs::AdmThresholdShift(kScale, kAdmH));
      const int32_t d = vqs::AdmVisible(signal.d, threshold, vqs::AdmThresholdShift(kScale, kAdmD));
      if (static_cast<uint32_t>(h | v | d) >= kSmall) {
        sum_h += Term<kSquareHV>(h, half_hv, shift_hv);
        sum_v += Term<kSquareHV>(v, half_hv, shift_hv);
        sum_d += Term<kSquareD>(d, half_d, shift_d);
      }
    }
    before = here, here = after;
  }
  KeepSums(partial, p, sum_h, sum_v, sum_d);
}

// ---------------------------------------------------------------------------------------------------- a scale

// Job is what AdmScale's entry points are given.
struct Job {
  const VqsFrame* frames;
  const VqsAdmScale* geometry;
  const VqsAdmSetting* settings;
  int setting_count, enhances;    // enhances: some setting's gain is not 1, so that the angle matters everywhere
  uint32_t groups, frame_count, pair_count;
  uint64_t reference_approx, distorted_approx;  // where A goes; 0 at scale 3
  uint64_t* rows;
  int row_count;                                  // of a series' band, over all scales
};

// HasSums tells whether the tile has active positions, not only positions of A.
VQS_DEVICE bool HasSums(const VqsAdmScale* g, const Position& p) {
  return p.column + kTile - 1 > Read(&g->left) && p.column + 1 < Read(&g->right) && p.row + kTile - 1 > Read(&g->top) &&
         p.row + 1 < Read(&g->bottom);
}

// Decouple is §6 of a thread's rows. It returns their angle flags, a bit each; without enhancement those that matter.
template <int kScale>
VQS_DEVICE uint32_t Decouple(Kept<(kScale > 0)> (&o)[Shape<kScale>::kRows], const Inverses (&inverses)[Shape<kScale>::kRows],
                             const Kept<(kScale > 0)> (&t)[Shape<kScale>::kRows], bool enhances,
                             Decoupled<(kScale > 0)> (&decoupled)[Shape<kScale>::kRows]) {
  constexpr bool kWide = kScale > 0;
  uint32_t flags = 0;
#pragma unroll
  for (int k = 0; k < Shape<kScale>::kRows; ++k) {
    o[k].Renew();
    const Bands ok = o[k].Get(), tk = t[k].Get();
    const Bands r = kWide ? Unenhanced(ok, tk, {Anew(inverses[k].hv), Anew(inverses[k].d)}) : Unenhanced0(ok, tk);
    decoupled[k].Set(t[k], r);
    if (enhances || AngleMatters<kWide>(r, tk)) flags |= static_cast<uint32_t>(AngleFlag<kWide>(ok, tk)) << k;
  }
  return flags;
}

// SumPair sums a pair's numerators under each setting.
template <int kScale, class Words, class Partial>
VQS_DEVICE void SumPair(Words& words, Partial& partial, const Job& job, const VqsAdmScale* g, const Position& p,
                        Decoupled<(kScale > 0)> (&decoupled)[Shape<kScale>::kRows], uint32_t flags, uint32_t pair) {
  using S = Shape<kScale>;
  for (int c = 0; c < job.setting_count; ++c) {
    const VqsAdmSetting* const setting = &job.settings[c];
    const uint32_t last = Read(&setting->aim);
    for (uint32_t additive = 0; additive <= last; ++additive) {
      const Position q = Anew(p);
      const VqsAdmSetting* const now = Anew(setting);
      const int32_t kind = Read(&now->kind);
      const int32_t weight_hv = static_cast<int32_t>(Read(&now->weight[kScale][0]));
      const int32_t weight_d = static_cast<int32_t>(Read(&now->weight[kScale][1]));
#pragma unroll
      for (int k = 0; k < S::kRows; ++k) {
        decoupled[k].Renew();
        const Bands t = decoupled[k].Details();
        Bands r = decoupled[k].Restored();
        if ((flags >> k & 1) != 0 && (S::kWide || kind != kAdmNone)) r = Enhanced(r, t, now, kind);
        const Bands a = {t.h - r.h, t.v - r.v, t.d - r.d};
        const int at = (q.warp * S::kRows + k) * S::kPitch + q.lane;
        Masked<S::kWide>(words, at, additive != 0 ? r : a, additive != 0 ? a : r, weight_hv, weight_d);
      }
      SyncBlock();
      Numerators<kScale>(words, partial, Anew(g), Anew(p), weight_hv, weight_d);
      const uint64_t series = static_cast<uint64_t>(Read(&now->series) + additive) * job.pair_count + pair + job.frame_count;
      AddRows<kScale>(partial, Anew(g), Anew(p), job.rows + series * kAdmBands * job.row_count, job.row_count);
    }
  }
}

// AdmScale does a tile of one scale for a frame and those of its pairs whose number within the frame is `group` modulo `groups`. The
// reference's part is done once for all of them; group 0 also stores its A and sums its denominators. sources gives the number of a
// frame's reference, and the pictures.
template <int kScale, typename T, class Sources>
VQS_DEVICE void AdmScale(const Job& job, const Sources& sources) {
  using S = Shape<kScale>;
  VQS_SHARED(uint32_t, words, kTile * S::kPitch);
  VQS_SHARED(uint64_t, partial, S::kGroups * kAdmBands * kInner);

  const uint32_t z = static_cast<uint32_t>(BlockZ()), frame_index = z / job.groups, group = z % job.groups;
  const VqsFrame frame = ReadFrame(job.frames, frame_index);
  if (group > 0 && group >= frame.pairs) return;  // the same for all threads of the block
  const VqsAdmScale* const g = job.geometry;
  const int thread = ThreadX();
  const Position p = {thread, thread % kLanes, thread / kLanes, Read(&g->first_column) + BlockX() * kInner - 1,
                      Read(&g->first_row) + BlockY() * kInner - 1};
  // The reference first, then the pairs: one piece of code, which is large, filters either.
  Kept<S::kWide> o[S::kRows];
  Inverses inverses[S::kRows];
  const uint32_t end = frame.first_pair + frame.pairs;
  bool is_reference = true;
  for (uint32_t pair = frame.first_pair + group; is_reference || pair < end;) {
    const uint64_t planes = is_reference ? job.reference_approx : job.distorted_approx;
    const uint32_t number = is_reference ? frame_index : pair;
    const uint64_t approx = planes == 0 || (is_reference && group > 0) ? 0 : planes + number * Read(&Anew(g)->out_plane);
    Kept<S::kWide> t[S::kRows];
    Wavelet<kScale, T>(words, sources.Of(is_reference, is_reference ? sources.Reference(frame_index, frame) : pair), Anew(g),
                       Anew(p), approx, t);
    if (is_reference) {
      is_reference = false;
      if (!HasSums(Anew(g), p)) continue;
#pragma unroll
      for (int k = 0; k < S::kRows; ++k) {
        o[k] = t[k];
        if (S::kWide) inverses[k] = InversesOf(t[k].Get());
      }
      if (group > 0) continue;
      SyncWarp();
      Denominator<kScale>(words, partial, Anew(g), Anew(p), t,
                          job.rows + static_cast<uint64_t>(frame_index) * kAdmBands * job.row_count, job.row_count);
      continue;
    }
    pair += job.groups;
    if (!HasSums(Anew(g), p)) continue;
    Decoupled<S::kWide> decoupled[S::kRows];
    const uint32_t flags = Decouple<kScale>(o, inverses, t, job.enhances != 0, decoupled);
    SyncWarp();  // all lanes have read what they were to filter
    SumPair<kScale>(words, partial, job, g, p, decoupled, flags, pair - job.groups);
  }
}

// Pictures are the sources of scale 0.
template <typename T>
struct Pictures {
  const VqsPicture* references;
  const VqsPicture* distorted;
  __device__ uint32_t Reference(uint32_t /*frame_index*/, const VqsFrame& frame) const { return frame.reference; }
  __device__ Source Of(bool is_reference, uint32_t number) const {
    return Picture<T>(ReadPicture(is_reference ? references : distorted, number));
  }
};

// Planes are those of the others: A of the scale above.
struct Planes {
  uint64_t reference, distorted, plane;
  uint32_t pitch;
  __device__ uint32_t Reference(uint32_t frame_index, const VqsFrame& /*frame*/) const { return frame_index; }
  __device__ Source Of(bool is_reference, uint32_t number) const {
    return {(is_reference ? reference : distorted) + number * plane, pitch, 0, true};
  }
};

template <int kScale, typename T>
VQS_DEVICE void AdmLowerScale(const Job& job, uint64_t reference_in, uint64_t distorted_in) {
  AdmScale<kScale, T>(job, Planes{reference_in, distorted_in, Read(&job.geometry->in_plane),
                                  Read(&job.geometry->in_pitch)});
}

constexpr int kThreads0 = Shape<0>::kThreads, kThreads = Shape<1>::kThreads;
constexpr int kBlocks0 = 4, kBlocks = 2;  // 64 registers a thread
constexpr int kFinishWarps = vqs::kAdmScales * kAdmBands, kFinishThreads = kFinishWarps * kLanes;

}  // namespace

extern "C" __global__ void __launch_bounds__(kThreads0, kBlocks0)
    vqs_adm_scale0_u8(const VqsPicture* references, const VqsPicture* distorted, const VqsFrame* frames,
                      const VqsAdmScale* geometry, const VqsAdmSetting* settings, int setting_count, int enhances, uint32_t groups,
                      uint32_t frame_count, uint32_t pair_count, uint64_t reference_out, uint64_t distorted_out, uint64_t* rows,
                      int row_count) {
  AdmScale<0, uint8_t>(Job{frames, geometry, settings, setting_count, enhances, groups, frame_count, pair_count, reference_out,
                           distorted_out, rows, row_count},
                       Pictures<uint8_t>{references, distorted});
}

extern "C" __global__ void __launch_bounds__(kThreads0, kBlocks0)
    vqs_adm_scale0_u16(const VqsPicture* references, const VqsPicture* distorted, const VqsFrame* frames,
                       const VqsAdmScale* geometry, const VqsAdmSetting* settings, int setting_count, int enhances, uint32_t groups,
                       uint32_t frame_count, uint32_t pair_count, uint64_t reference_out, uint64_t distorted_out, uint64_t* rows,
                       int row_count) {
  AdmScale<0, uint16_t>(Job{frames, geometry, settings, setting_count, enhances, groups, frame_count, pair_count, reference_out,
                            distorted_out, rows, row_count},
                        Pictures<uint16_t>{references, distorted});
}

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    vqs_adm_scale1(uint64_t reference_in, uint64_t distorted_in, const VqsFrame* frames, const VqsAdmScale* geometry,
                   const VqsAdmSetting* settings, int setting_count, int enhances, uint32_t groups, uint32_t frame_count,
                   uint32_t pair_count,
                   uint64_t reference_out, uint64_t distorted_out, uint64_t* rows, int row_count) {
  AdmLowerScale<1, int16_t>(Job{frames, geometry, settings, setting_count, enhances, groups, frame_count, pair_count,
                                reference_out, distorted_out, rows, row_count},
                            reference_in, distorted_in);
}

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    vqs_adm_scale2(uint64_t reference_in, uint64_t distorted_in, const VqsFrame* frames, const VqsAdmScale* geometry,
                   const VqsAdmSetting* settings, int setting_count, int enhances, uint32_t groups, uint32_t frame_count,
                   uint32_t pair_count,
                   uint64_t reference_out, uint64_t distorted_out, uint64_t* rows, int row_count) {
  AdmLowerScale<2, int32_t>(Job{frames, geometry, settings, setting_count, enhances, groups, frame_count, pair_count,
                                reference_out, distorted_out, rows, row_count},
                            reference_in, distorted_in);
}

extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    vqs_adm_scale3(uint64_t reference_in, uint64_t distorted_in, const VqsFrame* frames, const VqsAdmScale* geometry,
                   const VqsAdmSetting* settings, int setting_count, int enhances, uint32_t groups, uint32_t frame_count,
                   uint32_t pair_count,
                   uint64_t reference_out, uint64_t distorted_out, uint64_t* rows, int row_count) {
  AdmLowerScale<3, int32_t>(Job{frames, geometry, settings, setting_count, enhances, groups, frame_count, pair_count,
                                reference_out, distorted_out, rows, row_count},
                            reference_in, distorted_in);
}

// Rounds and adds the rows of one series a block, a warp for each scale and band. geometry is of all four scales. The first frame_count
// series are denominators, which all pairs of a frame get.
extern "C" __global__ void __launch_bounds__(kFinishThreads)
    vqs_adm_finish(const VqsFrame* frames, const VqsAdmScale* geometry, const uint64_t* rows, int row_count, int frame_count,
                   int pair_count, int series_count, uint64_t* results) {
  const int series = BlockX(), lane = ThreadX() % kLanes, warp = ThreadX() / kLanes;
  const int scale = warp / kAdmBands, band = warp % kAdmBands;
  const bool denominator = series < frame_count;
  const VqsAdmScale* const g = &geometry[scale];
  const int shift = denominator ? Read(&g->denominator_row_shift) : Read(&g->row_shift);
  const int count = Read(&g->bottom) - Read(&g->top);
  const uint64_t* const sums = rows + (static_cast<uint64_t>(series) * kAdmBands + band) * row_count + Read(&g->first_sum);
  uint64_t sum = 0;
  for (int i = lane; i < count; i += kLanes) sum += vqs::AdmRow(Read(&sums[i]), shift);
  sum = WarpSum(sum);
  const uint64_t pair_words = static_cast<uint64_t>(1 + series_count) * kFinishWarps;
  if (denominator) {
    const VqsFrame frame = ReadFrame(frames, series);
    for (uint32_t i = lane; i < frame.pairs; i += kLanes) Store(&results[(frame.first_pair + i) * pair_words + warp], sum);
  } else if (lane == 0) {
    const int number = (series - frame_count) / pair_count, pair = (series - frame_count) % pair_count;
    Store(&results[pair * pair_words + (1 + number) * kFinishWarps + warp], sum);
  }
}
