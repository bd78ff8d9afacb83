package marketplace

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// A conduct is how a member has answered what it was asked of late, and how
// much of it waits: what the willingness and the exposure of its matches are
// reckoned by. It follows from offers and meetings, is written anew whenever
// one changes, and is seen by nobody.
type conduct struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Member ID `json:"member"`
	// Answered is how many of the latest were answered, Quick the sum of how
	// soon, each 0 to 1, in thousandths; see quickness.
	Answered int `json:"answered,omitempty"`
	Quick    int `json:"quick,omitempty"`
	// Ignored is how many ended without an answer.
	Ignored int `json:"ignored,omitempty"`
	// Waiting is when those were sent that wait for an answer, and Agreed when
	// the latest were agreed; Unix seconds, at most maxConductTimes each.
	Waiting []int64 `json:"waiting,omitempty"`
	Agreed  []int64 `json:"agreed,omitempty"`
}

var kindConduct = registerTrace("conduct", func() entity { return new(conduct) })

func (*conduct) kind() Kind         { return kindConduct }
func (*conduct) validate(*problems) {}
func (*conduct) audience() []Group  { return nil }
func (c *conduct) parties() []ID    { return []ID{c.Member} }

// Bounds and times of conduct.
const (
	maxConduct      = 200                 // latest requests of each sort that are looked at
	maxConductTimes = 100                 // that wait, and that were agreed
	answerPatience  = 14 * 24 * time.Hour // after which what waits counts as not answered
	quickAnswer     = 2 * 24 * time.Hour  // an answer within this is as good as one at once
	slowAnswer      = 30 * 24 * time.Hour // one after this is worth half
	agreedLately    = 90 * 24 * time.Hour
)

func conductID(member ID) ID {
	return ID(string(kindConduct) + "_" + strings.ReplaceAll(string(member), "_", "-"))
}

// An enquiry is something that a member was asked.
type enquiry struct {
	sent     time.Time
	answered *time.Time // nil: it was not
	waits    bool       // it still can be
	agreed   *time.Time
}

// note adds a request.
func (c *conduct) note(r enquiry) {
	switch {
	case r.answered != nil:
		c.Answered++
		c.Quick += int(1000 * quickness(r.answered.Sub(r.sent)))
	case r.waits:
		if len(c.Waiting) < maxConductTimes {
			c.Waiting = append(c.Waiting, r.sent.Unix())
		}
	default:
		c.Ignored++
	}
	if r.agreed != nil && len(c.Agreed) < maxConductTimes {
		c.Agreed = append(c.Agreed, r.agreed.Unix())
	}
}

// quickness is 1 for an answer within quickAnswer, and falls evenly to a half
// at slowAnswer.
func quickness(after time.Duration) float64 {
	late := float64(after-quickAnswer) / float64(slowAnswer-quickAnswer)
	return 1 - min(max(late, 0), 1)/2
}

// answers is how well a member answers, 0 to 1: the share of what it was asked
// that it answered, each answer worth its quickness, as if it had been asked
// twice more and had answered once: without experience that is a half. What
// waits counts once answerPatience has passed.
func (c *conduct) answers(now time.Time) float64 {
	if c == nil {
		return unknown
	}
	asked := c.Answered + c.Ignored
	for _, sent := range c.Waiting {
		if now.Unix()-sent > int64(answerPatience/time.Second) {
			asked++
		}
	}
	return (float64(c.Quick)/1000 + 1) / float64(asked+2)
}

// load is how much is wanted of a member: what waits for its answer, and half
// of what was agreed in the last 90 days.
func (c *conduct) load(now time.Time) float64 {
	if c == nil {
		return 0
	}
	lately := 0
	for _, at := range c.Agreed {
		if now.Unix()-at <= int64(agreedLately/time.Second) {
			lately++
		}
	}
	return float64(len(c.Waiting)) + float64(lately)/2
}

// conducting writes a member's conduct anew when something that it was asked changes.
var conducting = follower{name: "conduct", kinds: []Kind{KindOffer, KindMeeting}, apply: present(func(ctx context.Context, m *Market, doc entity) error {
	var asked []ID
	switch doc := doc.(type) {
	case *Offer:
		asked = []ID{doc.City, doc.Company}
	case *Meeting:
		asked = []ID{doc.To, doc.From}
	}
	for _, member := range asked {
		if err := m.noteConduct(ctx, member); err != nil {
			return err
		}
	}
	return nil
})}

// noteConduct reckons the conduct of a member from its latest requests.
func (m *Market) noteConduct(ctx context.Context, member ID) error {
	fresh := &conduct{Meta: Meta{ID: conductID(member)}, Member: member}
	if err := m.conductInOffers(ctx, fresh); err != nil {
		return err
	}
	if err := m.conductInMeetings(ctx, fresh); err != nil {
		return err
	}
	_, err := updateOrCreate(ctx, m, MayKeepConduct, fresh.ID, 0, func() *conduct { return &conduct{Member: member} }, func(c *conduct) error {
		if c.rev > 0 && c.same(fresh) {
			return errUnchanged
		}
		meta := c.Meta
		*c = *fresh
		c.Meta = meta
		return nil
	})
	m.conducts.forget(member)
	return ignore(err, errUnchanged)
}

