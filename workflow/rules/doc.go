// Package rules makes the workflow's choices from data: which models, features, size, filter, chunk length, pairing and service class a
// comparison gets, and whether it is refused or warned about.
//
// The central type is [Set], a list of rules read from YAML by [Parse]; [Builtin] is the one that ships. A rule has a condition in the
// Common Expression Language over reference, distorted and request, and settings:
//
//	rules:
//	  - name: uhd-model
//	    doc: why there is such a rule
//	    when: request.models_auto && reference.height >= 1440
//	    then:
//	      models: [vmaf_4k_v0.6.1]
//
// All rules are looked at in order, once for each rendition; each whose condition holds fires, and a later one overrides an
// earlier one, setting by setting. [Set.Decide] gives what came of it with the rule behind each value, [Set.Explain] how.
// What a request sets itself stands above every rule: see [Request].
//
// A Set is read and compiled once, does not change, and may be used by any number of goroutines. Rules have no clock, no
// randomness and no input but the three: the same facts give the same decision. They are bounded too: [MaxFileBytes],
// [MaxRules], the length of a condition and its cost have limits, and the cost is checked when the rules are read.
//
// # Decisions
//
// Conditions are checked against declared types, and a misspelt field is an error on reading. With maps for reference and distorted, the
// way of least effort, it would show on the first measurement only.
//
// The settings are a fixed list, not expressions: what can be decided is then known, checked on reading, and printed without running
// anything.
//
// YAML is read by go.yaml.in/yaml/v3, which is linear in the input and limits nesting. The other candidate, goccy/go-yaml, spent
// minutes on a few thousand bytes of nested sequences.
package rules
