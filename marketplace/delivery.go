package marketplace

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// A Delivery is one event on its way to one webhook, and the log of how it
// went. Its id, which the receiver gets as webhook-id, follows from the
// webhook and the entry of the audit log, so that it is made once and a
// receiver can tell what it has had already. Those of a webhook are sent in
// the order of the events as long as all arrive; one that has to be sent
// again is overtaken.
type Delivery struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Webhook ID            `json:"webhook"`
	Member  ID            `json:"member"`
	Event   string        `json:"event"`           // "solution.PUBLISH"
	Entry   ID            `json:"entry,omitempty"` // of the audit log; empty for a test
	Body    string        `json:"body"`            // what is sent, the same each time
	State   DeliveryState `json:"state"`
	Lane    deliveryLane  `json:"lane,omitempty"` // only while it is pending
	// NextAt is when it is tried next; nil where it is not.
	NextAt   *time.Time        `json:"nextAt,omitempty"`
	Tries    int               `json:"tries,omitempty"`    // since it was made, or was last asked for
	Attempts []DeliveryAttempt `json:"attempts,omitempty"` // the latest, newest last
}

// KindDelivery is the kind of Delivery.
var KindDelivery = registerTrace("delivery", func() entity { return new(Delivery) },
	Index{Equal: []string{"webhook"}, Sort: "createdAt"},
	Index{Equal: []string{"webhook", "state"}, Sort: "createdAt"},
	Index{Equal: []string{"lane"}, Sort: "nextAt"},
	Index{Sort: "createdAt"})

// A DeliveryState says how far a delivery is.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryPending DeliveryState = "PENDING" // to be tried, or tried again
	DeliveryDone    DeliveryState = "DONE"    // accepted by the receiver
	DeliveryFailed  DeliveryState = "FAILED"  // given up
)

// A deliveryLane keeps what may be slow from what is expected to be fast: each
// is worked off by itself.
type deliveryLane string

const (
	laneFirst deliveryLane = "FIRST" // tried for the first time, at a receiver that works
	laneAgain deliveryLane = "AGAIN" // everything else
)

// An DeliveryAttempt is one try to deliver.
type DeliveryAttempt struct {
	At      time.Time `json:"at"`
	Status  int       `json:"status,omitempty"` // of HTTP; 0 where there was no answer
	Error   string    `json:"error,omitempty"`  // why there was none
	Excerpt string    `json:"excerpt,omitempty"`
	Took    int       `json:"took"` // milliseconds
}

// HTTPStatus is the status of the answer; nil where there was none.
func (a *DeliveryAttempt) HTTPStatus() *int {
	if a.Status == 0 {
		return nil
	}
	return &a.Status
}

// Problem is why there was no answer; nil where there was one.
func (a *DeliveryAttempt) Problem() *string { return maybe(a.Error) }

// Answer is the beginning of the answer; nil where it was empty.
func (a *DeliveryAttempt) Answer() *string { return maybe(a.Excerpt) }

const (
	keptDeliveries  = 30 * 24 * time.Hour
	maxAttemptsKept = 20      // that are kept
	maxAnswerKept   = 1 << 10 // bytes of an answer
	deliveryPage    = 200     // deliveries that are looked at together
	maxSending      = 16      // requests under way in each lane
	maxSendingHost  = 2       // of them to one host
	sendingTime     = 10 * time.Second
	slowPause       = 30 * time.Second // after sendingTime, for a receiver that takes long for each
	failingPause    = 5 * time.Minute  // at most, of others when one has failed
	deliveryJitter  = 0.2              // part of a pause by which it is longer or shorter
	testEvent       = "webhook.PING"
	pausedDelivery  = "the webhook is paused"
	secretsUnusable = "the secret cannot be opened with the server's key: make a new one"
)

// deliveryPauses are how long after a try that failed the next one follows.
var deliveryPauses = []time.Duration{
	5 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

func (*Delivery) kind() Kind          { return KindDelivery }
func (*Delivery) validate(*problems)  {}
func (d *Delivery) audience() []Group { return []Group{ownersOf(d.Member)} }
func (d *Delivery) parties() []ID     { return []ID{d.Member} }
func (d *Delivery) refs() []ID        { return []ID{d.Webhook, d.Entry} }

// IsNode marks deliveries as something with an id of its own.
func (*Delivery) IsNode() {}

// EntryOrNil is the entry of the audit log; nil for a test.
func (d *Delivery) EntryOrNil() *ID {
	if d.Entry == "" {
		return nil
	}
	return &d.Entry
}

// deliveryID follows from what is delivered: 40 bits of the event's second and
// 24 of the revision, by which it sorts, and 64 of a hash.
func deliveryID(at time.Time, revision int64, source string) ID {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(at.Unix())<<24|uint64(revision)&(1<<24-1))
	hash := sha256.Sum256([]byte(source))
	copy(b[8:], hash[:])
	return ID(string(KindDelivery) + "_" + idEncoding.EncodeToString(b[:]))
}

