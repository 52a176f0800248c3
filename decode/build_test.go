package decode

import (
	"strings"
	"testing"
)

func TestLibraries(t *testing.T) {
	list, release := Libraries()
	if release == "" || len(list) != 4 {
		t.Errorf("release %q, libraries %v", release, list)
	}
	for _, l := range list {
		if !strings.HasPrefix(l.Name, "lib") || strings.Count(l.Running, ".") != 2 || strings.Count(l.Built, ".") != 2 || !l.Fits {
			t.Errorf("got %+v", l)
		}
	}
}

func TestDecoderOf(t *testing.T) {
	if got := DecoderOf("rawvideo"); got != "rawvideo" {
		t.Errorf("of rawvideo: %q", got)
	}
	if got := DecoderOf("nonsense"); got != "" {
		t.Errorf("of nonsense: %q", got)
	}
}
