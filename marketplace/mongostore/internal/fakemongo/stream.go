package fakemongo

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// An entry of the log is a change. Its place is the order in which changes
// became visible, from 1.
type entry struct {
	db, coll, op string
	id           any
}

type stream struct {
	at       uint64 // the last place that was read
	match    bson.D
	fields   bson.D
	closed   bool // after an invalidate
	database string
}

// historyLost is what is answered to whoever asks for changes that the log
// does not hold any more.
var historyLost = &failure{code: 286, name: "ChangeStreamHistoryLost", labels: []string{"NonResumableChangeStreamError"}}

func (s *Server) record(db, coll, op string, id any) {
	s.log = append(s.log, entry{db, coll, op, id})
	s.broadcast()
}

// token is {_data: "0000000000000007"}: a place in the log.
func token(place uint64) bson.D {
	return bson.D{{Key: "_data", Value: hex.EncodeToString(binary.BigEndian.AppendUint64(nil, place))}}
}

func aggregate(m *member, q *request, _ Action) (bson.D, error) {
	s := m.server
	if s.standalone {
		return nil, &failure{code: 40573, name: "The $changeStream stage is only supported on replica sets"}
	}
	st := &stream{at: uint64(len(s.log)), database: q.db}
	for _, stage := range q.docs("pipeline") {
		d, _ := stage[0].Value.(bson.D)
		switch stage[0].Key {
		case "$changeStream":
			after, ok := get(d, "resumeAfter").(bson.D)
			if !ok {
				continue
			}
			data, _ := get(after, "_data").(string)
			place, err := hex.DecodeString(data)
			if err != nil || len(place) != 8 {
				return nil, &failure{code: 260, name: "InvalidResumeToken"}
			}
			st.at = binary.BigEndian.Uint64(place)
			if st.at > uint64(len(s.log)) {
				return nil, &failure{code: 280, name: "ChangeStreamFatalError"}
			}
			if st.at < s.lost {
				return nil, historyLost
			}
		case "$match":
			st.match = d
		case "$project":
			st.fields = d
		default:
			panic("fakemongo: stage " + stage[0].Key)
		}
	}
	return s.first(q, &cursor{ns: fmt.Sprintf("%s.$cmd.aggregate", q.db), stream: st}), nil
}

// events takes the next events of a stream, at most size.
func (s *Server) events(_ *request, st *stream, size int) []bson.D {
	var docs []bson.D
	for st.at < uint64(len(s.log)) && len(docs) < size && !st.closed {
		e := s.log[st.at]
		st.at++
		if e.db != st.database {
			continue
		}
		d := bson.D{{Key: "_id", Value: token(st.at)}, {Key: "operationType", Value: e.op}, {Key: "clusterTime", Value: s.clock},
			{Key: "ns", Value: bson.D{{Key: "db", Value: e.db}, {Key: "coll", Value: e.coll}}}}
		if e.id != nil {
			d = append(d, bson.E{Key: "documentKey", Value: bson.D{{Key: "_id", Value: e.id}}})
		}
		st.closed = e.op == "invalidate"
		if matches(d, st.match) {
			docs = append(docs, project(d, st.fields))
		}
	}
	return docs
}
