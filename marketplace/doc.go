// Package marketplace is the domain of Citymarket: what things there are, who
// may do and see what, and the ports through which they are stored (Store,
// and Files for uploads), found (Finder), and through which it speaks to the
// outside (Mailer, Poster, Calendar). It imports no adapter and no foreign
// module but golang.org/x; of ours the pure functions of timetable.
//
// # Words
//
// One word for one thing, in code, schema, client and prose.
//
//   - Member: an organisation of the network: City (any local government),
//     Company, Institution.
//   - User: a person who signs in, on behalf of one or more members with a
//     role in each. Secretariat: users who run the network.
//   - Team: the people of one member, or of the secretariat. Ticket: what a
//     one-time link stands for, such as an invitation. Session and Token: by
//     which a browser and a program act for a user. Factor: one-time codes.
//   - Mark: what one command did, kept in the document that it changed; Audit
//     log: all marks. Follower: does what must follow from changes; Chore: does
//     what has fallen due; Worker: runs both.
//   - Identity: how another provider knows a user; SignInProvider: such a
//     provider (OpenID Connect).
//   - Solution: what a company offers. Deployment: a solution in use
//     somewhere, with its result.
//   - Proposal: a city's project, from a need in two sentences to a funded
//     plan (its Stage). Offer: a company's answer to it.
//   - Message: a part of the discussion of a proposal. Thread: its messages to
//     all members, or those between its city and one company. Report: what
//     readers complain of.
//   - Match: a pair with a score and its reasons, of which each Criterion gives
//     one. Stance: what a member has noted of a match for itself. Conduct: how
//     a member answers what it is asked.
//   - Meeting: two members, a time, an outcome. Side: one of the two; Counter:
//     other times in answer; Participant: who takes part; Tally: how many there
//     were, and what came of them.
//   - Availability: when a member or a person can meet. Common time: one at
//     which both sides can, with the Burden that it is to each.
//   - Calendar: what calendar programs read; Feed: the address by which they
//     read a user's meetings. Agreed clock: what clocks showed for a meeting when
//     it was agreed.
//   - Case: a search for a partner that a member asks of the secretariat; its
//     Asker, and the officer who works on it. Candidacy: a member that the officer
//     considers for it, the candidate. To introduce: to show a candidate to the
//     asker. Tally: how many candidates a case has.
//   - Statistics: what became of meetings, counted; Figures: those of one month,
//     region or topic.
//   - Event: a "Solutions Meet Cities" edition, in one of its Phases; Slot: a
//     time for a meeting; EventSession: a part of its programme. Registration:
//     that of a member for an event, which takes part, and holds a Seat, once it
//     is approved; Delegate: who comes for it; Pitch: what it wants the others
//     to know. Wish (must, want, never), in the WishList of a registration;
//     Pairing: what the secretariat says of two of them; Demand: all of these,
//     which a Timetable answers.
//   - Run: the making of a Timetable, which is a list of Placements: who meets
//     whom, in which slot, at which table. Draft: the timetable that is worked
//     on; Conflict: what stands against a placement. Publication: a timetable
//     that holds, whose placements become meetings; Gap: one that could not.
//   - Booking: a meeting in a slot that is still free, which one participant
//     asks for while the timetable is published, or the secretariat makes. Walk-in:
//     who comes without a registration; Arrival: a delegate who has come;
//     Substitution: one who comes no more; Delay, NoShow: of a meeting. Trouble:
//     a meeting without its table, or without somebody for a side. Agenda: what a
//     participant has; Sheet: a list to print; EventReport: what came of it all.
//   - Upload: a picture or document that was sent for a solution, a proposal,
//     an offer or a member, its subject; attached where the subject refers to it.
//     Media: a link or an upload, with a title.
//   - Topic: a node of the vocabulary (domain or sub-topic).
//   - Saved search: a search that a user runs again; Alert: what they are told
//     of it at once. Known: what it finds that the user was told of or has seen.
//   - Webhook: an address to which a member is told of entries of the audit
//     log; Delivery: one of them on its way to it.
//   - Import: a file of solutions that was accepted as a whole; Part: a run of
//     its lines. Export: a list that is written out while it is read;
//     Catalogue: a public list that can be exported; Possession: what belongs
//     to a member.
//   - Actor: whoever a command or query is made for; Viewer: an actor and the
//     languages they read.
//   - Audience: the groups of which a reader must have one.
//   - Notification: what one user is told of something that somebody did.
//     Letter: an e-mail about a notification, several of them (the digest), or
//     with a one-time link. Rule: who is told of what.
//   - Claim: a string that one document of a kind may hold.
//
// # How an entity is made
//
// An entity is a struct with an embedded Meta, in a file of its own: the type
// and its states, the unexported methods of the entity interface (entity.go),
// then commands and queries. It is registered once with its indexes. Commands
// go through create and update of guard.go with a Permission of policy.go;
// queries through get, find and list. One command writes one document; what
// must follow elsewhere is done by a follower of the store's feed.
package marketplace
