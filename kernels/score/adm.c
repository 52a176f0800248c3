// adm.c — the last, floating-point steps of ADM.                                             Source: spec/adm.md
//
// Every f32 step is an f32 step, every f64 step an f64 step, in the spec's order and unfused. powf is the C library's:
// another one gives other bits (§12).
#include "hd.h"

#include "adm.h"

#include <math.h>
#include <stddef.h>

static const double kPi = 3.14159265358979323846;
static const float kThird = 1.0f / 3.0f;

// ---------------------------------------------------------------------------------------------------- §7 CSF weights

// Mode 0: Watson's wavelet thresholds. ppd: pixels per degree of visual angle.
static float watson(float ppd, int scale, int diagonal) {
  static const float amplitude[2][4] = {{0.67234f, 0.41317f, 0.22727f, 0.11792f},
                                        {0.72709f, 0.49428f, 0.28688f, 0.15214f}};
  const float g = diagonal ? 0.534f : 1.0f;
  const double frequency = ldexp(1.0, scale + 1) * (double)0.401f * (double)g / (double)ppd;
  const float lt = (float)log10(frequency);
  const float e = (0.466f * lt) * lt;
  const float q = (float)(((2.0 * (double)0.495f) * pow(10.0, (double)e)) / (double)amplitude[diagonal][scale]);
  return 1.0f / q;
}

// Modes 2 and 3: blended sensitivities, measured for these displays.
typedef struct Display {
  int height;
  double distance;
  float f[2][2][4];  // [mode − 2][0 for H and V, 1 for D][scale]
} Display;

static const Display kDisplays[] = {
    {1080, 3.0,
     {{{0.01183f, 0.025026f, 0.04295f, 0.058621f}, {0.004302f, 0.011778f, 0.023918f, 0.035901f}},
      {{0.011249f, 0.022606f, 0.035930f, 0.045673f}, {0.004097f, 0.010921f, 0.021430f, 0.031313f}}}},
    {2160, 1.5,
     {{{0.01183f, 0.025026f, 0.04295f, 0.058621f}, {0.004302f, 0.011778f, 0.023918f, 0.035901f}},
      {{0.011249f, 0.022606f, 0.035930f, 0.045673f}, {0.004097f, 0.010921f, 0.021430f, 0.031313f}}}},
    {1080, 5.0,
     {{{0.004212f, 0.014809f, 0.029642f, 0.047464f}, {0.000984f, 0.005852f, 0.0146f, 0.027574f}},
      {{0.004052f, 0.013939f, 0.026298f, 0.038833f}, {0.000927f, 0.005544f, 0.013415f, 0.024515f}}}},
    {2160, 3.0,
     {{{0.00226f, 0.01183f, 0.025026f, 0.04295f}, {0.000479f, 0.004302f, 0.011778f, 0.023918f}},
      {{0.002166f, 0.011249f, 0.022606f, 0.035930f}, {0.000447f, 0.004097f, 0.010921f, 0.021430f}}}},
    {2160, 5.0,
     {{{0.000092f, 0.004212f, 0.014809f, 0.029642f}, {0.000050f, 0.000984f, 0.005852f, 0.0146f}},
      {{0.000077f, 0.004052f, 0.013939f, 0.026298f}, {0.000045f, 0.000927f, 0.005544f, 0.013415f}}}},
    {720, 5.0,
     {{{0.010144f, 0.022561f, 0.040309f, 0.05672f}, {0.003463f, 0.010282f, 0.021839f, 0.034641f}},
      {{0.009689f, 0.020577f, 0.034162f, 0.044523f}, {0.003302f, 0.009579f, 0.019661f, 0.030318f}}}},
};

static const Display* find_display(const VqsAdmOptions* options) {
  for (size_t i = 0; i < sizeof kDisplays / sizeof kDisplays[0]; ++i) {
    if (kDisplays[i].height == options->display_height && kDisplays[i].distance == options->view_distance) {
      return &kDisplays[i];
    }
  }
  return NULL;
}

