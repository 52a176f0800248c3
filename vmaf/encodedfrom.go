package vmaf

// EncodedOf is what CAMBI is to know of a rendition of which pictures of format file were decoded, brought to format scaled, and of which
// a part of format compared is looked at: the size that that part had before scaling, rounded to the nearest, and the depth. What
// did not change is left zero.
func EncodedOf(file, scaled, compared Format) Encoded {
	var e Encoded
	if file.Width != scaled.Width || file.Height != scaled.Height {
		before := func(part, from, to int) int { return max(1, (2*part*from+to)/(2*to)) }
		e.Width = before(compared.Width, file.Width, scaled.Width)
		e.Height = before(compared.Height, file.Height, scaled.Height)
	}
	if file.BitsPerComponent != compared.BitsPerComponent {
		e.BitsPerComponent = file.BitsPerComponent
	}
	return e
}
