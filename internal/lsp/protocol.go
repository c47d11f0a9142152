package lsp

import "encoding/json"

// The structures of the protocol that the server uses, with the names that the
// specification gives them. The section behind each is that of the Language
// Server Protocol, version 3.17:
// https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/

// The codes of errors, of "Base Protocol", ResponseMessage.
const (
	codeParseError           = -32700
	codeInvalidRequest       = -32600
	codeMethodNotFound       = -32601
	codeInvalidParams        = -32602
	codeInternalError        = -32603
	codeServerNotInitialized = -32002
	codeRequestCancelled     = -32800
)

// position is Position: both from 0, the character in UTF-16 code units.
type position struct {
	Line      int `json:"line"`
	Character int `json:"character"`
}

// textRange is Range: the end is behind its last character.
type textRange struct {
	Start position `json:"start"`
	End   position `json:"end"`
}

// location is Location.
type location struct {
	URI   string    `json:"uri"`
	Range textRange `json:"range"`
}

// initializeParams is InitializeParams, "Initialize Request".
type initializeParams struct {
	Capabilities struct {
		TextDocument struct {
			PublishDiagnostics struct {
				RelatedInformation     bool `json:"relatedInformation"`
				CodeDescriptionSupport bool `json:"codeDescriptionSupport"`
			} `json:"publishDiagnostics"`
		} `json:"textDocument"`
	} `json:"capabilities"`
}

// initializeResult is InitializeResult.
type initializeResult struct {
	Capabilities serverCapabilities `json:"capabilities"`
	ServerInfo   serverInfo         `json:"serverInfo"`
}

type serverInfo struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// serverCapabilities is ServerCapabilities.
type serverCapabilities struct {
	PositionEncoding       string                  `json:"positionEncoding"`
	TextDocumentSync       textDocumentSyncOptions `json:"textDocumentSync"`
	CompletionProvider     completionOptions       `json:"completionProvider"`
	HoverProvider          bool                    `json:"hoverProvider"`
	DefinitionProvider     bool                    `json:"definitionProvider"`
	DocumentSymbolProvider bool                    `json:"documentSymbolProvider"`
	CodeActionProvider     codeActionOptions       `json:"codeActionProvider"`
}

// textDocumentSyncOptions is TextDocumentSyncOptions, "Text Document Synchronization".
type textDocumentSyncOptions struct {
	OpenClose bool `json:"openClose"`
	Change    int  `json:"change"`
	Save      bool `json:"save"`
}

// syncIncremental is TextDocumentSyncKind.Incremental.
const syncIncremental = 2

// completionOptions is CompletionOptions.
type completionOptions struct {
	TriggerCharacters []string `json:"triggerCharacters"`
}

// codeActionOptions is CodeActionOptions.
type codeActionOptions struct {
	CodeActionKinds []string `json:"codeActionKinds"`
}

// textDocument is TextDocumentItem, and the identifiers that have some of its
// fields.
type textDocument struct {
	URI        string `json:"uri"`
	LanguageID string `json:"languageId"`
	Version    int    `json:"version"`
	Text       string `json:"text"`
}

// didOpenParams is DidOpenTextDocumentParams; didClose and didSave have the same
// member.
type didOpenParams struct {
	TextDocument textDocument `json:"textDocument"`
}

// didChangeParams is DidChangeTextDocumentParams.
type didChangeParams struct {
	TextDocument   textDocument    `json:"textDocument"`
	ContentChanges []contentChange `json:"contentChanges"`
}

// contentChange is TextDocumentContentChangeEvent: without a range it is the
// whole text.
type contentChange struct {
	Range *textRange `json:"range"`
	Text  string     `json:"text"`
}

// params are TextDocumentPositionParams, with the members that CodeActionParams
// has besides.
type params struct {
	TextDocument textDocument `json:"textDocument"`
	Position     position     `json:"position"`
	Range        textRange    `json:"range"`
	Context      struct {
		Only []string `json:"only"`
	} `json:"context"`
}

// publishDiagnosticsParams is PublishDiagnosticsParams.
type publishDiagnosticsParams struct {
	URI         string       `json:"uri"`
	Version     *int         `json:"version,omitempty"`
	Diagnostics []diagnostic `json:"diagnostics"`
}

// diagnostic is Diagnostic.
type diagnostic struct {
	Range              textRange            `json:"range"`
	Severity           int                  `json:"severity"`
	Code               string               `json:"code"`
	CodeDescription    *codeDescription     `json:"codeDescription,omitempty"`
	Source             string               `json:"source"`
	Message            string               `json:"message"`
	RelatedInformation []relatedInformation `json:"relatedInformation,omitempty"`
}

// codeDescription is CodeDescription.
type codeDescription struct {
	Href string `json:"href"`
}

// relatedInformation is DiagnosticRelatedInformation.
type relatedInformation struct {
	Location location `json:"location"`
	Message  string   `json:"message"`
}

// The values of DiagnosticSeverity.
const (
	severityError       = 1
	severityWarning     = 2
	severityInformation = 3
)

// codeAction is CodeAction.
type codeAction struct {
	Title       string        `json:"title"`
	Kind        string        `json:"kind"`
	Diagnostics []diagnostic  `json:"diagnostics"`
	IsPreferred bool          `json:"isPreferred"`
	Edit        workspaceEdit `json:"edit"`
}

// quickFix is CodeActionKind.QuickFix.
const quickFix = "quickfix"

// workspaceEdit is WorkspaceEdit.
type workspaceEdit struct {
	Changes map[string][]textEdit `json:"changes"`
}

// textEdit is TextEdit.
type textEdit struct {
	Range   textRange `json:"range"`
	NewText string    `json:"newText"`
}

// completionList is CompletionList.
type completionList struct {
	IsIncomplete bool             `json:"isIncomplete"`
	Items        []completionItem `json:"items"`
}

// completionItem is CompletionItem.
type completionItem struct {
	Label         string         `json:"label"`
	Kind          int            `json:"kind"`
	Detail        string         `json:"detail,omitempty"`
	Documentation *markupContent `json:"documentation,omitempty"`
	SortText      string         `json:"sortText,omitempty"`
	FilterText    string         `json:"filterText,omitempty"`
	TextEdit      *textEdit      `json:"textEdit,omitempty"`
}

// The values of CompletionItemKind that are used.
const (
	kindField      = 5
	kindVariable   = 6
	kindProperty   = 10
	kindEnumMember = 20
	kindFunction   = 3
	kindReference  = 18
	kindKeyword    = 14
)

// markupContent is MarkupContent.
type markupContent struct {
	Kind  string `json:"kind"`
	Value string `json:"value"`
}

func markdown(text string) *markupContent { return &markupContent{Kind: "markdown", Value: text} }

// hover is Hover.
type hover struct {
	Contents *markupContent `json:"contents"`
	Range    *textRange     `json:"range,omitempty"`
}

// documentSymbol is DocumentSymbol.
type documentSymbol struct {
	Name           string           `json:"name"`
	Detail         string           `json:"detail,omitempty"`
	Kind           int              `json:"kind"`
	Range          textRange        `json:"range"`
	SelectionRange textRange        `json:"selectionRange"`
	Children       []documentSymbol `json:"children,omitempty"`
}

// The values of SymbolKind that are used.
const (
	symbolModule    = 2
	symbolMethod    = 6
	symbolInterface = 11
	symbolFunction  = 12
	symbolVariable  = 13
	symbolEvent     = 24
)

// cancelParams is CancelParams, "Cancellation Support".
type cancelParams struct {
	ID json.RawMessage `json:"id"`
}