static float interpolate(float x0, float y0, float x1, float y1, float x) {
  return y0 + ((y1 - y0) / (x1 - x0)) * (x - x0);
}

// Mode 1: Barten's sensitivity at 100 cd/m², between the rows for 20 and 150.
static float barten(float ppd, int scale, double factor) {
  static const float row20[4] = {0.334278f, 3.79542f, 1.07327f, 6.4635f};
  static const float row150[4] = {0.394533f, 2.7755f, 1.16577f, 7.45665f};
  static const float mtf_a[4] = {0.424838596301290f, 0.572435103936480f, 0.000167576239164937f, 0.00255872352306433f};
  static const float mtf_b[4] = {0.028f, 0.37f, 37.0f, 360.0f};
  const float rho = (float)((double)ppd / ldexp(1.0, scale + 1));
  const float x0 = (float)log10((double)20.0f), x1 = (float)log10((double)150.0f), x = (float)log10(100.0);
  float p[4];
  for (int n = 0; n < 4; ++n) p[n] = interpolate(x0, row20[n], x1, row150[n], x);

  const float p0_rho = p[0] * rho, rho_7 = rho / 7.0f;
  const float a = (float)(1.0 + pow((double)p0_rho, (double)p[1]));
  const float b = (float)(1.0 / pow(1 - exp(-pow((double)rho_7, 2)), (double)p[2]));
  const float ab = a * b;
  const float c = (float)((double)p[3] / pow((double)ab, 0.5));
  float m = 0;
  for (int n = 0; n < 4; ++n) {
    const float exponent = -mtf_b[n] * rho;
    m = (float)((double)m + (double)mtf_a[n] * exp((double)exponent));
  }
  const float ratio = 4.0627f / 100.0f;
  const float rc = (float)((double)30.162f * pow(pow((double)ratio, (double)1.6596f) + 1, (double)-0.2712f));
  const float s = (c * m) * rc;
  return (float)((double)s * factor);
}

int vqs_adm_weights(const VqsAdmOptions* options, VqsAdmWeights* weights) {
  const double distance_lines = options->view_distance * options->display_height;
  const float ppd = (float)((distance_lines * kPi) / 180);
  const Display* const display = find_display(options);
  if (options->csf_mode >= 2 && display == NULL) return kVqsAdmNoDisplay;
  int status = kVqsAdmWeightsOk;
  for (int scale = 0; scale < 4; ++scale) {
    for (int diagonal = 0; diagonal < 2; ++diagonal) {
      float f;
      if (options->csf_mode == 0) {
        f = watson(ppd, scale, diagonal);
      } else if (options->csf_mode == 1) {
        f = barten(ppd, scale, diagonal ? options->csf_diagonal_scale : options->csf_scale);
      } else {
        f = display->f[options->csf_mode - 2][diagonal][scale];
      }
      weights->f[scale][diagonal] = f;
      const double limit = scale > 0 ? 0x1p-1 : diagonal ? 0x1p-7 : 0x1p-5;
      if (!(f < limit)) {
        status = kVqsAdmTooLarge;
        continue;
      }
      const double unit = scale > 0 ? 0x1p32 : diagonal ? 0x1p23 : 0x1p21;
      weights->fixed[scale][diagonal] = (uint32_t)((double)f * unit);
    }
  }
  // The display that the metric was made for has its own constants; they are not what the formula gives.
  if (options->csf_mode == 0 && fabs(distance_lines - 3.0 * 1080) < 1e-8) {
    weights->fixed[0][0] = 36453;
    weights->fixed[0][1] = 49417;
  }
  return status;
}

// ---------------------------------------------------------------------------------------------------- §8, §10, §11

static int half(int n) { return (n + 1) / 2; }
static int margin(int b) { return b >= 5 ? (b - 5) / 10 : 0; }  // §5

static int ceil_log2(uint32_t n) {
  int bits = 0;
  while (((uint64_t)1 << bits) < n) ++bits;
  return bits;
}

// Size of one scale's bands, and of their active region.
typedef struct Extent {
  int columns, rows;
  int active_columns, active_rows, active_area;
} Extent;

