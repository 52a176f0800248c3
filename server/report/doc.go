// Package report draws what was measured: scores over time, for people.
//
// [WritePlot] takes a [Plot], one [PlotSeries] a rendition, and writes an SVG or PNG picture, or one self-contained HTML
// page with the picture, the pooled figures and the worst frames in tables. It is a pure function: the same Plot gives
// the same bytes, there is no date and no random identifier in them. It may be called from any goroutine.
//
// # Decisions
//
// A long clip has many frames per column of the picture. Joining them all gives a solid band, and averaging hides the
// dips that one looks for. So beyond a few frames a column the series is drawn as its mean with the range from lowest
// to highest around it: every dip keeps its depth, and several renditions stay apart.
//
// The colours are told apart by all common kinds of colour vision; dashes take over where they run out. In HTML they
// are variables, so that the page follows the reader's dark mode; SVG and PNG have a white ground, because one cannot
// know what they will be put on.
//
// SVG names the font instead of embedding it: Liberation Sans, or others of the same widths, or what the viewer has.
package report
