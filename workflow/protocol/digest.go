package protocol

import (
	"crypto/sha256"
	"fmt"
)

// Digest is the same for equal comparisons, whichever contents their files have: the files that were seen do not enter.
func (c *Comparison) Digest() [sha256.Size]byte {
	plain := *c
	plain.ReferenceFile, plain.RenditionFiles = nil, nil
	body, err := encoding.Marshal(&plain) // fields in their order, and no maps: deterministic
	if err != nil {
		panic(fmt.Sprintf("protocol: a comparison of plain values cannot be encoded: %v", err))
	}
	return sha256.Sum256(body)
}
