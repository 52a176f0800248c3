// nvcuvid_hevc.cc — HEVC parameter sets, written anew from the numbers that a hardware decoder is given. As for H.264, nothing in them
// concerns output. Reference picture sets of the sequence are not among the numbers, so that slices must bring theirs.
#include "nvcuvid.h"
#include "nvcuvid_bits.h"

namespace vqs_nvcuvid {
namespace {

void Flag(BitWriter* w, unsigned value) { w->Bits(value ? 1 : 0, 1); }

// Level writes profile_tier_level.
void Level(BitWriter* w, const HevcParams& h) {
  const unsigned profile = h.bit_depth_luma_minus8 ? 2 : 1;  // Main 10, Main
  w->Bits(profile, 8);                                       // profile space and tier 0
  w->Bits(1u << (31 - profile), 32);                         // compatible with itself
  w->Bits(0, 24);
  w->Bits(0, 24);
  w->Bits(186, 8);  // level 6.2
}

// Buffers writes how many pictures are kept and shown out of order, for one layer: all, and none.
void Buffers(BitWriter* w) {
  Flag(w, 1);
  w->Unsigned(15);
  w->Unsigned(0);
  w->Unsigned(0);
}

void Video(const HevcParams& h, std::vector<uint8_t>* out) {
  BitWriter w;
  w.Bits(0, 4);  // vps_video_parameter_set_id
  w.Bits(3, 2);  // base layer
  w.Bits(0, 6);  // vps_max_layers_minus1
  w.Bits(0, 3);  // vps_max_sub_layers_minus1
  Flag(&w, 1);   // vps_temporal_id_nesting_flag
  w.Bits(0xffff, 16);
  Level(&w, h);
  Buffers(&w);
  w.Bits(0, 6);   // vps_max_layer_id
  w.Unsigned(0);  // vps_num_layer_sets_minus1
  Flag(&w, 0);    // vps_timing_info_present_flag
  Flag(&w, 0);    // vps_extension_flag
  w.Unit({32 << 1, 1}, out);
}

void Sequence(const HevcParams& h, std::vector<uint8_t>* out) {
  BitWriter w;
  w.Bits(0, 4);  // sps_video_parameter_set_id
  w.Bits(0, 3);  // sps_max_sub_layers_minus1
  Flag(&w, 1);   // sps_temporal_id_nesting_flag
  Level(&w, h);
  w.Unsigned(0);  // sps_seq_parameter_set_id
  w.Unsigned(1);  // chroma_format_idc: 4:2:0
  w.Unsigned(static_cast<unsigned>(h.width));
  w.Unsigned(static_cast<unsigned>(h.height));
  Flag(&w, 0);  // conformance_window_flag
  w.Unsigned(h.bit_depth_luma_minus8);
  w.Unsigned(h.bit_depth_chroma_minus8);
  w.Unsigned(h.log2_max_pic_order_cnt_lsb_minus4);
  Buffers(&w);
  w.Unsigned(h.log2_min_coding_block_minus3);
  w.Unsigned(h.log2_diff_coding_block);
  w.Unsigned(h.log2_min_transform_minus2);
  w.Unsigned(h.log2_diff_transform);
  w.Unsigned(h.transform_depth_inter);
  w.Unsigned(h.transform_depth_intra);
  Flag(&w, 0);  // scaling_list_enabled_flag
  Flag(&w, h.amp_enabled);
  Flag(&w, h.sao_enabled);
  Flag(&w, h.pcm_enabled);
  if (h.pcm_enabled) {
    w.Bits(h.pcm_bits_luma_minus1, 4);
    w.Bits(h.pcm_bits_chroma_minus1, 4);
    w.Unsigned(h.log2_min_pcm_minus3);
    w.Unsigned(h.log2_diff_pcm);
    Flag(&w, h.pcm_loop_filter_disabled);
  }
  w.Unsigned(0);  // num_short_term_ref_pic_sets
  Flag(&w, h.long_term_present);
  if (h.long_term_present) w.Unsigned(0);  // num_long_term_ref_pics_sps
  Flag(&w, h.temporal_mvp);
  Flag(&w, h.strong_intra_smoothing);
  Flag(&w, 0);  // vui_parameters_present_flag
  Flag(&w, 0);  // sps_extension_present_flag
  w.Unit({33 << 1, 1}, out);
}

void Picture(const HevcParams& h, unsigned identity, std::vector<uint8_t>* out) {
  BitWriter w;
  w.Unsigned(identity);
  w.Unsigned(0);  // pps_seq_parameter_set_id
  Flag(&w, h.dependent_slices);
  Flag(&w, h.output_flag_present);
  w.Bits(h.extra_slice_header_bits, 3);
  Flag(&w, h.sign_data_hiding);
  Flag(&w, h.cabac_init_present);
  w.Unsigned(h.num_ref_idx_l0_minus1);
  w.Unsigned(h.num_ref_idx_l1_minus1);
  w.Signed(h.init_qp_minus26);
  Flag(&w, h.constrained_intra_pred);
  Flag(&w, h.transform_skip);
  Flag(&w, h.cu_qp_delta);
  if (h.cu_qp_delta) w.Unsigned(h.cu_qp_delta_depth);
  w.Signed(h.cb_qp_offset);
  w.Signed(h.cr_qp_offset);
  Flag(&w, h.slice_chroma_qp_offsets_present);
  Flag(&w, h.weighted_pred);
  Flag(&w, h.weighted_bipred);
  Flag(&w, h.transquant_bypass);
  Flag(&w, h.tiles_enabled);
  Flag(&w, h.entropy_coding_sync);
  if (h.tiles_enabled) {
    w.Unsigned(h.tile_columns_minus1);
    w.Unsigned(h.tile_rows_minus1);
    Flag(&w, h.uniform_spacing);
    if (!h.uniform_spacing) {
      for (int i = 0; i < h.tile_columns_minus1; i++) w.Unsigned(h.column_width_minus1[i]);
      for (int i = 0; i < h.tile_rows_minus1; i++) w.Unsigned(h.row_height_minus1[i]);
    }
    Flag(&w, h.loop_filter_across_tiles);
  }
  Flag(&w, h.loop_filter_across_slices);
  Flag(&w, 1);  // deblocking_filter_control_present_flag
  Flag(&w, h.deblocking_override);
  Flag(&w, h.deblocking_disabled);
  if (!h.deblocking_disabled) {
    w.Signed(h.beta_offset_div2);
    w.Signed(h.tc_offset_div2);
  }
  Flag(&w, 0);  // pps_scaling_list_data_present_flag
  Flag(&w, h.lists_modification_present);
  w.Unsigned(h.log2_parallel_merge_minus2);
  Flag(&w, h.slice_header_extension);
  Flag(&w, 0);  // pps_extension_present_flag
  w.Unit({34 << 1, 1}, out);
}

}  // namespace

std::vector<uint8_t> HevcPicture(const PictureParams& p) {
  const HevcParams& h = p.hevc;
  std::vector<uint8_t> out;
  if (h.scaling_list_enabled || h.short_term_sets || h.long_term_in_sps || h.separate_colour_plane || h.sps_range_extension ||
      h.pps_range_extension || h.tile_columns_minus1 > 20 || h.tile_rows_minus1 > 20 || p.bitstream_bytes < 8)
    return out;
  BitReader slice(p.bitstream + 5, p.bitstream_bytes - 5);  // start code of three bytes, header of two
  const unsigned type = p.bitstream[3] >> 1 & 63;
  slice.Bit();                                  // first_slice_segment_in_pic_flag
  if (type >= 16 && type <= 23) slice.Bit();    // no_output_of_prior_pics_flag
  const unsigned picture_set = slice.Unsigned();
  if (picture_set > 63) return out;
  Video(h, &out);
  Sequence(h, &out);
  Picture(h, picture_set, &out);
  out.insert(out.end(), p.bitstream, p.bitstream + p.bitstream_bytes);
  return out;
}

}  // namespace vqs_nvcuvid
