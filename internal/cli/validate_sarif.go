package cli

import (
	"net/url"
	"path/filepath"

	"github.com/medlogistics/phasegate/docs"
	"github.com/medlogistics/phasegate/runner/plan"
)

// The part of SARIF 2.1.0 that a validation needs:
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string        `json:"id"`
		Short   sarifText     `json:"shortDescription"`
		Help    sarifText     `json:"help"`
		Default sarifSeverity `json:"defaultConfiguration"`
	}
	sarifSeverity struct {
		Level plan.Severity `json:"level"`
	}
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifResult struct {
		Rule      string          `json:"ruleId"`
		Index     int             `json:"ruleIndex"`
		Level     plan.Severity   `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
		Related   []sarifLocation `json:"relatedLocations,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
		Message  *sarifText    `json:"message,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		Line      int        `json:"startLine"`
		Column    int        `json:"startColumn"`
		EndColumn int        `json:"endColumn,omitempty"`
		Snippet   *sarifText `json:"snippet,omitempty"`
	}
)

// findingsAsSARIF writes one run, with every rule and its page.
func (a *app) findingsAsSARIF(all []validated) error {
	driver := sarifDriver{Name: "phasegate", Version: revision()}
	index := map[string]int{}
	for i, rule := range plan.Rules() {
		index[rule.Name] = i
		page, _ := docs.Rule(rule.Name)
		driver.Rules = append(driver.Rules, sarifRule{
			ID: rule.Name, Short: sarifText{Text: rule.Why}, Default: sarifSeverity{rule.Severity},
			Help: sarifText{Text: "phasegate explain " + rule.Name, Markdown: page},
		})
	}
	run := sarifRun{Tool: sarifTool{driver}, ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	for _, v := range all {
		for _, finding := range v.findings {
			run.Results = append(run.Results, asSARIF(finding, index[finding.Rule]))
		}
	}
	return a.indented(sarifLog{
		Schema:  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		Version: "2.1.0", Runs: []sarifRun{run},
	})
}

func asSARIF(d plan.Diagnostic, index int) sarifResult {
	region := sarifRegion{Line: d.Pos.Line, Column: d.Pos.Column, EndColumn: d.Pos.Column + d.Width}
	if d.Line != "" {
		region.Snippet = &sarifText{Text: d.Line}
	}
	result := sarifResult{
		Rule: d.Rule, Index: index, Level: d.Severity, Message: sarifText{Text: advised(d)},
		Locations: []sarifLocation{{Physical: sarifPhysical{sarifArtifact{fileURI(d.File)}, region}}},
	}
	for _, r := range d.Related {
		result.Related = append(result.Related, sarifLocation{
			Physical: sarifPhysical{sarifArtifact{fileURI(d.File)}, sarifRegion{Line: r.Pos.Line, Column: r.Pos.Column}},
			Message:  &sarifText{Text: r.Message},
		})
	}
	return result
}

// advised is a finding's message with its hint.
func advised(d plan.Diagnostic) string {
	if d.Hint == "" {
		return d.Message
	}
	return d.Message + "\nhint: " + d.Hint
}

// fileURI is a file's path as a URI: relative to the root of the sources, as
// code scanning wants it, unless the path is absolute.
func fileURI(path string) string {
	u := url.URL{Path: filepath.ToSlash(path)}
	if filepath.IsAbs(path) {
		u.Scheme = "file"
	}
	return u.String()
}
