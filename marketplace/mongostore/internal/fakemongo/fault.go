package fakemongo

import "time"

// An Action is what happens to one command instead of, or besides, its
// execution.
type Action struct {
	before, after bool
	unconfirmed   bool
	refuse        *failure
	held          chan<- struct{}
	hold          <-chan struct{}
	first         func()
}

var (
	// Pass lets the command through.
	Pass = Action{}
	// HangUpBefore closes the connection and does not execute the command.
	HangUpBefore = Action{before: true}
	// HangUpAfter executes the command and closes the connection without an answer.
	HangUpAfter = Action{after: true}
	// Unconfirmed executes the command and answers that the majority has not
	// confirmed it in time.
	Unconfirmed = Action{unconfirmed: true}
	// NotPrimary refuses the command as a member does that is not primary any more.
	NotPrimary = Action{refuse: notPrimary}
	// HistoryLost refuses a change stream, or more of it.
	HistoryLost = Action{refuse: historyLost}
)

// Hold lets an update take its time from the clock, closes held, and makes it
// wait for release before it becomes visible: that it happens to be slow
// shows in nothing but the order.
func Hold(held chan<- struct{}, release <-chan struct{}) Action {
	return Action{held: held, hold: release}
}

// First does something else before it lets the command through.
func First(do func()) Action { return Action{first: do} }

// Script says what happens to the next commands of a name ("update", "find",
// "getMore", "aggregate", ...), one action for each.
func (s *Server) Script(command string, actions ...Action) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script[command] = append(s.script[command], actions...)
}

// next counts a command and takes its action from the script.
func (s *Server) next(command string) Action {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[command]++
	if todo := s.script[command]; len(todo) > 0 {
		s.script[command] = todo[1:]
		return todo[0]
	}
	return Pass
}

// Count returns how many commands of a name came in.
func (s *Server) Count(command string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[command]
}

// StepDown makes the other member primary.
func (s *Server) StepDown() {
	s.elect(func() { s.primary = (s.primary + 1) % len(s.members); s.term++ })
}

// Depose leaves the set without a primary until the next StepDown.
func (s *Server) Depose() { s.elect(func() { s.primary = -1 }) }

func (s *Server) elect(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.version++
	s.broadcast()
}

// Down closes all connections and refuses new ones until Up.
func (s *Server) Down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = true
	for _, m := range s.members {
		for c := range m.conns {
			c.Close()
		}
	}
	s.broadcast()
}

// Up ends Down and Freeze. What was not answered in between never is.
func (s *Server) Up() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.frozen = false, false
}

// Freeze makes the server a black hole until Up: it executes what it is sent
// and answers nothing.
func (s *Server) Freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frozen = true
}

// LoseHistory drops the log: no change stream can be resumed from before.
func (s *Server) LoseHistory() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, entry{op: "noop"})
	s.lost = uint64(len(s.log))
	s.broadcast()
}

// SetClock moves the server's clock against this machine's. The times of
// writes do not go back with it.
func (s *Server) SetClock(ahead time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead = ahead
}
