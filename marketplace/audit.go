package marketplace

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Mark is what one command did to a document. Since a command writes one
// document, its mark is written into that document, together with the change;
// a follower of the feed copies it into the audit log, where everything that
// hangs on events (notifications, webhooks) finds it once, in order, however
// often the document has changed since. A document that has maxMarks of them
// settles them into the log itself before it takes another one, so that none
// is lost when the follower lags.
type Mark struct {
	Revision int64     `json:"revision"` // of the document after the command
	At       time.Time `json:"at"`
	Moment   int64     `json:"moment"`            // the same in microseconds of Unix time: the order of what falls into one second
	By       ID        `json:"by,omitempty"`      // user; empty: the network itself
	Via      ID        `json:"via,omitempty"`     // session or token
	Address  string    `json:"address,omitempty"` // network address
	Agent    string    `json:"agent,omitempty"`   // what the client says of itself
	Action   string    `json:"action"`            // "ADD", "EDIT", "PUBLISH"...
	Note     string    `json:"note,omitempty"`    // what changed, from which state to which
	// Members are those that the command is about, besides the members that
	// the document belongs to; the user, where it is about somebody in a team.
	Members []ID `json:"members,omitempty"`
	// OnBehalf are the members for which the user could act.
	OnBehalf []ID `json:"onBehalf,omitempty"`
}

// maxMarks bounds what a document carries: some 250 bytes each.
const maxMarks = 8

// Lengths of what marks keep, in bytes.
const (
	maxAgent = 200
	maxNote  = 500
)

// unmarked is the action of a write that is no command of anybody.
const unmarked = "-"

// mark says what the command under way does, where that is more than adding
// or editing. It is called by the function that changes the document.
func (m *Meta) mark(action, note string, members ...ID) {
	m.did = Mark{Action: action, Note: note, Members: members}
}

// markOf makes the mark of the command under way. What the program itself
// does on nobody's behalf, and what it only keeps for itself, leaves none.
func markOf(ctx context.Context, doc entity, now time.Time) (Mark, bool) {
	meta, v := doc.meta(), ViewerOf(ctx)
	mark := meta.did
	meta.did = Mark{}
	if mark.By == "" {
		mark.By = v.Actor.User
	}
	if kinds[doc.kind()].trace || mark.Action == unmarked || mark.By == "" && mark.Action == "" {
		return mark, false
	}
	switch {
	case mark.Action != "":
	case meta.rev == 0:
		mark.Action = "ADD"
	default:
		mark.Action = "EDIT"
	}
	mark.Revision, mark.At, mark.Moment, mark.Via = meta.rev+1, now.UTC().Truncate(time.Second), now.UnixMicro(), v.Actor.Via
	mark.Address, mark.Agent, mark.Note = v.Address, cut(v.Agent, maxAgent), cut(mark.Note, maxNote)
	for _, m := range v.Actor.Memberships {
		if len(mark.OnBehalf) < 5 {
			mark.OnBehalf = append(mark.OnBehalf, m.Member)
		}
	}
	return mark, true
}

// cut shortens a string to at most n bytes of whole characters.
func cut(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}

