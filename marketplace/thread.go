package marketplace

import (
	"context"
	"errors"
	"slices"
	"time"
)

// A Thread is the discussion of a proposal among all members, or the one
// between its city and one company. It follows from its messages, which are
// what counts: it is kept so that threads can be listed by their latest message.
type Thread struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Proposal      ID        `json:"proposal"`
	City          ID        `json:"city"`    // the proposal's
	Company       ID        `json:"company"` // empty: all members read it
	LastMessageAt time.Time `json:"lastMessageAt"`
}

// KindThread is the kind of Thread.
var KindThread = registerTrace("thread", func() entity { return new(Thread) },
	Index{Equal: []string{"proposal"}, Sort: "lastMessageAt"},
	Index{Equal: []string{"proposal", "company"}, Sort: "lastMessageAt"},
	Index{Equal: []string{"company"}, Sort: "lastMessageAt"},
	Index{Equal: []string{"city"}, Sort: "lastMessageAt"})

// threadID is the id of the thread of a proposal: with a company, or with all
// members where that is empty.
func threadID(proposal, company ID) ID {
	return ID(string(KindThread) + "_" + hashed(string(proposal) + "\x00" + string(company))[:26])
}

func (*Thread) kind() Kind         { return KindThread }
func (*Thread) validate(*problems) {}
func (t *Thread) parties() []ID    { return sides(t.City, t.Company) }
func (t *Thread) refs() []ID       { return []ID{t.Proposal, t.City, t.Company} }
func (t *Thread) audience() []Group {
	return threadAudience(t.City, t.Company)
}

// IsNode marks threads as something with an id of its own.
func (*Thread) IsNode() {}

// IsPrivate says whether only the city, one company and the secretariat read it.
func (t *Thread) IsPrivate() bool { return t.Company != "" }

// threadAudience are the readers of a thread and of its messages. It does not
// follow the proposal back into a draft: what members could read stays
// readable to who knows its id, though the list of it is closed.
func threadAudience(city, company ID) []Group {
	if company == "" {
		return []Group{Members}
	}
	return []Group{Group(city), Group(company), Secretariat}
}

// sides are the ids that are not empty, each once.
func sides(ids ...ID) []ID {
	var out []ID
	for _, id := range ids {
		if id != "" && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// threading keeps the list of threads where the server stopped right after a message.
var threading = follower{name: "threads", kinds: []Kind{KindMessage}, apply: present(func(ctx context.Context, m *Market, doc entity) error {
	return m.noteThread(ctx, doc.(*Message))
})}

// noteThread keeps the list of threads after a message. It may be repeated, in
// any order of the messages: a follower of the messages does so for what a
// stop of the server left undone.
func (m *Market) noteThread(ctx context.Context, d *Message) error {
	ctx = withSight(WithViewer(ctx, Viewer{Actor: System}))
	_, err := updateOrCreate(ctx, m, MayKeepThreads, d.Thread, 0, func() *Thread {
		return &Thread{Meta: Meta{CreatedAt: d.CreatedAt, IsSample: d.IsSample}, Proposal: d.Proposal, City: d.City, Company: d.Company}
	}, func(t *Thread) error {
		if !t.LastMessageAt.Before(d.CreatedAt) {
			return errUnchanged
		}
		t.LastMessageAt = d.CreatedAt
		return nil
	})
	return ignore(err, errUnchanged)
}

// Threads lists threads, those with the newest messages first: of a proposal
// all to its city and the secretariat, to others the one of all members and
// that of their own company; of a city or of a company to its people and the
// secretariat. A thread between city and company is listed to the two
// whatever the state of the proposal, the one of all members to those who can
// see the proposal.
func (m *Market) Threads(ctx context.Context, of ID, s Slice) (*Page[*Thread], error) {
	q := Query{Sort: "lastMessageAt", Descending: true}
	switch kind := of.Kind(); kind {
	case KindProposal:
		r, err := get[*Proposal](withSight(ctx), m, of)
		if errors.Is(err, ErrNotFound) {
			return emptyPage[*Thread](s)
		} else if err != nil {
			return nil, err
		}
		q.Where = []Condition{{Field: "proposal", Op: Eq, Value: of}}
		if onSide(ctx, r.City) {
			break
		}
		own := actorOf(ctx).members(KindCompany)
		if visible(ctx, r) && slices.Contains(groupsOf(ctx), Members) {
			own = append(own, "")
		}
		if len(own) == 0 {
			return emptyPage[*Thread](s)
		}
		q.Where = append(q.Where, Condition{Field: "company", Op: In, Values: values(own)})
	case KindCompany, KindCity:
		if !onSide(ctx, of) {
			return emptyPage[*Thread](s)
		}
		q.Where = []Condition{{Field: string(kind), Op: Eq, Value: of}}
	default:
		return nil, invalid("of", "INVALID", "must be the id of a proposal, a company or a city")
	}
	return page[*Thread](ctx, m, KindThread, q, s)
}

// Names of the pages of threads in the API.
type (
	ThreadConnection = Page[*Thread]
	ThreadEdge       = PageEdge[*Thread]
)
