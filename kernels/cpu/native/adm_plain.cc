// adm_plain.cc — the scalar reference of ADM: what adm.cc must equal to the bit.               Source: spec/adm.md
//
//   per scale:  A, H, V, D = wavelet(A above)      both pictures
//               r, a = decouple(o, t)              restored and additive detail
//               den = Σ |o|³     num = Σ max(|csf·r| − thr(a), 0)³     aim = Σ max(|csf·a| − thr(r), 0)³
//
// in     ref, dis      u8 (bpc 8) or u16 (9…16)
// out    sums          den u64, num and aim s64, [scale][H, V, D]
// fixed  every step's format stands beside it in common/adm_arith.h
// order  sums of a row are rounded by a shift before rows are added; otherwise integer sums, any order gives the same bits
#include "hd.h"

#include <string.h>

#include <new>

#include "adm_arith.h"
#include "adm_plain.h"
#include "targets.h"

namespace vqs {
namespace {

// Band is a plane of 32-bit samples, the 16-bit ones of scale 0 included.
struct Band {
  int32_t* data = nullptr;
  int width = 0, height = 0;

  Band() = default;
  Band(const Band&) = delete;
  Band& operator=(const Band&) = delete;
  ~Band() { delete[] data; }

  bool Allocate(int w, int h) {
    width = w;
    height = h;
    data = new (std::nothrow) int32_t[static_cast<size_t>(w) * static_cast<size_t>(h)];
    return data != nullptr;
  }
  void Resize(int w, int h) {  // to a smaller size
    width = w;
    height = h;
  }
  int32_t& At(int i, int j) { return data[static_cast<size_t>(i) * static_cast<size_t>(width) + static_cast<size_t>(j)]; }
  int32_t At(int i, int j) const { return const_cast<Band*>(this)->At(i, j); }
  int32_t Mirrored(int i, int j) const { return At(MirrorWholeHalf(i, height), MirrorWholeHalf(j, width)); }
};

// Details are the three detail bands of one signal.
struct Details {
  Band band[kAdmBands];
  bool Allocate(int w, int h) {
    for (Band& b : band) {
      if (!b.Allocate(w, h)) return false;
    }
    return true;
  }
  void Resize(int w, int h) {
    for (Band& b : band) b.Resize(w, h);
  }
};

// Import recentres the samples of a picture.
void Import(const VqsPlane& plane, int bpc, Band* out) {
  for (int y = 0; y < out->height; ++y) {
    const uint8_t* const row = static_cast<const uint8_t*>(plane.data) + static_cast<size_t>(y) * plane.stride_bytes;
    for (int x = 0; x < out->width; ++x) {
      const int32_t sample = bpc == 8 ? row[x] : reinterpret_cast<const uint16_t*>(row)[x];
      out->At(y, x) = AdmCentre(sample, bpc);
    }
  }
}

// Wavelet is §4: one level. low and high are room for one vertically filtered row each.
void Wavelet(int scale, const Band& in, Band* approximation, Details* details, Band* low, Band* high) {
  const int width = AdmHalf(in.width), height = AdmHalf(in.height);
  approximation->Resize(width, height);
  details->Resize(width, height);
  low->Resize(in.width, 1);
  high->Resize(in.width, 1);
  for (int i = 0; i < height; ++i) {
    for (int x = 0; x < in.width; ++x) {
      int64_t v[4];
      for (int k = 0; k < 4; ++k) v[k] = in.At(MirrorWholeHalf(2 * i - 1 + k, in.height), x);
      low->At(0, x) = AdmVertical(scale, AdmLowPass(v[0], v[1], v[2], v[3]));
      high->At(0, x) = AdmVertical(scale, AdmHighPass(v[0], v[1], v[2], v[3]));
    }
    for (int j = 0; j < width; ++j) {
      int64_t l[4], h[4];
      for (int k = 0; k < 4; ++k) {
        const int x = MirrorWholeHalf(2 * j - 1 + k, in.width);
        l[k] = low->At(0, x);
        h[k] = high->At(0, x);
      }
      approximation->At(i, j) = AdmHorizontal(scale, AdmLowPass(l[0], l[1], l[2], l[3]));
      details->band[kAdmV].At(i, j) = AdmHorizontal(scale, AdmHighPass(l[0], l[1], l[2], l[3]));
      details->band[kAdmH].At(i, j) = AdmHorizontal(scale, AdmLowPass(h[0], h[1], h[2], h[3]));
      details->band[kAdmD].At(i, j) = AdmHorizontal(scale, AdmHighPass(h[0], h[1], h[2], h[3]));
    }
  }
}

// Decouple is §6.
void Decouple(const Details& o, const Details& t, double gain, Details* r, Details* a) {
  const int width = o.band[0].width, height = o.band[0].height;
  r->Resize(width, height);
  a->Resize(width, height);
  for (int i = 0; i < height; ++i) {
    for (int j = 0; j < width; ++j) {
      const int64_t oh = o.band[kAdmH].At(i, j), ov = o.band[kAdmV].At(i, j);
      const int64_t th = t.band[kAdmH].At(i, j), tv = t.band[kAdmV].At(i, j);
      const bool flag = AdmAngleFlag(oh * th + ov * tv, oh * oh + ov * ov, th * th + tv * tv);
      for (int b = 0; b < kAdmBands; ++b) {
        const int32_t ob = o.band[b].At(i, j), tb = t.band[b].At(i, j);
        const int32_t rb = AdmRestored(AdmGain(ob, tb), ob, tb, flag, gain);
        r->band[b].At(i, j) = rb;
        a->band[b].At(i, j) = tb - rb;
      }
    }
  }
}

// Region is the active part of a band, §5.
struct Region {
  int left, right, top, bottom;
  Region(int width, int height)
      : left(AdmMargin(width)), right(width - left), top(AdmMargin(height)), bottom(height - top) {}
  int Columns() const { return right - left; }
  int Rows() const { return bottom - top; }
};

// Denominator is §8.
void Denominator(int scale, const Details& o, uint64_t sums[kAdmBands]) {
  const Region active(o.band[0].width, o.band[0].height);
  const int column_shift = AdmCeilLog2(static_cast<uint32_t>(active.Columns()));
  const int row_shift = scale == 0 ? AdmDenominatorShift0(active.Rows() * active.Columns())
                                   : AdmCeilLog2(static_cast<uint32_t>(active.Rows()));
  for (int b = 0; b < kAdmBands; ++b) {
    for (int i = active.top; i < active.bottom; ++i) {
      uint64_t row = 0;
      for (int j = active.left; j < active.right; ++j) {
        const int32_t v = o.band[b].At(i, j);
        row += scale == 0 ? AdmDenominatorTerm0(v) : AdmDenominatorTerm(scale, v, column_shift);
      }
      sums[b] += AdmRow(row, row_shift);
    }
  }
}

// Mask is §9: what each coefficient of the masker adds to the threshold of its neighbours, and of itself.
void Mask(int scale, const Details& masker, const uint32_t weight[2], Details* neighbour, Details* self) {
  const int width = masker.band[0].width, height = masker.band[0].height;
  neighbour->Resize(width, height);
  self->Resize(width, height);
  for (int b = 0; b < kAdmBands; ++b) {
    const uint32_t w = weight[b == kAdmD];
    for (int i = 0; i < height; ++i) {
      for (int j = 0; j < width; ++j) {
        const int32_t m = masker.band[b].At(i, j);
        const int32_t c = scale == 0 ? AdmSensitive0(m, w, b) : AdmSensitive(m, w);
        neighbour->band[b].At(i, j) = scale == 0 ? AdmNeighbour0(c) : AdmNeighbour(c);
        self->band[b].At(i, j) = scale == 0 ? AdmSelf0(c) : AdmSelf(c);
      }
    }
  }
}

int32_t Threshold(const Details& neighbour, const Details& self, int i, int j) {
  int64_t threshold = 0;
  for (int b = 0; b < kAdmBands; ++b) {
    for (int y = i - 1; y <= i + 1; ++y) {
      for (int x = j - 1; x <= j + 1; ++x) {
        threshold += y == i && x == j ? self.band[b].At(i, j) : neighbour.band[b].Mirrored(y, x);
      }
    }
  }
  return static_cast<int32_t>(threshold);
}

// Numerator is §10.
void Numerator(int scale, const Details& signal, const Details& neighbour, const Details& self, const uint32_t weight[2],
               int64_t sums[kAdmBands]) {
  const int width = signal.band[0].width, height = signal.band[0].height;
  const Region active(width, height);
  for (int i = active.top; i < active.bottom; ++i) {
    uint64_t row[kAdmBands] = {};
    for (int j = active.left; j < active.right; ++j) {
      const int32_t threshold = Threshold(neighbour, self, i, j);
      for (int b = 0; b < kAdmBands; ++b) {
        const uint32_t w = weight[b == kAdmD];
        const int32_t s = signal.band[b].At(i, j);
        const uint32_t loud =
            scale == 0 ? static_cast<uint32_t>(AdmMagnitude(s) * w) : AdmMagnitude(AdmSensitive(s, w));
        const int32_t x = AdmVisible(loud, threshold, AdmThresholdShift(scale, b));
        row[b] += static_cast<uint64_t>(
            AdmNumeratorTerm(x, AdmTermSquareShift(scale, b), AdmTermShift(scale, b, width)));
      }
    }
    for (int b = 0; b < kAdmBands; ++b) sums[b] += static_cast<int64_t>(AdmRow(row[b], AdmRowShift(height)));
  }
}

}  // namespace

int AdmPlain(size_t width, size_t height, int bpc, const VqsPlane& ref, const VqsPlane& dis, const VqsAdmConfig& config,
             VqsAdmSums* sums) {
  const int w = static_cast<int>(width), h = static_cast<int>(height), bw = AdmHalf(w), bh = AdmHalf(h);
  Band in[2], approximation[2], low, high;
  Details detail[2], r, a, neighbour, self;
  for (int side = 0; side < 2; ++side) {
    if (!in[side].Allocate(w, h) || !approximation[side].Allocate(bw, bh) || !detail[side].Allocate(bw, bh)) {
      return kVqsNoMemory;
    }
    Import(side == 0 ? ref : dis, bpc, &in[side]);
  }
  if (!low.Allocate(w, 1) || !high.Allocate(w, 1) || !r.Allocate(bw, bh) || !a.Allocate(bw, bh) ||
      !neighbour.Allocate(bw, bh) || !self.Allocate(bw, bh)) {
    return kVqsNoMemory;
  }
  memset(sums, 0, sizeof *sums);
  for (int scale = 0; scale < kAdmScales; ++scale) {
    for (int side = 0; side < 2; ++side) {
      Wavelet(scale, in[side], &approximation[side], &detail[side], &low, &high);
      // The approximation is the next level's input; both take its place, the plane of the level above becoming room for more.
      int32_t* const spare = in[side].data;
      in[side].data = approximation[side].data;
      in[side].Resize(approximation[side].width, approximation[side].height);
      approximation[side].data = spare;
    }
    const uint32_t* const weight = config.weight[scale];
    Decouple(detail[0], detail[1], config.gain, &r, &a);
    Denominator(scale, detail[0], sums->den[scale]);
    Mask(scale, a, weight, &neighbour, &self);
    Numerator(scale, r, neighbour, self, weight, sums->num[scale]);
    if (!config.aim) continue;
    Mask(scale, r, weight, &neighbour, &self);
    Numerator(scale, a, neighbour, self, weight, sums->aim[scale]);
  }
  return kVqsOk;
}

}  // namespace vqs
