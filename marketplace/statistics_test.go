package marketplace

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// lived is a meeting of two of some members in a state that it can come to.
func lived(r *rand.Rand, n int, members, subjects []ID, from time.Time, span time.Duration) *Meeting {
	i := r.IntN(len(members))
	j := (i + 1 + r.IntN(len(members)-1)) % len(members)
	asked := from.Add(time.Duration(r.Int64N(int64(span/time.Second))) * time.Second)
	x := &Meeting{Meta: Meta{ID: ID(fmt.Sprintf("meeting_of-%d", n)), CreatedAt: asked}, From: members[i], To: members[j], ProposedBy: members[i],
		Status: MeetingStatuses[r.IntN(len(MeetingStatuses))], Message: en("Hello"), Minutes: 30, Format: MeetingOnline,
		Times: []time.Time{asked.Truncate(meetingBlock).Add(time.Duration(r.IntN(400)) * meetingBlock)}}
	if len(subjects) > 0 && r.IntN(4) > 0 {
		x.About = subjects[r.IntN(len(subjects))]
		x.Subjects = []ID{x.About}
	}
	answered := !slices.Contains([]MeetingStatus{MeetingRequested, MeetingExpired}, x.Status)
	if answered {
		x.AnsweredAt = new(asked.Add(time.Duration(r.IntN(100_000)) * time.Second))
	}
	agreed := slices.Contains(bookedMeetings, x.Status) || x.Status == MeetingCancelled && r.IntN(2) == 0
	if agreed {
		x.AcceptedAt, x.At = x.AnsweredAt, &x.Times[0]
		// People of their own, so that no two of these meetings claim the same time.
		x.FromPeople, x.ToPeople = []ID{ID(fmt.Sprintf("user_f-%d", n))}, []ID{ID(fmt.Sprintf("user_t-%d", n))}
	}
	if x.Status == MeetingDeclined || x.Status == MeetingCancelled {
		x.Reason = new("since")
	}
	for _, o := range []**Outcome{&x.FromOutcome, &x.ToOutcome} {
		if what := OutcomeKinds[r.IntN(len(OutcomeKinds))]; agreed && r.IntN(3) > 0 {
			*o = &Outcome{What: what, Note: "zyxsecret", By: "user_ann", At: *x.At}
		}
	}
	x.plan()
	return x
}

// recount is what Statistics say, from all meetings and as it is written down.
func recount(list []*Meeting, member ID, belongs func(*Meeting) bool) *Figures {
	f := &Figures{}
	var seconds []int
	count := func(n *int, ok bool) {
		if ok {
			*n++
		}
	}
	earlier := func(x *Meeting) bool {
		return slices.ContainsFunc(list, func(o *Meeting) bool {
			same := o.From == x.From && o.To == x.To || o.From == x.To && o.To == x.From
			return same && o.Status == MeetingHeld && (o.StartsAt.Before(x.StartsAt) || o.StartsAt.Equal(x.StartsAt) && o.ID < x.ID)
		})
	}
	for _, x := range list {
		if !belongs(x) {
			continue
		}
		f.Requests++
		count(&f.Waiting, x.Status == MeetingRequested || x.Status == MeetingCountered)
		count(&f.Accepted, x.AcceptedAt != nil)
		count(&f.Declined, x.Status == MeetingDeclined)
		count(&f.Expired, x.Status == MeetingExpired)
		count(&f.Cancelled, x.Status == MeetingCancelled)
		count(&f.Agreed, x.Status == MeetingAccepted || x.Status == MeetingRescheduled)
		count(&f.Held, x.Status == MeetingHeld)
		count(&f.Missed, x.Status == MeetingMissed)
		count(&f.Second, x.Status == MeetingHeld && earlier(x))
		for side, o := range map[ID]*Outcome{x.From: x.FromOutcome, x.To: x.ToOutcome} {
			if o != nil && (member == "" || member == side) {
				count(&f.Outcomes.NotHeld, o.What == OutcomeNotHeld)
				count(&f.Outcomes.Informative, o.What == OutcomeInformative)
				count(&f.Outcomes.CooperationPossible, o.What == OutcomePossible)
				count(&f.Outcomes.Agreed, o.What == OutcomeAgreed)
			}
		}
		if x.AnsweredAt != nil {
			seconds = append(seconds, int(x.AnsweredAt.Sub(x.CreatedAt).Seconds()))
		}
	}
	f.Answered = len(seconds)
	atMost := func(part float64) *int {
		slices.Sort(seconds)
		for i, s := range seconds {
			if float64(i+1) >= part*float64(len(seconds))-1e-9 {
				return &s
			}
		}
		return nil
	}
	f.MedianAnswer, f.NinetiethAnswer = atMost(0.5), atMost(0.9)
	return f
}

