package marketplace

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// What a meeting claims at its event besides the time of people and tables, so
// that it holds however many are booked at the same moment:
//
//   - that the two meet there once: pairClaim;
//   - of each side one of as many meetings as it wants at the most: countClaim;
//   - where some of a delegation are needed for sessions, one of the desks that
//     are left for each who sits in the meeting: deskClaim. What publications
//     have made claims none; their people are counted instead;
//   - where somebody interprets, and there are so many who do, one of them in
//     its slot: interpreterClaim.
//
// A meeting that was missed lets go of all of it.

func pairClaim(event ID, x duo) string { return fmt.Sprintf("pair:%s %s at %s", x[0], x[1], event) }

func countClaim(event, member ID, n int) string { return countsOf(event, member) + fmt.Sprint(n) }

func deskClaim(member ID, slot time.Time, n int) string {
	return desksOf(member) + slot.UTC().Format(time.RFC3339) + fmt.Sprintf("#%d", n)
}

// countsOf and desksOf are how such claims of a member begin.
func countsOf(event, member ID) string { return fmt.Sprintf("count:%s at %s#", member, event) }

func desksOf(member ID) string { return "desk:" + string(member) + "@" }

func interpreterClaim(event ID, slot time.Time, n int) string {
	return fmt.Sprintf("interpreter:%s@%s#%d", event, slot.UTC().Format(time.RFC3339), n)
}

func isInterpreter(claim string) bool { return strings.HasPrefix(claim, "interpreter:") }

// isOfSlot says that a claim is about a slot, which a meeting lets go of that
// is on its way to another one.
func isOfSlot(claim string) bool { return strings.HasPrefix(claim, "desk:") || isInterpreter(claim) }

// holdsOne says whether one of some claims begins so.
func holdsOne(claims []string, prefix string) bool {
	return slices.ContainsFunc(claims, func(c string) bool { return strings.HasPrefix(c, prefix) })
}

var errTooMany = errors.New("marketplace: as many meetings as it wants at the most")

// hold claims for a meeting that the two meet once, and one meeting of each
// side, as far as it does not yet: beyond what a side wants at the most where
// that is allowed. It is errTooMany, with the side, where one has none left.
//
// Of those who see the same only one gets each; and as many are left as there
// were when it was looked, whatever numbers those have that are taken.
func (f *floor) hold(x *Meeting, beyond bool) (full ID, err error) {
	holds := slices.DeleteFunc(slices.Clone(x.Holds), func(c string) bool { return strings.HasPrefix(c, "pair:") })
	holds = append(holds, pairClaim(f.event.ID, pairOf(x.From, x.To)))
	for _, s := range f.sides {
		if holdsOne(holds, countsOf(f.event.ID, s.Member)) {
			continue
		}
		_, most := f.event.MeetingsOf(s.Registration)
		left := most - s.held
		got := false
		for n := 0; !got && (beyond || n < most && left > 0); n++ {
			claim := countClaim(f.event.ID, s.Member, n)
			if s.holds[claim] {
				continue
			}
			if left--; !f.passed[claim] {
				holds, got = append(holds, claim), true
			}
		}
		if !got {
			return s.Member, errTooMany
		}
	}
	x.Holds = holds
	return "", nil
}

// interpreter is the claim on one who interprets in a slot that was looked at;
// empty where nobody need, or they are not counted; false where none is left.
func (f *floor) interpreter(slot int) (claim string, ok bool) {
	if f.event.InterpreterCount == nil || !f.event.interprets(f.sides[0].Registration, f.sides[1].Registration) {
		return "", true
	}
	left := *f.event.InterpreterCount - len(f.spoken[slot])
	for n := 0; n < *f.event.InterpreterCount && left > 0; n++ {
		if claim := interpreterClaim(f.event.ID, f.event.Slots[slot].StartsAt, n); !f.spoken[slot][claim] {
			if left--; !f.passed[claim] {
				return claim, true
			}
		}
	}
	return "", false
}

// desks are the claims for so many of a side who are to sit in a meeting in a
// slot; none where no session needs anybody. It is errNobody where there are
// not so many left.
func (f *floor) desks(s *floorSide, slot, people int) ([]string, error) {
	if s.busy[slot] == 0 {
		return nil, nil
	}
	at := f.event.Slots[slot].StartsAt
	left := -s.busy[slot]
	for i := range s.Delegates {
		if s.free[i][slot] {
			left++
		}
		if s.holds[deskClaim(s.Member, at, i)] {
			left++
		}
	}
	var claims []string
	for n := 0; n < left && len(claims) < people; n++ {
		if claim := deskClaim(s.Member, at, n); !s.holds[claim] && !f.passed[claim] {
			claims = append(claims, claim)
		}
	}
	if len(claims) < people {
		return nil, errNobody
	}
	return claims, nil
}
