package marketplace

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// speak gives a participant's delegate a language, and says whether they want
// somebody to interpret.
func (h *hall) speak(name string, language Language, wants bool) {
	h.t.Helper()
	_, err := h.EditRegistration(h.officer(), EditRegistrationInput{ID: registrationID(h.event, memberNamed(name)), Content: Patch{
		"delegates":        []any{map[string]any{"user": "user_" + name, "languages": []any{string(language)}}},
		"wantsInterpreter": wants,
	}})
	h.must(err)
}

// newTower is a hall of three cities that speak Korean and three companies
// that speak English, of whom each city must meet one, with so many
// interpreters, and so many minutes.
func newTower(t *testing.T, interpreters int, until string) *hall {
	h := newHall(t, 3, 3, Patch{"interpreters": []any{"ko", "en"}, "interpreterCount": interpreters, "languageRule": "REQUIRE",
		"days": []any{map[string]any{"date": "2026-03-09", "start": "09:00", "end": until}}})
	for i := range 3 {
		h.speak(fmt.Sprintf("c%d", i+1), "ko", true)
		h.speak(fmt.Sprintf("k%d", i+1), "en", false)
	}
	for i := range 3 {
		h.wish(fmt.Sprintf("c%d", i+1), fmt.Sprintf("k%d", i+1))
	}
	return h
}

func TestOneInterpreterIsAtOneMeeting(t *testing.T) {
	t.Parallel()
	h := newTower(t, 1, "10:00")
	h.phase(EventStartDrafting)
	r := h.run(RunNew)
	if r.Outcome.MustsPlaced != 3 {
		t.Fatalf("%+v", r.Outcome)
	}
	h.use(r)
	var slots []string
	for _, p := range h.draft() {
		slots = append(slots, p.Slot.Format("15:04"))
	}
	same(t, "one after another", slots, []string{"09:00", "09:20", "09:40"})
	first, second := h.draft()[0], h.draft()[1]
	if err := h.moveTo(shortName(second.A), shortName(second.B), 1, ""); complains(err) != "slot NO_INTERPRETER" {
		t.Errorf("two at once: %v of %v", err, first)
	}

	// Two slots are not enough.
	h = newTower(t, 1, "09:40")
	h.phase(EventStartDrafting)
	r = h.run(RunNew)
	list, err := h.RunUnplaced(h.officer(), r, ListSlice{})
	h.must(err)
	if r.Outcome.MustsPlaced != 2 || len(list.Nodes) != 1 {
		t.Fatalf("%+v", r.Outcome)
	}
	why, err := h.ReasonSentence(h.officer(), list.Nodes[0].ToldReason())
	h.must(err)
	advice, err := h.RemedySentence(h.officer(), list.Nodes[0].ToldReason())
	h.must(err)
	if !strings.Contains(why, "need somebody to interpret") || *advice != "More interpreters would help: 1." {
		t.Errorf("%s %s", why, *advice)
	}

	// Nor is nobody.
	h = newTower(t, 0, "10:00")
	_, err = h.SetPairing(h.officer(), SetPairingInput{Event: h.event, A: memberNamed("c1"), B: memberNamed("k1"), Level: PairLocked})
	h.must(err)
	h.phase(EventStartDrafting)
	if r = h.run(RunNew); r.Outcome.Meetings != 0 {
		t.Errorf("%+v", r.Outcome)
	}
}

// Any number of meetings are interpreted where nothing else is said.
func TestInterpretersAreNotCountedWithoutANumber(t *testing.T) {
	t.Parallel()
	h := newTower(t, 1, "09:20")
	_, err := h.EditEvent(h.officer(), EditEventInput{ID: h.event, Content: Patch{"interpreterCount": nil}})
	h.must(err)
	h.phase(EventStartDrafting)
	if r := h.run(RunNew); r.Outcome.MustsPlaced != 3 {
		t.Errorf("%+v", r.Outcome)
	}
}

// Whoever books, moves, or publishes: one who interprets is at one meeting.
func TestInterpretersAreNeverBookedTwice(t *testing.T) {
	t.Parallel()
	h := newTower(t, 1, "10:00")
	h.phase(EventStartDrafting)
	h.must(h.add("c1", "k1", 1, "T1"))
	h.publish()
	h.must(h.CatchUp(t.Context()))
	at := func(n int) *BookEventMeetingInput {
		return &BookEventMeetingInput{Event: h.event, From: memberNamed("c2"), To: memberNamed("k2"), Slot: *h.slot(n)}
	}
	free, err := h.CommonSlots(h.officer(), FreeSlotsInput{Event: h.event, Member: memberNamed("c2"), With: memberNamed("k2")})
	h.must(err)
	if len(free) != 2 || !free[0].StartsAt.Equal(*h.slot(2)) {
		t.Errorf("free: %+v", free)
	}
	if _, err := h.BookEventMeeting(h.officer(), *at(1)); complains(err) != "slot NO_INTERPRETER" {
		t.Errorf("booked twice: %v", err)
	}
	x, err := h.BookEventMeeting(h.officer(), *at(2))
	h.must(err)
	if !x.IsInterpreted {
		t.Error("nobody interprets")
	}
	if _, err := h.MoveEventMeeting(h.officer(), MoveEventMeetingInput{ID: x.ID, Slot: h.slot(1)}); complains(err) != "slot NO_INTERPRETER" {
		t.Errorf("moved: %v", err)
	}
	if err := h.moveTo("c1", "k1", 2, ""); complains(err) != "slot NO_INTERPRETER" {
		t.Errorf("drafted: %v", err)
	}

	// Two requests, accepted at the same moment.
	y, err := h.ask("c2", "k3", 3)
	h.must(err)
	z, err := h.ask("c3", "k2", 3)
	h.must(err)
	done := make(chan error, 2)
	for name, x := range map[string]*Meeting{"k3": y, "k2": z} {
		go func() {
			_, err := h.agree(name, x)
			done <- err
		}()
	}
	var said []string
	for range 2 {
		said = append(said, complains(<-done))
	}
	slices.Sort(said)
	same(t, "accepted", said, []string{"", "time NO_INTERPRETER"})
}

// Interpreted meetings change places by a publication, though each keeps
// somebody from the other's place.
func TestInterpretedMeetingsChangePlaces(t *testing.T) {
	t.Parallel()
	h := newTower(t, 1, "10:00")
	h.phase(EventStartDrafting)
	for i := range 3 {
		h.must(h.add(fmt.Sprintf("c%d", i+1), fmt.Sprintf("k%d", i+1), i+1, "T1"))
	}
	h.publish()
	for _, swap := range [][2]string{{"1", "2"}, {"2", "3"}} {
		_, err := h.SwapPlacements(h.officer(), SwapPlacementsInput{Event: h.event, A: memberNamed("c" + swap[0]), B: memberNamed("k" + swap[0]),
			OtherA: memberNamed("c" + swap[1]), OtherB: memberNamed("k" + swap[1])})
		h.must(err)
	}
	x := h.publish()
	if x.Moved != 3 || len(x.Gaps) > 0 {
		t.Errorf("%+v", x)
	}
	same(t, "agenda", h.agenda(), []string{"1 c3-k3 T1", "2 c1-k1 T1", "3 c2-k2 T1"})
}
