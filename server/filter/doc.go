// Package filter reads filters of the list calls, in the language of AIP-160, and makes the store's expressions of them.
//
// [Parse] is a pure function and may be called from any goroutine. The grammar is that of go.einride.tech/aip/filtering; what a field is
// called, which type it has and how it is compared is decided here, because that library's type checker does not say where in the text an error
// is. Every [Error] does.
//
//	state = SUCCEEDED AND labels.title = "x" AND create_time > "2026-01-01T00:00:00Z"
//	model = vmaf_v0.6.1 AND pooling = mean AND score < 80
//	NOT (height >= 1080 OR codec != h264) AND path = "shows/*" AND labels:title
//
// # Decisions
//
// Restrictions that follow each other without AND are joined by AND: AIP-160 would have a measure of relevance there, which records of measurements do not
// have. OR binds more tightly than AND, as there.
//
// What is on the right of a comparison may be written without quotes where it has no characters of the language's own: model = vmaf_v0.6.1.
package filter
