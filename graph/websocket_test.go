package graph

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// A talk is a client's side of a WebSocket.
type talk struct {
	*lab
	conn *websocket.Conn
}

func (l *lab) dialSocket(ctx context.Context, protocols []string, headers http.Header) (*talk, *http.Response, error) {
	conn, answer, err := websocket.Dial(ctx, "ws://lab/graphql", &websocket.DialOptions{HTTPClient: l.client, HTTPHeader: headers, Subprotocols: protocols})
	if err != nil {
		return nil, answer, err
	}
	conn.SetReadLimit(1 << 20)
	return &talk{l, conn}, answer, nil
}

// talk opens a WebSocket and, where wanted, the connection in it.
func (l *lab) talk(acknowledged bool) *talk {
	l.Helper()
	return l.talkFrom("192.0.2.1:1234", acknowledged)
}

func (l *lab) talkFrom(from address, acknowledged bool) *talk {
	l.Helper()
	s, _, err := l.dialSocket(context.WithValue(l.Context(), addressKey{}, from), []string{protocol}, nil)
	if err != nil {
		l.Fatal(err)
	}
	if acknowledged {
		s.say(`{"type":"connection_init"}`)
		s.hears(`{"type":"connection_ack"}`)
	}
	return s
}

func (s *talk) say(messages ...string) {
	s.Helper()
	for _, m := range messages {
		if err := s.conn.Write(s.Context(), websocket.MessageText, []byte(m)); err != nil {
			s.Fatal(err)
		}
	}
}

func (s *talk) subscribe(id, query string) {
	s.Helper()
	s.say(fmt.Sprintf(`{"id":%q,"type":"subscribe","payload":{"query":%q}}`, id, query))
}

func (s *talk) next() (string, error) {
	_, data, err := s.conn.Read(s.Context())
	return string(data), err
}

func (s *talk) hears(messages ...string) {
	s.Helper()
	for _, want := range messages {
		got, err := s.next()
		if err != nil {
			s.Fatalf("%v instead of %s", err, want)
		}
		if got = ids.ReplaceAllString(got, `"id":"?"`); got != want {
			s.Errorf("heard\n%s\nnot\n%s", got, want)
		}
	}
}

// closes checks that nothing but the closing comes, and before it at most the
// acknowledgement.
func (s *talk) closes(code websocket.StatusCode, reason string) {
	s.Helper()
	got, err := s.next()
	if got == `{"type":"connection_ack"}` {
		got, err = s.next()
	}
	closed, ok := errors.AsType[websocket.CloseError](err)
	if !ok || closed.Code != code || closed.Reason != reason {
		s.Errorf("%s %v, not %d %s", got, err, code, reason)
	}
	s.conn.CloseNow()
}

func (s *talk) bye() {
	s.Helper()
	if err := s.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		s.Error(err)
	}
}

