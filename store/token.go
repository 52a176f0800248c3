package store

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"strings"
)

// The layout of a page token, in URL-safe base 64 without padding:
//
//	byte 0       version, 1
//	bytes 1…16   digest of the query: filter, order, granularity, roots and owner
//	then         the position: key (its length in a byte, then its bytes), ID (26 bytes), ordinal (uvarint)
//	then         16 bytes of HMAC-SHA-256 over all before, with the store's secret
const (
	tokenVersion = 1
	digestLength = 16
	macLength    = 16
)

// describe digests what has to be the same from page to page.
func (r *search) describe() []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%t %q %t %t %q\n", r.rows, r.order, r.desc, r.roots == nil, r.owner)
	for _, root := range r.roots {
		fmt.Fprintf(h, "%q\n", root)
	}
	r.filter.describe(h)
	return h.Sum(nil)[:digestLength]
}

func (n *node) describe(w io.Writer) {
	fmt.Fprintf(w, "%d %q %q %q %q %x %d.%d %d\n", n.op, n.field, n.label, n.cmp, n.text, n.number, n.time.Unix(), n.time.Nanosecond(), len(n.kids))
	for _, kid := range n.kids {
		kid.describe(w)
	}
}

func (r *search) mac() hash.Hash { return hmac.New(sha256.New, r.store.secret) }

// token says where a page ended.
func (r *search) token(p *position) string {
	b := append([]byte{tokenVersion}, r.digest...)
	b = append(b, byte(len(p.key)))
	b = append(append(b, p.key...), p.id...)
	b = binary.AppendUvarint(b, uint64(p.ordinal))
	mac := r.mac()
	mac.Write(b)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(b)[:len(b)+macLength])
}

// readToken reads a token of this store and this query.
func (r *search) readToken(token string) (*position, error) {
	bad := fmt.Errorf("%w: the page token is not one of this server; start from the first page", ErrQuery)
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < 1+digestLength+macLength {
		return nil, bad
	}
	body, sum := b[:len(b)-macLength], b[len(b)-macLength:]
	mac := r.mac()
	mac.Write(body)
	if !hmac.Equal(mac.Sum(nil)[:macLength], sum) || body[0] != tokenVersion {
		return nil, bad
	}
	if string(body[1:1+digestLength]) != string(r.digest) {
		return nil, fmt.Errorf("%w: the page token is of another query; filter, order and granularity have to stay the same", ErrQuery)
	}
	rest := string(body[1+digestLength:])
	n := int(rest[0])
	if len(rest) < 1+n+idLength {
		return nil, bad
	}
	p := &position{key: []byte(rest[1 : 1+n]), id: MeasurementID(strings.Clone(rest[1+n : 1+n+idLength]))}
	ordinal, used := binary.Uvarint([]byte(rest[1+n+idLength:]))
	if used <= 0 || !p.id.valid() {
		return nil, bad
	}
	p.ordinal = int(ordinal)
	return p, nil
}
