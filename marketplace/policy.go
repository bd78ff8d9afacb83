package marketplace

import (
	"context"
	"slices"
)

// A role is what an actor is to a document.
type role uint16

const (
	visitor        role = 1 << iota // not signed in
	stranger                        // a user of no member
	otherViewer                     // a viewer of a member that the document does not belong to
	otherEditor                     // an editor of such a member
	otherOwner                      // an owner of such a member
	ownViewer                       // a viewer of a member that the document belongs to
	ownEditor                       // an editor of such a member
	ownOwner                        // an owner of such a member
	self                            // the user whom the document is about
	networkEditor                   // the secretariat's editor
	networkOfficer                  // the secretariat's officer
	networkAdmin                    // the secretariat's admin
)

var roles = []struct {
	name string
	role role
}{
	{"visitor", visitor}, {"stranger", stranger},
	{"other viewer", otherViewer}, {"other editor", otherEditor}, {"other owner", otherOwner},
	{"own viewer", ownViewer}, {"own editor", ownEditor}, {"own owner", ownOwner}, {"self", self},
	{"sec. editor", networkEditor}, {"sec. officer", networkOfficer}, {"sec. admin", networkAdmin},
}

// Roles that often go together.
const (
	editors   = ownEditor | ownOwner
	officers  = networkOfficer | networkAdmin
	staff     = networkEditor | officers
	members   = otherViewer | otherEditor | otherOwner | ownViewer | editors
	users     = members | stranger | self | staff
	everybody = users | visitor
)

// A Permission is something that actors of some roles may do. Who may read is
// said by each document's audience; who may change is said here, a line for each.
type Permission struct {
	verb string // as in "you may not ..."
	who  role
	// of names the members that the permission is about, where it is not
	// about all that the document belongs to.
	of func(entity) []ID
	// session asks for a session: a token will not do.
	session bool
	// reads says that nothing is changed by it: a token that may only read will do.
	reads bool
}

