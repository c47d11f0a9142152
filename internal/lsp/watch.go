package lsp

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sourcegraph/jsonrpc2"

	"github.com/medlogistics/phasegate/runner/plan"
)

// A watched document is open in the editor. Its findings are published when its
// text was left alone for a moment.
type watched struct {
	latest  *document
	changed chan *document // holds the latest that was not looked at
	end     context.CancelFunc
	done    chan struct{} // closed when its findings are withdrawn
}

// put makes doc the one to look at next.
func (w *watched) put(doc *document) {
	w.latest = doc
	select {
	case <-w.changed: // nobody will look at that one any more
	default:
	}
	w.changed <- doc
}

func (s *server) didOpen(ctx context.Context, r *jsonrpc2.Request) error {
	var p didOpenParams
	if err := read(r, &p); err != nil {
		return err
	}
	item := p.TextDocument
	s.leave(item.URI)
	before := s.closing[item.URI]
	delete(s.closing, item.URI)
	ctx, end := context.WithCancel(ctx)
	w := &watched{changed: make(chan *document, 1), end: end, done: make(chan struct{})}
	s.open[item.URI] = w
	w.put(newDocument(item.URI, item.LanguageID, item.Version, item.Text))
	s.working.Go(func() {
		defer close(w.done)
		if before != nil {
			<-before // what it publishes would come behind
		}
		s.watch(ctx, w.changed)
		s.withdraw(item.URI)
	})
	return nil
}

func (s *server) didChange(r *jsonrpc2.Request) error {
	var p didChangeParams
	if err := read(r, &p); err != nil {
		return err
	}
	w := s.open[p.TextDocument.URI]
	if w == nil {
		return fmt.Errorf("the document was not opened: %s", p.TextDocument.URI)
	}
	w.put(w.latest.edited(p.TextDocument.Version, p.ContentChanges))
	return nil
}

// didSave has every document looked at again: one may name the file that was
// saved.
func (s *server) didSave() {
	for _, w := range s.open {
		w.put(w.latest.again(w.latest.version))
	}
}

func (s *server) didClose(r *jsonrpc2.Request) error {
	var p didOpenParams
	if err := read(r, &p); err != nil {
		return err
	}
	s.leave(p.TextDocument.URI)
	return nil
}

// leave ends the watching of a document.
func (s *server) leave(uri string) {
	if w := s.open[uri]; w != nil {
		w.end()
		delete(s.open, uri)
		s.closing[uri] = w.done
	}
}

// withdraw tells the editor that there is nothing more to say of a document.
func (s *server) withdraw(uri string) {
	_ = s.conn.Notify(context.Background(), "textDocument/publishDiagnostics", publishDiagnosticsParams{URI: uri, Diagnostics: []diagnostic{}})
}

func (s *server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.open {
		w.end()
	}
}

// watch publishes the findings about a document until it is closed.
func (s *server) watch(ctx context.Context, changed <-chan *document) {
	var doc *document
	wait := time.Duration(0) // a file that was just opened is not being typed in
	for {
		if doc == nil {
			select {
			case doc = <-changed:
			case <-ctx.Done():
				return
			}
		}
		select {
		case doc = <-changed:
			wait = pause
		case <-time.After(wait):
			s.survive("the check of a plan", func() { s.publish(ctx, doc, changed) })
			doc, wait = nil, pause
		case <-ctx.Done():
			return
		}
	}
}

// publish checks the document and tells the editor, unless it has changed while
// it was checked.
func (s *server) publish(ctx context.Context, doc *document, changed <-chan *document) {
	found := doc.check(s.Tasks)
	if len(changed) > 0 || ctx.Err() != nil {
		return
	}
	_ = s.conn.Notify(ctx, "textDocument/publishDiagnostics", publishDiagnosticsParams{
		URI: doc.uri, Version: &doc.version, Diagnostics: s.told(doc, found),
	})
}

// told are the findings as the protocol has them.
func (s *server) told(doc *document, found plan.Diagnostics) []diagnostic {
	out := make([]diagnostic, len(found))
	for i, f := range found {
		out[i] = s.asDiagnostic(doc, f)
	}
	return out
}

// rulesPage is where the sections of docs/rules.md are read.
const rulesPage = "https://github.com/medlogistics/phasegate/blob/main/docs/rules.md#"

func (s *server) asDiagnostic(doc *document, f plan.Diagnostic) diagnostic {
	can := s.client.Capabilities.TextDocument.PublishDiagnostics
	start := doc.byteOf(f.Pos)
	d := diagnostic{
		Range:    doc.span(start, doc.forward(start, f.Width)),
		Severity: severityOf(f.Severity), Code: f.Rule, Source: "phasegate",
		CodeDescription: &codeDescription{rulesPage + f.Rule},
	}
	message := []string{f.Message}
	if f.Hint != "" {
		message = append(message, f.Hint)
	}
	for _, r := range f.Related {
		at := doc.byteOf(r.Pos)
		if can.RelatedInformation {
			d.RelatedInformation = append(d.RelatedInformation, relatedInformation{location{doc.uri, doc.span(at, at)}, r.Message})
		} else {
			message = append(message, fmt.Sprintf("line %d: %s", r.Pos.Line, r.Message))
		}
	}
	if !can.CodeDescriptionSupport {
		d.CodeDescription = nil
		message = append(message, "phasegate explain "+f.Rule+" says why")
	}
	d.Message = strings.Join(message, "\n")
	return d
}

func severityOf(s plan.Severity) int {
	switch s {
	case plan.Error:
		return severityError
	case plan.Warning:
		return severityWarning
	}
	return severityInformation
}