// An AuditEntry says who did what to what, when, and from where. It is never
// changed.
type AuditEntry struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`
	Mark     `json:",inline"`

	Subject ID   `json:"subject"` // what it was done to
	Readers []ID `json:"readers"` // members whose owners read it, and the user whom it is about
	// Unheard are those of the members who hear nothing of it after all: the
	// entry is listed for them so that the secretariat finds it there.
	Unheard []ID `json:"unheard,omitempty"`
}

// KindAudit is the kind of AuditEntry.
var KindAudit = registerTrace("audit", func() entity { return new(AuditEntry) },
	Index{Sort: "moment"},
	Index{Has: "readers", Sort: "moment"},
	Index{Equal: []string{"subject"}, Sort: "moment"},
	Index{Equal: []string{"by"}, Sort: "moment"},
	Index{Equal: []string{"by", "action"}, Sort: "moment"})

func (*AuditEntry) kind() Kind         { return KindAudit }
func (*AuditEntry) validate(*problems) {}
func (e *AuditEntry) parties() []ID    { return e.readers() }
func (e *AuditEntry) refs() []ID       { return []ID{e.Subject, e.By} }

// readers are those of Readers who hear of it.
func (e *AuditEntry) readers() []ID {
	if len(e.Unheard) == 0 {
		return e.Readers
	}
	return slices.DeleteFunc(slices.Clone(e.Readers), func(id ID) bool { return slices.Contains(e.Unheard, id) })
}

// IsNode marks audit entries as something with an id of its own.
func (*AuditEntry) IsNode() {}

func (e *AuditEntry) audience() []Group {
	groups := []Group{Secretariat}
	if e.Subject.Kind() == KindWishList {
		// That a member has changed its wishes, and those that the secretariat
		// sees are as they were, says that there is one that it must not see.
		groups = nil
	}
	for _, id := range e.readers() {
		if id.Kind() == KindUser {
			groups = append(groups, Group(id))
		} else {
			groups = append(groups, ownersOf(id))
		}
	}
	return groups
}

// auditEntries are the marks of a document as entries of the log. Their ids
// follow from the document and its revisions.
func auditEntries(doc entity) []*AuditEntry {
	meta := doc.meta()
	list := make([]*AuditEntry, len(meta.Marks))
	for i, m := range meta.Marks {
		id := fmt.Sprintf("%s_%s-%08d", KindAudit, strings.ReplaceAll(string(meta.ID), "_", "-"), m.Revision)
		readers := append(slices.Clone(doc.parties()), m.Members...)
		var unheard []ID
		if x, ok := doc.(*Meeting); ok && x.IsUnheard {
			readers, unheard = append(readers, x.To), []ID{x.To}
		}
		slices.Sort(readers)
		list[i] = &AuditEntry{
			Meta:    Meta{ID: ID(id), CreatedAt: m.At, UpdatedAt: m.At},
			Mark:    m,
			Subject: meta.ID, Readers: slices.Compact(readers), Unheard: unheard,
		}
	}
	return list
}

// Actor is the user who did it; nil where nobody did or the viewer may not see them.
func (m *Market) AuditActor(ctx context.Context, e *AuditEntry) (*User, error) {
	return get[*User](ctx, m, e.By)
}

// ByUser is who did it; nil where it was the network itself.
func (e *AuditEntry) ByUser() *ID {
	if e.By == "" {
		return nil
	}
	return &e.By
}

// Comment is the note; nil where there is nothing to say.
func (e *AuditEntry) Comment() *string { return maybe(e.Note) }

// VisibleAddress is where it came from, for those who may know: the
// secretariat, the user, and the owners of a member that the user acts for.
func (e *AuditEntry) VisibleAddress(ctx context.Context) *string {
	groups := groupsOf(ctx)
	may := slices.Contains(groups, Secretariat) || slices.Contains(groups, Group(e.By))
	for _, m := range e.OnBehalf {
		may = may || slices.Contains(groups, ownersOf(m))
	}
	if !may || e.Address == "" {
		return nil
	}
	return &e.Address
}

// AuditLog lists entries, newest first: of one thing, of one member, of what
// one user has done, or, for the secretariat, all of them.
func (m *Market) AuditLog(ctx context.Context, of *ID, s Slice) (*Page[*AuditEntry], error) {
	q, err := m.auditQuery(ctx, of)
	if err != nil {
		return nil, err
	}
	q.Descending = true
	if of != nil && of.Kind() == KindUser && !onSide(ctx) {
		return page[*AuditEntry](ctx, m, KindAudit, q, s) // of most of what they have done others read the log
	}
	return fullPage[*AuditEntry](ctx, m, KindAudit, q, s)
}

// auditQuery asks for the entries of one thing, of one member, or for all,
// where the viewer may read them.
func (m *Market) auditQuery(ctx context.Context, of *ID) (Query, error) {
	q := Query{Sort: "moment"}
	switch {
	case of == nil:
		return q, MayReadAuditLog.checkFor(ctx)
	case of.Kind() == KindUser: // what they have done
		q.Where = []Condition{{Field: "by", Op: Eq, Value: *of}}
		return q, MayReadMemberLog.checkFor(ctx, *of)
	case isMember(*of):
		q.Where = []Condition{{Field: "readers", Op: Has, Value: *of}}
		return q, MayReadMemberLog.checkFor(ctx, *of)
	}
	q.Where = []Condition{{Field: "subject", Op: Eq, Value: *of}}
	return q, m.mayReadLogOf(ctx, *of)
}

// mayReadLogOf allows the secretariat to read what was done to anything, also
// when it is gone, and owners what was done to what belongs to their member.
func (m *Market) mayReadLogOf(ctx context.Context, id ID) error {
	if MayReadAuditLog.checkFor(ctx) == nil {
		return nil
	}
	doc, err := get[entity](ctx, m, id)
	if err != nil {
		return err
	}
	return MayReadMemberLog.check(ctx, doc)
}

// Names of the pages of the audit log in the API.
type (
	AuditEntryConnection = Page[*AuditEntry]
	AuditEntryEdge       = PageEdge[*AuditEntry]
)
