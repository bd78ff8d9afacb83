// Package timetable makes the timetable of an event of meetings: which of the
// meetings that are wished for are held, in which slot, and at which table. Its
// functions are pure: no store, no clock, no file; a context stops them, and the
// same problem, seed and effort give the same result.
//
// # What is good
//
// Conditions always hold: nobody, no person and no table is in two meetings at
// once; who is away is not asked for; fixed slots, fixed tables and precedences
// are kept; booked meetings are held. Among timetables in which they hold, these
// goals count, the most important first:
//
//  1. Musts, then what participants lack of their minimum, then meetings at all.
//     Among as many, who has few meetings comes first (the sum of squares, which
//     for such choices is the same as the worst-served first, then the next),
//     and then scores.
//  2. Breaks: runs of idle slots between two meetings of a participant on one
//     day, all together and shared out evenly.
//  3. How often somebody goes to another table.
//
// # How it is found
//
// Which meetings: a flow of the greatest gain (choose.go, flow.go), exact where
// the participants are of two kinds, and with a proven bound where not; how many
// at most, matchings of those who are there in each slot (bound.go). When:
// insertion along chains of swaps, then a tabu search that compares timetables by
// the same gains (place.go); simulated annealing on such chains for fewer breaks (polish.go). At which table: matchings
// slot by slot (tables.go). Proofs, and what chance does not find: clauses
// (encode.go, exact.go) for the solver in internal/sat, up to some 300 meetings
// and 20 slots. Verify checks the outcome with code that shares nothing with all that.
//
// # How good it is
//
// In seconds of CPU, on the public benchmark (ReadDzn) with a spread of 2: all
// twelve files at hand are solved to the published optimum, which is proven
// anew; nine of them in less than a second, forum-14 (2 breaks) in 3 and
// tic-13crafc (4 breaks) in 6. forum-13crafb (6 breaks) takes 5 to 20, as chance
// has it. Variants of them with fewer tables than the optimum needs without
// breaks, or with as many orders as meetings, are solved, but from 20 slots on
// their optimum is often not proven in a minute.
//
// Of small events, which trying everything checks, musts, minima, numbers of
// meetings and fair shares come out as good as can be. Of 4,460 pairs of events of
// up to 60 wishes, the second with a table, a slot, longer presence or a greater
// maximum more, none had fewer in the second.
//
// Generated events are in the README. To measure again:
//
//	citymarket timetable -seconds 60 FILE...
//	citymarket timetable -seconds 60 -generate real
//	CITYMARKET_B2BSP=DIRECTORY go test -run PublicBenchmark -v ./marketplace/timetable
//	go test -bench . -run xxx -benchtime 1x ./marketplace/timetable
package timetable
