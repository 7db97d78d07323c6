package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// protobufMagic begins every body that is protobuf in Kubernetes' envelope.
var protobufMagic = []byte("k8s\x00")

// wire remembers every different kind of request, and in which form its body and its answer were.
type wire struct {
	mu    sync.Mutex
	kinds map[string]bool
	count int
}

func newWire() *wire { return &wire{kinds: map[string]bool{}} }

type recorder struct {
	wire *wire
	next http.RoundTripper
}

func (w *wire) wrap(next http.RoundTripper) http.RoundTripper { return &recorder{w, next} }

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	sent := "nothing"
	if request.Body != nil {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		request = request.Clone(request.Context())
		request.Body = io.NopCloser(bytes.NewReader(body))
		sent = form(request.Header.Get("Content-Type"))
		if (sent == "protobuf") != bytes.HasPrefix(body, protobufMagic) {
			sent = "a body that is not " + sent
		}
	}
	response, err := r.next.RoundTrip(request)
	if err == nil {
		r.wire.add(fmt.Sprintf("%s %s, %s: %d, %s", verb(request), resource(request.URL.Path), sent,
			response.StatusCode, form(response.Header.Get("Content-Type"))))
	}
	return response, err
}

func (w *wire) add(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kinds[line] = true
	w.count++
}

func (w *wire) summary() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := []string{}
	for line := range w.kinds {
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// requests is how many were answered so far.
func (w *wire) requests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

// verb tells how a client reads: "WATCHLIST" is a list that comes as a stream.
func verb(request *http.Request) string {
	query := request.URL.Query()
	switch {
	case query.Get("sendInitialEvents") == "true":
		return "WATCHLIST"
	case query.Get("watch") == "true":
		return "WATCH"
	}
	return request.Method
}

// resource is the part of a path that does not depend on names: "apps/v1 deployments/scale".
func resource(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	group := parts[0]
	switch {
	case parts[0] == "api" && len(parts) > 1:
		group, parts = parts[1], parts[2:]
	case parts[0] == "apis" && len(parts) > 2:
		group, parts = parts[1]+"/"+parts[2], parts[3:]
	default:
		return path
	}
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	if len(parts) == 0 {
		return group
	}
	named := parts[0]
	if len(parts) > 2 {
		named += "/" + parts[2]
	}
	return group + " " + named
}

func form(contentType string) string {
	media, parameters, _ := strings.Cut(contentType, ";")
	short := strings.TrimPrefix(strings.TrimPrefix(media, "application/"), "vnd.kubernetes.")
	for _, parameter := range strings.Split(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if name == "stream" || name == "as" {
			short += " " + value
		}
	}
	return short
}

// warnings collects what the server warned of.
type warnings struct {
	mu   sync.Mutex
	seen []string
}

func (w *warnings) HandleWarningHeaderWithContext(_ context.Context, _ int, _ string, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, text)
}

func (w *warnings) texts() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string{}, w.seen...)
}
