package grpc

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

var errResumeToken = errors.New("bad resume token: use one of the same request to the same daemon, or begin anew")

// exportPlace is a place in an export, behind a rendition. Measurements are in the order of their names, which is that of their age, so that a
// place stays one whatever is stored and deleted. The zero value is the beginning.
//
// As a token it has the checksum that page tokens of scores have, and like them it is no signature: see sumBytes. What the store's own token in
// it says is signed.
type exportPlace struct {
	Page  string              `json:"t,omitempty"` // the store's token of the page that the measurement is in; "": the first one
	Last  store.MeasurementID `json:"m,omitempty"`
	Next  int                 `json:"k,omitempty"` // the first rendition of Last that is not behind
	Files int                 `json:"n,omitempty"` // of a table that have ended
}

// behind is how many renditions of a measurement are behind the place.
func (p *exportPlace) behind(id store.MeasurementID, renditions int) int {
	switch {
	case id < p.Last:
		return renditions
	case id == p.Last:
		return min(p.Next, renditions)
	}
	return 0
}

// exportDigest is a digest of all of a request but where it goes on.
func exportDigest(req *pb.ExportLegacyRequest) ([32]byte, error) {
	same := proto.CloneOf(req)
	same.ResumeToken = ""
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(same)
	if err != nil {
		return [32]byte{}, fmt.Errorf("digest of the export: %w", err)
	}
	return sha256.Sum256(body), nil
}

// token makes a resume token of a place.
func (p *exportPlace) token(digest [32]byte) (string, error) {
	body, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("resume token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(append(checksum(body, digest), body...)), nil
}

// parseExportPlace reads a resume token; "" is the beginning. Error: a *[workflow.FieldError].
func parseExportPlace(token string, digest [32]byte) (exportPlace, error) {
	var p exportPlace
	if token == "" {
		return p, nil
	}
	bad := &workflow.FieldError{Field: "resume_token", Err: errResumeToken}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < sumBytes || string(raw[:sumBytes]) != string(checksum(raw[sumBytes:], digest)) {
		return p, bad
	}
	if err := json.Unmarshal(raw[sumBytes:], &p); err != nil || p.Next < 0 || p.Files < 0 {
		return exportPlace{}, bad
	}
	return p, nil
}