func (f *Figures) String() string {
	seconds := func(n *int) string {
		if n == nil {
			return "-"
		}
		return fmt.Sprint(*n)
	}
	plain := *f
	plain.MedianAnswer, plain.NinetiethAnswer = nil, nil
	return fmt.Sprintf("%+v %s %s", plain, seconds(f.MedianAnswer), seconds(f.NinetiethAnswer))
}

// Whatever meetings there are, what is counted is what a recount says.
func TestStatisticsAreExact(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		n := newNewsroom(t)
		ctx := asWorker(context.Background())
		abroad := &City{Meta: Meta{ID: "city_quito", Slug: "quito"}, TimeZone: "America/Guayaquil"}
		abroad.Name, abroad.Country, abroad.Region = en("Quito"), "EC", "AMERICAS"
		n.must(n.AddCity(ctx, abroad))
		n.must(n.AddTopic(ctx, &Topic{Meta: Meta{ID: "topic_water", Slug: "water"}, Label: en("Water")}))
		both := n.solution("wall", SolutionPublished)
		both.Topics, both.Countries, both.Regions = []ID{"topic_water", "topic_noise"}, []Country{"KE", "TZ"}, []Region{"AMERICAS"}
		n.must(n.AddSolution(ctx, both))
		n.must(n.AddSolution(ctx, n.solution("gate", SolutionPublished)))
		n.must(n.AddProposal(ctx, &Proposal{Meta: Meta{ID: "proposal_quiet", Slug: "quiet"}, City: "city_quito", Title: en("Less noise"), Problem: en("It is loud."), Topics: []ID{"topic_water"}, Stage: "NEED", Funding: "NONE"}))
		r := rand.New(rand.NewPCG(seed, 1))
		members := []ID{"city_oslo", "city_lima", "city_quito", "company_acme"}
		var list []*Meeting
		for i := range 150 {
			x := lived(r, i, members, []ID{"solution_wall", "solution_gate", "proposal_quiet"}, newsDay.AddDate(0, -5, 0), 150*24*time.Hour)
			if i%7 == 0 && x.About != "" { // of an offer, the proposal counts
				x.About, x.Subjects = "offer_one", []ID{"offer_one", "proposal_quiet", "solution_wall"}
			}
			n.must(create(ctx, n.Market, MayKeepMeetings, x))
			list = append(list, x)
		}
		first, last := Month("2025-11"), Month("2026-01")
		counted := slices.DeleteFunc(slices.Clone(list), func(x *Meeting) bool { m := monthOf(x.CreatedAt); return m < first || m > last })
		if len(counted) < 50 || len(counted) == len(list) {
			t.Fatalf("%d of %d are counted", len(counted), len(list))
		}
		place := map[ID][]Region{"solution_wall": {"AMERICAS", "AFRICA"}, "proposal_quiet": {"AMERICAS"}}
		home := map[ID]Region{"city_oslo": Europe, "city_lima": Europe, "city_quito": "AMERICAS", "company_acme": Europe}
		about := map[ID][]ID{"solution_wall": {"topic_water", "topic_noise"}, "solution_gate": {"topic_noise"}, "proposal_quiet": {"topic_water"}}
		regions := func(x *Meeting) []Region {
			subject := x.About
			if len(x.Subjects) == 3 {
				subject = "proposal_quiet"
			}
			if place[subject] != nil {
				return place[subject]
			}
			return []Region{home[x.From], home[x.To]}
		}
		topics := func(x *Meeting) []ID {
			switch {
			case len(x.Subjects) == 3:
				return about["proposal_quiet"]
			case x.About == "":
				return []ID{""}
			}
			return about[x.About]
		}
		for _, member := range append([]ID{""}, members...) {
			in := StatisticsInput{From: first, To: last}
			own := counted
			if member != "" {
				in.Member = &member
				own = slices.DeleteFunc(slices.Clone(counted), func(x *Meeting) bool { return x.From != member && x.To != member })
			}
			s, err := n.Statistics(n.as("off"), in)
			n.must(err)
			same := func(what string, got *Figures, belongs func(*Meeting) bool) {
				t.Helper()
				if want := recount(own, member, belongs); got.String() != want.String() {
					t.Errorf("%s %s:\n%s, a recount says\n%s", member, what, got, want)
				}
			}
			same("in all", s.Total, func(*Meeting) bool { return true })
			if member != "" {
				same("sent", s.Sent, func(x *Meeting) bool { return x.From == member })
				same("received", s.Received, func(x *Meeting) bool { return x.To == member })
			}
			if len(s.Months) != 3 {
				t.Errorf("%d months", len(s.Months))
			}
			for _, f := range s.Months {
				same(string(f.Month), f.Figures, func(x *Meeting) bool { return monthOf(x.CreatedAt) == f.Month })
			}
			seen := 0
			for _, f := range s.Regions {
				seen += f.Figures.Requests
				same(string(f.Region), f.Figures, func(x *Meeting) bool { return slices.Contains(regions(x), f.Region) })
			}
			for _, f := range s.Topics {
				same(string(f.Topic), f.Figures, func(x *Meeting) bool { return slices.Contains(topics(x), f.Topic) })
			}
			if seen < s.Total.Requests || len(s.Topics) != 3 || s.Topics[2].Topic != "" {
				t.Errorf("%d by region of %d, %d topics", seen, s.Total.Requests, len(s.Topics))
			}
		}
	}
}

