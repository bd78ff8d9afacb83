package marketplace

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// Stances are what the people of one member have noted of matches, for
// themselves: whom they are not interested in, and with whom they are in
// contact already. Nobody else sees them or learns of them, neither whom they
// are about nor the secretariat; no log, webhook or count tells of them.
//
// They are one document for each member, so that a list of matches reads them
// all at once.
type Stances struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	Member ID       `json:"member"`
	List   []Stance `json:"list"` // the latest last
}

// A Stance is what a member has noted of one subject.
type Stance struct {
	Subject ID         `json:"subject"` // a solution, a proposal or a member; what is noted of a member holds for whatever belongs to it
	Kind    StanceKind `json:"kind"`
	Note    *string    `json:"note,omitempty"`
	By      ID         `json:"by"` // user
	At      time.Time  `json:"at"`
}

// A StanceKind is something that is noted of a match.
type StanceKind string

// What is noted of matches.
const (
	NotInterested StanceKind = "NOT_INTERESTED" // it never comes again in a list of the member's matches
	InContact     StanceKind = "IN_CONTACT"     // it is left out, unless it is asked for
)

// StanceKinds are all of them.
var StanceKinds = []StanceKind{NotInterested, InContact}

// KindStances is the kind of Stances.
var KindStances = registerRecord("stances", func() entity { return new(Stances) })

// maxStances is how many a member can have of each kind.
const maxStances = 500

const maxStanceNote = 500

func (*Stances) kind() Kind          { return KindStances }
func (s *Stances) audience() []Group { return []Group{Group(s.Member)} }
func (s *Stances) parties() []ID     { return []ID{s.Member} }

func (s *Stances) validate(p *problems) {
	for _, k := range StanceKinds {
		n := 0
		for _, o := range s.List {
			if o.Kind == k {
				n++
			}
		}
		if n > maxStances {
			p.addf("kind", "TOO_MANY", "at most %d: take back one first", maxStances)
		}
	}
	for _, o := range s.List {
		checkString(p, "note", text(o.Note), maxStanceNote, false)
	}
}

func stancesID(member ID) ID {
	return ID(string(KindStances) + "_" + strings.ReplaceAll(string(member), "_", "-"))
}

// find is the stance on a subject; nil where there is none.
func (s *Stances) find(subject ID) *Stance {
	i := slices.IndexFunc(s.List, func(o Stance) bool { return o.Subject == subject })
	if i < 0 {
		return nil
	}
	return &s.List[i]
}

// NoteStanceInput is what NoteStance takes.
type NoteStanceInput struct {
	Member  ID
	Subject ID
	Kind    *StanceKind // nil: takes back what was noted
	Note    *string
}

