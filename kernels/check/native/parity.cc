// parity.cc — holds the CPU kernels' vector targets against the plain reference without Go: for processors that are only
// emulated here (arm64.sh) and for sanitizers. Random planes, exact rows without padding, each in an allocation of its own.
//
//   parity [SEED]       prints each difference; exit status 1 if there was one or no vector target ran
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <memory>
#include <random>
#include <vector>

#include "adm.h"
#include "cambi/cambi.h"
#include "ciede/ciede.h"
#include "motion.h"
#include "plane.h"
#include "psnrhvs/psnrhvs.h"
#include "speed/speed.h"
#include "sse/sse.h"
#include "ssim/ssim.h"
#include "targets.h"
#include "vif.h"

namespace {

const char* const kTargetNames[kVqsTargetCount] = {"plain", "avx2", "avx512", "avx512dl", "neon"};

std::mt19937 rng;

// One picture component that owns exactly its samples.
class Plane {
 public:
  // A plane of noise; or, from another plane, that one with `spread` grey levels of noise and a few samples anywhere.
  Plane(int width, int height, int bpc, const Plane* like, int spread) : sample_bytes_(bpc > 8 ? 2 : 1) {
    const size_t n = static_cast<size_t>(width) * height;
    data_.reset(new uint8_t[n * sample_bytes_]);
    const int top = (1 << bpc) - 1;
    for (size_t i = 0; i < n; ++i) {
      int v = static_cast<int>(rng() & static_cast<unsigned>(top));
      if (like != nullptr && rng() % 64 != 0) {
        const int noise = static_cast<int>(rng() % (2u * spread + 1u)) - spread;
        v = like->Get(i) + noise * (1 << (bpc - 8));
        v = v < 0 ? 0 : v > top ? top : v;
      } else if (like == nullptr) {  // shaded, with texture
        const double shade = 0.5 + 0.4 * sin(0.07 * static_cast<double>(i % width)) * cos(0.05 * static_cast<double>(i / width));
        v = static_cast<int>(shade * top * 0.9) + (v >> 4);
        v = v > top ? top : v;
      }
      Set(i, v);
    }
    plane_.data = data_.get();
    plane_.stride_bytes = static_cast<size_t>(width) * sample_bytes_;
  }

  const VqsPlane& get() const { return plane_; }

 private:
  int Get(size_t i) const {
    if (sample_bytes_ == 1) return data_[i];
    uint16_t v;
    memcpy(&v, &data_[2 * i], 2);
    return v;
  }
  void Set(size_t i, int v) {
    if (sample_bytes_ == 1) {
      data_[i] = static_cast<uint8_t>(v);
    } else {
      const uint16_t w = static_cast<uint16_t>(v);
      memcpy(&data_[2 * i], &w, 2);
    }
  }