func TestWebSocketClosings(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		const initial, query = `{"type":"connection_init"}`, `{"id":"1","type":"subscribe","payload":{"query":"{ hello }"}}`
		const never = `{"id":"1","type":"subscribe","payload":{"query":"subscription { never { n } }"}}`
		for name, c := range map[string]struct {
			messages []string
			code     websocket.StatusCode
			reason   string
		}{
			"before the acknowledgement": {[]string{query}, 4401, "Unauthorized"},
			"a second beginning":         {[]string{initial, initial}, 4429, "Too many initialisation requests"},
			"no beginning":               {nil, 4408, "Connection initialisation timeout"},
			"only pings":                 {[]string{`{"type":"pong"}`, `{"type":"complete","id":"1"}`}, 4408, "Connection initialisation timeout"},
			"the same id":                {[]string{initial, never, never}, 4409, "Subscriber for 1 already exists"},
			"the same id, as query":      {[]string{initial, never, query}, 4409, "Subscriber for 1 already exists"},
			"a long id":                  {[]string{initial, strings.Replace(never, "1", strings.Repeat("i", 80), 1), strings.Replace(never, "1", strings.Repeat("i", 80), 1)}, 4409, "Subscriber for " + strings.Repeat("i", 80) + " already exists"},
			"too long an id":             {[]string{initial, strings.Replace(never, "1", strings.Repeat("i", 81), 1)}, 4400, "The id is too long"},
			"no json":                    {[]string{"{no"}, 4400, "Invalid message received"},
			"not utf-8":                  {[]string{"{\"type\":\"ping\",\"x\":\"\xff\"}"}, 4400, "Invalid message received"},
			"a list":                     {[]string{`[]`}, 4400, "Invalid message received"},
			"a number as id":             {[]string{`{"type":"complete","id":1}`}, 4400, "Invalid message received"},
			"deep":                       {[]string{strings.Repeat("[", 20_000)}, 4400, "Invalid message received"},
			"null":                       {[]string{`null`}, 4400, "The type of the message is unknown"},
			"an unknown type":            {[]string{initial, `{"type":"start"}`}, 4400, "The type of the message is unknown"},
			"a server's type":            {[]string{initial, `{"type":"next","id":"1"}`}, 4400, "The type of the message is unknown"},
			"no id":                      {[]string{initial, `{"type":"subscribe","payload":{"query":"{ hello }"}}`}, 4400, "The id is missing"},
			"nothing to complete":        {[]string{initial, `{"type":"complete"}`}, 4400, "The id is missing"},
			"no payload":                 {[]string{initial, `{"type":"subscribe","id":"1"}`}, 4400, "The payload cannot be used: the body is empty"},
			"no query":                   {[]string{initial, `{"type":"subscribe","id":"1","payload":{}}`}, 4400, "The payload cannot be used: query is missing"},
			"a number as query":          {[]string{initial, `{"type":"subscribe","id":"1","payload":{"query":1}}`}, 4400, "The payload cannot be used: query must be a string"},
			"a batch":                    {[]string{initial, `{"type":"subscribe","id":"1","payload":[]}`}, 4400, "The payload cannot be used: several operations in one request are not supported"},
			"a ping with a string":       {[]string{`{"type":"ping","payload":"x"}`}, 4400, "The payload must be an object"},
			"a strange authorization":    {[]string{`{"type":"connection_init","payload":{"authorization":1}}`}, 4400, "The authorization must be a string"},
			"a large message":            {[]string{initial, `{"type":"ping","payload":{"x":"` + strings.Repeat("x", maxSocketMessage) + `"}}`}, 1009, "read limited at 65537 bytes"},
		} {
			s := l.talk(false)
			began := time.Now()
			go func() {
				for _, m := range c.messages {
					if s.conn.Write(l.Context(), websocket.MessageText, []byte(m)) != nil {
						return
					}
				}
			}()
			s.closes(c.code, c.reason)
			if took := time.Since(began); (c.code == closeInitTimeout) != (took == initTimeout) || c.code != closeInitTimeout && took > 0 {
				l.Errorf("%s: after %s", name, took)
			}
			l.lives(0)
		}
		s := l.talk(false)
		s.conn.Write(l.Context(), websocket.MessageBinary, []byte(initial))
		s.closes(4400, "Messages are text")
	})
}

