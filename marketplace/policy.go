package marketplace

import (
	"context"
	"slices"
)

// A role is what an actor is to a document.
type role uint8

const (
	visitor     role = 1 << iota // not signed in
	member                       // acts for a member that the document does not belong to
	own                          // acts for a member that the document belongs to
	secretariat                  // runs the network
)

var roles = []struct {
	name string
	role role
}{{"visitor", visitor}, {"other member", member}, {"own member", own}, {"secretariat", secretariat}}

// A Permission is something that actors of some roles may do. Who may read is
// said by each document's audience; who may change is said here, a line for each.
type Permission struct {
	verb string // as in "you may not ..."
	who  role
}

// Who may do what. The matrix in testdata/policy.txt shows it.
var (
	MayAddMember       = Permission{"add a member", secretariat}
	MayEditMember      = Permission{"edit this member", own | secretariat}
	MayEditVocabulary  = Permission{"edit the vocabulary", secretariat}
	MayDraftSolution   = Permission{"add a solution for this company", own | secretariat}
	MayEditSolution    = Permission{"edit this solution", own | secretariat}
	MayPlaceSolution   = Permission{"add a solution that is not a draft", secretariat}
	MayReviewSolution  = Permission{"review this solution", secretariat}
	MayDraftProposal   = Permission{"add a proposal for this city", own | secretariat}
	MayEditProposal    = Permission{"edit this proposal", own | secretariat}
	MayPlaceProposal   = Permission{"add a proposal that is not a draft", secretariat}
	MayPublishProposal = Permission{"publish this proposal", own | secretariat}
)

// permissions lists all of the above, for the matrix.
var permissions = []Permission{
	MayAddMember, MayEditMember, MayEditVocabulary,
	MayDraftSolution, MayEditSolution, MayPlaceSolution, MayReviewSolution,
	MayDraftProposal, MayEditProposal, MayPlaceProposal, MayPublishProposal,
}

// rolesOf says what the actor is to something that belongs to the parties.
func rolesOf(a Actor, parties []ID) role {
	r := visitor
	if len(a.Members) > 0 {
		r = member
	}
	for _, p := range parties {
		if slices.Contains(a.Members, p) {
			r = own
		}
	}
	if a.Secretariat {
		r |= secretariat
	}
	return r
}

// check returns a ForbiddenError unless the context's actor may do this to the document.
func (may Permission) check(ctx context.Context, doc entity) error {
	v := ViewerOf(ctx)
	if rolesOf(v.Actor, doc.parties())&may.who == 0 {
		return &ForbiddenError{Verb: may.verb, Signed: v.IsSignedIn()}
	}
	return nil
}
