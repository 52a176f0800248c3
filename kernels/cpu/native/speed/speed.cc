#include "hd.h"

#include "speed.h"

#include <stdlib.h>
#include <string.h>

#include "speed/matrix.h"
#include "speed/score.h"
#include "speed_scratch.h"

namespace vqs {
namespace {

// Memory hands out zeroed arrays, aligned for vectors, and remembers whether there was enough.
struct Memory {
  bool enough = true;
  template <typename T>
  T* Get(size_t n) {
    const size_t bytes = (n * sizeof(T) + 63) / 64 * 64;
    void* const p = aligned_alloc(64, bytes == 0 ? 64 : bytes);
    if (p == nullptr) {
      enough = false;
      return nullptr;
    }
    memset(p, 0, bytes);
    return static_cast<T*>(p);
  }
  template <typename T>
  T* Copy(const T* from, size_t n, size_t padding = 0) {
    T* const to = Get<T>(n + padding);
    if (to != nullptr) memcpy(to, from, n * sizeof(T));
    return to;
  }
};

VqsSpeedAxis AxisOf(const VqsSpeedAxis& axis, size_t n, Memory& memory) {
  return VqsSpeedAxis{memory.Copy(axis.index, n, kSpeedPad), memory.Copy(axis.weight, n, kSpeedPad)};
}

void FreeAxis(VqsSpeedAxis& axis) {
  free(const_cast<int32_t*>(axis.index));
  free(const_cast<float*>(axis.weight));
}

bool Valid(const VqsSpeedPlan& plan) {
  bool valid = plan.width >= 1 && plan.height >= 1 && plan.bpc >= 8 && plan.bpc <= 16 && plan.filters >= 1;
  for (int i = 0; valid && i < plan.filters; ++i) {
    const VqsSpeedFilter& f = plan.filter[i];
    valid = f.width >= kSpeedSide && f.height >= kSpeedSide && f.taps >= 1 && f.taps <= kSpeedMaxTaps && f.mean_taps >= 1 &&
            f.mean_taps <= kSpeedMaxMeanTaps &&
            (f.points == kSpeedNearest || f.points == kSpeedBilinear || f.points == kSpeedBicubic || f.points == kSpeedLanczos);
    for (int k = 0; valid && k < f.points * f.width * f.taps; ++k) {
      valid = f.columns.index[k] >= 0 && f.columns.index[k] < plan.width;
    }
    for (int k = 0; valid && k < f.points * f.height * f.taps; ++k) valid = f.rows.index[k] >= 0 && f.rows.index[k] < plan.height;
  }
  for (int i = 0; valid && i < plan.entropies; ++i) valid = plan.entropy[i].filter >= 0 && plan.entropy[i].filter < plan.filters;
  for (int i = 0; valid && i < plan.scores; ++i) valid = plan.score[i].entropy >= 0 && plan.score[i].entropy < plan.entropies;
  return valid;
}

SpeedShape ShapeOf(const VqsSpeedFilter& f, Memory& memory) {
  SpeedShape s;
  s.filter = f;
  s.filter.anti_alias = memory.Copy(f.anti_alias, static_cast<size_t>(f.taps));
  s.filter.mean = memory.Copy(f.mean, static_cast<size_t>(f.mean_taps));
  const size_t across = static_cast<size_t>(f.points) * f.width * f.taps, down = static_cast<size_t>(f.points) * f.height * f.taps;
  s.filter.columns = AxisOf(f.columns, across, memory);
  s.filter.rows = AxisOf(f.rows, down, memory);
  s.across = f.width / kSpeedSide;
  s.down = f.height / kSpeedSide;
  s.blocks = s.across * s.down;
  s.truncated_width = s.across * kSpeedSide;
  s.truncated_height = s.down * kSpeedSide;
  s.positions_across = s.truncated_width - kSpeedSide + 1;
  s.positions_down = s.truncated_height - kSpeedSide + 1;
  s.positions = s.positions_across * s.positions_down;
  s.stride = f.width + kSpeedPad;
  s.places = memory.Get<int32_t>(static_cast<size_t>(s.stride) * f.taps);
  for (int c = 0; s.places != nullptr && c < f.width; ++c) {
    for (int i = 0; i < f.taps; ++i) {
      const int at = c * f.taps + i;
      s.places[i * s.stride + c] = f.points == kSpeedNearest ? f.columns.index[at] : at;
    }
  }
  return s;
}

// Measure sets what is kept of a picture.
void Measure(const SpeedStages& stages, VqsSpeed* scratch, const VqsPlane* planes, SpeedSide& side) {
  for (int uv = 0; uv < 2; ++uv) {
    for (int i = 0; i < scratch->filters; ++i) {
      const SpeedShape& shape = scratch->shape[i];
      SpeedPlane& plane = side.plane[uv][i];
      stages.decimate(scratch, shape, planes[uv]);
      stages.subtract(scratch, shape);
      stages.covariance(scratch, shape);
      stages.eigenvalues(scratch, plane.lambda);
      plane.degenerate = false;
      for (float lambda : plane.lambda) plane.degenerate |= SpeedIsTiny(lambda);
      if (!plane.degenerate) plane.degenerate = !stages.solve(scratch, shape, plane.variance);
    }
    for (int i = 0; i < scratch->entropies; ++i) {
      const int filter = scratch->entropy[i].filter;
      const SpeedPlane& plane = side.plane[uv][filter];
      if (plane.degenerate) continue;
      stages.entropies(plane, scratch->shape[filter].blocks, scratch->entropy[i].sigma, side.entropy[uv][i]);
    }
  }
}

// Compare is the score of plane uv under a configuration. Where either plane is degenerate it is 0: by definition where one is; where both
// are, because variances are 0 and so are the logarithms of their weights.
float Compare(const SpeedStages& stages, VqsSpeed* scratch, const VqsSpeedScore& c, int uv) {
  const int filter = scratch->entropy[c.entropy].filter, blocks = scratch->shape[filter].blocks;
  const SpeedPlane &reference = scratch->side[0].plane[uv][filter], &distorted = scratch->side[1].plane[uv][filter];
  if (reference.degenerate || distorted.degenerate) return 0.0f;
  const float sum = stages.score(scratch, reference, scratch->side[0].entropy[uv][c.entropy], distorted,
                                 scratch->side[1].entropy[uv][c.entropy], blocks, SpeedBase(c.sigma, c.floor), c.mode);
  return SpeedScore(sum, blocks);
}

}  // namespace
}  // namespace vqs

