// Package lsp is a language server for plans: it tells an editor, while a plan is
// written, what phasegate validate would say of it, what may stand at the cursor,
// what a word means, and where what it names is.
//
// It speaks the Language Server Protocol 3.17. Of the protocol it has the few
// structures that it uses, in protocol.go; the JSON-RPC below is
// github.com/sourcegraph/jsonrpc2, the one kept library of its kind that a build
// of this project can fetch.
//
// What is wrong with a plan, runner/plan tells. What may stand in it, the
// generated docs/language.json. Where the cursor is, runner/plan/outline, which
// reads what YAML cannot read yet.
package lsp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sourcegraph/jsonrpc2"

	"github.com/medlogistics/phasegate/docs"
	"github.com/medlogistics/phasegate/runner/task"
)

// pause is how long the text has to be left alone before it is checked.
const pause = 30 * time.Millisecond

// Options are what a server needs.
type Options struct {
	Tasks    task.Set
	Language docs.Language
	Version  string // of this program
	Log      *slog.Logger
}

type server struct {
	Options
	guide  *guide
	conn   *jsonrpc2.Conn
	client initializeParams

	mu          sync.Mutex
	initialized bool
	shut        bool // shutdown was asked for
	exited      bool
	open        map[string]*watched           // by URI
	closing     map[string]chan struct{}      // closed when the findings about a document that was closed are withdrawn
	running     map[string]context.CancelFunc // requests, by their id as JSON
	working     sync.WaitGroup
}

// errNoShutdown is how a client that goes away without a word is told from one
// that is done.
var errNoShutdown = errors.New("the client went away without asking for shutdown")

// Serve speaks with a client until it says exit, or goes away. It returns nil
// only after a shutdown.
func Serve(ctx context.Context, in io.Reader, out io.Writer, options Options) error {
	s := &server{
		Options: options, guide: newGuide(options.Language),
		open: map[string]*watched{}, closing: map[string]chan struct{}{}, running: map[string]context.CancelFunc{},
	}
	stream := &frames{in: bufio.NewReaderSize(in, maxHeader), out: out}
	ready := make(chan struct{})
	handler := started{ready, s}
	s.conn = jsonrpc2.NewConn(ctx, stream, handler, jsonrpc2.SetLogger(silent{}))
	close(ready)
	<-s.conn.DisconnectNotify()
	s.closeAll()
	s.working.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.shut:
		return nil
	case !s.exited && stream.broken != nil:
		return stream.broken
	}
	return errNoShutdown
}

// started has no message handled before the server knows its connection.
type started struct {
	ready chan struct{}
	*server
}

func (s started) Handle(ctx context.Context, conn *jsonrpc2.Conn, r *jsonrpc2.Request) {
	<-s.ready
	s.handle(ctx, conn, r)
}

// silent keeps the library from writing to the standard error: what ends the
// connection is what Serve returns.
type silent struct{}

func (silent) Printf(string, ...any) {}

// handle takes messages one after the other. What changes a document is done at
// once, so that whatever comes behind it sees it; what asks is answered beside,
// from the documents as they were when the question came.
func (s *server) handle(ctx context.Context, conn *jsonrpc2.Conn, r *jsonrpc2.Request) {
	if r.Notif {
		s.survive(r.Method, func() { s.notice(ctx, r) })
		return
	}
	answer, refusal := s.question(r)
	if refusal != nil {
		_ = conn.ReplyWithError(ctx, r.ID, refusal)
		return
	}
	id := r.ID.String()
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	s.running[id] = cancel
	s.mu.Unlock()
	s.working.Go(func() {
		defer func() {
			cancel()
			s.mu.Lock()
			delete(s.running, id)
			s.mu.Unlock()
		}()
		s.reply(ctx, conn, r, answer)
	})
}

func (s *server) reply(ctx context.Context, conn *jsonrpc2.Conn, r *jsonrpc2.Request, answer func() (any, error)) {
	result, err := any(nil), context.Cause(ctx)
	if err == nil {
		failed := s.survive(r.Method, func() { result, err = answer() })
		if failed {
			err = &jsonrpc2.Error{Code: codeInternalError, Message: r.Method + " failed; the log of phasegate lsp says how"}
		}
	}
	var refusal *jsonrpc2.Error
	switch {
	case ctx.Err() != nil:
		refusal = &jsonrpc2.Error{Code: codeRequestCancelled, Message: "cancelled"}
	case err != nil && !errors.As(err, &refusal):
		refusal = &jsonrpc2.Error{Code: codeInvalidParams, Message: err.Error()}
	}
	if refusal != nil {
		_ = conn.ReplyWithError(ctx, r.ID, refusal)
		return
	}
	_ = conn.Reply(ctx, r.ID, result)
}