// An eventData is what a webhook is told of an event: names of things, by
// which a program of the member can ask for what it may read.
type eventData struct {
	Entry   ID           `json:"entry,omitempty"` // of the audit log
	Action  string       `json:"action"`
	Member  ID           `json:"member"` // whose webhook it is
	Subject eventSubject `json:"subject"`
	By      ID           `json:"by,omitempty"` // user; absent: the network itself
}

type eventSubject struct {
	ID   ID   `json:"id"`
	Kind Kind `json:"kind"`
}

// delivering makes the deliveries of an entry of the audit log, and tells of
// webhooks that were paused.
var delivering = follower{name: "webhooks", kinds: []Kind{KindAudit, KindWebhook}, apply: present(func(ctx context.Context, m *Market, doc entity) error {
	if w, ok := doc.(*Webhook); ok {
		return m.tellOfStop(ctx, w)
	}
	e := doc.(*AuditEntry)
	// What is older may have been delivered and forgotten.
	if m.options.Poster == nil || e.At.Before(m.clock().Add(clockSkew-keptDeliveries)) {
		return nil
	}
	for _, member := range e.readers() {
		if isMember(member) {
			if err := m.deliverEntry(ctx, member, e); err != nil {
				return err
			}
		}
	}
	return nil
})}

func (m *Market) deliverEntry(ctx context.Context, member ID, e *AuditEntry) error {
	list, err := m.webhooksOf(ctx, member)
	if err != nil {
		return err
	}
	kind := e.Subject.Kind()
	for _, w := range list {
		if w.IsPaused() || !w.wants(kind, e.Action) || e.At.Before(w.CreatedAt.Add(-clockSkew)) {
			continue
		}
		event := string(kind) + "." + e.Action
		body, err := webhookBody(event, e.At, eventData{Entry: e.ID, Action: e.Action, Member: member, Subject: eventSubject{e.Subject, kind}, By: e.By})
		if err != nil {
			return err
		}
		d := &Delivery{Meta: Meta{ID: deliveryID(e.At, e.Revision, string(w.ID)+"\x00"+string(e.ID))},
			Webhook: w.ID, Member: member, Event: event, Entry: e.ID, Body: string(body)}
		d.due(w, m.clock())
		if err := create(ctx, m, MayRunWebhook, d); err != nil && !taken(err, "id") {
			return err
		}
		m.wakePost()
	}
	return nil
}

// due makes a delivery be tried now.
func (d *Delivery) due(w *Webhook, now time.Time) {
	d.State, d.NextAt, d.Tries, d.Lane = DeliveryPending, &now, 0, laneFirst
	if w.FailingSince != nil || len(d.Attempts) > 0 {
		d.Lane = laneAgain
	}
}

// wakePost tells the worker, where it is in this process, that there is something to send.
func (m *Market) wakePost() {
	nudge(m.post)
}

var limitPing = limited{"webhook", throttleLimit{20, 10 * time.Second}, throttleLimit{}, throttleLimit{}}

// PingWebhook sends a test to a webhook, also to one that is paused.
func (m *Market) PingWebhook(ctx context.Context, id ID) (*Delivery, error) {
	w, err := get[*Webhook](ctx, m, id)
	if err != nil {
		return nil, err
	}
	if err := MayManageWebhook.check(ctx, w); err != nil {
		return nil, err
	}
	if m.options.Poster == nil {
		return nil, errNoWebhooks
	}
	if err := m.limit(ctx, limitPing, string(w.Member)); err != nil {
		return nil, err
	}
	now := m.clock()
	body, err := webhookBody(testEvent, now, eventData{Action: "PING", Member: w.Member, Subject: eventSubject{w.ID, KindWebhook}, By: actorOf(ctx).User})
	if err != nil {
		return nil, err
	}
	d := &Delivery{Meta: Meta{ID: deliveryID(now, 0, newSecret())}, Webhook: w.ID, Member: w.Member, Event: testEvent, Body: string(body)}
	d.due(w, now)
	if err := create(ctx, m, MayManageWebhook, d); err != nil {
		return nil, err
	}
	m.wakePost()
	return d, nil
}