extern "C" int vqs_speed_new(const VqsSpeedPlan* plan, VqsSpeed** out) {
  using namespace vqs;
  *out = nullptr;
  if (!Valid(*plan)) return kVqsInvalid;
  Memory memory;
  VqsSpeed* const s = memory.Get<VqsSpeed>(1);
  if (s == nullptr) return kVqsNoMemory;
  s->width = plan->width;
  s->height = plan->height;
  s->bpc = plan->bpc;
  s->entropy = memory.Copy(plan->entropy, static_cast<size_t>(plan->entropies));
  s->score = memory.Copy(plan->score, static_cast<size_t>(plan->scores));
  s->shape = memory.Get<SpeedShape>(static_cast<size_t>(plan->filters));
  for (SpeedSide& side : s->side) {
    for (int uv = 0; uv < 2; ++uv) {
      side.plane[uv] = memory.Get<SpeedPlane>(static_cast<size_t>(plan->filters));
      side.entropy[uv] = memory.Get<float*>(static_cast<size_t>(plan->entropies));
    }
  }
  if (!memory.enough) {
    vqs_speed_free(s);
    return kVqsNoMemory;
  }
  s->scores = plan->scores;
  size_t decimated = 0, blocks = 0;
  for (int i = 0; i < plan->filters; ++i) {
    const SpeedShape shape = ShapeOf(plan->filter[i], memory);
    s->shape[i] = shape;
    s->filters = i + 1;
    const size_t samples = static_cast<size_t>(shape.filter.width) * shape.filter.height;
    decimated = samples > decimated ? samples : decimated;
    blocks = static_cast<size_t>(shape.blocks) > blocks ? static_cast<size_t>(shape.blocks) : blocks;
    for (SpeedSide& side : s->side) {
      for (int uv = 0; uv < 2; ++uv) side.plane[uv][i].variance = memory.Get<float>(static_cast<size_t>(shape.blocks) + kSpeedPad);
    }
  }
  for (int i = 0; i < plan->entropies; ++i) {
    s->entropies = i + 1;
    const size_t n = static_cast<size_t>(s->shape[plan->entropy[i].filter].blocks) + kSpeedPad;
    for (SpeedSide& side : s->side) {
      for (int uv = 0; uv < 2; ++uv) side.entropy[uv][i] = memory.Get<float>(n);
    }
  }
  size_t room = static_cast<size_t>(plan->width);
  for (int i = 0; i < plan->filters; ++i) {
    const size_t taps = static_cast<size_t>(plan->filter[i].width) * plan->filter[i].taps;
    room = taps > room ? taps : room;
  }
  room = (room + kSpeedPad) / 16 * 16;
  s->room = static_cast<int>(room);
  s->rows = memory.Get<float>(room * (kSpeedMaxPoints + 1));
  s->windows = memory.Get<float>(kSpeedPositions * kSpeedRow);
  s->centred = memory.Get<double>(kSpeedPositions * kSpeedRow);
  s->sums = memory.Get<double>(kSpeedRow * kSpeedRow);
  s->decimated = memory.Get<float>(decimated + kSpeedPad);
  s->detail = memory.Get<float>(decimated + kSpeedPad);
  s->terms = memory.Get<float>(blocks + kSpeedPad);
  if (!memory.enough) {
    vqs_speed_free(s);
    return kVqsNoMemory;
  }
  *out = s;
  return kVqsOk;
}

