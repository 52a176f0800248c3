package engine

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/vqsd/vqsd/decode"
)

// scaledY4M writes a clip with every picture scaled.
func scaledY4M(t *testing.T, path string, to Size) string {
	t.Helper()
	v, err := decode.Open(context.Background(), decode.Input{Path: path}, decode.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	format := v.Info().Format
	format.Width, format.Height = to.Width, to.Height
	converter, err := decode.NewConverter(format, decode.Bicubic, false)
	if err != nil {
		t.Fatal(err)
	}
	defer converter.Close()
	reader, err := v.Read(context.Background(), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	var luma [][]byte
	for {
		frame, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		scaled, err := converter.Convert(frame)
		if err != nil {
			t.Fatal(err)
		}
		var picture []byte
		for y := range to.Height {
			p := scaled.Planes[0]
			picture = append(picture, p.Data[y*p.StrideBytes:y*p.StrideBytes+to.Width]...)
		}
		luma = append(luma, picture)
		scaled.Release()
		frame.Release()
	}
	return writeY4M(t, "scaled.y4m", to.Width, to.Height, len(luma), "25:1", func(n, x, y int) byte { return luma[n][y*to.Width+x] })
}

func TestMeasure_geometryEqualsScaledFiles(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 96, 72, 5, "25:1", moving(1, 0))
	dis := writeY4M(t, "dis.y4m", 80, 60, 5, "25:1", moving(2, 6))
	to := Size{64, 48}
	want := mustMeasure(t, request(t, scaledY4M(t, ref, to), scaledY4M(t, dis, to)))
	req := request(t, ref, dis)
	req.Geometry = &to
	got := mustMeasure(t, req).Renditions[0]
	sameTable(t, got.Table, want.Renditions[0].Table)
	if got.Conversion != "bicubic 80x60 to 64x48" || got.ReferenceConversion != "bicubic 96x72 to 64x48" || got.Format.Width != 64 {
		t.Errorf("%q, %q, compared as %v", got.Conversion, got.ReferenceConversion, got.Format)
	}
}

// Renditions with treatments of their own get what they get alone, and share the reference's figures only where its pictures
// are the same.
func TestMeasure_treatmentsOfTheirOwn(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 96, 72, 5, "25:1", moving(1, 0))
	dis := writeY4M(t, "dis.y4m", 80, 60, 5, "25:1", moving(2, 6))
	lanczos := decode.Lanczos
	req := request(t, ref, dis, dis, dis, dis)
	req.Treatments = []Treatment{{}, {Scale: &lanczos}, {Geometry: &Size{64, 48}}, {Geometry: &Size{64, 48}, Scale: &lanczos}}
	groups := []int{0, 0, 1, 2}
	for k, d := range mustOpen(t, req).Describe().Renditions {
		if d.Err != nil || d.Group != groups[k] {
			t.Errorf("rendition %d is in group %d, want %d (%v)", k, d.Group, groups[k], d.Err)
		}
	}
	result := mustMeasure(t, req)
	for k, treated := range req.Treatments {
		alone := request(t, ref, dis)
		alone.Scale, alone.Geometry = treated.Scale, treated.Geometry
		sameTable(t, result.Renditions[k].Table, mustMeasure(t, alone).Renditions[0].Table)
	}
}

func TestOpen_refusesTreatments(t *testing.T) {
	ref := writeY4M(t, "ref.y4m", 96, 72, 3, "25:1", moving(1, 0))
	dis := writeY4M(t, "dis.y4m", 80, 60, 3, "25:1", moving(1, 0))
	none, wrong := decode.NoScale, decode.ScaleFilter(9)
	for name, c := range map[string]struct {
		change func(*Request)
		want   string
	}{
		"no size":            {func(r *Request) { r.Geometry = &Size{0, 10} }, "geometry: 0x10 is no size"},
		"too wide":           {func(r *Request) { r.Geometry = &Size{20000, 10} }, "limits.max_width (16384)"},
		"too high":           {func(r *Request) { r.Geometry, r.Limits.MaxHeight = &Size{64, 49}, 48 }, "limits.max_height (48)"},
		"too large":          {func(r *Request) { r.Geometry, r.Limits.MaxPixels = &Size{128, 96}, 10000 }, "limits.max_pixels (10000)"},
		"another shape":      {func(r *Request) { r.Geometry = &Size{64, 64} }, "is to be compared at 64x64 with 1.000"},
		"no scaling":         {func(r *Request) { r.Geometry, r.Scale = &Size{64, 48}, &none }, "--scale"},
		"unknown filter":     {func(r *Request) { r.Scale = &wrong }, "scale: ScaleFilter(9)"},
		"one for each":       {func(r *Request) { r.Treatments = make([]Treatment, 2) }, "2 for 1 renditions"},
		"for all, and each":  {func(r *Request) { r.Treatments, r.Geometry = make([]Treatment, 1), &Size{64, 48} }, "leave one of the two out"},
		"of one, no size":    {func(r *Request) { r.Treatments = []Treatment{{Geometry: &Size{}}} }, "rendition 0: geometry"},
		"crop cuts chroma":   {func(r *Request) { r.Crop = &decode.Rect{X: 1, Y: 0, Width: 40, Height: 40} }, "chroma"},
		"crop over geometry": {func(r *Request) { r.Geometry, r.Crop = &Size{64, 48}, &decode.Rect{Width: 80, Height: 40} }, "leaves the picture of 64x48"},
	} {
		t.Run(name, func(t *testing.T) {
			req := request(t, ref, dis)
			c.change(&req)
			_, err := Measure(context.Background(), req)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
	// A size that a picture has already needs no filter, and the one of another shape may be stretched on purpose.
	req := request(t, ref, ref)
	req.Geometry, req.Scale = &Size{96, 72}, &none
	mustMeasure(t, req)
	bicubic := decode.Bicubic
	req.Geometry, req.Scale = &Size{64, 64}, &bicubic
	mustMeasure(t, req)
}