// ResendDelivery sends a delivery once more, with the same webhook-id.
func (m *Market) ResendDelivery(ctx context.Context, id ID) (*Delivery, error) {
	d, err := get[*Delivery](ctx, m, id)
	if err != nil {
		return nil, err
	}
	w, err := get[*Webhook](ctx, m, d.Webhook)
	if err != nil {
		return nil, err
	}
	if err := MayManageWebhook.check(ctx, w); err != nil {
		return nil, err
	}
	if w.IsPaused() && d.Event != testEvent {
		return nil, invalid("id", "INVALID", pausedDelivery+": resume it first")
	}
	if err := m.limit(ctx, limitPing, string(w.Member)); err != nil {
		return nil, err
	}
	d, err = update(ctx, m, MayManageWebhook, id, 0, func(d *Delivery) error {
		d.due(w, m.clock())
		return nil
	})
	m.wakePost()
	return d, err
}

// DeliveriesOf lists what was sent to a webhook, or is to be, newest first;
// only what is in a state where one is given.
func (m *Market) DeliveriesOf(ctx context.Context, w *Webhook, state *DeliveryState, s Slice) (*Page[*Delivery], error) {
	q := Query{Where: []Condition{{Field: "webhook", Op: Eq, Value: w.ID}}, Sort: "createdAt", Descending: true}
	if state != nil {
		q.Where = append(q.Where, Condition{Field: "state", Op: Eq, Value: *state})
	}
	return page[*Delivery](ctx, m, KindDelivery, q, s)
}

// sendingFirst and sendingAgain send what is due, each lane by itself.
var (
	sendingFirst = chore{name: "webhooks", wake: func(m *Market) <-chan struct{} { return m.post },
		run: func(ctx context.Context, m *Market) (int, error) { return m.sendDeliveries(asWorker(ctx), laneFirst) }}
	sendingAgain = chore{name: "webhooks again",
		run: func(ctx context.Context, m *Market) (int, error) { return m.sendDeliveries(asWorker(ctx), laneAgain) }}
	forgettingDeliveries = chore{name: "old deliveries", run: func(ctx context.Context, m *Market) (int, error) {
		return m.eraseBefore(ctx, KindDelivery, "createdAt", m.clock().Add(-keptDeliveries))
	}}
)

// sendDeliveries tries what is due in a lane: for each webhook one after the other,
// several webhooks at once, few of one host.
func (m *Market) sendDeliveries(ctx context.Context, lane deliveryLane) (int, error) {
	if m.options.Poster == nil {
		return 0, nil
	}
	due, err := find[*Delivery](ctx, m, KindDelivery, Query{
		Where: []Condition{{Field: "lane", Op: Eq, Value: lane}, {Field: "nextAt", Op: Lt, Value: m.clock().Add(time.Second)}},
		Sort:  "nextAt", Limit: deliveryPage})
	if err != nil || len(due) == 0 {
		return 0, err
	}
	var ids []ID
	queues := map[ID][]*Delivery{}
	for _, d := range due {
		if queues[d.Webhook] == nil {
			ids = append(ids, d.Webhook)
		}
		queues[d.Webhook] = append(queues[d.Webhook], d)
	}
	webhooks, err := m.load(ctx, ids)
	if err != nil {
		return 0, err
	}
	hosts := map[string][]*Webhook{}
	for i, doc := range webhooks {
		if w, ok := doc.(*Webhook); ok {
			hosts[w.host()] = append(hosts[w.host()], w)
			continue
		}
		for _, d := range queues[ids[i]] { // the webhook was deleted
			err = errors.Join(err, m.erase(ctx, d))
		}
	}
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		turns = make(chan struct{}, maxSending)
	)
	for _, list := range hosts {
		for range min(len(list), maxSendingHost) {
			group.Go(func() {
				for {
					mu.Lock()
					if len(list) == 0 {
						mu.Unlock()
						return
					}
					w := list[0]
					list = list[1:]
					mu.Unlock()
					turns <- struct{}{}
					e := m.sendQueue(ctx, w, queues[w.ID])
					<-turns
					if e != nil {
						mu.Lock()
						err = errors.Join(err, e)
						mu.Unlock()
					}
				}
			})
		}
	}
	group.Wait()
	return len(due), err
}

