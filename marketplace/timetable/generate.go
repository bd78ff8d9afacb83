package timetable

import (
	"fmt"
	"math/rand/v2"
)

// Event describes an event to generate.
type Event struct {
	Participants int // cities and companies, about half each
	Wishes       int // pairs of them that may meet
	Slots, Days  int
	Tables       int

	Absent   float64 // the share of participants who miss some hours, such as those in far time zones
	Mixed    float64 // the share of wishes between two cities
	Seats    float64 // the share of companies that send two persons
	Sessions bool    // whether each day has a plenary
	Owned    int     // tables that belong to a company
	Seed     uint64
}

// Generate makes an event like real ones: a few participants are asked for by
// many, an eighth of the wishes are musts, scores are those of wishes that are
// returned or not, and who is absent misses the beginning or the end of days.
func Generate(e Event) *Problem {
	random := rand.New(rand.NewPCG(e.Seed, 2))
	p := &Problem{}
	days := max(e.Days, 1)
	perDay := (e.Slots + days - 1) / days
	for s := range e.Slots {
		day := s / perDay
		if e.Sessions && s%perDay == perDay/2 {
			p.Slots = append(p.Slots, Slot{ID: fmt.Sprintf("plenary%d", day+1), Day: fmt.Sprint(day + 1), Closed: true})
		}
		p.Slots = append(p.Slots, Slot{ID: fmt.Sprintf("s%d", s+1), Day: fmt.Sprint(day + 1)})
	}
	cities := e.Participants / 2
	for i := range e.Participants {
		x := Participant{ID: fmt.Sprintf("city%d", i+1)}
		if i >= cities {
			x.ID = fmt.Sprintf("company%d", i-cities+1)
			if random.Float64() < e.Seats {
				x.People = []Person{{ID: x.ID + ".1"}, {ID: x.ID + ".2"}}
			}
		}
		if random.Float64() < e.Absent {
			from, to := 0, perDay/4+random.IntN(max(perDay/3, 1))
			if random.IntN(2) == 0 {
				from, to = perDay-to, perDay
			}
			for s := range e.Slots {
				if s%perDay >= from && s%perDay < to {
					x.Away = append(x.Away, fmt.Sprintf("s%d", s+1))
				}
			}
		}
		p.Participants = append(p.Participants, x)
	}
	for i := range e.Tables {
		t := Table{ID: fmt.Sprintf("t%d", i+1)}
		if i < e.Owned && cities+i < e.Participants {
			t.Owner = p.Participants[cities+i].ID
		}
		p.Tables = append(p.Tables, t)
	}
	// popular draws a number below n, small ones more often.
	popular := func(n int) int { return int(float64(n) * random.Float64() * (0.4 + 0.6*random.Float64())) }
	type pair struct{ a, b int }
	known := map[pair]bool{}
	for tries := 0; len(p.Meetings) < e.Wishes && tries < 50*e.Wishes && cities > 1 && cities < e.Participants; tries++ {
		x := pair{random.IntN(cities), cities + popular(e.Participants-cities)}
		if random.IntN(2) == 0 {
			x = pair{popular(cities), cities + random.IntN(e.Participants-cities)}
		}
		if random.Float64() < e.Mixed {
			x = pair{popular(cities), random.IntN(cities)}
			x = pair{min(x.a, x.b), max(x.a, x.b)}
		}
		if x.a == x.b || known[x] {
			continue
		}
		known[x] = true
		there, back := 1+random.IntN(100), 0
		if random.IntN(3) == 0 {
			back = 1 + random.IntN(100)
		}
		m := Meeting{ID: fmt.Sprintf("m%d", len(p.Meetings)+1), A: p.Participants[x.a].ID, B: p.Participants[x.b].ID, Score: Reciprocal(there, back)}
		if random.IntN(8) == 0 {
			m.Rank = Must
		}
		p.Meetings = append(p.Meetings, m)
	}
	return p
}
