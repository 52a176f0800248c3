package legacy

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Format is a form of log file.
type Format uint8

// The formats. The zero value is libvmaf's default.
const (
	XML             Format = iota // libvmaf: frames, pooled figures, aggregates, size and speed
	JSON                          // libvmaf: the same without the size
	CSV                           // libvmaf: frames only, one row each
	SUB                           // libvmaf: frames only, as MicroDVD subtitles
	VmafossexecXML                // the 1.x tools: frames, and pooled figures of four of the series
	VmafossexecJSON               // the 1.x tools: the same
	VmafossexecCSV                // the 1.x tools: frames and size
	FFmpegPSNR                    // stats file of FFmpeg's psnr filter
	FFmpegSSIM                    // stats file of FFmpeg's ssim filter
)

var formatNames = [...]string{
	XML: "xml", JSON: "json", CSV: "csv", SUB: "sub",
	VmafossexecXML: "vmafossexec-xml", VmafossexecJSON: "vmafossexec-json", VmafossexecCSV: "vmafossexec-csv",
	FFmpegPSNR: "ffmpeg-psnr", FFmpegSSIM: "ffmpeg-ssim",
}

// String returns the name that [ParseFormat] takes, such as "xml" or "vmafossexec-json".
func (f Format) String() string {
	if int(f) < len(formatNames) {
		return formatNames[f]
	}
	return fmt.Sprintf("Format(%d)", uint8(f))
}

// ParseFormat reads the name of a format, in upper or lower case.
func ParseFormat(name string) (Format, error) {
	for f, known := range formatNames {
		if strings.EqualFold(name, known) {
			return Format(f), nil
		}
	}
	return 0, fmt.Errorf("unknown log format %.80q (known: %s)", name, strings.Join(formatNames[:], ", "))
}

// FormatOf is the format that the extension of a file's name stands for: one of libvmaf's own four, since the other tools' files have the
// same extensions as these, or none. ok is false for any other extension.
func FormatOf(path string) (f Format, ok bool) {
	extension := strings.TrimPrefix(filepath.Ext(path), ".")
	f, err := ParseFormat(extension)
	return f, err == nil && f.libvmaf()
}

// libvmaf says whether the form is one of libvmaf's own.
func (f Format) libvmaf() bool { return f <= SUB }
