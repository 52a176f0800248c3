package grpc

import (
	"fmt"
	"strings"

	"go.einride.tech/aip/fieldmask"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

const (
	maxMaskPaths = 256
	maxMaskPath  = 256 // bytes
)

// mask is a tree of the fields to keep, by name. A field without a subtree is kept whole. nil keeps everything.
type mask map[string]mask

// parseMask reads a field mask for messages like m. nil: there is none, or it is "*". Errors: errBadMask.
func parseMask(fm *fieldmaskpb.FieldMask, m proto.Message) (mask, error) {
	if fm == nil {
		return nil, nil
	}
	if len(fm.GetPaths()) > maxMaskPaths {
		return nil, fmt.Errorf("%w: %d paths; at most %d are allowed", errBadMask, len(fm.GetPaths()), maxMaskPaths)
	}
	for _, p := range fm.GetPaths() {
		if len(p) > maxMaskPath {
			return nil, fmt.Errorf("%w: a path has more than %d bytes", errBadMask, maxMaskPath)
		}
	}
	if err := fieldmask.Validate(fm, m); err != nil {
		return nil, fmt.Errorf("%w: %v", errBadMask, err)
	}
	if len(fm.GetPaths()) == 1 && fm.GetPaths()[0] == "*" {
		return nil, nil
	}
	root := mask{}
	for _, p := range fm.GetPaths() {
		root.add(strings.Split(p, "."))
	}
	return root, nil
}

// add keeps a path. What is kept whole stays so.
func (k mask) add(path []string) {
	for i, name := range path {
		next, known := k[name]
		switch {
		case known && next == nil:
			return
		case i == len(path)-1:
			k[name] = nil
			return
		case !known:
			next = mask{}
			k[name] = next
		}
		k = next
	}
}

// apply clears all fields that are not kept. A path through a list holds for each of its elements; in a map it is the whole map.
func (k mask) apply(m protoreflect.Message) {
	if k == nil {
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		sub, kept := k[string(fd.Name())]
		switch {
		case !kept:
			m.Clear(fd)
		case sub == nil || fd.IsMap() || fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				sub.apply(v.List().Get(i).Message())
			}
		default:
			sub.apply(v.Message())
		}
		return true
	})
}
