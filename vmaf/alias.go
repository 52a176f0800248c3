package vmaf

import "strings"

// Alias is the name that log files print for a stored name: "integer_adm2" for "VMAF_integer_feature_adm2_score".
// Names without an alias are returned as they are; so are names that already carry options, which are built from the
// alias.
//
// Source: spec/legacy-logs.md A.1, spec/prediction.md §3.
func Alias(name string) string {
	if alias, ok := aliases[name]; ok {
		return alias
	}
	return name
}

var aliases = newAliases()

func newAliases() map[string]string {
	m := map[string]string{
		"Cambi_feature_cambi_score":                   "cambi",
		"Speed_chroma_feature_speed_chroma_u_score":   "speed_chroma_u",
		"Speed_chroma_feature_speed_chroma_v_score":   "speed_chroma_v",
		"Speed_chroma_feature_speed_chroma_uv_score":  "speed_chroma_uv",
		"Speed_temporal_feature_speed_temporal_score": "speed_temporal",
	}
	const both = "adm2 aim adm3 motion motion2 motion3 vif_scale0 vif_scale1 vif_scale2 vif_scale3"
	for feature := range strings.FieldsSeq(both) {
		m["VMAF_integer_feature_"+feature+"_score"] = "integer_" + feature
		m["VMAF_feature_"+feature+"_score"] = feature
	}
	for feature := range strings.FieldsSeq("adm_scale0 adm_scale1 adm_scale2 adm_scale3") {
		m["VMAF_feature_"+feature+"_score"] = feature // the integer ones are stored under their short name
	}
	return m
}
