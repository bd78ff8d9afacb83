package graph

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// minGzip is the size from which answers are compressed: a packet holds
// about as much anyway.
const minGzip = 1 << 10

// An answer writes the response to one request.
type answer struct {
	http.ResponseWriter
	mediaType string
	gzip      bool // the client can read it
	begun     bool // the status was sent
}

// refused is the status of an operation that was not executed.
func (a *answer) refused() int {
	if a.mediaType == typeJSON {
		return http.StatusOK
	}
	return http.StatusBadRequest
}

func (a *answer) refuse(r *refusal) {
	a.send(r.status, &graphql.Response{Errors: gqlerror.List{coded(r.code, r.message)}})
}

// partsOf is the JSON of a response, in pieces that only need to be written
// one after another. The data were encoded by the executor and go out without
// another pass over them; where nothing was executed there is no data key.
func partsOf(response *graphql.Response) [5][]byte {
	parts := [5][]byte{[]byte("{")}
	if errs := response.Errors; len(errs) > 0 {
		parts[0] = append(append(parts[0], `"errors":`...), encode(errs)...)
		if response.Data != nil {
			parts[0] = append(parts[0], ',')
		}
	}
	if response.Data != nil {
		parts[1], parts[2] = []byte(`"data":`), response.Data
	}
	if len(response.Extensions) > 0 {
		parts[3] = append([]byte(`,"extensions":`), encode(response.Extensions)...)
	}
	parts[4] = []byte("}")
	return parts
}

// send writes a response.
func (a *answer) send(status int, response *graphql.Response) {
	parts := partsOf(response)
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	h := a.Header()
	h.Set("Content-Type", a.mediaType+"; charset=utf-8")
	if a.gzip && size >= minGzip {
		a.sendZipped(status, parts[:])
		return
	}
	h.Set("Content-Length", strconv.Itoa(size))
	a.begun = true
	a.WriteHeader(status)
	for _, p := range parts {
		if _, err := a.Write(p); err != nil {
			return // the client has left
		}
	}
}

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// zipLevel costs 0.76 ms for the 152 kB of the whole schema and leaves 17.3
// kB; level 1 costs 0.68 ms for 20.5 kB, the usual 6 costs 1.7 ms for 14.1 kB.
const zipLevel = 3

// zippers are compressors with their buffers.
var zippers = sync.Pool{New: func() any {
	z := &zipper{}
	z.Writer, _ = gzip.NewWriterLevel(&z.buffer, zipLevel)
	return z
}}

type zipper struct {
	*gzip.Writer
	buffer bytes.Buffer
}

func (a *answer) sendZipped(status int, parts [][]byte) {
	z := zippers.Get().(*zipper)
	defer zippers.Put(z)
	z.buffer.Reset()
	z.Reset(&z.buffer)
	for _, p := range parts {
		z.Write(p) // a buffer takes everything
	}
	z.Close()
	h := a.Header()
	h.Set("Content-Encoding", "gzip")
	h.Set("Content-Length", strconv.Itoa(z.buffer.Len()))
	a.begun = true
	a.WriteHeader(status)
	a.Write(z.buffer.Bytes())
}
