// vif_plain.cc — the scalar reference of VIF: what vif.cc must equal to the bit.                Source: spec/vif.md
#include "hd.h"

#include <math.h>
#include <string.h>

#include <new>

#include "mirror.h"
#include "targets.h"
#include "vif.h"
#include "vif_arith.h"
#include "vif_plain.h"

namespace vqs {

const VifLog& VifLogTables() {
  struct Table : VifLog {
    Table() : VifLog() {
      // §2.1: the closed form. No value comes nearer than 1.5e-5 to the threshold, so that any f64 log2 decides alike.
      constexpr double kRounding = 0.5 + 1.0 / 1024;
      for (size_t i = 0; i < kVifLogEntries; ++i) {
        VifLog::log[i] = static_cast<uint16_t>(floor(2048 * log2(32768.0 + static_cast<double>(i)) + kRounding));
      }
      for (int i = 0; i < 32; ++i) {
        inverse[i] = static_cast<float>(1.0 / (1.0 + (i + 0.5) / 32));
        // The middle's logarithm is that of the rounded inverse.
        const double middle = 2048 * -log2(static_cast<double>(inverse[i])) + kRounding;
        base[i] = static_cast<int32_t>(floor(middle)) + 15 * 2048;
        fraction[i] = static_cast<float>(middle - floor(middle));
      }
      const double unit = 2048 / M_LN2;
      for (int n = 1; n <= 4; ++n) polynomial[n - 1] = static_cast<float>((n % 2 == 1 ? unit : -unit) / n);
    }
  };
  static const Table table;
  return table;
}

namespace {

// Picture is a plane of 16-bit samples.
struct Picture {
  uint16_t* data = nullptr;
  int width = 0, height = 0;
  bool Allocate(int w, int h) {
    width = w;
    height = h;
    data = new (std::nothrow) uint16_t[static_cast<size_t>(w) * h];
    return data != nullptr;
  }
  ~Picture() { delete[] data; }
  uint16_t At(int y, int x) const {
    return data[static_cast<size_t>(MirrorWhole(y, height)) * width + MirrorWhole(x, width)];
  }
};

bool Import(const VqsPlane& plane, size_t width, size_t height, int bpc, Picture* out) {
  if (!out->Allocate(static_cast<int>(width), static_cast<int>(height))) return false;
  for (size_t y = 0; y < height; ++y) {
    const uint8_t* row = static_cast<const uint8_t*>(plane.data) + y * plane.stride_bytes;
    for (size_t x = 0; x < width; ++x) {
      const uint16_t sample = bpc == 8 ? row[x] : reinterpret_cast<const uint16_t*>(row)[x];
      out->data[y * width + x] = static_cast<uint16_t>(sample << (16 - bpc));
    }
  }
  return true;
}

// §3: the next scale. Only even rows and columns of the filtered picture exist.
bool Reduce(const Picture& in, int scale, Picture* out) {
  const int taps = kVifTapCount[scale], half = taps / 2;
  if (!out->Allocate(in.width / 2, in.height / 2)) return false;
  for (int y = 0; y < out->height; ++y) {
    for (int x = 0; x < out->width; ++x) {
      uint32_t z = 0;
      for (int j = 0; j < taps; ++j) {
        uint32_t v = 0;
        for (int i = 0; i < taps; ++i) {
          v += static_cast<uint32_t>(kVifTaps[scale][i]) * in.At(2 * y - half + i, 2 * x - half + j);
        }
        z += static_cast<uint32_t>(kVifTaps[scale][j]) * VifRoundQ16(v);
      }
      out->data[static_cast<size_t>(y) * out->width + x] = static_cast<uint16_t>(VifRoundQ16(z));
    }
  }
  return true;
}

// Moments are the vertically filtered sums of §4 for one row.
struct Moments {
  uint32_t m1, m2, p11, p22, p12;
};

Moments VerticalMoments(const Picture& ref, const Picture& dis, int scale, int y, int x) {
  const int taps = kVifTapCount[scale], half = taps / 2;
  uint32_t m1 = 0, m2 = 0;
  uint64_t p11 = 0, p22 = 0, p12 = 0;
  for (int i = 0; i < taps; ++i) {
    const uint32_t f = static_cast<uint32_t>(kVifTaps[scale][i]);
    const uint64_t r = ref.At(y - half + i, x), d = dis.At(y - half + i, x);
    m1 += f * static_cast<uint32_t>(r);
    m2 += f * static_cast<uint32_t>(d);
    p11 += f * (r * r);
    p22 += f * (d * d);
    p12 += f * (r * d);
  }
  Moments m;
  m.m1 = VifRoundQ16(m1);
  m.m2 = VifRoundQ16(m2);
  m.p11 = static_cast<uint32_t>((p11 + 32768) >> 16);
  m.p22 = static_cast<uint32_t>((p22 + 32768) >> 16);
  m.p12 = static_cast<uint32_t>((p12 + 32768) >> 16);
  return m;
}

// §4 and §5 over a whole plane; the vertical sums of a row are formed once.
bool Statistics(const Picture& ref, const Picture& dis, int scale, const double* gains, size_t gain_count,
                VqsVifSums* sums, size_t sums_stride) {
  const uint16_t* log = VifLogTables().log;
  const int taps = kVifTapCount[scale], half = taps / 2;
  Moments* row = new (std::nothrow) Moments[static_cast<size_t>(ref.width)];
  if (row == nullptr) return false;
  for (int y = 0; y < ref.height; ++y) {
    for (int x = 0; x < ref.width; ++x) row[x] = VerticalMoments(ref, dis, scale, y, x);
    for (int x = 0; x < ref.width; ++x) {
      uint32_t a1 = 0, a2 = 0;
      uint64_t q11 = 0, q22 = 0, q12 = 0;
      for (int j = 0; j < taps; ++j) {
        const uint32_t f = static_cast<uint32_t>(kVifTaps[scale][j]);
        const Moments& m = row[MirrorWhole(x - half + j, ref.width)];
        a1 += f * m.m1;
        a2 += f * m.m2;
        q11 += static_cast<uint64_t>(f) * m.p11;
        q22 += static_cast<uint64_t>(f) * m.p22;
        q12 += static_cast<uint64_t>(f) * m.p12;
      }
      const int32_t s1 = static_cast<int32_t>(static_cast<uint32_t>((q11 + 32768) >> 16) - VifMeanProduct(a1, a1));
      const int32_t s12 = static_cast<int32_t>(static_cast<uint32_t>((q12 + 32768) >> 16) - VifMeanProduct(a1, a2));
      int32_t s2 = static_cast<int32_t>(static_cast<uint32_t>((q22 + 32768) >> 16) - VifMeanProduct(a2, a2));
      s2 = s2 > 0 ? s2 : 0;
      for (size_t g = 0; g < gain_count; ++g) {
        VqsVifSums& sum = sums[g * sums_stride];
        if (s1 >= kVifSigmaNsq) {
          sum.dl[scale] += VifLog2(log, static_cast<uint32_t>(s1 + kVifSigmaNsq)) - kVifLogOfSigmaNsq;
          if (s12 > 0 && s2 > 0) {
            const VifGain n = VifNumerator(s1, s2, s12, gains[g]);
            sum.nl[scale] += VifLog2(log, n.n2) - VifLog2(log, n.n1);
          }
        } else {
          sum.nv[scale] += s2;
          sum.c[scale] += 1;
        }
      }
    }
  }
  delete[] row;
  return true;
}

}  // namespace

int VifPlain(size_t width, size_t height, int bpc, const VqsPlane* ref, const VqsPlane* dis, size_t renditions,
             const double* gains, size_t gain_count, VqsVifSums* sums) {
  for (size_t k = 0; k < renditions; ++k) {
    Picture r[kVifScales], d[kVifScales];
    if (!Import(*ref, width, height, bpc, &r[0]) || !Import(dis[k], width, height, bpc, &d[0])) return kVqsNoMemory;
    for (size_t g = 0; g < gain_count; ++g) memset(&sums[g * renditions + k], 0, sizeof(VqsVifSums));
    for (int scale = 0; scale < kVifScales; ++scale) {
      if (scale > 0 && (!Reduce(r[scale - 1], scale, &r[scale]) || !Reduce(d[scale - 1], scale, &d[scale]))) {
        return kVqsNoMemory;
      }
      if (!Statistics(r[scale], d[scale], scale, gains, gain_count, sums + k, renditions)) return kVqsNoMemory;
    }
  }
  return kVqsOk;
}

}  // namespace vqs
