// cambi_plain.cc — CAMBI, one sample at a time.                                                    Source: spec/cambi.md §4 … §9
//
//   C(r,c) = max_d  wt[d]·N(v)·m_d / (N(v) + m_d)      m_d = max(N(v+d+1), N(v−d−1)),  v = I(r,c)
//   sum[s] = Σ of the pooled[s] largest C of scale s   N(x): masked-in pixels of code x in the window around (r,c)
//
// in     plane      u8 (bpc 8) or u16 (9 … 16)
// out    sum        u64, 1/2^24; or maps, u16
// fixed  I          u16, 0 … 1024
//        N          u16, ≤ 65²
//        C          f32, 0 or 0.5 ≤ C < 2^14, hence multiples of 2^−24
// order  integer sums only, so any order gives the same bits
#include "hd.h"

#include <stdint.h>
#include <string.h>

#include <algorithm>
#include <functional>

#include "scratch.h"

namespace vqs {

const CambiReciprocals kCambiReciprocals = MakeCambiReciprocals();

namespace {

uint32_t Sample(const VqsPlane& plane, int bpc, int y, int x) {
  const uint8_t* const row = static_cast<const uint8_t*>(plane.data) + static_cast<size_t>(y) * plane.stride_bytes;
  return bpc == 8 ? row[x] : reinterpret_cast<const uint16_t*>(row)[x];
}

// Counts is a histogram of the codes in a window, with room for the neighbours of any code (§7.3: N(x) = 0 outside).
struct Counts {
  uint16_t at[kCambiMaxContrasts + kCambiMaxSample + 1 + kCambiMaxContrasts] = {};
  uint16_t& operator[](int code) { return at[kCambiMaxContrasts + code]; }
};

struct Picture {
  uint16_t* image;
  uint8_t* mask;
  int width, height;
  uint16_t& I(int r, int c) const { return image[static_cast<size_t>(r) * width + c]; }
  uint8_t& M(int r, int c) const { return mask[static_cast<size_t>(r) * width + c]; }
};

// Preprocess is §5.2 and §5.3.
void Preprocess(const CambiSetup& s, const VqsPlane& plane, int bpc, const Picture& out) {
  for (int r = 0; r < s.height; ++r) {
    for (int c = 0; c < s.width; ++c) {
      out.I(r, c) = CambiSample(bpc, Sample(plane, bpc, s.rows ? static_cast<int>(s.rows[r]) : r,
                                            s.columns ? static_cast<int>(s.columns[c]) : c));
    }
  }
  if (!s.anti_dither) return;
  // In place: what is read lies right of and below what has been written.
  for (int r = 0; r < s.height; ++r) {
    for (int c = 0; c < s.width; ++c) {
      const bool right = c + 1 < s.width, below = r + 1 < s.height;
      if (right && below) {
        out.I(r, c) = CambiMean4(out.I(r, c), out.I(r, c + 1), out.I(r + 1, c), out.I(r + 1, c + 1));
      } else if (below) {
        out.I(r, c) = CambiMean2(out.I(r, c), out.I(r + 1, c));
      } else if (right) {
        out.I(r, c) = CambiMean2(out.I(r, c), out.I(r, c + 1));
      }
    }
  }
}

bool Flat(const Picture& p, int r, int c) {
  return (c == p.width - 1 || p.I(r, c) == p.I(r, c + 1)) && (r == p.height - 1 || p.I(r, c) == p.I(r + 1, c));
}

// Mask is §6.
void Mask(const Picture& p) {
  const int threshold = CambiMaskThreshold(p.width, p.height);
  for (int r = 0; r < p.height; ++r) {
    for (int c = 0; c < p.width; ++c) {
      int flat = 0;
      for (int i = std::max(r - kCambiMaskRadius, 0); i <= std::min(r + kCambiMaskRadius, p.height - 1); ++i) {
        for (int j = std::max(c - kCambiMaskRadius, 0); j <= std::min(c + kCambiMaskRadius, p.width - 1); ++j) flat += Flat(p, i, j);
      }
      p.M(r, c) = flat > threshold;
    }
  }
}

// Decimate is §7.1, in place: a sample is read before its place is written.
Picture Decimate(const Picture& in) {
  const Picture out = {in.image, in.mask, CambiHalf(in.width), CambiHalf(in.height)};
  for (int r = 0; r < out.height; ++r) {
    for (int c = 0; c < out.width; ++c) {
      out.I(r, c) = in.I(2 * r, 2 * c);
      out.M(r, c) = in.M(2 * r, 2 * c);
    }
  }
  return out;
}

// ModeFilter is §7.2. copy has room for the picture.
void ModeFilter(const Picture& p, uint16_t* copy) {
  const Picture h = {copy, nullptr, p.width, p.height};
  for (int r = 0; r < p.height; ++r) {
    for (int c = 0; c < p.width; ++c) {
      h.I(r, c) = c == 0 || c == p.width - 1 ? p.I(r, c) : CambiMode3(p.I(r, c - 1), p.I(r, c), p.I(r, c + 1));
    }
  }
  for (int r = 1; r + 1 < p.height; ++r) {
    for (int c = 0; c < p.width; ++c) p.I(r, c) = CambiMode3(h.I(r - 1, c), h.I(r, c), h.I(r + 1, c));
  }
}

// Value is C of a pixel of code v (§7.3).
float Value(const CambiSetup& s, Counts& counts, int v) {
  float value = 0;
  const int at = counts[v];
  for (int d = 0; d < s.contrasts; ++d) {
    if (!CambiQualifies(v, d, s.contrasts, s.visible[d], s.dark_limit)) continue;
    const int m = std::max(counts[v + d + 1], counts[v - d - 1]);
    value = std::max(value, CambiContrast(CambiWeight(d), at, m, kCambiReciprocals.at[m + at]));
  }
  return value;
}

// Values is C of all pixels. The window moves along each row.
void Values(const CambiSetup& s, const Picture& p, float* values) {
  for (int r = 0; r < p.height; ++r) {
    const int top = std::max(r - s.half, 0), bottom = std::min(r + s.half, p.height - 1);
    Counts counts;
    const auto add_column = [&](int c, int sign) {
      if (c < 0 || c >= p.width) return;
      for (int i = top; i <= bottom; ++i) {
        if (p.M(i, c)) counts[p.I(i, c)] = static_cast<uint16_t>(counts[p.I(i, c)] + sign);
      }
    };
    for (int c = 0; c < s.half; ++c) add_column(c, 1);
    for (int c = 0; c < p.width; ++c) {
      add_column(c + s.half, 1);
      values[static_cast<size_t>(r) * p.width + c] = p.M(r, c) ? Value(s, counts, p.I(r, c)) : 0;
      add_column(c - s.half, -1);
    }
  }
}

}  // namespace

bool CambiPlain(VqsCambi* scratch, const CambiSetup& setup, const VqsPlane& plane, uint64_t* sums, uint16_t* const* maps) {
  for (int y = 0; y < scratch->height; ++y) {
    for (int x = 0; x < scratch->width; ++x) {
      if (Sample(plane, scratch->bpc, y, x) >> scratch->bpc != 0) return false;
    }
  }
  Picture p = {scratch->plain_image[0], scratch->plain_mask, setup.width, setup.height};
  Preprocess(setup, plane, scratch->bpc, p);
  Mask(p);
  for (int scale = 0; scale < kCambiScales; ++scale) {
    if (scale > 0 || setup.high_res) p = Decimate(p);
    ModeFilter(p, scratch->plain_image[1]);
    Values(setup, p, scratch->values);
    const size_t n = static_cast<size_t>(p.width) * p.height;
    if (maps != nullptr) {
      CambiHeat(setup, scratch->values, n, maps[scale]);
    } else {
      sums[scale] = CambiPool(scratch->values, n, setup.pooled[scale]);
    }
  }
  return true;
}

uint64_t CambiPool(float* values, size_t n, size_t count) {
  std::nth_element(values, values + count - 1, values + n, std::greater<float>());
  uint64_t sum = 0;
  for (size_t i = 0; i < count; ++i) sum += CambiFixed(values[i]);
  return sum;
}

void CambiHeat(const CambiSetup& setup, const float* values, size_t n, uint16_t* map) {
  const int largest = CambiWeight(setup.contrasts - 1) * setup.window * setup.window / 4;
  const double scale = largest == 0 ? 0 : 65535.0 / largest;  // a window of one sample has no contrasts
  // The largest is rounded down, and with other than four contrasts a value may be above it.
  for (size_t i = 0; i < n; ++i) map[i] = static_cast<uint16_t>(std::min(scale * static_cast<double>(values[i]), 65535.0));
}

}  // namespace vqs