// Who may do what. The matrix in testdata/policy.txt shows it.
var (
	MayAddMember      = Permission{verb: "add a member", who: officers}
	MayEditMember     = Permission{verb: "edit this member", who: ownOwner | officers}
	MayEditVocabulary = Permission{verb: "edit the vocabulary", who: networkEditor | networkAdmin}
	MayEditSettings   = Permission{verb: "change the network's settings", who: networkAdmin}

	MayBeginSession      = Permission{verb: "sign in", who: everybody}
	MayEndSession        = Permission{verb: "end this session", who: self}
	MayEditUser          = Permission{verb: "edit this user", who: self | networkAdmin}
	MayEditAccount       = Permission{verb: "change how this user signs in", who: self, session: true}
	MayRecoverAccount    = Permission{verb: "recover an account by a secret link", who: everybody}
	MaySuspendUser       = Permission{verb: "suspend this user", who: networkAdmin}
	MayListUsers         = Permission{verb: "list all users", who: staff, reads: true}
	MayPlaceUser         = Permission{verb: "add a user without an invitation", who: networkAdmin}
	MayManageTeam        = Permission{verb: "manage the people of this member", who: ownOwner | officers}
	MayManageSecretariat = Permission{verb: "manage the people of the secretariat", who: networkAdmin}
	MayJoinTeam          = Permission{verb: "join a team by an invitation", who: everybody}
	MayLeaveTeam         = Permission{verb: "leave a team", who: editors | ownViewer | staff}

	MayReadAuditLog  = Permission{verb: "read the whole audit log", who: staff, reads: true}
	MayReadMemberLog = Permission{verb: "read what was done to this, or by this user", who: ownOwner | self | staff, reads: true}

	MayDraftSolution     = Permission{verb: "add a solution for this company", who: editors | officers}
	MayEditSolution      = Permission{verb: "edit this solution", who: editors | officers}
	MayPlaceSolution     = Permission{verb: "add a solution that is not a draft", who: officers}
	MayPublishSolution   = Permission{verb: "publish this solution without a review", who: editors | officers} // where the network has none
	MaySeeReview         = Permission{verb: "see the review of this solution", who: ownViewer | editors | staff, reads: true}
	MayReviewSolution    = Permission{verb: "review this solution", who: officers}
	MayConfirmDeployment = Permission{verb: "confirm a deployment in this city", who: editors, of: deploymentCities}

	MayDraftProposal   = Permission{verb: "add a proposal for this city", who: editors | officers}
	MayEditProposal    = Permission{verb: "edit this proposal", who: editors | officers}
	MayPlaceProposal   = Permission{verb: "add a proposal that is not a draft", who: officers}
	MayPublishProposal = Permission{verb: "publish this proposal", who: editors | officers}

	MayKeepSavedSearch = Permission{verb: "keep saved searches", who: self}
	MayTellMatches     = Permission{verb: "note what a saved search has told", who: networkAdmin} // the program itself
	MayManageWebhook   = Permission{verb: "manage the webhooks of this member", who: ownOwner}
	MayRunWebhook      = Permission{verb: "note what became of a webhook", who: networkAdmin} // the program itself

	MayMakeOffer     = Permission{verb: "make an offer for this company", who: editors, of: offering}
	MayEditOffer     = Permission{verb: "edit this offer", who: editors, of: offering}
	MayWithdrawOffer = Permission{verb: "withdraw this offer", who: editors, of: offering}
	MayDecideOffer   = Permission{verb: "decide on this offer", who: editors, of: deciding}

	MayWriteMessage    = Permission{verb: "write here on behalf of this member", who: editors, of: speaking}
	MayWriteForNetwork = Permission{verb: "write on behalf of the secretariat", who: officers}
	MayEditMessage     = Permission{verb: "edit this message", who: self, of: author}
	MayRemoveMessage   = Permission{verb: "remove this message", who: self | officers, of: author}
	MayReportMessage   = Permission{verb: "report this message", who: members | staff} // whoever can read it
	MaySeeReports      = Permission{verb: "see what was reported", who: staff, reads: true}
	MayResolveReport   = Permission{verb: "decide on what was reported", who: officers}
	MayKeepThreads     = Permission{verb: "keep the list of threads", who: networkAdmin} // the program itself
	MayImportSolutions = Permission{verb: "import solutions for this company", who: editors | officers}
	MayReadImports     = Permission{verb: "see the imports of this company", who: ownViewer | editors | staff, reads: true}
	MayExportMember    = Permission{verb: "export everything that this member owns", who: ownOwner | staff, reads: true}

	MaySeeMatches        = Permission{verb: "see the matches of this member", who: ownViewer | editors | staff, reads: true}
	MayMatchText         = Permission{verb: "look for matches of a text", who: members | staff, reads: true}
	MayNoteStance        = Permission{verb: "note what this member thinks of a match", who: editors} // only its people see it
	MayKeepConduct       = Permission{verb: "note how members answer", who: networkAdmin}            // the program itself
	MayRequestMeeting    = Permission{verb: "ask for a meeting on behalf of this member", who: editors, of: asking}
	MayRequestForMembers = Permission{verb: "ask for a meeting of other members", who: officers}
	MayAnswerMeeting     = Permission{verb: "answer what is proposed for this meeting", who: editors, of: answering}
	MayWithdrawMeeting   = Permission{verb: "withdraw this request for a meeting", who: editors, of: proposing}
	MayArrangeMeeting    = Permission{verb: "change this meeting", who: editors}
	MayRecordOutcome     = Permission{verb: "say what came of this meeting", who: editors | self, of: attending}
	MayKeepMeetings      = Permission{verb: "let meetings expire and remind of them", who: networkAdmin} // the program itself

	MayAskForPartner    = Permission{verb: "ask for a partner of this member", who: editors, of: seeking}
	MayEditCase         = Permission{verb: "edit this case", who: editors | officers, of: seeking}
	MayWithdrawCase     = Permission{verb: "withdraw this case", who: editors, of: seeking}
	MayReopenCase       = Permission{verb: "reopen this case", who: editors | officers, of: seeking}
	MaySeeCases         = Permission{verb: "see the cases of all members", who: staff, reads: true}
	MayHandleCase       = Permission{verb: "work on cases", who: officers}
	MayAnswerCandidacy  = Permission{verb: "answer for this candidate", who: editors, of: considered}
	MayKeepCases        = Permission{verb: "keep what follows from cases", who: networkAdmin} // the program itself
	MaySeeStatistics    = Permission{verb: "see the statistics of the network", who: staff, reads: true}
	MaySeeOwnStatistics = Permission{verb: "see the statistics of this member", who: ownViewer | editors | staff, reads: true}

	MayMarkNotifications    = Permission{verb: "mark notifications as read", who: self}
	MayKeepNotifications    = Permission{verb: "tell users of what was done", who: networkAdmin} // the program itself
	MayUnsubscribe          = Permission{verb: "end letters by the link in one", who: everybody}
	MayArrangeEvent         = Permission{verb: "arrange events", who: officers}
	MayRegister             = Permission{verb: "register this member for events", who: editors | officers}
	MayWithdrawRegistration = Permission{verb: "withdraw this registration", who: editors}
	MayDecideRegistration   = Permission{verb: "decide on registrations", who: officers}
	MayWish                 = Permission{verb: "say whom this member wishes to meet", who: editors}
	MayReadWishes           = Permission{verb: "see what participants wish", who: staff, reads: true} // but never whom they never want to meet
	MayPair                 = Permission{verb: "pair participants of events", who: officers}
	MayMakeTimetable        = Permission{verb: "make the timetable of events", who: officers}
	MayKeepTimetables       = Permission{verb: "note what became of timetables", who: networkAdmin} // the program itself
	MayBookAtEvent          = Permission{verb: "ask for a meeting at an event on behalf of this member", who: editors, of: asking}
	MayPlaceAtEvent         = Permission{verb: "book, move and call off meetings of participants of an event", who: officers}
	MayRunMeeting           = Permission{verb: "say how this meeting goes on", who: editors | self | officers, of: attending}
	MaySwapDelegate         = Permission{verb: "put other delegates into this meeting", who: editors | officers}
	MayReplaceDelegate      = Permission{verb: "replace a delegate of this member", who: editors | officers}
	MayCheckIn              = Permission{verb: "say that this delegate has come", who: editors | self | officers, of: arriving}
	MayCheckInOthers        = Permission{verb: "say that other delegates have come", who: editors | officers}
	MayReadEventReport      = Permission{verb: "read the report of this event", who: staff, reads: true}
	MayReadClosedReport     = Permission{verb: "read the report of an event that is over", who: members | staff, reads: true}
	MayKeepEvents           = Permission{verb: "keep events and registrations", who: networkAdmin} // the program itself

	MayUpload = Permission{verb: "upload and remove files of this member", who: editors | officers} // and edit what they belong to

	MaySetAvailability = Permission{verb: "say when this member, or this person, can meet", who: editors | self}
	MaySeeCommonTimes  = Permission{verb: "look for times on behalf of this member", who: ownViewer | editors | officers, reads: true}
	MayKeepFeed        = Permission{verb: "give out the calendar of this person", who: self, session: true}
)

