package marketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Message is a part of the discussion of a proposal: to all members, or
// between its city and one company, where the secretariat reads, too.
//
// Who wrote it is kept in it as it was then, since its readers need not be
// able to see users. What is removed leaves its place, its author and who
// removed it, but none of its words.
type Message struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Thread   ID `json:"thread"` // follows from the proposal and the company
	Proposal ID `json:"proposal"`
	City     ID `json:"city"`              // the proposal's
	Company  ID `json:"company,omitempty"` // empty: all members read it

	Author     ID     `json:"author"` // user
	AuthorName string `json:"authorName"`
	Member     ID     `json:"member"` // on whose behalf; empty: the secretariat

	Text     string     `json:"text,omitempty"`
	Language *Language  `json:"language,omitempty"` // nil: not said
	Mentions []Mention  `json:"mentions,omitempty"`
	ReplyTo  ID         `json:"replyTo,omitempty"` // a message of the same thread
	EditedAt *time.Time `json:"editedAt,omitempty"`
	Removal  *Removal   `json:"removal,omitempty"`

	// Key is the author and a word of the client's own, hashed. It is not the
	// id, as it is elsewhere, since ids put what was written within a second
	// in order.
	Key string `json:"key,omitempty"`
}

// KindMessage is the kind of Message.
var KindMessage = registerRecord("message", func() entity { return new(Message) },
	Index{Equal: []string{"thread"}},
	Index{Equal: []string{"thread", "member"}},
	Index{Equal: []string{"member"}, Sort: "createdAt"},
	Index{Equal: []string{"key"}})

// A Mention names a member or a user whom a message wants to reach.
type Mention struct {
	ID   ID     `json:"id"`
	Name string `json:"name"` // as it was when it was written
}

// A Removal says when a message was removed, and by whom.
type Removal struct {
	At time.Time `json:"at"`
	By RemovedBy `json:"by"`
}

// A RemovedBy is who removed a message.
type RemovedBy string

// Those who can remove a message.
const (
	RemovedByAuthor      RemovedBy = "AUTHOR"
	RemovedBySecretariat RemovedBy = "SECRETARIAT"
)

// Limits of messages.
const (
	maxMessage  = 5000 // characters
	maxMentions = 20
	editWindow  = 15 * time.Minute
)

// limitMessage is for each user: 20 a minute.
var limitMessage = limited{name: "message", account: throttleLimit{20, 3 * time.Second}}

func (*Message) kind() Kind          { return KindMessage }
func (d *Message) parties() []ID     { return sides(d.City, d.Company, d.Member) }
func (d *Message) refs() []ID        { return []ID{d.Proposal, d.Company, d.Member, d.ReplyTo} }
func (d *Message) audience() []Group { return threadAudience(d.City, d.Company) }

func (d *Message) claims() []string {
	if d.Key == "" {
		return nil
	}
	return []string{"key:" + d.Key}
}

// IsNode marks messages as something with an id of its own.
func (*Message) IsNode() {}

func (d *Message) validate(p *problems) {
	checkString(p, "text", d.Text, maxMessage, d.Removal == nil)
	if d.Language != nil {
		checkLanguages(p, "language", []Language{*d.Language})
	}
}

// IsPrivate says whether only the city, one company and the secretariat read it.
func (d *Message) IsPrivate() bool { return d.Company != "" }

// Words are the text; nil where it was removed.
func (d *Message) Words() *string { return maybe(d.Text) }

// IsFromSecretariat says whether it was written on behalf of the secretariat.
func (d *Message) IsFromSecretariat() bool { return d.Member == "" }

// Message returns a message, or ErrNotFound.
func (m *Market) Message(ctx context.Context, id ID) (*Message, error) {
	return get[*Message](ctx, m, id)
}

// speaking is the member on whose behalf a message is written, if it may take
// part in the thread.
func speaking(doc entity) []ID {
	d, ok := doc.(*Message)
	if !ok || d.Member == "" || d.IsPrivate() && d.Member != d.City && d.Member != d.Company {
		return nil
	}
	return []ID{d.Member}
}

// author is the user who wrote a message.
func author(doc entity) []ID {
	if d, ok := doc.(*Message); ok {
		return []ID{d.Author}
	}
	return nil
}