func TestWebSocketConversations(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		const failed = `{"type":"error","id":"1","payload":[{"message":"internal error","path":["%s"],"locations":[{"line":1,"column":16}],"extensions":{"code":"INTERNAL","id":"?"}}]}`
		const invalid = `{"type":"error","id":"1","payload":[{"message":%q,%s"extensions":{"code":%q}}]}`
		s := l.talk(true)
		for _, c := range []struct {
			query string
			heard []string
		}{
			{"{ hello }", []string{`{"type":"next","id":"1","payload":{"data":{"hello":"world"}}}`, `{"type":"complete","id":"1"}`}},
			{`mutation { shout(text: "hey") }`, []string{`{"type":"next","id":"1","payload":{"data":{"shout":"hey"}}}`, `{"type":"complete","id":"1"}`}},
			{"subscription { counter(to: 2) { n } }", []string{`{"type":"next","id":"1","payload":{"data":{"counter":{"n":1}}}}`, `{"type":"next","id":"1","payload":{"data":{"counter":{"n":2}}}}`, `{"type":"complete","id":"1"}`}},
			{"subscription { counter(to: 0) { n } }", []string{`{"type":"complete","id":"1"}`}},
			{"{ nope }", []string{fmt.Sprintf(invalid, `Cannot query field "nope" on type "Query".`, `"locations":[{"line":1,"column":3}],`, codeValidation)}},
			{"}", []string{fmt.Sprintf(invalid, "Unexpected }", `"locations":[{"line":1,"column":1}],`, codeParse)}},
			{"subscription { a: never { n } b: never { n } }", []string{fmt.Sprintf(invalid, "a subscription selects one field", "", codeValidation)}},
			{"subscription { failing { n } }", []string{fmt.Sprintf(failed, "failing")}},
			{"subscription { exploding { n } }", []string{fmt.Sprintf(failed, "exploding")}},
			{"subscription { panicking { n } }", []string{`{"type":"next","id":"1","payload":{"data":{"panicking":{"n":1}}}}`, fmt.Sprintf(failed, "panicking")}},
		} {
			s.subscribe("1", c.query)
			s.hears(c.heard...)
		}
		s.say(`{"type":"ping"}`, `{"type":"ping","payload":{"n": 7}}`, `{"type":"pong"}`, `{"type":"complete","id":"unknown"}`)
		s.hears(`{"type":"pong"}`, `{"type":"pong","payload":{"n": 7}}`)

		// Variables are coerced, names chosen, hashes registered as everywhere.
		s.say(`{"id":"2","type":"subscribe","payload":{"query":"query($n: String!) { hello(name: $n) }","variables":{"n":5}}}`)
		if got, err := s.next(); err != nil || !strings.Contains(got, `"type":"error","id":"2"`) || !strings.Contains(got, codeBadUserInput) {
			l.Error(got, err)
		}
		s.say(`{"id":"3","type":"subscribe","payload":{"query":"query A { __typename } query B { hello(name: \"b\") }","operationName":"B"}}`)
		s.hears(`{"type":"next","id":"3","payload":{"data":{"hello":"b"}}}`, `{"type":"complete","id":"3"}`)
		s.say(`{"id":"4","type":"subscribe","payload":` + persisted("", hashString("{ hello }")) + `}`)
		s.hears(`{"type":"error","id":"4","payload":[{"message":"PersistedQueryNotFound","extensions":{"code":"PERSISTED_QUERY_NOT_FOUND"}}]}`)
		s.subscribe("\"\\\n", "{ hello }")
		s.hears(`{"type":"next","id":"\"\\\n","payload":{"data":{"hello":"world"}}}`, `{"type":"complete","id":"\"\\\n"}`)

		// A ping may come before anything else.
		early := l.talk(false)
		early.say(`{"type":"ping"}`, `{"type":"connection_init","payload":{"authorization":"Bearer nobody asks"}}`)
		early.hears(`{"type":"pong"}`, `{"type":"connection_ack"}`)
		early.bye()
		s.bye()
	})
}

func TestWebSocketOperationsAreCompletedByTheClient(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		s := l.talk(true)
		for range 3 {
			s.subscribe("a", "subscription { heard { text } }")
			s.subscribe("b", "subscription { heard { n } }")
			l.lives(2)
			l.shout("x")
			for range 2 {
				s.next()
			}
			s.say(`{"type":"complete","id":"a"}`)
			l.lives(1)
			l.shout("y")
			s.hears(`{"type":"next","id":"b","payload":{"data":{"heard":{"n":2}}}}`)
			s.say(`{"type":"complete","id":"b"}`)
			l.lives(0)
		}
		// Also what ends by itself: its answer is wanted no more.
		s.subscribe("a", "{ hang }")
		s.say(`{"type":"complete","id":"a"}`)
		s.subscribe("a", "{ hello }")
		s.hears(`{"type":"next","id":"a","payload":{"data":{"hello":"world"}}}`, `{"type":"complete","id":"a"}`)
		// What waits to be written is dropped.
		s.subscribe("a", "subscription { endless { n } }")
		synctest.Wait()
		s.say(`{"type":"complete","id":"a"}`, `{"type":"ping"}`)
		for n := 0; ; n++ {
			got, err := s.next()
			if err != nil {
				l.Fatal(err)
			}
			if got == `{"type":"pong"}` {
				break
			}
			if n > 2 {
				l.Fatalf("%d events after the end", n)
			}
		}
		l.lives(0)
		s.bye()
	})
}