// NoteStance notes for the people of a member what they think of a match, in
// place of what was noted before. It returns nil where that was taken back.
func (m *Market) NoteStance(ctx context.Context, in NoteStanceInput) (*Stance, error) {
	probe := &Stances{Member: in.Member}
	if err := MayNoteStance.check(ctx, probe); err != nil {
		return nil, err
	}
	var p problems
	if in.Kind != nil {
		checkOne(&p, "kind", *in.Kind, StanceKinds)
	}
	checkString(&p, "note", text(in.Note), maxStanceNote, false)
	if in.Kind != nil {
		subject, ok, err := visibleOf[SearchResult](ctx, m, in.Subject)
		switch {
		case err != nil:
			return nil, err
		case !ok:
			p.add("subject", "NOT_FOUND", "there is no such thing")
		case slices.Contains(subject.parties(), in.Member):
			p.add("subject", "INVALID", "must not be the member's own")
		}
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	var noted *Stance
	_, err := updateOrCreate(ctx, m, MayNoteStance, stancesID(in.Member), 0, func() *Stances { return &Stances{Member: in.Member} }, func(s *Stances) error {
		s.mark(unmarked, "")
		n := len(s.List)
		s.List = slices.DeleteFunc(s.List, func(o Stance) bool { return o.Subject == in.Subject })
		if in.Kind == nil {
			if len(s.List) == n {
				return errUnchanged
			}
			return nil
		}
		noted = &Stance{Subject: in.Subject, Kind: *in.Kind, Note: maybe(text(in.Note)), By: actorOf(ctx).User, At: m.clock()}
		s.List = append(s.List, *noted)
		return nil
	})
	if err := ignore(err, errUnchanged); err != nil {
		return nil, err
	}
	return noted, nil
}

// A StancePage is one page of what a member has noted.
type StancePage struct {
	Edges    []*StanceEdge
	PageInfo PageInfo
}

// A StanceEdge is an entry of a StancePage.
type StanceEdge struct {
	Node   *Stance
	Cursor string
}

// Nodes are the entries of the page without their edges.
func (p *StancePage) Nodes() []*Stance {
	nodes := make([]*Stance, len(p.Edges))
	for i, e := range p.Edges {
		nodes[i] = e.Node
	}
	return nodes
}

// Stances lists what the people of a member have noted, the latest first. For
// others the list is empty, whatever there is.
func (m *Market) Stances(ctx context.Context, member ID, kinds []StanceKind, firstOf *int, after *string) (*StancePage, error) {
	var p problems
	var q FinderQuery
	Slice{First: firstOf, After: after}.into(&p, &q)
	checkSet(&p, "kinds", kinds, len(StanceKinds), oneOf(StanceKinds), "must be one of them")
	if err := p.err(); err != nil {
		return nil, err
	}
	page := &StancePage{Edges: []*StanceEdge{}}
	s, ok, err := visibleOf[*Stances](ctx, m, stancesID(member))
	if err != nil || !ok {
		return page, err
	}
	list := slices.DeleteFunc(slices.Clone(s.List), func(o Stance) bool { return len(kinds) > 0 && !slices.Contains(kinds, o.Kind) })
	slices.Reverse(list)
	if q.After != "" {
		i := slices.IndexFunc(list, func(o Stance) bool { return string(o.Subject) == q.After })
		if i < 0 {
			return nil, ErrBadCursor
		}
		list, page.PageInfo.HasPreviousPage = list[i+1:], true
	}
	page.PageInfo.HasNextPage = len(list) > q.Size
	var subjects []ID
	for i := range list[:min(len(list), q.Size)] {
		page.Edges = append(page.Edges, &StanceEdge{Node: &list[i], Cursor: string(list[i].Subject)})
		subjects = append(subjects, list[i].Subject, list[i].By)
	}
	readsOf(ctx).expect(subjects)
	if n := len(page.Edges); n > 0 {
		page.PageInfo.StartCursor, page.PageInfo.EndCursor = &page.Edges[0].Cursor, &page.Edges[n-1].Cursor
	}
	return page, nil
}

// StanceConnection is what a StancePage is called in the API.
type StanceConnection = StancePage

// SubjectOf is what a stance is about; ErrNotFound where it can no longer be seen.
func (m *Market) SubjectOf(ctx context.Context, s *Stance) (SearchResult, error) {
	return get[SearchResult](ctx, m, s.Subject)
}

// StanceBy is who noted a stance; nil where they can no longer be seen.
func (m *Market) StanceBy(ctx context.Context, s *Stance) (*User, error) {
	u, err := get[*User](ctx, m, s.By)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return u, err
}

// A regard is what members have noted of others, for a list of their matches.
type regard map[ID]StanceKind

// regardOf reads what members have noted, whoever asks.
func (m *Market) regardOf(ctx context.Context, members []ID) (regard, error) {
	out := regard{}
	ids := make([]any, len(members))
	for i, member := range members {
		ids[i] = string(stancesID(member))
	}
	if len(ids) == 0 {
		return out, nil
	}
	err := m.fetchAll(ctx, KindStances, byIDs(ids), func(doc entity, _ string, _ bool) {
		for _, o := range doc.(*Stances).List {
			if out[o.Subject] != NotInterested {
				out[o.Subject] = o.Kind
			}
		}
	})
	return out, err
}

// unwanted is how many things are not wanted.
func (r regard) unwanted() (n int) {
	for _, kind := range r {
		if kind == NotInterested {
			n++
		}
	}
	return n
}

// of is what was noted of a thing, or of the member that it belongs to.
func (r regard) of(id, member ID) StanceKind {
	if r[id] == NotInterested || r[member] == NotInterested {
		return NotInterested
	}
	if r[id] != "" {
		return r[id]
	}
	return r[member]
}