// mayDiscuss says whether the viewer may write about a proposal to all members.
func mayDiscuss(ctx context.Context, r *Proposal) bool {
	return r.Status != ProposalDraft &&
		(MayWriteForNetwork.checkFor(ctx) == nil || MayWriteMessage.checkFor(ctx, actorOf(ctx).members()...) == nil)
}

// WriteMessageInput is what WriteMessage takes.
type WriteMessageInput struct {
	Proposal ID
	Company  *ID // nil: to all members; else between the city and this company
	As       *ID // member on whose behalf; nil: the secretariat for its officers, else the only one that it can be
	Text     string
	Language *Language
	Mentions []ID // members, or users, who can read it
	ReplyTo  *ID
	Key      *string // a word of the client's own: the same word makes no second one
}

// WriteMessage writes to all members about a proposal that is not a draft, or
// between its city and a company. Such a thread is begun by the company while
// the proposal is published or once it has made an offer, by the city once the
// company has made an offer or written to all, or by the secretariat. What was
// begun goes on whatever becomes of the proposal.
func (m *Market) WriteMessage(ctx context.Context, in WriteMessageInput) (*Message, error) {
	r, err := get[*Proposal](withSight(ctx), m, in.Proposal)
	if errors.Is(err, ErrNotFound) {
		return nil, errNoProposal
	} else if err != nil {
		return nil, err
	}
	d := &Message{Meta: Meta{IsSample: r.IsSample}, Proposal: r.ID, City: r.City, Author: actorOf(ctx).User,
		Text: in.Text, Language: in.Language, Mentions: []Mention{}}
	if in.Company != nil {
		if d.Company = *in.Company; d.Company.Kind() != KindCompany {
			return nil, invalid("company", "INVALID", "must be the id of a company")
		}
	}
	d.Thread = threadID(d.Proposal, d.Company)
	begun, err := m.isBegun(ctx, d)
	if err != nil {
		return nil, err
	}
	if !visible(ctx, r) && !begun {
		return nil, errNoProposal
	}
	may, err := d.speak(ctx, in.As)
	if err != nil {
		return nil, err
	}
	if err := may.check(ctx, d); err != nil {
		return nil, err
	}
	if d, err = m.sendOnce(ctx, d, in.Key, func() error {
		if err := m.limit(ctx, limitMessage, string(d.Author)); err != nil {
			return err
		}
		if err := m.mayFollow(ctx, d, r, begun); err != nil {
			return err
		}
		if err := m.address(ctx, d, in.Mentions, in.ReplyTo); err != nil {
			return err
		}
		return create(ctx, m, may, d)
	}); err != nil {
		return nil, err
	}
	return d, m.noteThread(ctx, d)
}

// sendOnce sends a message; where one was sent under the same key before, it
// returns that one.
func (m *Market) sendOnce(ctx context.Context, d *Message, key *string, send func() error) (*Message, error) {
	if key == nil {
		return d, send()
	}
	var p problems
	if checkString(&p, "key", *key, 200, true); p.err() != nil {
		return nil, p.err()
	}
	d.Key = hashed(string(d.Author) + "\x00" + *key)
	sent := Condition{Field: "key", Op: Eq, Value: d.Key}
	earlier, err := only[*Message](ctx, m, KindMessage, sent)
	if !errors.Is(err, ErrNotFound) {
		return earlier, err
	}
	if err := send(); taken(err, "key") {
		return only[*Message](ctx, m, KindMessage, sent)
	} else if err != nil {
		return nil, err
	}
	return d, nil
}

var errNoProposal = invalid("proposal", "NOT_FOUND", "there is no such proposal")

// isBegun says whether a thread between a city and a company has a message
// that the viewer can read.
func (m *Market) isBegun(ctx context.Context, d *Message) (bool, error) {
	if !d.IsPrivate() {
		return false, nil
	}
	first, err := find[*Message](ctx, m, KindMessage, Query{Where: []Condition{{Field: "thread", Op: Eq, Value: d.Thread}}, Limit: 1})
	return len(first) > 0, err
}

