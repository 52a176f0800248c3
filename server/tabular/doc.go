// Package tabular writes scores as rows for analysts, as CSV or as Parquet.
//
// The central type is [Writer]. [NewCSV] and [NewParquet] begin a file; Append adds the rows of one rendition after the other; Close completes the file. A
// writer is for one goroutine, and its memory does not grow with the number of rows.
//
// # Columns
//
// They are the same in both forms, in this order. Where a value is not known, the cell is empty in CSV and null in Parquet; columns that always have
// one are marked with *.
//
//	measurement*           text       "measurements/ID"
//	create_time*           timestamp  when the measurement was asked for; UTC, to the microsecond, in CSV as RFC 3339 has it
//	finish_time            timestamp  when it was done
//	labels*                text       its labels as a JSON object
//	reference*             text       URI of the reference, as it was asked for
//	reference_fingerprint* text       identifies the reference's content; "": unknown
//	rendition*             text       name of the rendition
//	distorted*             text       URI of the distorted video, as it was asked for
//	fingerprint*           text       identifies its content; "": unknown
//	codec*                 text       of the distorted video; "": unknown
//	width, height          integer    of the distorted video's pictures, luma samples
//	bit_depth              integer    bits of a sample
//	frame_rate             double     average, frames a second
//	bit_rate               integer    bits a second
//	granularity*           text       "aggregate", "segment" or "frame": what the row is of
//	first_frame*           integer    first reference frame of the row
//	end_frame*             integer    first reference frame behind it
//	seconds                double     when the first frame is shown, since the reference's first
//	series*                text       the series, as logs name it
//	model*                 text       name of the model whose score it is; "": it is a feature
//	model_version*         text       version of this model; "": it is a feature
//	pooling*               text       how frames were reduced; "aggregate" of what has no figures by frame; "" in rows of frames
//	value*                 double     the figure; in CSV inf, -inf and nan are such
//
// # Decisions
//
// Rows are long: one figure each. Wide ones, with a column for each series, would need another set of columns for nearly every measurement, since models and features differ, and
// options are part of features' names; files could not be read together, and a file could not be begun before all measurements were known. What repeats from row to row costs
// next to nothing in Parquet, where it is a dictionary and run lengths. Analysis tools turn long into wide with one word (PIVOT, pivot, spread).
//
// Labels are JSON text and not a map: both forms have the same columns then, and the tools that read Parquet differ in what they make of maps.
//
// A frame that has no value, since subsampling passed it over, has no row.
package tabular
