// nvcuvid.h — the video decoder interface as far as the software libnvcuvid answers it: names, values and layouts are those of the
// published interface, version 11.
#ifndef VQS_EMU_NVCUVID_H_
#define VQS_EMU_NVCUVID_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vqs_nvcuvid {

using CUresult = int;
using DevicePointer = unsigned long long;

enum : CUresult {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNotInitialized = 3,
  kInvalidContext = 201,
  kNotSupported = 801,
  kUnknown = 999,
};

enum Codec : int { kH264 = 4, kHEVC = 8, kVP8 = 9, kVP9 = 10, kAV1 = 11 };
enum SurfaceFormat : int { kNV12 = 0, kP016 = 1 };
constexpr int kChroma420 = 1;
constexpr int kMaxSurfaces = 32;

struct Caps {
  int codec, chroma;
  unsigned bit_depth_minus8, reserved1[3];
  unsigned char supported, engines;
  unsigned short output_formats;
  unsigned max_width, max_height, max_macroblocks;
  unsigned short min_width, min_height;
  unsigned char histogram, counter_bits;
  unsigned short histogram_bins;
  unsigned reserved3[10];
};
static_assert(sizeof(Caps) == 88, "CUVIDDECODECAPS");

struct Rectangle {
  short left, top, right, bottom;
};

struct CreateInfo {
  unsigned long width, height, decode_surfaces;
  int codec, chroma;
  unsigned long flags, bit_depth_minus8, intra_only, max_width, max_height, reserved1;
  Rectangle display;
  int output_format, deinterlace;
  unsigned long target_width, target_height, output_surfaces;
  void* lock;
  Rectangle target;
  unsigned long histogram, reserved2[4];
};
static_assert(sizeof(CreateInfo) == 176, "CUVIDDECODECREATEINFO");

struct H264Reference {
  int index, frame, is_long_term, not_existing, used, order[2];
};

struct H264Params {
  int log2_max_frame_num_minus4, pic_order_cnt_type, log2_max_pic_order_cnt_lsb_minus4, delta_pic_order_always_zero, frame_mbs_only,
      direct_8x8_inference, num_ref_frames;
  unsigned char residual_colour_transform, bit_depth_luma_minus8, bit_depth_chroma_minus8, transform_bypass;
  int entropy_coding_mode, pic_order_present, num_ref_idx_l0_active_minus1, num_ref_idx_l1_active_minus1, weighted_pred,
      weighted_bipred_idc, pic_init_qp_minus26, deblocking_filter_control_present, redundant_pic_cnt_present, transform_8x8_mode, mbaff,
      constrained_intra_pred, chroma_qp_index_offset, second_chroma_qp_index_offset, is_reference, frame_num, order[2];
  H264Reference dpb[16];
  unsigned char scale4x4[6][16], scale8x8[2][64];
};

struct HevcParams {
  int width, height;
  uint8_t log2_min_coding_block_minus3, log2_diff_coding_block, log2_min_transform_minus2, log2_diff_transform, pcm_enabled,
      log2_min_pcm_minus3, log2_diff_pcm, pcm_bits_luma_minus1, pcm_bits_chroma_minus1, pcm_loop_filter_disabled, strong_intra_smoothing,
      transform_depth_intra, transform_depth_inter, amp_enabled, separate_colour_plane, log2_max_pic_order_cnt_lsb_minus4,
      short_term_sets, long_term_present, long_term_in_sps, temporal_mvp, sao_enabled, scaling_list_enabled, is_irap, is_idr,
      bit_depth_luma_minus8, bit_depth_chroma_minus8, log2_max_transform_skip_minus2, log2_sao_offset_luma, log2_sao_offset_chroma,
      high_precision_offsets, reserved1[10];
  uint8_t dependent_slices, slice_header_extension, sign_data_hiding, cu_qp_delta, cu_qp_delta_depth;
  int8_t init_qp_minus26, cb_qp_offset, cr_qp_offset;
  uint8_t constrained_intra_pred, weighted_pred, weighted_bipred, transform_skip, transquant_bypass, entropy_coding_sync,
      log2_parallel_merge_minus2, extra_slice_header_bits, loop_filter_across_tiles, loop_filter_across_slices, output_flag_present,
      num_ref_idx_l0_minus1, num_ref_idx_l1_minus1, lists_modification_present, cabac_init_present, slice_chroma_qp_offsets_present,
      deblocking_override, deblocking_disabled;
  int8_t beta_offset_div2, tc_offset_div2;
  uint8_t tiles_enabled, uniform_spacing, tile_columns_minus1, tile_rows_minus1;
  uint16_t column_width_minus1[21], row_height_minus1[21];
  uint8_t sps_range_extension, range_flags_1[8], pps_range_extension, range_flags_2[4];
  int8_t chroma_qp_offsets[12];
  uint8_t reserved2[2];
  unsigned reserved3[8];
  int bits_of_short_term_set, delta_pocs_of_set, total, before, after, long_term, order;
  int reference[16];
  // what follows is not read
};
static_assert(offsetof(HevcParams, order) == 248 && offsetof(HevcParams, column_width_minus1) == 80, "CUVIDHEVCPICPARAMS");

struct PictureParams {
  int width_in_mbs, height_in_mbs, index, field, bottom_field, second_field;
  unsigned bitstream_bytes;
  const unsigned char* bitstream;
  unsigned slices;
  const unsigned* slice_offsets;
  int is_reference, is_intra;
  unsigned reserved[30];
  union {
    H264Params h264;
    HevcParams hevc;
    unsigned raw[1024];
  };
};
static_assert(offsetof(PictureParams, h264) == 184 && sizeof(PictureParams) == 184 + 4096, "CUVIDPICPARAMS");

struct ProcessParams {
  int progressive, second_field, top_field_first, unpaired_field;
  unsigned reserved_flags, reserved_zero;
  unsigned long long raw_input;
  unsigned raw_input_pitch, raw_input_format;
  unsigned long long raw_output;
  unsigned raw_output_pitch, reserved1;
  void* stream;
  unsigned reserved[46];
  unsigned long long* histogram;
  void* reserved2[1];
};
static_assert(offsetof(ProcessParams, stream) == 56, "CUVIDPROCPARAMS");

struct Status {
  int status;
  unsigned reserved[31];
  void* reserved_pointers[8];
};

// H264Picture and HevcPicture are what a parser needs to read the slices of a picture: parameter sets made of what the hardware is told,
// and the slices. Empty: the parameters say something that is not supported.
std::vector<uint8_t> H264Picture(const PictureParams& p);
std::vector<uint8_t> HevcPicture(const PictureParams& p);

}  // namespace vqs_nvcuvid

#endif  // VQS_EMU_NVCUVID_H_