// survive does the work and tells whether it panicked: one document that upsets
// the server must not take the others with it.
func (s *server) survive(what string, work func()) (failed bool) {
	defer func() {
		if p := recover(); p != nil {
			failed = true
			s.Log.Error("the language server's own mistake", "in", what, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	work()
	return false
}

// question returns what answers a request, or why nothing does.
func (s *server) question(r *jsonrpc2.Request) (answer func() (any, error), refusal *jsonrpc2.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.shut:
		return nil, &jsonrpc2.Error{Code: codeInvalidRequest, Message: "the server was shut down"}
	case r.Method == "initialize":
		return s.initialize(r)
	case !s.initialized:
		return nil, &jsonrpc2.Error{Code: codeServerNotInitialized, Message: "the first request has to be initialize"}
	case r.Method == "shutdown":
		s.shut = true
		return func() (any, error) { return nil, nil }, nil
	}
	asks := map[string]func(*document, params) any{
		"textDocument/completion":     s.complete,
		"textDocument/hover":          s.hover,
		"textDocument/definition":     s.define,
		"textDocument/documentSymbol": s.symbols,
		"textDocument/codeAction":     s.fixes,
	}[r.Method]
	if asks == nil {
		return nil, &jsonrpc2.Error{Code: codeMethodNotFound, Message: "there is no method " + r.Method}
	}
	var p params
	if err := read(r, &p); err != nil {
		return nil, &jsonrpc2.Error{Code: codeInvalidParams, Message: err.Error()}
	}
	w := s.open[p.TextDocument.URI]
	if w == nil {
		return nil, &jsonrpc2.Error{Code: codeInvalidParams, Message: "the document was not opened: " + p.TextDocument.URI}
	}
	doc := w.latest
	return func() (any, error) { return asks(doc, p), nil }, nil
}

func read(r *jsonrpc2.Request, into any) error {
	if r.Params == nil {
		return fmt.Errorf("%s has no params", r.Method)
	}
	if err := json.Unmarshal(*r.Params, into); err != nil {
		return fmt.Errorf("read the params of %s: %w", r.Method, err)
	}
	return nil
}

// initialize is called with the lock held.
func (s *server) initialize(r *jsonrpc2.Request) (func() (any, error), *jsonrpc2.Error) {
	if s.initialized {
		return nil, &jsonrpc2.Error{Code: codeInvalidRequest, Message: "the server is initialized already"}
	}
	if err := read(r, &s.client); err != nil {
		return nil, &jsonrpc2.Error{Code: codeInvalidParams, Message: err.Error()}
	}
	s.initialized = true
	return func() (any, error) {
		return initializeResult{
			Capabilities: serverCapabilities{
				PositionEncoding:       "utf-16",
				TextDocumentSync:       textDocumentSyncOptions{OpenClose: true, Change: syncIncremental, Save: true},
				CompletionProvider:     completionOptions{TriggerCharacters: []string{".", "{", " ", "/", ":"}},
				HoverProvider:          true,
				DefinitionProvider:     true,
				DocumentSymbolProvider: true,
				CodeActionProvider:     codeActionOptions{CodeActionKinds: []string{quickFix}},
			},
			ServerInfo: serverInfo{Name: "phasegate", Version: s.Version},
		}, nil
	}, nil
}

// notice takes a notification. One that is not known is passed over, as the
// protocol asks.
func (s *server) notice(ctx context.Context, r *jsonrpc2.Request) {
	if r.Method == "exit" {
		s.mu.Lock()
		s.exited = true
		s.mu.Unlock()
		_ = s.conn.Close()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.initialized || s.shut {
		return
	}
	var err error
	switch r.Method {
	case "textDocument/didOpen":
		err = s.didOpen(ctx, r)
	case "textDocument/didChange":
		err = s.didChange(r)
	case "textDocument/didSave":
		s.didSave()
	case "textDocument/didClose":
		err = s.didClose(r)
	case "$/cancelRequest":
		err = s.cancelRequest(r)
	}
	if err != nil {
		s.Log.Warn("a message of the editor cannot be used", "error", err)
	}
}

func (s *server) cancelRequest(r *jsonrpc2.Request) error {
	var p cancelParams
	if err := read(r, &p); err != nil {
		return err
	}
	var id jsonrpc2.ID
	if err := json.Unmarshal(p.ID, &id); err != nil {
		return fmt.Errorf("read the id of $/cancelRequest: %w", err)
	}
	if cancel := s.running[id.String()]; cancel != nil {
		cancel()
	}
	return nil
}