extern "C" void vqs_speed_free(VqsSpeed* s) {
  if (s == nullptr) return;
  for (int i = 0; i < s->filters; ++i) {
    VqsSpeedFilter& f = s->shape[i].filter;
    free(const_cast<float*>(f.anti_alias));
    free(const_cast<float*>(f.mean));
    free(s->shape[i].places);
    vqs::FreeAxis(f.columns);
    vqs::FreeAxis(f.rows);
  }
  for (vqs::SpeedSide& side : s->side) {
    for (int uv = 0; uv < 2; ++uv) {
      for (int i = 0; i < s->filters; ++i) free(side.plane[uv][i].variance);
      for (int i = 0; i < s->entropies; ++i) free(side.entropy[uv][i]);
      free(side.plane[uv]);
      free(side.entropy[uv]);
    }
  }
  free(s->shape);
  free(s->entropy);
  free(s->score);
  free(s->rows);
  free(s->decimated);
  free(s->detail);
  free(s->windows);
  free(s->centred);
  free(s->sums);
  free(s->terms);
  free(s);
}

extern "C" int vqs_speed(VqsSpeed* scratch, const VqsPlane* reference, const VqsPlane* distorted, int pictures, VqsSpeedSums* sums) {
  using namespace vqs;
  const SpeedStages& stages = vqs_cpu_is_plain() ? kSpeedPlain : SpeedVector();
  Measure(stages, scratch, reference, scratch->side[0]);
  for (int k = 0; k < pictures; ++k) {
    Measure(stages, scratch, distorted + 2 * k, scratch->side[1]);
    for (int i = 0; i < scratch->scores; ++i) {
      const VqsSpeedScore& c = scratch->score[i];
      const int filter = scratch->entropy[c.entropy].filter;
      VqsSpeedSums& to = sums[i * pictures + k];
      for (int uv = 0; uv < 2; ++uv) {
        to.score[uv] = Compare(stages, scratch, c, uv);
        to.degenerate[uv] = scratch->side[0].plane[uv][filter].degenerate || scratch->side[1].plane[uv][filter].degenerate;
      }
    }
  }
  return kVqsOk;
}
