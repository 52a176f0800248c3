// Package record reads and writes encode records: one JSON document for each encode that holds the encode's quality beside what was encoded and how
// it was compared, as a pipeline that measures within its encode step keeps it.
//
// The central type is [Document]. [FromMeasurement] makes one of a stored measurement, [Write] puts it out, [Read] takes it in again, and
// [Document.ImportRequest] says what of it goes into a store. All are functions of their arguments and may be called from any goroutine; a document
// shares memory with what it was made of and is not to be written to.
//
// The form is described by [Schema], a JSON schema (draft 2020-12) that is published beside this package as encode-record.schema.json.
//
// # Decisions
//
// A record carries the name of its schema, [SchemaName]. Under one name a member is never renamed, removed or given another meaning; new ones may
// appear. Read therefore takes members that it does not know, and says which they were ([Document.Unknown]): refusing them would make old readers useless
// for new records, and dropping them silently would lose what they say.
//
// Read checks by itself and not with a validator of schemas, which would have to hold 10⁶ numbers as a tree first. Its verdict is the schema's: a document
// within the limits violates the schema exactly if Read's error wraps [ErrSchema]. What no schema can say, such as that two arrays are of equal
// length, is [ErrInconsistent]. What the validators of different languages take differently is refused as [ErrMalformed]: the same member twice, bytes that are not UTF-8,
// half of a surrogate pair (RFC 7493, section 2).
//
// Numbers are doubles, written with as many digits as give the same bits again. JSON has no numbers that are not finite: these are the strings "inf", "-inf"
// and "nan", and null stands for no value at all. The bits of a NaN beside its being one are not kept. Integers stay below 2⁵³, where every reader of JSON
// agrees on them.
//
// Figures of frames are columns and not rows: a tenth of the bytes, and they are read without a name for each value.
package record