// Who may count what, and how much at once.
func TestWhoSeesStatistics(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	oslo, acme := ID("city_oslo"), ID("company_acme")
	in := func(member *ID) StatisticsInput {
		return StatisticsInput{Member: member, From: "2026-01", To: "2026-03"}
	}
	for _, c := range []struct {
		who    string
		member *ID
		may    bool
	}{{"off", nil, true}, {"ned", nil, true}, {"olga", nil, false}, {"otto", &oslo, true}, {"vic", &oslo, false}, {"ned", &acme, true}, {"luis", &acme, false}} {
		if _, err := n.Statistics(n.as(c.who), in(c.member)); (err == nil) != c.may {
			t.Errorf("%s counts %v: %v", c.who, c.member, err)
		}
	}
	if _, err := n.OfficerStatistics(n.as("olga"), "2026-01", "2026-02"); err == nil {
		t.Error("a member counts the officers' cases")
	}
	for _, c := range []struct{ from, to Month }{{"2026-3", "2026-03"}, {"2026-03", "2026-02"}, {"2024-03", "2026-03"}, {"", "2026-03"}, {"9999-12", "9999-12"}} {
		if _, err := n.Statistics(n.as("off"), StatisticsInput{From: c.from, To: c.to}); len(problemsOf(err)) == 0 {
			t.Errorf("%s to %s: %v", c.from, c.to, err)
		}
	}
	if _, err := n.Statistics(n.as("off"), StatisticsInput{From: "2024-04", To: "2026-03"}); err != nil {
		t.Errorf("24 months: %v", err)
	}
	// One who counts waits for another one as long as their request lasts.
	n.counting <- struct{}{}
	ctx, cancel := context.WithCancel(n.as("off"))
	cancel()
	if _, err := n.Statistics(ctx, in(nil)); err == nil {
		t.Error("two counted at once")
	}
	<-n.counting
	for range 30 {
		if _, err := n.Statistics(n.as("ned"), in(nil)); err != nil {
			return
		}
	}
	t.Error("nothing is limited")
}

// BenchmarkStatistics counts 20,000 meetings of the network in 12 months.
func BenchmarkStatistics(b *testing.B) {
	store, err := OpenTestStore(MemoryDir(b) + "/test.db")
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	m := New(store, nil, Options{Alone: true})
	ctx := asWorker(context.Background())
	r := rand.New(rand.NewPCG(1, 1))
	var members, subjects []ID
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	must(m.AddTopic(ctx, &Topic{Meta: Meta{ID: "topic_noise", Slug: "noise"}, Label: en("Noise")}))
	for i := range 200 {
		c := &Company{Meta: Meta{ID: ID(fmt.Sprintf("company_c%d", i)), Slug: fmt.Sprint("c", i)}, Size: "SME", ContactPolicy: "ANYONE"}
		c.Name, c.Country, c.Region = en("Company"), "NO", Europe
		must(m.AddCompany(ctx, c))
		members = append(members, c.ID)
		for j := range 10 {
			s := &Solution{Meta: Meta{ID: ID(fmt.Sprintf("solution_s%d-%d", i, j)), Slug: fmt.Sprintf("s%d-%d", i, j)}, Company: c.ID, Status: SolutionPublished,
				Title: en("A solution"), Summary: en("It works, and this is a summary of some length about how it does."), Topics: []ID{"topic_noise"}, Maturity: "PILOTED", PriceModel: "PER_UNIT", PriceBand: "UNDER_10K"}
			must(m.AddSolution(ctx, s))
			subjects = append(subjects, s.ID)
		}
	}
	for i := range 20_000 {
		must(create(ctx, m, MayKeepMeetings, lived(r, i, members, subjects, newsDay.AddDate(-1, 0, 0), 364*24*time.Hour)))
	}
	for b.Loop() {
		s, err := m.Statistics(ctx, StatisticsInput{From: "2025-03", To: "2026-03"})
		must(err)
		if s.Total.Requests != 20_000 {
			b.Fatal(s.Total)
		}
		m.throttle = newThrottle(maxThrottled)
	}
}
