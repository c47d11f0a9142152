package prometheus

import (
	"bufio"
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/medlogistics/phasegate/internal/pattern"
)

// A line is one of a scrape.
type line struct {
	name   string
	labels map[string]string
	value  float64
}

var (
	textLine = pattern.Lazy(`^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+\d+)?$`)
	label    = pattern.Lazy(`([A-Za-z_]\w*)\s*(!?=)\s*"((?:[^"\\]|\\.)*)"`)
)

// parse reads the text format of metrics, by name and labels:
// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format.
func parse(body []byte, target string) map[string]line {
	all := map[string]line{}
	for scanner := bufio.NewScanner(bytes.NewReader(body)); scanner.Scan(); {
		match := textLine().FindStringSubmatch(scanner.Text())
		if match == nil {
			continue
		}
		value, err := strconv.ParseFloat(match[3], 64)
		if err != nil {
			continue
		}
		labels := map[string]string{"instance": target}
		for _, pair := range label().FindAllStringSubmatch(match[2], -1) {
			labels[pair[1]] = unescape(pair[3])
		}
		l := line{match[1], labels, value}
		all[l.key()] = l
	}
	return all
}

func (l line) key() string {
	var b strings.Builder
	b.WriteString(l.name)
	for _, name := range slices.Sorted(maps.Keys(l.labels)) {
		b.WriteString("," + name + "=" + strconv.Quote(l.labels[name]))
	}
	return b.String()
}

// unescape takes back what the format escapes in a label's value.
func unescape(text string) string {
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n").Replace(text)
}