  size_t sample_bytes_;
  std::unique_ptr<uint8_t[]> data_;
  VqsPlane plane_;
};

int cases = 0, failures = 0;

void Report(const char* kernel, int target, int width, int height, int bpc, bool equal) {
  ++cases;
  if (equal) return;
  ++failures;
  printf("%s on %s: %dx%d %d bit differs from plain\n", kernel, kTargetNames[target], width, height, bpc);
}

[[noreturn]] void Fail(const char* what) {
  printf("%s\n", what);
  exit(1);
}

void Use(int target) {
  if (vqs_cpu_set_target(target) != kVqsOk) Fail("a target that runs cannot be chosen");
}

void Motion(int target, int width, int height, int bpc) {
  for (int spread : {0, 2, 60, 255}) {
    const Plane prev(width, height, bpc, nullptr, 0), cur(width, height, bpc, &prev, spread);
    VqsMotion* scratch = nullptr;
    if (vqs_motion_new(width, height, bpc, &scratch) != kVqsOk) Fail("vqs_motion_new");
    uint64_t want = 0, got = 1;
    Use(kVqsPlain);
    if (vqs_motion_sad(scratch, &prev.get(), &cur.get(), &want) != kVqsOk) Fail("vqs_motion_sad");
    Use(target);
    if (vqs_motion_sad(scratch, &prev.get(), &cur.get(), &got) != kVqsOk) Fail("vqs_motion_sad");
    vqs_motion_free(scratch);
    Report("motion", target, width, height, bpc, want == got);
  }
}

void Vif(int target, int width, int height, int bpc) {
  const double gains[] = {100, 1};
  const Plane ref(width, height, bpc, nullptr, 0), near(width, height, bpc, &ref, 3), far(width, height, bpc, &ref, 80);
  const VqsPlane dis[] = {near.get(), far.get()};
  VqsVif* scratch = vqs_vif_new(static_cast<size_t>(width), static_cast<size_t>(height), bpc, 2);
  if (scratch == nullptr) Fail("vqs_vif_new");
  VqsVifSums want[4], got[4];
  memset(want, 0, sizeof want);
  memset(got, 0xff, sizeof got);
  Use(kVqsPlain);
  if (vqs_vif(scratch, &ref.get(), dis, 2, gains, 2, want) != kVqsOk) Fail("vqs_vif");
  Use(target);
  if (vqs_vif(scratch, &ref.get(), dis, 2, gains, 2, got) != kVqsOk) Fail("vqs_vif");
  vqs_vif_free(scratch);
  Report("vif", target, width, height, bpc, memcmp(want, got, sizeof want) == 0);
}

void Adm(int target, int width, int height, int bpc) {
  VqsAdmConfig configs[2];
  memset(configs, 0, sizeof configs);
  for (int c = 0; c < 2; ++c) {
    configs[c].gain = c == 0 ? 100 : 1;
    configs[c].aim = c;
    for (int scale = 0; scale < 4; ++scale) {
      // Of the size of the real ones: scale 0 below 2^16, others below 2^31.
      configs[c].weight[scale][0] = scale == 0 ? 36453 : 1u << (25 + scale + c);
      configs[c].weight[scale][1] = scale == 0 ? 49417 : 3u << (23 + scale + c);
    }
  }
  const Plane ref(width, height, bpc, nullptr, 0), near(width, height, bpc, &ref, 3), far(width, height, bpc, &ref, 80);
  const VqsPlane dis[] = {near.get(), far.get()};
  VqsAdm* scratch = vqs_adm_new(static_cast<size_t>(width), static_cast<size_t>(height), bpc, 2, 2);
  if (scratch == nullptr) Fail("vqs_adm_new");
  VqsAdmSums want[4], got[4];
  memset(want, 0, sizeof want);
  memset(got, 0xff, sizeof got);
  Use(kVqsPlain);
  if (vqs_adm(scratch, &ref.get(), dis, 2, configs, 2, want) != kVqsOk) Fail("vqs_adm");
  Use(target);
  if (vqs_adm(scratch, &ref.get(), dis, 2, configs, 2, got) != kVqsOk) Fail("vqs_adm");
  vqs_adm_free(scratch);
  Report("adm", target, width, height, bpc, memcmp(want, got, sizeof want) == 0);
}

void Sse(int target, int width, int height, int bpc) {
  for (int spread : {0, 3, 255}) {
    const Plane ref(width, height, bpc, nullptr, 0), dis(width, height, bpc, &ref, spread);
    const VqsPlane &r = ref.get(), &d = dis.get();
    Use(kVqsPlain);
    const uint64_t want = vqs_sse(r.data, r.stride_bytes, d.data, d.stride_bytes, width, height, bpc);
    Use(target);
    Report("sse", target, width, height, bpc, want == vqs_sse(r.data, r.stride_bytes, d.data, d.stride_bytes, width, height, bpc));
  }
}

void PsnrHvs(int target, int width, int height, int bpc) {
  const Plane ref(width, height, bpc, nullptr, 0), near(width, height, bpc, &ref, 3), far(width, height, bpc, &ref, 80);
  const VqsPlane dis[] = {near.get(), far.get(), ref.get()};
  VqsPsnrHvs* scratch = nullptr;
  if (vqs_psnrhvs_new(bpc, &scratch) != kVqsOk) Fail("vqs_psnrhvs_new");
  for (int plane = 0; plane < 3; ++plane) {
    float want[3] = {}, got[3] = {1, 1, 1};
    Use(kVqsPlain);
    if (vqs_psnrhvs_plane(scratch, plane, width, height, &ref.get(), dis, 3, want) != kVqsOk) Fail("vqs_psnrhvs_plane");
    Use(target);
    if (vqs_psnrhvs_plane(scratch, plane, width, height, &ref.get(), dis, 3, got) != kVqsOk) Fail("vqs_psnrhvs_plane");
    Report("psnrhvs", target, width, height, bpc, memcmp(want, got, sizeof want) == 0);
  }
  vqs_psnrhvs_free(scratch);
}

void Ciede(int target, int width, int height, int bpc, int layout) {
  const int across = layout == kVqsCiede444 ? width : width / 2, down = layout == kVqsCiede420 ? height / 2 : height;
  const auto chroma = [&](const Plane* like) { return Plane(across, down, bpc, like, 3); };
  const Plane y(width, height, bpc, nullptr, 0), cb = chroma(nullptr), cr = chroma(nullptr);
  const Plane y1(width, height, bpc, &y, 3), cb1 = chroma(&cb), cr1 = chroma(&cr);
  const VqsPlane ref[] = {y.get(), cb.get(), cr.get()}, dis[] = {y1.get(), cb1.get(), cr1.get(), y1.get(), cr.get(), cb.get()};
  VqsCiede* scratch = nullptr;
  if (vqs_ciede_new(width, height, bpc, layout, &scratch) != kVqsOk) Fail("vqs_ciede_new");
  VqsCiedeSums want[2], got[2];
  Use(kVqsPlain);
  if (vqs_ciede(scratch, ref, dis, 2, want) != kVqsOk) Fail("vqs_ciede");
  Use(target);
  if (vqs_ciede(scratch, ref, dis, 2, got) != kVqsOk) Fail("vqs_ciede");
  vqs_ciede_free(scratch);
  Report("ciede", target, width, height, bpc, memcmp(want, got, sizeof want) == 0);
}

// Cambi takes steps of one code, wide enough to be looked at, beside noise.
void Cambi(int target, int width, int height, int bpc) {
  std::vector<uint8_t> data(static_cast<size_t>(width) * height * (bpc > 8 ? 2 : 1));
  for (int i = 0; i < width * height; ++i) {
    const int x = i % width, y = i / width;
    const int level = (x / 40 + y / 30) % 5 == 2 ? static_cast<int>(rng() % 60u) : 30 + (x + y / 2) / 9 % 12;
    const uint16_t v = static_cast<uint16_t>(level << (bpc - 8));
    memcpy(&data[static_cast<size_t>(i) * (bpc > 8 ? 2 : 1)], &v, bpc > 8 ? 2 : 1);  // little-endian
  }
  const VqsPlane plane = {data.data(), static_cast<size_t>(width) * (bpc > 8 ? 2 : 1)};
  VqsCambiConfig usual = {};
  usual.width = width, usual.height = height, usual.window = 33, usual.anti_dither = bpc < 10, usual.contrasts = 4;
  const int visible[] = {178, 305, 432, 559};
  memcpy(usual.visible, visible, sizeof visible);
  for (uint64_t& pooled : usual.pooled) pooled = 100;
  VqsCambiConfig fast = usual;
  fast.window = 17, fast.high_res = 1, fast.dark_limit = 78;
  for (uint64_t& pooled : fast.pooled) pooled = static_cast<uint64_t>(width) * height;  // that is, all of them
  const VqsCambiConfig configs[] = {usual, fast};
  VqsCambi* scratch = nullptr;
  if (vqs_cambi_new(width, height, bpc, configs, 2, &scratch) != kVqsOk) Fail("vqs_cambi_new");
  for (size_t config = 0; config < 2; ++config) {
    uint64_t want[kVqsCambiScales] = {}, got[kVqsCambiScales] = {};
    Use(kVqsPlain);
    if (vqs_cambi_sums(scratch, config, &plane, want) != kVqsOk) Fail("vqs_cambi_sums");
    Use(target);
    if (vqs_cambi_sums(scratch, config, &plane, got) != kVqsOk) Fail("vqs_cambi_sums");
    Report("cambi", target, width, height, bpc, want[0] != 0 && memcmp(want, got, sizeof want) == 0);
  }
  vqs_cambi_free(scratch);
}

// SpeedAxis is a made-up axis of a filter: decimated samples from every 16th on, the points of a tap side by side, with weights of sum 1.
struct SpeedAxis {
  std::vector<int32_t> index;
  std::vector<float> weight;
  SpeedAxis(int samples, int decimated, int points, int taps) {
    for (int p = 0; p < points; ++p) {
      for (int d = 0; d < decimated; ++d) {
        for (int i = 0; i < taps; ++i) {
          const int at = 16 * d + i + p - taps / 2;
          index.push_back(at < 0 ? -at : at >= samples ? 2 * samples - 2 - at : at);
          weight.push_back(points == 1 ? 1.0f : (p == points / 2 ? 1.5f : -0.5f / static_cast<float>(points - 1)));
        }
      }
    }
  }
  VqsSpeedAxis get() const { return VqsSpeedAxis{index.data(), weight.data()}; }
};

// Ssim compares decimated by factors that are powers of two and others, at full size, and at the levels of the pyramid.
void Ssim(int target, int width, int height, int bpc) {
  constexpr int kPasses = 8;
  const VqsSsimPass passes[kPasses] = {{2, 0, 44}, {3, 0, 44}, {4, 0, 44}, {1, 0, 40}, {1, 1, 44}, {1, 2, 44}, {1, 3, 44}, {1, 4, 44}};
  const Plane ref(width, height, bpc, nullptr, 0), near(width, height, bpc, &ref, 3), far(width, height, bpc, &ref, 80);
  const VqsPlane dis[] = {near.get(), far.get()};
  VqsSsim* scratch = vqs_ssim_new(static_cast<size_t>(width), static_cast<size_t>(height), bpc, 2, passes, kPasses);
  if (scratch == nullptr) Fail("vqs_ssim_new");
  VqsSsimSums want[2 * kPasses], got[2 * kPasses];
  memset(want, 0, sizeof want);
  memset(got, 0xff, sizeof got);
  Use(kVqsPlain);
  if (vqs_ssim(scratch, &ref.get(), dis, 2, want) != kVqsOk) Fail("vqs_ssim");
  Use(target);
  if (vqs_ssim(scratch, &ref.get(), dis, 2, got) != kVqsOk) Fail("vqs_ssim");
  vqs_ssim_free(scratch);
  Report("ssim", target, width, height, bpc, memcmp(want, got, sizeof want) == 0);
}

// Speed compares under every resampling and weighting. The planes are those of chroma.
void Speed(int target, int width, int height, int bpc) {
  constexpr int kTaps = 9, kMeanTaps = 3;
  std::vector<float> anti_alias(kTaps, 1.0f / kTaps), mean(kMeanTaps, 1.0f / kMeanTaps);
  std::vector<SpeedAxis> axes;
  std::vector<VqsSpeedFilter> filters;
  std::vector<VqsSpeedEntropy> entropies;
  std::vector<VqsSpeedScore> scores;
  axes.reserve(8);
  for (int points : {1, 2, 4, 9}) {
    axes.emplace_back(width, width / 16, points, kTaps);
    axes.emplace_back(height, height / 16, points, kTaps);
    const size_t last = axes.size() - 1;
    entropies.push_back(VqsSpeedEntropy{static_cast<int32_t>(filters.size()), 0.29f});
    filters.push_back(VqsSpeedFilter{width / 16, height / 16, points, kTaps, kMeanTaps, anti_alias.data(), mean.data(), axes[last - 1].get(),
                                     axes[last].get()});
  }
  for (int mode = 0; mode <= 6; ++mode) scores.push_back(VqsSpeedScore{mode % 4, 0.29f, 0.1f, mode});
  const VqsSpeedPlan plan = {width, height, bpc, 4, 4, 7, filters.data(), entropies.data(), scores.data()};
  VqsSpeed* scratch = nullptr;
  if (vqs_speed_new(&plan, &scratch) != kVqsOk) Fail("vqs_speed_new");
  const Plane ref(width, height, bpc, nullptr, 0), near(width, height, bpc, &ref, 3), far(width, height, bpc, &ref, 80);
  const VqsPlane reference[] = {ref.get(), far.get()}, dis[] = {near.get(), far.get(), far.get(), near.get()};
  VqsSpeedSums want[14], got[14];
  memset(want, 0, sizeof want);
  memset(got, 0xff, sizeof got);
  Use(kVqsPlain);
  if (vqs_speed(scratch, reference, dis, 2, want) != kVqsOk) Fail("vqs_speed");
  Use(target);
  if (vqs_speed(scratch, reference, dis, 2, got) != kVqsOk) Fail("vqs_speed");
  vqs_speed_free(scratch);
  Report("speed", target, width, height, bpc, memcmp(want, got, sizeof want) == 0);
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned seed = argc > 1 ? static_cast<unsigned>(strtoul(argv[1], nullptr, 10)) : std::random_device{}();
  rng.seed(seed);
  int targets = 0;
  for (int target = kVqsPlain + 1; target < kVqsTargetCount; ++target) {
    if (!vqs_cpu_runs(target)) continue;
    ++targets;
    for (int bpc : {8, 9, 10, 12, 15, 16}) {
      for (int width : {3, 7, 16, 33, 67, 2055}) Motion(target, width, width == 2055 ? 4 : 9, bpc);
      for (int width : {16, 35, 130}) Vif(target, width, 37, bpc);
      for (int width : {33, 70, 131}) Adm(target, width, 41, bpc);
      for (int width : {3, 17, 64, 131, 2055}) Sse(target, width, 7, bpc);
      for (int width : {2, 65, 259}) {
        for (int layout : {kVqsCiede420, kVqsCiede422, kVqsCiede444}) Ciede(target, width, 9, bpc, layout);
      }
      for (int width : {70, 333, 600}) Cambi(target, width, 90, bpc);
      for (int width : {81, 163, 275}) Speed(target, width, 167, bpc);
      const bool has_ssim = bpc != 9 && bpc != 15;
      for (int width : {176, 179, 211}) {
        if (has_ssim) Ssim(target, width, 181, bpc);
      }
      if (bpc > 12) continue;
      for (int width : {8, 57, 64, 113, 250}) PsnrHvs(target, width, 30, bpc);
    }
    printf("%s checked\n", kTargetNames[target]);
  }
  printf("%d cases on %d vector targets, %d differ (seed %u)\n", cases, targets, failures, seed);
  return failures > 0 || targets == 0;
}