// sendQueue tries the deliveries of one webhook in their order until one
// fails or the time is over; the others are put off, so that nobody waits
// for a receiver that is slow or gone.
func (m *Market) sendQueue(ctx context.Context, w *Webhook, queue []*Delivery) error {
	begun := time.Now()
	for i, d := range queue {
		if w.IsPaused() && d.Event != testEvent {
			if err := m.noteAttempt(ctx, d, w, tried{attempt: DeliveryAttempt{Error: pausedDelivery}, final: true}); err != nil {
				return err
			}
			continue
		}
		out, err := m.attempt(ctx, w, d)
		if err != nil {
			return err
		}
		if err := m.noteAttempt(ctx, d, w, out); err != nil {
			return err
		}
		if err := m.noteArrival(ctx, w, out.arrived, out.gone); err != nil {
			return err
		}
		rest, wait := queue[i+1:], slowPause
		switch {
		case out.gone:
			w.Pause = &WebhookPause{At: m.clock(), Reason: PausedGone}
			continue
		case out.arrived:
			if w.FailingSince = nil; time.Since(begun) < sendingTime {
				continue
			}
		default:
			wait = min(deliveryPauses[min(d.Tries, len(deliveryPauses)-1)], failingPause)
		}
		for _, d := range rest {
			if err := m.putOff(ctx, d, m.clock().Add(wait)); err != nil {
				return err
			}
		}
		return nil
	}
	return nil
}

// A tried is what came of a try.
type tried struct {
	attempt DeliveryAttempt
	arrived bool
	gone    bool // the receiver wants no more
	final   bool // another try would come to the same
	wait    time.Duration
}

// attempt sends a delivery once. An error says that the server is stopping: then
// nothing is known, and it is sent again.
func (m *Market) attempt(ctx context.Context, w *Webhook, d *Delivery) (tried, error) {
	now := m.clock()
	out := tried{attempt: DeliveryAttempt{At: now}}
	secrets, err := m.secrets(w)
	if err != nil {
		out.attempt.Error, out.final = secretsUnusable, true
		return out, nil
	}
	header, err := webhookHeader(secrets, string(d.ID), now, []byte(d.Body))
	if err != nil {
		return out, err
	}
	begun := time.Now()
	answer, err := m.options.Poster.Post(ctx, w.URL, header, []byte(d.Body))
	if ctx.Err() != nil {
		return out, ctx.Err()
	}
	out.attempt.Took = int(time.Since(begun).Milliseconds())
	if err != nil {
		out.attempt.Error, out.final = cut(err.Error(), maxNote), errors.Is(err, ErrPostRefused)
		return out, nil
	}
	out.attempt.Status, out.attempt.Excerpt = answer.Status, cut(answer.Body, maxAnswerKept)
	out.arrived = answer.Status >= 200 && answer.Status <= 299
	out.gone = answer.Status == 410
	out.final, out.wait = out.gone, answer.RetryAfter
	return out, nil
}

// noteAttempt writes down what came of a try, and when the next one follows.
func (m *Market) noteAttempt(ctx context.Context, d *Delivery, w *Webhook, out tried) error {
	now := m.clock()
	if out.attempt.At.IsZero() {
		out.attempt.At = now
	}
	_, err := update(ctx, m, MayRunWebhook, d.ID, 0, func(d *Delivery) error {
		d.Attempts = append(d.Attempts, out.attempt)
		d.Attempts = slices.Clone(d.Attempts[max(0, len(d.Attempts)-maxAttemptsKept):])
		d.NextAt, d.Lane = nil, ""
		switch {
		case out.arrived:
			d.State = DeliveryDone
		case out.final || d.Tries >= len(deliveryPauses):
			d.State = DeliveryFailed
		default:
			pause := deliveryPauses[d.Tries]
			pause += time.Duration((2*rand.Float64() - 1) * deliveryJitter * float64(pause))
			d.NextAt, d.Lane = new(now.Add(max(pause, out.wait)).Truncate(time.Second)), laneAgain
			d.Tries++
		}
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// putOff makes a delivery be tried later, without a try being counted.
func (m *Market) putOff(ctx context.Context, d *Delivery, at time.Time) error {
	_, err := update(ctx, m, MayRunWebhook, d.ID, 0, func(d *Delivery) error {
		if d.State == DeliveryPending {
			d.NextAt, d.Lane = &at, laneAgain
		}
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Names of the pages of deliveries in the API.
type (
	DeliveryConnection = Page[*Delivery]
	DeliveryEdge       = PageEdge[*Delivery]
)
