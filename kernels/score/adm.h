// adm.h — the last, floating-point steps of ADM: weights from options, figures from integer sums.   Source: spec/adm.md
#ifndef VQS_SCORE_ADM_H_
#define VQS_SCORE_ADM_H_

#include <stdint.h>

// VqsAdmOptions are the options of the extractor that these steps know, §2.
typedef struct VqsAdmOptions {
  double view_distance;  // in picture heights
  int32_t display_height;
  int32_t csf_mode;  // 0…3
  double csf_scale, csf_diagonal_scale;  // mode 1 only
  double noise_weight, dlm_weight, min_value;
  int32_t skip_scale0;
} VqsAdmOptions;

// VqsAdmWeights are the contrast sensitivities of scales 0…3, [scale][0 for H and V, 1 for D].
typedef struct VqsAdmWeights {
  float f[4][2];
  uint32_t fixed[4][2];  // scale 0: Q21 and Q23; others: Q32
} VqsAdmWeights;

enum VqsAdmWeightStatus {
  kVqsAdmWeightsOk = 0,
  kVqsAdmNoDisplay = 1,  // modes 2 and 3 have no table for this display
  kVqsAdmTooLarge = 2,   // a weight does not fit its fixed-point form
};

// vqs_adm_weights computes §7. On kVqsAdmTooLarge the f of *weights are set.
int vqs_adm_weights(const VqsAdmOptions* options, VqsAdmWeights* weights);

// VqsAdmFigures are what the extractor reports for one frame.
typedef struct VqsAdmFigures {
  double adm2, aim, adm3;
  double scale[4];
  double num, den;              // whole picture, debug
  double scale_num[4], scale_den[4];  // debug
} VqsAdmFigures;

// vqs_adm_figures computes the rest of §8 and §10, and §11. Sums are [scale][H, V, D]; all-zero aim sums give aim 0.
void vqs_adm_figures(const uint64_t den[4][3], const int64_t num[4][3], const int64_t aim[4][3],
                     const VqsAdmWeights* weights, const VqsAdmOptions* options, int width, int height,
                     VqsAdmFigures* figures);

#endif  // VQS_SCORE_ADM_H_
