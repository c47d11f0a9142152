package cli

import (
	"encoding/json"

	"github.com/medlogistics/phasegate/runner/plan"
)

// diagnosticsContract is the version of what findingsAsJSON writes, which
// docs/diagnostics.schema.json describes. A breaking change raises the first
// number.
const diagnosticsContract = "1.0"

type jsonFindings struct {
	Contract    string        `json:"contract"`
	Valid       bool          `json:"valid"`
	Plans       []jsonPlan    `json:"plans"`
	Diagnostics []jsonFinding `json:"diagnostics"`
}

type jsonPlan struct {
	File   string `json:"file"`
	Valid  bool   `json:"valid"`
	Name   string `json:"name,omitempty"`
	Phases int    `json:"phases,omitempty"`
	Steps  int    `json:"steps,omitempty"`
	Digest string `json:"digest,omitempty"`
}

type jsonFinding struct {
	File      string        `json:"file"`
	Line      int           `json:"line"`
	Column    int           `json:"column"`
	EndLine   int           `json:"end_line"`
	EndColumn int           `json:"end_column"`
	Severity  plan.Severity `json:"severity"`
	Rule      string        `json:"rule"`
	Message   string        `json:"message"`
	Hint      string        `json:"hint,omitempty"`
	Source    string        `json:"source,omitempty"`
	Related   []jsonRelated `json:"related,omitempty"`
}

type jsonRelated struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
}

// findingsAsJSON writes one document for all plans.
func (a *app) findingsAsJSON(all []validated) error {
	document := jsonFindings{Contract: diagnosticsContract, Valid: true, Plans: []jsonPlan{}, Diagnostics: []jsonFinding{}}
	for _, v := range all {
		entry := jsonPlan{File: v.path, Valid: v.plan != nil}
		if p := v.plan; p != nil {
			entry.Name, entry.Phases, entry.Steps, entry.Digest = p.Name, len(p.Phases), steps(p), p.Digest
		}
		document.Valid = document.Valid && entry.Valid
		document.Plans = append(document.Plans, entry)
		for _, finding := range v.findings {
			document.Diagnostics = append(document.Diagnostics, asJSON(finding))
		}
	}
	return a.indented(document)
}

func asJSON(d plan.Diagnostic) jsonFinding {
	finding := jsonFinding{
		File: d.File, Line: d.Pos.Line, Column: d.Pos.Column, EndLine: d.Pos.Line, EndColumn: d.Pos.Column + d.Width,
		Severity: d.Severity, Rule: d.Rule, Message: d.Message, Hint: d.Hint, Source: d.Line,
	}
	for _, r := range d.Related {
		finding.Related = append(finding.Related, jsonRelated{d.File, r.Pos.Line, r.Pos.Column, r.Message})
	}
	return finding
}

// indented writes a value as JSON that a person can read too.
func (a *app) indented(value any) error {
	encoder := json.NewEncoder(a.Out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