// permissions lists all of the above, for the matrix.
var permissions = []Permission{
	MayAddMember, MayEditMember, MayEditVocabulary, MayEditSettings,
	MayBeginSession, MayEndSession, MayEditUser, MayEditAccount, MayRecoverAccount, MaySuspendUser, MayListUsers, MayPlaceUser,
	MayManageTeam, MayManageSecretariat, MayJoinTeam, MayLeaveTeam,
	MayReadAuditLog, MayReadMemberLog,
	MayDraftSolution, MayEditSolution, MayPlaceSolution, MayPublishSolution, MaySeeReview, MayReviewSolution, MayConfirmDeployment,
	MayDraftProposal, MayEditProposal, MayPlaceProposal, MayPublishProposal,
	MayKeepSavedSearch, MayTellMatches, MayManageWebhook, MayRunWebhook,
	MayMakeOffer, MayEditOffer, MayWithdrawOffer, MayDecideOffer,
	MayWriteMessage, MayWriteForNetwork, MayEditMessage, MayRemoveMessage, MayReportMessage, MaySeeReports, MayResolveReport, MayKeepThreads,
	MayImportSolutions, MayReadImports, MayExportMember,
	MaySeeMatches, MayMatchText, MayNoteStance, MayKeepConduct,
	MayRequestMeeting, MayRequestForMembers, MayAnswerMeeting, MayWithdrawMeeting, MayArrangeMeeting, MayRecordOutcome, MayKeepMeetings,
	MayAskForPartner, MayEditCase, MayWithdrawCase, MayReopenCase, MaySeeCases, MayHandleCase, MayAnswerCandidacy, MayKeepCases, MaySeeStatistics, MaySeeOwnStatistics,
	MayMarkNotifications, MayKeepNotifications, MayUnsubscribe,
	MayArrangeEvent, MayRegister, MayWithdrawRegistration, MayDecideRegistration, MayWish, MayReadWishes, MayPair, MayMakeTimetable, MayKeepTimetables, MayKeepEvents,
	MayBookAtEvent, MayPlaceAtEvent, MayRunMeeting, MaySwapDelegate, MayReplaceDelegate, MayCheckIn, MayCheckInOthers, MayReadEventReport, MayReadClosedReport,
	MayUpload,
	MaySetAvailability, MaySeeCommonTimes, MayKeepFeed,
}