// speak says on whose behalf a message is written, and by which permission.
func (d *Message) speak(ctx context.Context, as *ID) (Permission, error) {
	if as != nil {
		d.Member = *as
		return MayWriteMessage, nil
	}
	if MayWriteForNetwork.allows(ctx, d) {
		return MayWriteForNetwork, nil
	}
	n := 0
	for _, id := range actorOf(ctx).members() {
		before := d.Member
		if d.Member = id; MayWriteMessage.allows(ctx, d) {
			n++
		} else {
			d.Member = before
		}
	}
	if n > 1 {
		return Permission{}, invalid("as", "REQUIRED", "must name one of the members on whose behalf you can write here")
	}
	return MayWriteMessage, nil
}

// mayFollow says what stands against a message in its thread as it is.
func (m *Market) mayFollow(ctx context.Context, d *Message, r *Proposal, begun bool) error {
	switch {
	case begun:
		return nil
	case !d.IsPrivate() && r.Status == ProposalDraft:
		return invalid("proposal", "INVALID", "is a draft, which nobody can discuss: publish it first")
	case !d.IsPrivate():
		return nil
	case d.Member == d.Company && r.Status == ProposalPublished:
		return nil
	}
	if err := m.mustExist(ctx, "company", d.Company); err != nil || d.Member == "" {
		return err
	}
	ctx = withSight(ctx)
	offers, err := find[*Offer](ctx, m, KindOffer, Query{
		Where: []Condition{{Field: "proposal", Op: Eq, Value: r.ID}, {Field: "company", Op: Eq, Value: d.Company}, {Field: "status", Op: In, Values: values(OfferStatuses)}},
		Sort:  "createdAt", Limit: 1,
	})
	if err != nil || len(offers) > 0 {
		return err
	}
	if d.Member == d.Company {
		return invalid("proposal", "INVALID", fmt.Sprintf("is %s: a company without an offer can write to the city while it is %s", r.Status, ProposalPublished))
	}
	said, err := find[*Message](ctx, m, KindMessage, Query{
		Where: []Condition{{Field: "thread", Op: Eq, Value: threadID(r.ID, "")}, {Field: "member", Op: Eq, Value: d.Company}}, Limit: 1,
	})
	if err != nil || len(said) > 0 {
		return err
	}
	return invalid("company", "INVALID", "has made no offer and written nothing about this proposal: it must begin")
}

// address fills in who writes, who is mentioned and what is answered.
func (m *Market) address(ctx context.Context, d *Message, mentions []ID, replyTo *ID) error {
	u, err := get[*User](withSight(ctx), m, d.Author)
	if err != nil {
		return err
	}
	d.AuthorName = u.Name
	if replyTo != nil {
		to, err := get[*Message](ctx, m, *replyTo)
		if err := ignore(err, ErrNotFound); err != nil {
			return err
		}
		if to == nil || to.Thread != d.Thread {
			return invalid("replyTo", "NOT_FOUND", "there is no such message in this thread")
		}
		d.ReplyTo = to.ID
	}
	return m.mention(ctx, d, mentions)
}

// mention fills in the members and users whom a message names. They must be
// able to read it.
func (m *Market) mention(ctx context.Context, d *Message, ids []ID) error {
	var p problems
	checkSet(&p, "mentions", ids, maxMentions, func(id ID) bool { return id.Kind() == KindUser || isMember(id) }, "must be the id of a member or of a user")
	if err := p.err(); err != nil {
		return err
	}
	docs, err := m.load(withSight(ctx), ids)
	if err != nil {
		return err
	}
	d.Mentions = make([]Mention, len(ids))
	for i, doc := range docs {
		reads, name := false, ""
		switch doc := doc.(type) {
		case Member:
			reads, name = d.isReadBy(ids[i]), original(*doc.texts()[0].Text)
		case *User:
			if reads, err = m.canRead(ctx, d, doc); err != nil {
				return err
			}
			name = doc.Name
		}
		if !reads {
			p.add(index("mentions", i), "NOT_FOUND", "is nobody who can read this")
		}
		d.Mentions[i] = Mention{ID: ids[i], Name: name}
	}
	return p.err()
}