func TestWebSocketEndsWithTheClient(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		for name, leave := range map[string]func(*talk){
			"closed": (*talk).bye,
			"cut":    func(s *talk) { s.conn.CloseNow() },
		} {
			s := l.talk(true)
			for i := range 20 {
				s.subscribe(fmt.Sprint(i), "subscription { never { n } }")
			}
			l.lives(20)
			leave(s)
			l.lives(0)
			if n := l.places(); n != 0 {
				l.Errorf("%s: %d places are not given back", name, n)
			}
		}
	})
}

// A client that is gone without a word, or only writes, answers no ping.
func TestSilentWebSocketIsCut(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		s := l.talk(true)
		s.subscribe("a", "subscription { never { n } }")
		time.Sleep(pingEvery - time.Second)
		l.lives(1)
		time.Sleep(time.Second + writeTimeout)
		l.lives(0)
		s.conn.CloseNow()

		// One that answers stays.
		s = l.talk(true)
		s.subscribe("a", "subscription { never { n } }")
		go s.next()
		time.Sleep(time.Hour)
		l.lives(1)
		s.conn.CloseNow()
	})
}

func TestSlowReaderOfWebSocketIsCut(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		s := l.talk(true)
		for i := range 40 {
			s.subscribe(fmt.Sprint(i), "subscription { endless { text } }")
		}
		time.Sleep(writeTimeout - time.Second)
		l.lives(40)
		time.Sleep(2 * time.Second)
		l.lives(0)
		s.conn.CloseNow()
	})
}

func TestWebSocketCarriesSoManyOperations(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		s := l.talk(true)
		const never = "subscription { never { n } }"
		for i := range maxOperations {
			s.subscribe(fmt.Sprint(i), never)
		}
		l.lives(maxOperations)
		s.subscribe("more", never)
		s.hears(`{"type":"error","id":"more","payload":[{"message":"a WebSocket carries at most 100 operations at the same time","extensions":{"code":"LIMIT_EXCEEDED"}}]}`)
		s.say(`{"type":"complete","id":"7"}`)
		l.lives(maxOperations - 1)
		s.subscribe("more", never)
		l.lives(maxOperations)

		// One client's sockets carry so many in all, another's are not counted.
		second, third, other := l.talk(true), l.talk(true), l.talkFrom("198.51.100.1:1", true)
		for i := range maxOperations {
			second.subscribe(fmt.Sprint(i), never)
		}
		for i := range 3 {
			third.subscribe(fmt.Sprint(i), never)
		}
		l.lives(2*maxOperations + 3)
		third.subscribe("more", never)
		third.hears(`{"type":"error","id":"more","payload":[{"message":"this client has too many streams open","extensions":{"code":"LIMIT_EXCEEDED"}}]}`)
		other.subscribe("1", never)
		other.subscribe("2", never)
		l.lives(2*maxOperations + 5)
		for _, s := range []*talk{s, second, third, other} {
			s.bye()
		}
	})
}

func TestWebSocketsHaveBounds(t *testing.T) {
	inLab(t, Options{MaxStreams: 52}, func(l *lab) {
		var open []*talk
		for range maxClientStreams {
			open = append(open, l.talk(true))
		}
		l.talk(false).closes(4429, "Too many streams")
		for range 2 {
			open = append(open, l.talkFrom("198.51.100.1:1", true))
		}
		l.talkFrom("198.51.100.1:2", false).closes(1013, "Try again later")
		open[50].subscribe("1", "subscription { never { n } }")
		open[50].subscribe("2", "subscription { never { n } }")
		open[50].hears(`{"type":"error","id":"2","payload":[{"message":"too many streams are open; try again in a moment","extensions":{"code":"UNAVAILABLE"}}]}`)

		// Those that do not want to know are not waited for without end.
		var deaf []*talk
		for range maxTurnedAway {
			deaf = append(deaf, l.talkFrom("198.51.100.1:3", false))
		}
		synctest.Wait()
		if _, answer, err := l.dialSocket(l.Context(), []string{protocol}, nil); err == nil || answer.StatusCode != http.StatusTooManyRequests {
			l.Error(answer, err)
		}
		time.Sleep(closeTimeout)
		l.talk(false).closes(4429, "Too many streams")
		for _, s := range append(open, deaf...) {
			s.conn.CloseNow()
		}
		l.lives(0)
	})
}