func (c *conduct) same(o *conduct) bool {
	return c.Answered == o.Answered && c.Quick == o.Quick && c.Ignored == o.Ignored && slices.Equal(c.Waiting, o.Waiting) && slices.Equal(c.Agreed, o.Agreed)
}

// conductInOffers adds the offers that a city has got. A company was asked
// nothing by those that it made; what was taken keeps it busy all the same.
func (m *Market) conductInOffers(ctx context.Context, c *conduct) error {
	kind := c.Member.Kind()
	if kind != KindCity && kind != KindCompany {
		return nil
	}
	q := Query{Where: []Condition{{Field: string(kind), Op: Eq, Value: c.Member}}, Sort: "createdAt", Descending: true, Limit: maxConduct}
	return m.fetchAll(ctx, KindOffer, q, func(doc entity, _ string, _ bool) {
		o := doc.(*Offer)
		r := enquiry{sent: o.CreatedAt, waits: o.Status == OfferSubmitted}
		if o.Status != OfferSubmitted {
			r.answered = &o.UpdatedAt
			if o.DecidedAt != nil {
				r.answered = o.DecidedAt
			}
		}
		if o.Status == OfferTaken {
			r.agreed = o.DecidedAt
		}
		switch {
		case o.IsDeleted || o.Status == OfferWithdrawn:
		case kind == KindCity:
			c.note(r)
		case r.agreed != nil && len(c.Agreed) < maxConductTimes:
			c.Agreed = append(c.Agreed, r.agreed.Unix())
		}
	})
}

// conductInMeetings adds the meetings that a member was asked for. Requests
// that it does not hear of count like those that it does not answer: else the
// side that asks could tell them apart, by how its match with that member changes.
func (m *Market) conductInMeetings(ctx context.Context, c *conduct) error {
	q := Query{Where: []Condition{{Field: "to", Op: Eq, Value: c.Member}}, Sort: "createdAt", Descending: true, Limit: maxConduct}
	return m.fetchAll(ctx, KindMeeting, q, func(doc entity, _ string, _ bool) {
		x := doc.(*Meeting)
		if x.IsDeleted || x.Status == MeetingCancelled && x.AnsweredAt == nil {
			return // it was taken back before an answer
		}
		if x.Pending == 0 { // it was not asked: a timetable or the secretariat says so
			if x.AcceptedAt != nil && x.Status != MeetingCancelled && len(c.Agreed) < maxConductTimes {
				c.Agreed = append(c.Agreed, x.AcceptedAt.Unix())
			}
			return
		}
		c.note(enquiry{sent: x.CreatedAt, answered: x.AnsweredAt, waits: slices.Contains(pendingMeetings, x.Status), agreed: x.AcceptedAt})
	})
}

// conducts remembers for conductFresh how members answer, since every list of
// matches asks for up to 200 of them, which takes a millisecond. What this
// process writes itself is known at once.
type conducts struct {
	sync.Mutex
	of map[ID]knownConduct
}

type knownConduct struct {
	*conduct // nil: nothing is known of the member
	at       time.Time
}

const (
	conductFresh = 10 * time.Second
	maxConducts  = 10_000
)

func (k *conducts) forget(member ID) {
	k.Lock()
	defer k.Unlock()
	delete(k.of, member)
}

// conductsOf returns the conduct of members, with one store operation at the most.
func (m *Market) conductsOf(ctx context.Context, members []ID) (map[ID]*conduct, error) {
	out := make(map[ID]*conduct, len(members))
	var ids []any
	var missing []ID
	k, now := &m.conducts, m.now()
	k.Lock()
	for _, member := range members {
		if c, ok := k.of[member]; ok && now.Sub(c.at).Abs() < conductFresh {
			out[member] = c.conduct
		} else {
			ids, missing = append(ids, string(conductID(member))), append(missing, member)
		}
	}
	k.Unlock()
	if len(ids) == 0 {
		return out, nil
	}
	err := m.fetchAll(ctx, kindConduct, byIDs(ids), func(doc entity, _ string, _ bool) {
		c := doc.(*conduct)
		out[c.Member] = c
	})
	if err != nil {
		return nil, err
	}
	k.Lock()
	defer k.Unlock()
	if k.of == nil || len(k.of)+len(missing) > maxConducts {
		k.of = make(map[ID]knownConduct, len(missing))
	}
	for _, member := range missing {
		k.of[member] = knownConduct{out[member], now}
	}
	return out, nil
}
