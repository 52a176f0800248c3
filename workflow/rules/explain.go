package rules

// Explanation says what became of one rule for one rendition.
type Explanation struct {
	Rule, Doc, When string
	Rendition       int    // from 0
	Fired           bool   // the condition held
	Err             error  // the condition could not be evaluated
	Settings        string // what the rule sets where it fires, as [Settings.String] has it
	Facts           []Fact // what the condition looks at, in its order
}

// Fact is one value that a condition looks at, written as conditions write values.
type Fact struct{ Name, Value string }

// Explain says of every rule whether and why it fires, for the first rendition and then for the others.
func (s *Set) Explain(ref Video, dis []Video, req Request) []Explanation {
	if req.Renditions == 0 {
		req.Renditions = len(dis)
	}
	var list []Explanation
	for k := range dis {
		p := &pair{&ref, &dis[k], &req}
		for i := range s.rules {
			rule := &s.rules[i]
			e := Explanation{Rule: rule.Name, Doc: rule.Doc, When: rule.When, Rendition: k, Settings: rule.Then.String()}
			e.Fired, e.Err = rule.condition.holds(p)
			for _, f := range rule.condition.reads {
				e.Facts = append(e.Facts, Fact{f.variable + "." + f.field, f.value(p)})
			}
			list = append(list, e)
		}
	}
	return list
}