func TestWebSocketHandshakes(t *testing.T) {
	inLab(t, Options{Origins: []string{"https://friend.example"}}, func(l *lab) {
		for name, c := range map[string]struct {
			protocols []string
			header    http.Header
			status    int
			protocol  string
		}{
			"no page":          {[]string{protocol}, nil, 101, protocol},
			"own page":         {[]string{protocol}, http.Header{"Origin": {"http://lab"}}, 101, protocol},
			"friend":           {[]string{protocol}, http.Header{"Origin": {"https://friend.example"}, "Sec-Fetch-Site": {"cross-site"}}, 101, protocol},
			"friend's http":    {[]string{protocol}, http.Header{"Origin": {"http://friend.example"}}, 403, ""},
			"stranger":         {[]string{protocol}, http.Header{"Origin": {"http://evil.example"}}, 403, ""},
			"neighbour":        {[]string{protocol}, http.Header{"Origin": {"http://evil.lab"}, "Sec-Fetch-Site": {"same-site"}}, 403, ""},
			"nowhere":          {[]string{protocol}, http.Header{"Origin": {"null"}}, 403, ""},
			"several":          {[]string{"graphql-ws", protocol}, nil, 101, protocol},
			"without protocol": {nil, nil, 101, ""},
			"the old protocol": {[]string{"graphql-ws"}, nil, 101, ""},
		} {
			s, answer, err := l.dialSocket(l.Context(), c.protocols, c.header)
			if answer == nil || answer.StatusCode != c.status {
				l.Errorf("%s: %v %v", name, answer, err)
			}
			switch {
			case s == nil:
			case s.conn.Subprotocol() != c.protocol:
				l.Errorf("%s: %q", name, s.conn.Subprotocol())
			case c.protocol == "":
				s.closes(4406, "Subprotocol not acceptable")
			default:
				s.bye()
			}
		}
		r := l.request(l.Context(), "GET", "/graphql", "", "Upgrade: websocket", "Connection: Upgrade")
		if bodyOf(l, r); r.StatusCode != http.StatusBadRequest {
			l.Error(r.Status)
		}
	})
}

