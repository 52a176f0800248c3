package vmaf

// cambiDepth is what CAMBI, and with it every model of VMAF v1, is made for: its steps of contrast are those of 10 bits, whatever it is given.
// Source: spec/cambi.md §3.4 and §5.2.
const cambiDepth = 10

// PreferredBitsPerComponent is the depth that pictures had better be compared at for the model, widened by shifting where they have fewer bits: 10
// for those with CAMBI among their features, which are all of VMAF v1. 0: the model has no preference.
func (m *Model) PreferredBitsPerComponent() int {
	for _, e := range m.Extractions() {
		if e.Extractor() == "cambi" {
			return cambiDepth
		}
	}
	return 0
}
