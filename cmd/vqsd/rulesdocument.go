package main

import (
	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/workflow/rules"
)

// rulesTestDocument is what rules test --json prints.
type rulesTestDocument struct {
	Schema    string          `json:"schema"` // rulesTestSchema
	Program   programInfo     `json:"program"`
	Source    string          `json:"source"` // of the rules: "builtin" or the file
	Digest    string          `json:"digest"` // SHA-256 of the rules' text
	Reference videoInfo       `json:"reference"`
	Distorted []videoInfo     `json:"distorted"`
	Rules     []explainedRule `json:"rules"`    // for the first distorted video, then for the others
	Decision  *ruleDecision   `json:"decision"` // null: there is an error
	Error     *string         `json:"error"`    // why nothing could be decided
}

type explainedRule struct {
	Rule      string     `json:"rule"`
	Distorted int        `json:"distorted"` // from 0
	Fired     bool       `json:"fired"`
	When      string     `json:"when"`
	Doc       string     `json:"doc"`
	Sets      string     `json:"sets"`  // where it fires
	Facts     []ruleFact `json:"facts"` // what the condition looks at
	Error     *string    `json:"error"` // why the condition has no value
}

// ruleFact is a value that a condition looks at, written as in conditions.
type ruleFact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// ruleDecision is what is decided for the ladder; null where no rule said anything.
type ruleDecision struct {
	Models      []ruleChoice            `json:"models"`
	Features    []ruleChoice            `json:"features"`
	Pools       []ruleChoice            `json:"pools"`
	BitDepth    *ruleChoice             `json:"bit_depth"`
	ChunkFrames *ruleNumber             `json:"chunk_frames"`
	Pairing     *ruleChoice             `json:"pairing"`
	Class       *ruleChoice             `json:"class"`
	Distorted   []ruleRenditionDecision `json:"distorted"`
	Warnings    []ruleWarning           `json:"warnings"`
}

type ruleRenditionDecision struct {
	Scale    *ruleChoice  `json:"scale"`
	Geometry *ruleChoice  `json:"geometry"`
	Encoded  *ruleChoice  `json:"encoded"`
	Refusals []ruleChoice `json:"refusals"`
}

type ruleChoice struct {
	Value string `json:"value"`
	Rule  string `json:"rule"`
}

type ruleNumber struct {
	Value int64  `json:"value"`
	Rule  string `json:"rule"`
}

type ruleWarning struct {
	Text      string `json:"text"`
	Rule      string `json:"rule"`
	Distorted []int  `json:"distorted"` // from 0
}

// newRulesTestDocument puts what rules made of videos, the reference first, into a document. decision is nil where err is not.
func newRulesTestDocument(set *rules.Set, infos []decode.Info, explanations []rules.Explanation, decision *rules.Decision, err error) rulesTestDocument {
	d := rulesTestDocument{
		Schema: rulesTestSchema, Program: program(), Source: set.Name(), Digest: set.Digest(), Reference: newVideoInfo(infos[0]),
		Distorted: []videoInfo{}, Rules: []explainedRule{}, Error: errorText(err),
	}
	for _, info := range infos[1:] {
		d.Distorted = append(d.Distorted, newVideoInfo(info))
	}
	for _, e := range explanations {
		rule := explainedRule{e.Rule, e.Rendition, e.Fired, e.When, e.Doc, e.Settings, []ruleFact{}, errorText(e.Err)}
		for _, f := range e.Facts {
			rule.Facts = append(rule.Facts, ruleFact(f))
		}
		d.Rules = append(d.Rules, rule)
	}
	if decision != nil {
		d.Decision = newRuleDecision(decision)
	}
	return d
}

func newRuleDecision(d *rules.Decision) *ruleDecision {
	out := &ruleDecision{
		Models: ruleChoices(d.Models), Features: ruleChoices(d.Features), Pools: ruleChoices(d.Pools),
		BitDepth: newRuleChoice(d.BitDepth), Pairing: newRuleChoice(d.Pairing), Class: newRuleChoice(d.Class), Distorted: []ruleRenditionDecision{}, Warnings: []ruleWarning{},
	}
	if c := d.ChunkFrames; c.IsSet() {
		out.ChunkFrames = &ruleNumber{c.Value, c.Rule}
	}
	for _, r := range d.Renditions {
		geometry := rules.Choice[string]{Value: r.Geometry.Value.String(), Rule: r.Geometry.Rule}
		encoded := rules.Choice[string]{Value: r.Encoded.Value.String(), Rule: r.Encoded.Rule}
		out.Distorted = append(out.Distorted, ruleRenditionDecision{newRuleChoice(r.Scale), newRuleChoice(geometry), newRuleChoice(encoded), ruleChoices(r.Refusals)})
	}
	for _, w := range d.Warnings {
		out.Warnings = append(out.Warnings, ruleWarning{w.Text, w.Rule, w.Renditions})
	}
	return out
}

// newRuleChoice is a choice, or nil where no rule made one.
func newRuleChoice(c rules.Choice[string]) *ruleChoice {
	if !c.IsSet() {
		return nil
	}
	return &ruleChoice{c.Value, c.Rule}
}

func ruleChoices(list []rules.Choice[string]) []ruleChoice {
	out := []ruleChoice{}
	for _, c := range list {
		out = append(out, ruleChoice{c.Value, c.Rule})
	}
	return out
}

// errorText is an error's text, or nil for none.
func errorText(err error) *string {
	if err == nil {
		return nil
	}
	text := err.Error()
	return &text
}
