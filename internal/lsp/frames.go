package lsp

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
)

// What a frame may hold. The largest message that makes sense is a plan of the
// largest size, escaped for JSON.
const (
	maxContent = 128 << 20
	maxHeader  = 4 << 10
)

// frames is the transport of the protocol, "Base Protocol": messages behind a
// header. A message that is not JSON-RPC is answered as one, and passed over. A
// header that cannot be read ends the connection, as nobody knows where the next
// one begins.
type frames struct {
	in     *bufio.Reader
	out    io.Writer
	mu     sync.Mutex // of out
	broken error      // why reading ended, if not for the end of the input
}

// ReadObject implements jsonrpc2.ObjectStream.
func (f *frames) ReadObject(v any) error {
	for {
		content, err := f.next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				f.broken = err
			}
			return err
		}
		bad := json.Unmarshal(content, v)
		if bad == nil {
			return nil
		}
		code := codeInvalidRequest
		if !json.Valid(content) {
			code = codeParseError
		}
		if err := f.refuse(code, bad); err != nil {
			return err
		}
	}
}

// refuse answers a message that has no id, or whose id cannot be read.
func (f *frames) refuse(code int, bad error) error {
	return f.WriteObject(map[string]any{
		"jsonrpc": "2.0", "id": nil,
		"error": map[string]any{"code": code, "message": "read the message: " + strings.TrimPrefix(bad.Error(), "jsonrpc2: ")},
	})
}

// next returns the content of the next frame.
func (f *frames) next() ([]byte, error) {
	length := -1
	for read := 0; ; {
		line, err := f.in.ReadSlice('\n')
		if read += len(line); read > maxHeader || errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("read a message: its header is longer than %d bytes", maxHeader)
		}
		if err != nil {
			if read > 0 {
				err = fmt.Errorf("read a message: the input ends in its header: %w", io.ErrUnexpectedEOF)
			}
			return nil, err
		}
		header := strings.TrimRight(string(line), "\r\n")
		if header == "" {
			break
		}
		name, value, _ := strings.Cut(header, ":")
		if strings.EqualFold(name, "Content-Length") {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil || length < 0 || length > maxContent {
				return nil, fmt.Errorf("read a message: its Content-Length is not a number from 0 to %d", maxContent)
			}
		}
	}
	if length < 0 {
		return nil, errors.New("read a message: its header has no Content-Length")
	}
	content, err := io.ReadAll(io.LimitReader(f.in, int64(length))) // grows as it comes, whatever the header promises
	if err == nil && len(content) < length {
		err = fmt.Errorf("read a message: the input ends after %d of %d bytes: %w", len(content), length, io.ErrUnexpectedEOF)
	}
	return content, err
}

// WriteObject implements jsonrpc2.ObjectStream.
func (f *frames) WriteObject(v any) error {
	content, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode a message: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err = fmt.Fprintf(f.out, "Content-Length: %d\r\n\r\n%s", len(content), content)
	return err
}

// Close implements jsonrpc2.ObjectStream. The streams are the process's own.
func (f *frames) Close() error { return nil }