func TestWebSocketsEndWithTheServer(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		s := l.talk(true)
		s.subscribe("q", "{ hang }")
		s.subscribe("s", "subscription { never { n } }")
		l.lives(1)
		began := time.Now()
		stopped := make(chan error)
		go func() { stopped <- l.handler.Shutdown(l.Context()) }()
		s.hears(`{"type":"complete","id":"s"}`)
		s.subscribe("t", "{ hello }")
		s.hears(`{"type":"error","id":"t","payload":[{"message":"the server is stopping","extensions":{"code":"UNAVAILABLE"}}]}`)
		if took := time.Since(began); took > 0 {
			l.Errorf("after %s", took)
		}
		if _, answer, err := l.dialSocket(l.Context(), []string{protocol}, nil); err == nil || answer.StatusCode != http.StatusServiceUnavailable {
			l.Error(answer, err)
		}
		if got, err := s.next(); err != nil || !strings.Contains(got, `"data":{"hang":null}`) {
			l.Error(got, err)
		}
		s.hears(`{"type":"complete","id":"q"}`)
		s.closes(1001, "Going away")
		if err := <-stopped; err != nil || time.Since(began) != 10*time.Second {
			l.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestWebSocketEndsWithRights(t *testing.T) {
	var lost atomic.Bool
	inLab(t, Options{Recheck: func(context.Context) error {
		if lost.Load() {
			return errors.New(secret)
		}
		return nil
	}}, func(l *lab) {
		for name, c := range map[string]struct {
			act  func(*talk)
			took time.Duration
		}{
			"an event":     {func(*talk) { l.shout("x") }, 0},
			"an operation": {func(s *talk) { s.subscribe("2", "{ hello }") }, 0},
			"nothing":      {func(*talk) {}, recheckEvery},
		} {
			lost.Store(false)
			s := l.talk(true)
			s.subscribe("1", "subscription { heard { text } }")
			l.lives(1)
			lost.Store(true)
			began := time.Now()
			c.act(s)
			s.closes(4401, "Unauthorized")
			if took := time.Since(began); took != c.took {
				l.Errorf("%s: after %s", name, took)
			}
			l.lives(0)
		}
	})
}

type viewerKey struct{}

func TestWebSocketAuthenticates(t *testing.T) {
	var viewer atomic.Value // the last one's
	inLab(t, Options{
		Recheck: func(ctx context.Context) error {
			name, _ := ctx.Value(viewerKey{}).(string)
			viewer.Store(name)
			return nil
		},
		Authenticate: func(ctx context.Context, bearer string) (context.Context, error) {
			switch bearer {
			case "ada":
				return context.WithValue(ctx, viewerKey{}, bearer), nil
			case "slow":
				<-ctx.Done()
				return nil, ctx.Err()
			case "panic":
				panic(secret)
			}
			return nil, errors.New(secret)
		},
	}, func(l *lab) {
		for _, c := range []struct {
			payload string
			viewer  string
			code    websocket.StatusCode
			reason  string
		}{
			{`{"authorization":"Bearer ada"}`, "ada", 0, ""},
			{`{"Authorization":"bearer  ada "}`, "ada", 0, ""},
			{`{}`, "", 0, ""},
			{`null`, "", 0, ""},
			{`{"authorization":null}`, "", 0, ""},
			{`{"authorization":"Bearer eve"}`, "", 4403, "Forbidden"},
			{`{"authorization":"Basic ada"}`, "", 4403, "Forbidden"},
			{`{"authorization":"ada"}`, "", 4403, "Forbidden"},
			{`{"authorization":""}`, "", 4403, "Forbidden"},
			{`{"authorization":"Bearer slow"}`, "", 4408, "Connection initialisation timeout"},
			{`{"authorization":"Bearer panic"}`, "", 1011, "Internal error"},
		} {
			s := l.talk(false)
			s.say(`{"type":"connection_init","payload":` + c.payload + `}`)
			if c.code != 0 {
				s.closes(c.code, c.reason)
				continue
			}
			s.hears(`{"type":"connection_ack"}`)
			s.subscribe("1", "{ hello }")
			s.hears(`{"type":"next","id":"1","payload":{"data":{"hello":"world"}}}`, `{"type":"complete","id":"1"}`)
			s.bye()
			if got := viewer.Load(); got != c.viewer {
				l.Errorf("%s: %v", c.payload, got)
			}
		}
	})
}

// A message without an end does not keep a socket from being closed.
func TestUnfinishedMessageIsNotWaitedFor(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		conn, err := l.dial(l.Context(), "", "")
		if err != nil {
			l.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET /graphql HTTP/1.1\r\nHost: lab\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
			"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: %s\r\n\r\n", protocol)
		r := bufio.NewReader(conn)
		if answer, err := http.ReadResponse(r, nil); err != nil || answer.StatusCode != 101 {
			l.Fatal(answer, err)
		}
		go r.WriteTo(discard{})
		conn.Write([]byte{0x81, 0xff, 0, 0, 0, 0, 0x7f, 0, 0, 0, 0, 0, 0, 0}) // a text of 2 GB, masked with zeros
		go func() {
			for range 100 {
				conn.Write(make([]byte, 1000))
				time.Sleep(100 * time.Millisecond)
			}
		}()
		time.Sleep(7*time.Second + closeTimeout)
		if l.places() != 0 {
			l.Error("it is still open")
		}
	})
}

func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`{"type":"connection_init","payload":{"authorization":"Bearer x"}}`, `{"type":"ping","payload": null }`, `{"type":"subscribe","id":"1","payload":{"query":"{ hello }","variables":{}}}`,
		`{"type":"complete","id":"1"}`, `null`, `{"TYPE":"pong","payload":[]}`, "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, wrong := parseMessage(websocket.MessageText, data)
		if (m == nil) != (wrong != "") || len(wrong) > 123 {
			t.Fatalf("%v %q", m, wrong)
		}
		if m != nil && !json.Valid(appendMessage(typePong, m.ID, m.Payload)) {
			t.Fatalf("the echo of %q is not JSON", data)
		}
	})
}