// isReadBy says whether a member's people can read a message.
func (d *Message) isReadBy(member ID) bool {
	return !d.IsPrivate() || member == d.City || member == d.Company
}

// canRead says whether a user can read a message.
func (m *Market) canRead(ctx context.Context, d *Message, u *User) (bool, error) {
	if u.IsSuspended {
		return false, nil
	}
	if slices.ContainsFunc(u.Members, d.isReadBy) {
		return true, nil
	}
	team, err := m.team(withSight(ctx), "")
	return err == nil && team.find(u.ID) >= 0, err
}

// EditMessageInput is what EditMessage takes.
type EditMessageInput struct {
	ID       ID
	Version  *int // that was read; nil: any
	Text     string
	Language *Language
	Mentions []ID
}

// EditMessage lets the author say it otherwise, for 15 minutes after it was written.
func (m *Market) EditMessage(ctx context.Context, in EditMessageInput) (*Message, error) {
	return update(ctx, m, MayEditMessage, in.ID, versionOf(in.Version), func(d *Message) error {
		if err := d.isThere("id"); err != nil {
			return err
		}
		now := m.clock()
		if !d.isFresh(now) {
			return invalid("id", "OUT_OF_RANGE", "can be edited for 15 minutes after it was written")
		}
		d.Text, d.Language, d.EditedAt = in.Text, in.Language, &now
		return m.mention(ctx, d, in.Mentions)
	})
}

func (d *Message) isFresh(now time.Time) bool { return now.Before(d.CreatedAt.Add(editWindow)) }

func (d *Message) isThere(path string) error {
	if d.Removal != nil {
		return invalid(path, "INVALID", "has been removed")
	}
	return nil
}

// RemoveMessageInput is what RemoveMessage takes.
type RemoveMessageInput struct {
	ID      ID
	Version *int // that was read; nil: any
}

// RemoveMessage takes the words out of a message. Authors and the
// secretariat's officers do so, at any time.
func (m *Market) RemoveMessage(ctx context.Context, in RemoveMessageInput) (*Message, error) {
	return update(ctx, m, MayRemoveMessage, in.ID, versionOf(in.Version), func(d *Message) error {
		if err := d.isThere("id"); err != nil {
			return err
		}
		by := RemovedBySecretariat
		if d.Author == actorOf(ctx).User {
			by = RemovedByAuthor
		}
		d.mark("REMOVE", string(by))
		d.Text, d.Language, d.Mentions = "", nil, nil
		d.Removal = &Removal{At: m.clock(), By: by}
		return nil
	})
}

// MessagePermissions are what a viewer may do with a message now.
type MessagePermissions struct {
	Edit   bool
	Remove bool
	Report bool
}

// MessagePermissions says what the viewer may do with a message now.
func (m *Market) MessagePermissions(ctx context.Context, d *Message) *MessagePermissions {
	if d.Removal != nil {
		return &MessagePermissions{}
	}
	return &MessagePermissions{
		Edit:   d.isFresh(m.clock()) && MayEditMessage.allows(ctx, d),
		Remove: MayRemoveMessage.allows(ctx, d),
		Report: MayReportMessage.allows(ctx, d),
	}
}

// Messages lists the messages about a proposal, oldest first: those to all
// members, to members who can see the proposal; those between its city and a
// company, to the two and the secretariat. For others the list is empty,
// whatever there is.
func (m *Market) Messages(ctx context.Context, proposal ID, company *ID, s Slice) (*Page[*Message], error) {
	r, err := get[*Proposal](withSight(ctx), m, proposal)
	if err := ignore(err, ErrNotFound); err != nil {
		return nil, err
	}
	var with ID
	if company != nil {
		with = *company
	}
	reads := r != nil && (with == "" && visible(ctx, r) && slices.Contains(groupsOf(ctx), Members) || with != "" && onSide(ctx, r.City, with))
	if !reads {
		return emptyPage[*Message](s)
	}
	return page[*Message](ctx, m, KindMessage, Query{Where: []Condition{{Field: "thread", Op: Eq, Value: threadID(proposal, with)}}}, s)
}

// Names of the pages of messages in the API.
type (
	MessageConnection = Page[*Message]
	MessageEdge       = PageEdge[*Message]
)
