package fakemongo

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Opcodes of MongoDB's wire protocol. A driver says its first hello in the
// old form, an OP_QUERY, which is answered by an OP_REPLY.
const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

// A request is one command with what it was said in.
type request struct {
	id     int32
	op     int32
	body   bson.D
	db     string
	name   string                // of the command
	target string                // its argument, mostly a collection
	arrays map[string][]bson.Raw // document sequences, by the name of the field they stand for
}

// field returns a top-level field of the command.
func (r *request) field(name string) any { return get(r.body, name) }

// docs returns an array of documents, wherever in the message it was.
func (r *request) docs(name string) []bson.D {
	var all []bson.D
	for _, raw := range r.arrays[name] {
		all = append(all, decode(raw))
	}
	if list, ok := r.field(name).(bson.A); ok {
		for _, v := range list {
			all = append(all, v.(bson.D))
		}
	}
	return all
}

func decode(raw bson.Raw) bson.D {
	var d bson.D
	if err := bson.Unmarshal(raw, &d); err != nil {
		panic(fmt.Sprintf("fakemongo: a document that is none: %v", err))
	}
	return d
}

func get(d bson.D, name string) any {
	for _, e := range d {
		if e.Key == name {
			return e.Value
		}
	}
	return nil
}

func number(v any) int64 {
	switch v := v.(type) {
	case int32:
		return int64(v)
	case int64:
		return v
	case float64:
		return int64(v)
	}
	return 0
}

func readRequest(r *bufio.Reader) (*request, error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := int(binary.LittleEndian.Uint32(head[:]))
	if size < 16 || size > 48<<20 {
		return nil, fmt.Errorf("message of %d bytes", size)
	}
	body := make([]byte, size-16)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	q := &request{
		id:     int32(binary.LittleEndian.Uint32(head[4:])),
		op:     int32(binary.LittleEndian.Uint32(head[12:])),
		arrays: map[string][]bson.Raw{},
	}
	var err error
	switch q.op {
	case opQuery:
		err = q.readQuery(body)
	case opMsg:
		err = q.readMsg(body)
	default:
		err = fmt.Errorf("opcode %d", q.op)
	}
	if err != nil {
		return nil, err
	}
	if len(q.body) == 0 {
		return nil, fmt.Errorf("empty command")
	}
	q.name = q.body[0].Key
	q.target, _ = q.body[0].Value.(string)
	if db, ok := q.field("$db").(string); ok {
		q.db = db
	}
	return q, nil
}

func (q *request) readQuery(b []byte) error {
	if len(b) < 4 {
		return io.ErrUnexpectedEOF
	}
	end := bytes.IndexByte(b[4:], 0)
	if end < 0 || len(b) < 4+end+1+8+5 {
		return io.ErrUnexpectedEOF
	}
	q.body = decode(b[4+end+1+8:])
	return nil
}

func (q *request) readMsg(b []byte) error {
	if len(b) < 5 {
		return io.ErrUnexpectedEOF
	}
	if binary.LittleEndian.Uint32(b)&1 != 0 { // a checksum follows, which TCP makes superfluous
		b = b[:len(b)-4]
	}
	for b = b[4:]; len(b) > 0; {
		kind := b[0]
		b = b[1:]
		if len(b) < 5 {
			return io.ErrUnexpectedEOF
		}
		size := int(binary.LittleEndian.Uint32(b))
		if size < 5 || size > len(b) {
			return io.ErrUnexpectedEOF
		}
		section := b[:size]
		b = b[size:]
		if kind == 0 {
			q.body = decode(section)
			continue
		}
		end := bytes.IndexByte(section[4:], 0)
		if end < 0 {
			return io.ErrUnexpectedEOF
		}
		name := string(section[4 : 4+end])
		for docs := section[4+end+1:]; len(docs) > 4; {
			n := int(binary.LittleEndian.Uint32(docs))
			if n < 5 || n > len(docs) {
				return io.ErrUnexpectedEOF
			}
			q.arrays[name] = append(q.arrays[name], bson.Raw(docs[:n]))
			docs = docs[n:]
		}
	}
	return nil
}

func writeReply(c net.Conn, q *request, reply bson.D) error {
	doc, err := bson.Marshal(reply)
	if err != nil {
		panic(fmt.Sprintf("fakemongo: reply to %s: %v", q.name, err))
	}
	var b []byte
	op := int32(opMsg)
	if q.op == opQuery {
		op = opReply
		b = binary.LittleEndian.AppendUint32(b, 8) // flags
		b = binary.LittleEndian.AppendUint64(b, 0) // cursor
		b = binary.LittleEndian.AppendUint32(b, 0) // from
		b = binary.LittleEndian.AppendUint32(b, 1) // documents
	} else {
		b = append(b, 0, 0, 0, 0, 0) // flags, then a section of kind 0
	}
	b = append(b, doc...)
	var head []byte
	for _, n := range []int32{int32(16 + len(b)), 0, q.id, op} {
		head = binary.LittleEndian.AppendUint32(head, uint32(n))
	}
	_, err = c.Write(append(head, b...))
	return err
}

// session names the retryable write that a command is, or "".
func (q *request) session() string {
	txn := q.field("txnNumber")
	if txn == nil {
		return ""
	}
	lsid, _ := q.field("lsid").(bson.D)
	id, _ := get(lsid, "id").(bson.Binary)
	return string(id.Data) + strconv.FormatInt(number(txn), 10)
}
