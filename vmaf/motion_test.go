package vmaf

import (
	"slices"
	"testing"
)

// motionColumns assembles motion of a 16 × 16 picture, for which a raw sum of 65536 is a score of 1.
func motionColumns(t *testing.T, text string, scores ...float64) [][]float64 {
	t.Helper()
	raw := make([]float64, len(scores))
	for i, s := range scores {
		raw[i] = s * 256 * 16 * 16
	}
	return assembleMotion(mustExtraction(t, text), [][]float64{raw}, luma(16, 16), len(raw))
}

// The table of spec/motion.md §4.3 and the rules above it. The first raw sums have no picture to compare with: whatever
// stands there must not matter.
func TestMotion_Spec4(t *testing.T) {
	const none = 99 // a sum that must not be looked at
	for _, c := range []struct {
		name, text            string
		raw                   []float64
		sad, motion2, motion3 []float64
	}{
		{"one frame", "motion", []float64{none}, []float64{0}, []float64{0}, []float64{0}},
		{"two frames", "motion", []float64{none, 5}, []float64{0, 5}, []float64{0, 5}, []float64{5, 5}},
		{"three frames", "motion", []float64{none, 5, 3}, []float64{0, 5, 3}, []float64{0, 3, 3}, []float64{5, 3, 3}},
		{"five frames", "motion", []float64{none, 5, 3, 7, 6}, []float64{0, 5, 3, 7, 6}, []float64{0, 3, 3, 6, 6}, []float64{5, 3, 3, 6, 6}},
		{"window, one frame", "motion:motion_five_frame_window=true", []float64{none}, []float64{0}, []float64{0}, []float64{0}},
		{"window, two frames", "motion:motion_five_frame_window=true", []float64{none, none}, []float64{0, 0}, []float64{0, 0}, []float64{0, 0}},
		{"window, three frames", "motion:motion_five_frame_window=true", []float64{none, none, 4}, []float64{0, 0, 4}, []float64{0, 0, 4}, []float64{4, 4, 4}},
		{"window, four frames", "motion:motion_five_frame_window=true", []float64{none, none, 4, 6}, []float64{0, 0, 4, 6}, []float64{0, 0, 6, 6}, []float64{4, 4, 6, 6}},
		{"window, six frames", "motion:motion_five_frame_window=true", []float64{none, none, 4, 6, 5, 2},
			[]float64{0, 0, 4, 6, 5, 2}, []float64{0, 0, 6, 4, 2, 2}, []float64{4, 4, 6, 4, 2, 2}},
		{"maximum", "motion:motion_max_val=4", []float64{none, 5, 3, 7}, []float64{0, 4, 3, 4}, []float64{0, 3, 3, 4}, []float64{4, 3, 3, 4}},
		{"moving average", "motion:motion_moving_average=true", []float64{none, 5, 3, 7}, []float64{0, 5, 3, 7}, []float64{0, 3, 3, 7}, []float64{5, 4, 3, 5}},
		{"window and moving average", "motion:motion_five_frame_window=true:motion_moving_average=true", []float64{none, none, 4, 6},
			[]float64{0, 0, 4, 6}, []float64{0, 0, 6, 6}, []float64{4, 4, 5, 6}},
		{"fps weight", "motion:motion_fps_weight=2", []float64{none, 5, 3}, []float64{0, 10, 6}, []float64{0, 6, 6}, []float64{10, 6, 6}},
		{"blend", "motion:motion_blend_factor=0.5:motion_blend_offset=2", []float64{none, 6, 4}, []float64{0, 6, 4}, []float64{0, 4, 4}, []float64{4, 3, 3}},
		{"force zero", "motion:motion_force_zero=true", []float64{none, 6, 4}, []float64{0, 0, 0}, []float64{0, 0, 0}, []float64{0, 0, 0}},
	} {
		got := motionColumns(t, c.text, c.raw...)
		for k, want := range [][]float64{c.sad, c.motion2, c.motion3} {
			if !slices.Equal(got[k], want) {
				t.Errorf("%s: column %d = %v, want %v", c.name, k, got[k], want)
			}
		}
	}
}

func TestMotion_debugRepeatsTheScore(t *testing.T) {
	got := motionColumns(t, "motion:debug=true", 0, 5, 3)
	if len(got) != 4 || !slices.Equal(got[0], got[1]) {
		t.Errorf("got %v", got)
	}
}
