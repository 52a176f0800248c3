package record

import (
	_ "embed"
	"slices"
)

//go:embed encode-record.schema.json
var schema []byte

// Schema is the JSON schema (draft 2020-12) that describes records.
func Schema() []byte { return slices.Clone(schema) }
