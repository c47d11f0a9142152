package lsp

import "github.com/medlogistics/phasegate/runner/plan/outline"

// symbols answers textDocument/documentSymbol: variables, probes, and phases with
// what they carry out.
func (s *server) symbols(doc *document, _ params) any {
	list := []documentSymbol{}
	root := doc.outline()
	for _, v := range variables(root) {
		symbol := symbolOf(doc, v.Key, v.Key, variableType(v), symbolVariable)
		if v.Value != nil {
			symbol.Range = doc.span(v.Key.Start, v.Value.End)
		}
		list = append(list, symbol)
	}
	list = append(list, named(doc, root.Find("probes"), "name", "url", symbolInterface)...)
	if phases := root.Find("phases"); phases != nil {
		for _, phase := range phases.Items {
			name := phase.Find("name")
			if name.Word() == "" {
				continue
			}
			symbol := symbolOf(doc, phase, name, phase.Find("summary").Word(), symbolModule)
			symbol.Children = append(symbol.Children, named(doc, phase.Find("gates"), "id", "task", symbolEvent)...)
			symbol.Children = append(symbol.Children, named(doc, phase.Find("steps"), "id", "task", symbolFunction)...)
			symbol.Children = append(symbol.Children, named(doc, phase.Find("rollback"), "id", "task", symbolMethod)...)
			list = append(list, symbol)
		}
	}
	return list
}

// named are the items of a list that have the key name.
func named(doc *document, list *outline.Node, name, detail string, kind int) (found []documentSymbol) {
	if list == nil {
		return nil
	}
	for _, item := range list.Items {
		if at := item.Find(name); at.Word() != "" {
			found = append(found, symbolOf(doc, item, at, item.Find(detail).Word(), kind))
		}
	}
	return found
}

func symbolOf(doc *document, whole, name *outline.Node, detail string, kind int) documentSymbol {
	return documentSymbol{Name: name.Text, Detail: detail, Kind: kind, Range: doc.spanOf(whole), SelectionRange: doc.spanOf(name)}
}
