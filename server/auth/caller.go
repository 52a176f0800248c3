package auth

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vqsd/vqsd/store"
)

// Right is something that a caller may do.
type Right string

// The rights. Admin implies the others.
const (
	Measure Right = "measure" // start, cancel, rescore and delete measurements
	Read    Right = "read"    // read measurements, scores and metrics
	Admin   Right = "admin"   // see workers and queue, drain, clean, back up
)

// AllRights lists the rights.
func AllRights() []Right { return []Right{Measure, Read, Admin} }

// ParseRight reads a right's name.
func ParseRight(text string) (Right, error) {
	if r := Right(text); slices.Contains(AllRights(), r) {
		return r, nil
	}
	return "", fmt.Errorf("unknown right %q; there are measure, read and admin", text)
}

// Caller is who calls. It is not to be changed.
type Caller struct {
	Name   string   // "": authentication is off
	Rights []Right  //
	Roots  []string // names of the media roots he may use; nil: all
}

// anyone is the caller where authentication is off: everybody may everything.
var anyone = &Caller{Rights: AllRights()}

// May says whether the caller has a right.
func (c *Caller) May(r Right) bool {
	return slices.Contains(c.Rights, r) || slices.Contains(c.Rights, Admin)
}

// MayUse says whether the caller may use a media root.
func (c *Caller) MayUse(root string) bool { return c.Roots == nil || slices.Contains(c.Roots, root) }

// Sees says whether the caller may know of a measurement: every video of it has to be in a media root that he may use. Videos of imported measurements
// need not be in any root; whoever is confined to some sees these in his own measurements only.
func (c *Caller) Sees(m *store.Measurement) bool {
	may := func(root string) bool { return c.MayUse(root) || root == "" && c.Name != "" && c.Name == m.Owner }
	if !may(m.Request.Reference.Root) {
		return false
	}
	for _, r := range m.Request.Renditions {
		if !may(r.Source.Root) {
			return false
		}
	}
	return true
}

// String is the name, for logs.
func (c *Caller) String() string {
	if c.Name == "" {
		return "anyone"
	}
	return c.Name
}

type contextKey struct{}

// NewContext is ctx with the caller in it.
func NewContext(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// FromContext is the caller in ctx. Where there is none it is one who may nothing.
func FromContext(ctx context.Context) *Caller {
	if c, ok := ctx.Value(contextKey{}).(*Caller); ok {
		return c
	}
	return &Caller{Roots: []string{}}
}

// Bearer is the token of an Authorization header's value. ok is false where it is none.
func Bearer(header string) (token string, ok bool) {
	scheme, token, ok := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", false
	}
	return token, true
}
