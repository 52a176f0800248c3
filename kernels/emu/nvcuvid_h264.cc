// nvcuvid_h264.cc — H.264 parameter sets, written anew from the numbers that a hardware decoder is given.
//
// The interface hands over slices and, apart from them, what sequence and picture parameter sets said. The sets here have the
// identities that the slices name, one profile for all (High), and nothing that concerns output: which picture is shown when is not a
// decoder's business here.
#include <algorithm>

#include "nvcuvid.h"
#include "nvcuvid_bits.h"

namespace vqs_nvcuvid {
namespace {

bool Flat(const H264Params& h) {
  const uint8_t* a = &h.scale4x4[0][0];
  const uint8_t* b = &h.scale8x8[0][0];
  const auto is_16 = [](uint8_t v) { return v == 16; };
  return std::all_of(a, a + sizeof h.scale4x4, is_16) && std::all_of(b, b + sizeof h.scale8x8, is_16);
}

}  // namespace

std::vector<uint8_t> H264Picture(const PictureParams& p) {
  const H264Params& h = p.h264;
  std::vector<uint8_t> out;
  if (p.field || !h.frame_mbs_only || h.pic_order_cnt_type == 1 || h.bit_depth_luma_minus8 || h.bit_depth_chroma_minus8 || !Flat(h)) return out;
  if (p.bitstream_bytes < 8) return out;
  BitReader slice(p.bitstream + 4, p.bitstream_bytes - 4);  // start code of three bytes, header of one
  slice.Unsigned();                                         // first_mb_in_slice
  slice.Unsigned();                                         // slice_type
  const unsigned picture_set = slice.Unsigned();
  if (picture_set > 255) return out;

  BitWriter sps;
  sps.Bits(100, 8);  // profile_idc: High
  sps.Bits(0, 8);    // constraints
  sps.Bits(52, 8);   // level_idc: 5.2, so that any number of references is allowed
  sps.Unsigned(0);   // seq_parameter_set_id
  sps.Unsigned(1);   // chroma_format_idc: 4:2:0
  sps.Unsigned(0);   // bit_depth_luma_minus8
  sps.Unsigned(0);   // bit_depth_chroma_minus8
  sps.Bits(h.transform_bypass, 1);
  sps.Bits(0, 1);  // seq_scaling_matrix_present_flag
  sps.Unsigned(static_cast<unsigned>(h.log2_max_frame_num_minus4));
  sps.Unsigned(static_cast<unsigned>(h.pic_order_cnt_type));
  if (h.pic_order_cnt_type == 0) sps.Unsigned(static_cast<unsigned>(h.log2_max_pic_order_cnt_lsb_minus4));
  sps.Unsigned(static_cast<unsigned>(h.num_ref_frames));
  sps.Bits(0, 1);  // gaps_in_frame_num_value_allowed_flag
  sps.Unsigned(static_cast<unsigned>(p.width_in_mbs - 1));
  sps.Unsigned(static_cast<unsigned>(p.height_in_mbs - 1));
  sps.Bits(1, 1);  // frame_mbs_only_flag
  sps.Bits(static_cast<unsigned>(h.direct_8x8_inference), 1);
  sps.Bits(0, 1);  // frame_cropping_flag
  sps.Bits(0, 1);  // vui_parameters_present_flag
  sps.Unit({0x67}, &out);

  BitWriter pps;
  pps.Unsigned(picture_set);
  pps.Unsigned(0);  // seq_parameter_set_id
  pps.Bits(static_cast<unsigned>(h.entropy_coding_mode), 1);
  pps.Bits(static_cast<unsigned>(h.pic_order_present), 1);
  pps.Unsigned(0);  // num_slice_groups_minus1
  pps.Unsigned(static_cast<unsigned>(h.num_ref_idx_l0_active_minus1));
  pps.Unsigned(static_cast<unsigned>(h.num_ref_idx_l1_active_minus1));
  pps.Bits(static_cast<unsigned>(h.weighted_pred), 1);
  pps.Bits(static_cast<unsigned>(h.weighted_bipred_idc), 2);
  pps.Signed(h.pic_init_qp_minus26);
  pps.Signed(0);  // pic_init_qs_minus26
  pps.Signed(h.chroma_qp_index_offset);
  pps.Bits(static_cast<unsigned>(h.deblocking_filter_control_present), 1);
  pps.Bits(static_cast<unsigned>(h.constrained_intra_pred), 1);
  pps.Bits(static_cast<unsigned>(h.redundant_pic_cnt_present), 1);
  pps.Bits(static_cast<unsigned>(h.transform_8x8_mode), 1);
  pps.Bits(0, 1);  // pic_scaling_matrix_present_flag
  pps.Signed(h.second_chroma_qp_index_offset);
  pps.Unit({0x68}, &out);

  out.insert(out.end(), p.bitstream, p.bitstream + p.bitstream_bytes);
  return out;
}

}  // namespace vqs_nvcuvid
