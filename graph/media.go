package graph

import (
	"mime"
	"strconv"
	"strings"
)

// Media types of answers. The first one has 4xx statuses for operations that
// were refused; the second one, of old clients, has 200; the third one, of
// streams, too.
const (
	typeGraphQL = "application/graphql-response+json"
	typeJSON    = "application/json"
	typeEvents  = "text/event-stream"
)

// answerType picks the media type of the answer by the Accept header; empty
// when nothing that we have is acceptable. Old clients send no header, or
// accept everything: they get JSON.
func answerType(accept []string) string {
	header := strings.Join(accept, ",")
	switch header {
	case "", "*/*", typeJSON:
		return typeJSON
	case typeGraphQL:
		return typeGraphQL
	}
	modern, old := quality(header, typeGraphQL), quality(header, typeJSON)
	switch {
	case modern.q == 0 && old.q == 0:
		return ""
	case modern.q > old.q || modern.q == old.q && modern.exact:
		return typeGraphQL
	}
	return typeJSON
}

// prefersEvents says whether a client wants a stream rather than JSON. Some
// name all three types with every query: they get JSON.
func prefersEvents(accept []string) bool {
	header := strings.Join(accept, ",")
	if header == typeEvents {
		return true
	}
	events := quality(header, typeEvents)
	if !events.exact || events.q == 0 {
		return false
	}
	for _, other := range [...]string{typeGraphQL, typeJSON} {
		if p := quality(header, other); p.q > events.q || p.q == events.q && p.exact {
			return false
		}
	}
	return true
}

// acceptsEvents says whether a client takes a stream.
func acceptsEvents(accept []string) bool {
	header := strings.Join(accept, ",")
	return header == "" || quality(header, typeEvents).q > 0
}

// preference is how welcome a media type is: by the most specific range of
// the Accept header that it lies in.
type preference struct {
	q     float64
	exact bool
}

func quality(header, offered string) preference {
	var best preference
	rank := 0
	for part := range strings.SplitSeq(header, ",") {
		part, parameters, _ := strings.Cut(part, ";")
		r := 0
		switch strings.ToLower(strings.TrimSpace(part)) {
		case offered:
			r = 3
		case offered[:strings.IndexByte(offered, '/')+1] + "*":
			r = 2
		case "*/*":
			r = 1
		}
		q, utf8 := parse(parameters)
		if r > rank && utf8 {
			rank, best = r, preference{q: q, exact: r == 3}
		}
	}
	return best
}

// parse reads the parameters of a media range: its weight, and whether UTF-8
// will do, since all answers are in it.
func parse(parameters string) (q float64, utf8 bool) {
	q, utf8 = 1, true
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(p, "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "q":
			n, err := strconv.ParseFloat(value, 64)
			if err != nil || !(n >= 0 && n <= 1) {
				n = 0
			}
			q = n
		case "charset":
			utf8 = isUTF8(value)
		}
	}
	return q, utf8
}

func isUTF8(charset string) bool {
	return strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
}

// isJSON says whether a request's Content-Type is JSON in UTF-8.
func isJSON(contentType string) bool {
	if contentType == typeJSON {
		return true
	}
	media, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || media != typeJSON {
		return false
	}
	charset, given := parameters["charset"]
	return !given || isUTF8(charset)
}

// acceptsGzip reads the Accept-Encoding header.
func acceptsGzip(header string) bool {
	accepted := false
	for part := range strings.SplitSeq(header, ",") {
		name, parameters, _ := strings.Cut(part, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if name != "gzip" && name != "*" {
			continue
		}
		q, _ := parse(parameters)
		accepted = q > 0
		if name == "gzip" {
			break // says more than *
		}
	}
	return accepted
}
