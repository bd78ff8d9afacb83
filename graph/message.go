package graph

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
)

// Types of the messages of graphql-transport-ws.
const (
	typeInit      = "connection_init"
	typeAck       = "connection_ack"
	typePing      = "ping"
	typePong      = "pong"
	typeSubscribe = "subscribe"
	typeNext      = "next"
	typeError     = "error"
	typeComplete  = "complete"
)

// incoming is a message from a client:
//
//	{"id": "1", "type": "subscribe", "payload": {"query": "subscription { ... }"}}
type incoming struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload"`

	params        *graphql.RawParams // of subscribe
	authorization *string            // of connection_init, where it is given
}

// parseMessage checks a message; what is wrong with it is the reason for
// closing, and never repeats any of it.
func parseMessage(kind websocket.MessageType, data []byte) (m *incoming, wrong string) {
	if kind != websocket.MessageText {
		return nil, "Messages are text"
	}
	m = &incoming{}
	if !utf8.Valid(data) || json.Unmarshal(data, m) != nil {
		return nil, "Invalid message received"
	}
	switch m.Type {
	case typeInit, typePing, typePong:
		if m.Payload = bytes.TrimSpace(m.Payload); string(m.Payload) == "null" {
			m.Payload = nil
		}
		if m.Payload != nil && m.Payload[0] != '{' {
			return nil, "The payload must be an object"
		}
		if m.Type == typeInit && m.Payload != nil {
			var payload struct{ Authorization *string }
			if json.Unmarshal(m.Payload, &payload) != nil {
				return nil, "The authorization must be a string"
			}
			m.authorization = payload.Authorization
		}
	case typeSubscribe, typeComplete:
		if m.ID == "" {
			return nil, "The id is missing"
		}
		if len(m.ID) > maxOperationID {
			return nil, "The id is too long"
		}
		if m.Type == typeSubscribe {
			params, refused := parseBody(m.Payload)
			if refused != nil {
				return nil, "The payload cannot be used: " + refused.message
			}
			m.params = params
		}
	default:
		return nil, "The type of the message is unknown"
	}
	return m, ""
}

// appendMessage encodes a message. Without an id or a payload it has none.
func appendMessage(kind, id string, payload []byte) []byte {
	b := append([]byte(`{"type":"`), kind...)
	b = append(b, '"')
	if id != "" {
		b = append(append(b, `,"id":`...), encode(id)...)
	}
	if payload != nil {
		b = append(append(b, `,"payload":`...), payload...)
	}
	return append(b, '}')
}
