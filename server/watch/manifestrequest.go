package watch

import (
	"math"
	"strconv"
)

// requestKey is a key of a manifest's request.
type requestKey struct {
	name string
	read func(r *manifestReader, n *node, where string, to *Request)
}

// requestKeys are the keys, in the order in which messages list them.
var requestKeys = []requestKey{
	listKey("models", func(r *Request) *[]string { return &r.Models }),
	listKey("features", func(r *Request) *[]string { return &r.Features }),
	listKey("presets", func(r *Request) *[]string { return &r.Presets }),
	textKey("class", func(r *Request) *string { return &r.Class }),
	{"labels", func(r *manifestReader, n *node, where string, to *Request) {
		to.Labels = withLabels(to.Labels, r.labels(n, where)) // another map: the configuration's is of all titles
	}},
	textKey("pairing", func(r *Request) *string { return &r.Pairing }),
	{"shortest", func(r *manifestReader, n *node, where string, to *Request) {
		if n.kind != boolNode {
			r.fail(n, "%s: want true or false, not %s", where, n.what())
			return
		}
		to.Shortest = n.text[0] == 't' || n.text[0] == 'T'
	}},
	{"subsample", func(r *manifestReader, n *node, where string, to *Request) {
		number, err := strconv.ParseInt(n.text, 10, 32)
		if n.kind != numberNode || err != nil || number < 0 {
			r.fail(n, "%s: want a whole number of 0 to %d", where, math.MaxInt32)
			return
		}
		to.Subsample = int(number)
	}},
	textKey("scale", func(r *Request) *string { return &r.Scale }),
	textKey("bit_depth", func(r *Request) *string { return &r.BitDepth }),
	textKey("on_damage", func(r *Request) *string { return &r.OnDamage }),
	textKey("raw_video", func(r *Request) *string { return &r.RawVideo }),
}

func textKey(name string, field func(*Request) *string) requestKey {
	return requestKey{name, func(r *manifestReader, n *node, where string, to *Request) {
		if n.kind == numberNode && name == "bit_depth" { // 10 is a number
			*field(to) = n.text
		} else if text, ok := r.text(n, where); ok {
			*field(to) = text
		}
	}}
}

func listKey(name string, field func(*Request) *[]string) requestKey {
	return requestKey{name, func(r *manifestReader, n *node, where string, to *Request) {
		if n.kind != listNode {
			r.fail(n, "%s: want a list such as [a, b], not %s", where, n.what())
			return
		}
		list := []string{}
		for _, item := range n.items {
			if text, ok := r.text(item, where); ok {
				list = append(list, text)
			}
		}
		*field(to) = list
	}}
}

// request reads what a manifest changes of the configuration's request.
func (r *manifestReader) request(n *node, to *Request) {
	var names []string
	for _, key := range requestKeys {
		names = append(names, key.name)
	}
	keys := r.mapping(n, "request", names...)
	before := len(r.errs)
	for _, key := range requestKeys {
		if value := keys[key.name]; value != nil {
			key.read(r, value, "request."+key.name, to)
		}
	}
	if len(r.errs) > before {
		return
	}
	for _, problem := range to.problems() {
		at := keys[problem.key]
		if at == nil {
			at = n
		}
		r.fail(at, "request.%s: %w", problem.key, problem.err)
	}
}
