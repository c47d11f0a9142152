package cli

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/medlogistics/phasegate/runner/plan"
)

// The measures of the drawing, in pixels. Phases are on the left, what takes
// them back is on the right.
const (
	svgWidth  = 860
	svgLeft   = 20
	svgRight  = 460
	svgBox    = 380
	svgRow    = 26
	svgHead   = 40
	svgGap    = 34
	svgLetter = 50 // letters in a row
)

const svgStyle = `<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.head { font-weight: 600 } .note { fill: #59636e; font-size: 12px }
.box { fill: #f6f8fa; stroke: #d1d9e0 } .back { fill: #fff8f0; stroke: #d4a72c; stroke-dasharray: 4 3 }
.gate { fill: #ddf4ff; stroke: #54aeff } .step { fill: #fff; stroke: #d1d9e0 } .changes { stroke: #1f2328 }
.way { fill: none; stroke: #59636e; stroke-width: 1.5; marker-end: url(#tip) } .return { stroke: #9a6700; stroke-dasharray: 4 3 }
</style>
<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 10 5 0 10z"/></marker></defs>
`

// A drawing is an SVG on its way down the page.
type drawing struct {
	strings.Builder
	y       int
	earlier int // where the last way back is, 0 if there is none
}

// svg draws the plan.
func svg(p *plan.Plan) string {
	d := &drawing{y: 20}
	d.text(svgLeft, d.y+4, "head", p.Name+": "+p.Summary)
	d.y += 24
	for i, phase := range p.Phases {
		top := d.y
		bottom := d.box(svgLeft, top, "box", phase.Name, phase.Summary, phase.Gates, phase.Steps)
		if right := d.wayBack(phase, top); right > bottom {
			bottom = right
		}
		if i < len(p.Phases)-1 {
			d.arrow("way", svgLeft+svgBox/2, bottom, svgLeft+svgBox/2, bottom+svgGap)
		}
		d.y = bottom + svgGap
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img">`+"\n<title>%[3]s</title>\n%[4]s%[5]s</svg>\n",
		svgWidth, d.y, escaped(p.Name), svgStyle, d.String())
}

// wayBack draws what takes the phase back, and returns where it ends.
func (d *drawing) wayBack(phase plan.Phase, top int) int {
	title, note := "take back "+phase.Name, "when you say phasegate rollback"
	switch {
	case phase.Irreversible != "":
		title, note = "stays", phase.Irreversible
	case len(phase.Rollback) == 0:
		return top
	case phase.OnFailure == plan.Rollback:
		note = "at once when the phase fails"
	}
	bottom := d.box(svgRight, top, "back", title, note, nil, phase.Rollback)
	d.arrow("way return", svgLeft+svgBox, top+svgHead/2, svgRight, top+svgHead/2)
	if d.earlier > 0 {
		d.arrow("way return", svgRight+svgBox/2, top, svgRight+svgBox/2, d.earlier)
	}
	d.earlier = bottom
	return bottom
}

// box draws a list of steps under a heading, and returns where it ends.
func (d *drawing) box(x, y int, class, title, note string, gates, steps []plan.Step) int {
	height := svgHead + (len(gates)+len(steps))*svgRow + 8
	d.rect(x, y, svgBox, height, class)
	d.text(x+10, y+17, "head", title)
	d.text(x+10, y+33, "note", note)
	row := y + svgHead
	for _, gate := range gates {
		d.node(x+10, row, "gate", gate)
		row += svgRow
	}
	for _, step := range steps {
		style := "step"
		if step.Task.Kind == "changes" {
			style = "step changes"
		}
		d.node(x+10, row, style, step)
		row += svgRow
	}
	return y + height
}

func (d *drawing) node(x, y int, class string, step plan.Step) {
	d.rect(x, y, svgBox-20, svgRow-4, class)
	about := step.ID + "  " + step.Task.Name
	if step.Summary != "" {
		about = step.ID + "  " + step.Summary
	}
	d.text(x+8, y+16, "", about)
}

func (d *drawing) rect(x, y, width, height int, class string) {
	fmt.Fprintf(d, `<rect x="%d" y="%d" width="%d" height="%d" rx="5" class="%s"/>`+"\n", x, y, width, height, class)
}

// text writes a line, cut to the box; the whole of it shows where the pointer is.
func (d *drawing) text(x, y int, class, text string) {
	shown := []rune(text)
	if len(shown) > svgLetter && y > 30 {
		shown = append(shown[:svgLetter-1], '…')
	}
	fmt.Fprintf(d, `<text x="%d" y="%d" class="%s"><title>%s</title>%s</text>`+"\n", x, y, class, escaped(text), escaped(string(shown)))
}

func (d *drawing) arrow(class string, x1, y1, x2, y2 int) {
	fmt.Fprintf(d, `<path d="M%d %d L%d %d" class="%s"/>`+"\n", x1, y1, x2, y2, class)
}

func escaped(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes everything
	return b.String()
}
