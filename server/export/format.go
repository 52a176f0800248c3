package export

import (
	"fmt"
	"slices"
	"strings"
)

// Format is a form of files that measurements can be exported in, by the name that the API and the command line have for it.
type Format string

// The formats of one rendition's file each.
const (
	XML             Format = "xml" // logs of libvmaf 3.2.0
	JSON            Format = "json"
	CSV             Format = "csv"
	SUB             Format = "sub"
	VmafossexecXML  Format = "vmafossexec-xml" // logs of the 1.x tools
	VmafossexecJSON Format = "vmafossexec-json"
	VmafossexecCSV  Format = "vmafossexec-csv"
	FFmpegPSNR      Format = "ffmpeg-psnr" // stats files of FFmpeg's filters
	FFmpegSSIM      Format = "ffmpeg-ssim"
	Record          Format = "record" // document of one encode, see package record
	HTML            Format = "html"   // page to look at
)

// The formats of files with rows of many renditions, see package tabular.
const (
	TableCSV     Format = "table-csv"
	TableParquet Format = "table-parquet"
)

// formats has the extension of each format's files.
var formats = []struct {
	format    Format
	extension string
}{
	{XML, ".xml"}, {JSON, ".json"}, {CSV, ".csv"}, {SUB, ".sub"},
	{VmafossexecXML, ".vmafossexec.xml"}, {VmafossexecJSON, ".vmafossexec.json"}, {VmafossexecCSV, ".vmafossexec.csv"},
	{FFmpegPSNR, ".psnr.log"}, {FFmpegSSIM, ".ssim.log"}, {Record, ".record.json"}, {HTML, ".html"},
	{TableCSV, ".table.csv"}, {TableParquet, ".parquet"},
}

// Formats lists them all.
func Formats() []Format {
	var list []Format
	for _, f := range formats {
		list = append(list, f.format)
	}
	return list
}

// ParseFormat reads a format's name, in upper or lower case.
func ParseFormat(name string) (Format, error) {
	f := Format(strings.ToLower(name))
	if f.Extension() == "" {
		var names []string
		for _, f := range formats {
			names = append(names, string(f.format))
		}
		return "", fmt.Errorf("unknown format %.80q (known: %s)", name, strings.Join(names, ", "))
	}
	return f, nil
}

// Extension is what the names of its files end in, with the dot; "" of what is no format.
func (f Format) Extension() string {
	i := slices.IndexFunc(formats, func(known struct {
		format    Format
		extension string
	}) bool {
		return known.format == f
	})
	if i < 0 {
		return ""
	}
	return formats[i].extension
}

// Table says whether its files have rows of many renditions.
func (f Format) Table() bool { return f == TableCSV || f == TableParquet }