static Extent extent_of(int columns, int rows) {
  Extent e = {columns, rows, columns - 2 * margin(columns), rows - 2 * margin(rows), 0};
  e.active_area = e.active_columns * e.active_rows;
  return e;
}

static float root(float x) { return powf(x, kThird); }

// By how many bits the sums of a scale are too large beside the shifts that depend on the size.
static const int kDenominatorBits[4] = {18, 32, 27, 23};
static const int kNumeratorBits[4] = {52, 45, 39, 36};
static const int kNumeratorBitsD0 = 57;

static float denominator(int scale, Extent e, const uint64_t sums[3], const float f[2], float noise) {
  int shift;
  if (scale == 0) {
    const int excess = ceil_log2((uint32_t)e.active_area) - 20;
    shift = excess > 0 ? excess : 0;
  } else {
    shift = ceil_log2((uint32_t)e.active_columns) + ceil_log2((uint32_t)e.active_rows);
  }
  const double unit = ldexp(1.0, kDenominatorBits[scale] - shift);
  float part[3];
  for (int b = 0; b < 3; ++b) {
    const double c = ((double)sums[b] / unit) * pow((double)f[b == 2], 3);
    part[b] = root((float)c) + noise;
  }
  return (part[0] + part[1]) + part[2];
}

static float numerator(int scale, Extent e, const int64_t sums[3], float noise) {
  const int column_bits = ceil_log2((uint32_t)e.columns), row_bits = ceil_log2((uint32_t)e.rows);
  float part[3];
  for (int b = 0; b < 3; ++b) {
    float y;
    if (scale == 0) {
      const int bits = b == 2 ? kNumeratorBitsD0 - (column_bits - 3) : kNumeratorBits[0] - (column_bits - 4);
      y = (float)((double)sums[b] / ldexp(1.0, bits - row_bits));
    } else {
      y = (float)sums[b] / (float)ldexp(1.0, kNumeratorBits[scale] - column_bits - row_bits);
    }
    part[b] = root(y) + noise;
  }
  return (part[0] + part[1]) + part[2];
}

void vqs_adm_figures(const uint64_t den[4][3], const int64_t num[4][3], const int64_t aim[4][3],
                     const VqsAdmWeights* weights, const VqsAdmOptions* options, int width, int height,
                     VqsAdmFigures* figures) {
  double num_sum = 0, den_sum = 0, aim_sum = 0;
  int columns = width, rows = height;
  for (int scale = 0; scale < 4; ++scale) {
    columns = half(columns);
    rows = half(rows);
    const Extent e = extent_of(columns, rows);
    float num_s = 0, aim_s = 0, den_s = (float)1e-10;
    if (scale > 0 || !options->skip_scale0) {
      const float noise = root((float)((double)e.active_area * options->noise_weight));
      num_s = numerator(scale, e, num[scale], noise);
      aim_s = numerator(scale, e, aim[scale], 0);
      den_s = denominator(scale, e, den[scale], weights->f[scale], noise);
    }
    num_sum += (double)num_s;
    den_sum += (double)den_s;
    aim_sum += (double)aim_s;
    figures->scale_num[scale] = (double)num_s;
    figures->scale_den[scale] = (double)den_s;
    // Without noise, nothing in the reference: nothing lost. The original divides 0 by 0.
    figures->scale[scale] = den_s == 0 ? 1 : (double)num_s / (double)den_s;
  }
  const double limit = (1e-10 * ((double)width * (double)height)) / (1920.0 * 1080.0);
  if (num_sum < limit) num_sum = 0;
  if (den_sum < limit) den_sum = 0;
  figures->num = num_sum;
  figures->den = den_sum;
  if (den_sum == 0) {  // likewise
    figures->adm2 = 1;
    figures->aim = 0;
  } else {
    figures->adm2 = num_sum / den_sum;
    figures->aim = aim_sum / den_sum;
  }
  const double adm3 = figures->adm2 * options->dlm_weight + (1 - figures->aim) * (1 - options->dlm_weight);
  figures->adm3 = adm3 > options->min_value ? adm3 : options->min_value;
}