// rolesOf says what the actor is to something that belongs to the parties:
// members, or the user whom it is about.
func rolesOf(a Actor, parties []ID) role {
	var r role
	for _, m := range a.Memberships {
		own := slices.Contains(parties, m.Member)
		switch {
		case m.Role == RoleOwner && own:
			r |= ownOwner
		case m.Role == RoleOwner:
			r |= otherOwner
		case m.Role == RoleEditor && own:
			r |= ownEditor
		case m.Role == RoleEditor:
			r |= otherEditor
		case own:
			r |= ownViewer
		default:
			r |= otherViewer
		}
	}
	if a.User != "" && slices.Contains(parties, a.User) {
		r |= self
	}
	switch a.Secretariat {
	case SecretariatAdmin:
		r |= networkAdmin
	case SecretariatOfficer:
		r |= networkOfficer
	case SecretariatEditor:
		r |= networkEditor
	}
	switch {
	case r != 0:
		return r
	case a.User != "":
		return stranger
	}
	return visitor
}

// check returns a ForbiddenError unless the context's actor may do this to the document.
func (may Permission) check(ctx context.Context, doc entity) error {
	if may.of != nil {
		return may.checkFor(ctx, may.of(doc)...)
	}
	return may.checkFor(ctx, doc.parties()...)
}

// checkFor is check for something that belongs to the parties.
func (may Permission) checkFor(ctx context.Context, parties ...ID) error {
	v := ViewerOf(ctx)
	switch {
	case rolesOf(v.Actor, parties)&may.who == 0:
		return &ForbiddenError{Verb: may.verb, Signed: v.IsSignedIn()}
	case v.Actor.ReadOnly && !may.reads:
		return &ForbiddenError{Verb: may.verb + " with a token that may only read", Signed: true}
	case may.session && v.Actor.Via.Kind() != KindSession:
		return &ForbiddenError{Verb: may.verb + " with a token: sign in", Signed: true}
	}
	return nil
}

// allows says whether the context's actor may do this to the document.
func (may Permission) allows(ctx context.Context, doc entity) bool { return may.check(ctx, doc) == nil }
