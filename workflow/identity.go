package workflow

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow/protocol"
)

// figuresVersion is part of every identity. It changes when the arithmetic of a feature does, so that figures of before and after are never mixed.
const figuresVersion = 1

// comparedIdentity is the identity of figures of one pair of videos: everything beside frame, feature and options that they depend on. What does not
// change a figure (range, chunk, device, threads, subsampling) does not enter.
func comparedIdentity(c *protocol.Comparison, k int, ref, dis store.Fingerprint, in *protocol.InspectedVideo) store.Identity {
	var b strings.Builder
	writeReference(&b, c, k, ref, in)
	line(&b, "distorted", string(dis))
	line(&b, "distorted raw", c.Renditions[k].Raw)
	line(&b, "scale", filterInForce(c.Scales[k]))
	if in.Pairing == "timestamp" {
		line(&b, "pairing", "timestamp")
	} else {
		line(&b, "pairing", fmt.Sprintf("index %+d", in.Offset))
	}
	return sha256.Sum256([]byte(b.String()))
}

// referenceIdentity is the identity of figures of the reference alone, in the format that a rendition is compared in.
func referenceIdentity(c *protocol.Comparison, k int, ref store.Fingerprint, in *protocol.InspectedVideo) store.Identity {
	var b strings.Builder
	writeReference(&b, c, k, ref, in)
	if in.RefConvert != "" {
		line(&b, "scale", filterInForce(c.Scales[k]))
	}
	return sha256.Sum256([]byte(b.String()))
}

func writeReference(b *strings.Builder, c *protocol.Comparison, k int, ref store.Fingerprint, in *protocol.InspectedVideo) {
	line(b, "vqsd figures", fmt.Sprint(figuresVersion))
	line(b, "reference", string(ref))
	line(b, "reference raw", c.Reference.Raw)
	line(b, "format", fmt.Sprintf("%dx%d %d bit %s full range %t", in.Format.Width, in.Format.Height, in.Format.BitDepth, in.Format.Subsampling, in.Format.FullRange))
	if g := c.Geometries[k]; g != (store.Size{}) {
		line(b, "geometry", fmt.Sprintf("%dx%d", g.Width, g.Height))
	}
	if r := c.Crop; r != nil {
		line(b, "crop", fmt.Sprintf("%dx%d+%d+%d", r.Width, r.Height, r.X, r.Y))
	}
	if c.OnDamage == "conceal" {
		line(b, "damage", "conceal")
	}
}

// line writes one fact. Values have no line feeds of their own: fingerprints and formats are checked, and quoted in case.
func line(b *strings.Builder, name, value string) { fmt.Fprintf(b, "%s=%q\n", name, value) }

// filterInForce is the scaling filter that an empty name stands for.
func filterInForce(scale string) string {
	if scale == "" {
		return "bicubic"
	}
	return scale
}
