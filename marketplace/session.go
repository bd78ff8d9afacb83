package marketplace

import (
	"context"
	"errors"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Session is a user who is signed in with one client. Its id is the hash of
// the secret that the client keeps, so whoever reads the store cannot use it.
type Session struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	User       ID        `json:"user"`
	Epoch      int       `json:"epoch"` // of the user, when it began
	ExpiresAt  time.Time `json:"expiresAt"`
	LastSeenAt time.Time `json:"lastSeenAt"` // to some minutes
	Address    *string   `json:"address,omitempty"`
	Agent      *string   `json:"agent,omitempty"`    // what the client said of itself
	Provider   *string   `json:"provider,omitempty"` // issuer, where another provider vouched for the user
}

// KindSession is the kind of Session.
var KindSession = registerRecord("session", func() entity { return new(Session) },
	Index{Equal: []string{"user"}, Sort: "lastSeenAt"}, Index{Sort: "expiresAt"})

// Times of sessions.
const (
	sessionLife = 30 * 24 * time.Hour
	sessionIdle = 14 * 24 * time.Hour
	seenEvery   = 10 * time.Minute // how exactly LastSeenAt is kept
)

// maxSessions bounds the sessions of a user: the ones that were not seen for
// longest end.
const maxSessions = 50

func (*Session) kind() Kind          { return KindSession }
func (*Session) validate(*problems)  {}
func (s *Session) audience() []Group { return []Group{Group(s.User)} }
func (s *Session) parties() []ID     { return []ID{s.User} }
func (s *Session) refs() []ID        { return []ID{s.User} }

// IsCurrent says whether the viewer asks with this session.
func (s *Session) IsCurrent(ctx context.Context) bool { return actorOf(ctx).Via == s.ID }

// begin starts a session for a user and hands its secret to the client.
func (m *Market) begin(ctx context.Context, u *User, provider string) error {
	v := ViewerOf(ctx)
	if v.KeepSession == nil {
		return invalid("", "INVALID", "a session can only be begun by a client that keeps cookies, over plain HTTP")
	}
	secret, now := newSecret(), m.clock()
	s := &Session{
		Meta: Meta{ID: ID(string(KindSession) + "_" + hashed(secret))},
		User: u.ID, Epoch: u.Epoch, ExpiresAt: now.Add(sessionLife), LastSeenAt: now,
		Address: maybe(v.Address), Agent: maybe(cut(v.Agent, maxAgent)), Provider: maybe(provider),
	}
	s.did = Mark{Action: "SIGN_IN", By: u.ID}
	if err := create(ctx, m, MayBeginSession, s); err != nil {
		return err
	}
	if err := m.endOldest(ctx, u.ID); err != nil {
		return err
	}
	v.KeepSession(secret, s.ExpiresAt)
	return nil
}

// endOldest ends sessions of a user beyond the number that they may have.
func (m *Market) endOldest(ctx context.Context, user ID) error {
	list, err := m.sessionsOf(ctx, user)
	for _, s := range list[min(len(list), maxSessions):] {
		err = errors.Join(err, m.erase(ctx, s))
	}
	return err
}

// sessionsOf are the sessions of a user, last seen first.
func (m *Market) sessionsOf(ctx context.Context, user ID) ([]*Session, error) {
	return find[*Session](withSight(ctx), m, KindSession, Query{
		Where: []Condition{{Field: "user", Op: Eq, Value: user}}, Sort: "lastSeenAt", Descending: true, Limit: 2 * maxSessions})
}

// Sessions are the viewer's, last seen first, those that have ended left out.
func (m *Market) Sessions(ctx context.Context) ([]*Session, error) {
	u, err := m.ViewerUser(ctx)
	if u == nil || err != nil {
		return []*Session{}, err
	}
	list, err := m.sessionsOf(ctx, u.ID)
	return slices.DeleteFunc(list, func(s *Session) bool { return !s.holds(u, m.clock()) }), err
}

// holds says whether a session is good for its user.
func (s *Session) holds(u *User, now time.Time) bool {
	return s.User == u.ID && s.Epoch == u.Epoch && now.Before(s.ExpiresAt) && now.Before(s.LastSeenAt.Add(sessionIdle))
}

// EndSession ends one of the viewer's sessions, and makes the client forget
// it where it is the one that it asks with.
func (m *Market) EndSession(ctx context.Context, id ID) error {
	s, err := update(ctx, m, MayEndSession, id, 0, func(s *Session) error {
		s.mark("SIGN_OUT", "")
		s.IsDeleted = true
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if v := ViewerOf(ctx); v.Actor.Via == s.ID && v.KeepSession != nil {
		v.KeepSession("", time.Time{})
	}
	return nil
}

// SignOut ends the session that the viewer asks with.
func (m *Market) SignOut(ctx context.Context) error {
	v := ViewerOf(ctx)
	if v.Actor.Via.Kind() != KindSession {
		return nil
	}
	return m.EndSession(ctx, v.Actor.Via)
}

// EndOtherSessions ends all of the viewer's sessions but the one that they
// ask with, which is begun anew.
func (m *Market) EndOtherSessions(ctx context.Context) error {
	id, err := userOf(ctx, MayEditAccount)
	if err != nil {
		return err
	}
	u, err := update(ctx, m, MayEditAccount, id, 0, func(u *User) error {
		u.mark("END_SESSIONS", "")
		u.Epoch++
		return nil
	})
	if err != nil {
		return err
	}
	return m.renew(ctx, u)
}

// renew gives the client a new session in the place of the one that it asks
// with, after a change that ended all of them.
func (m *Market) renew(ctx context.Context, u *User) error {
	if actorOf(ctx).Via.Kind() != KindSession {
		return nil
	}
	return m.begin(ctx, u, "")
}

// Authenticate finds out whose session or token a secret is. It is ErrNotFound
// where it is nobody's, or no longer: three reads of the store at most, none
// for what cannot be a secret.
func (m *Market) Authenticate(ctx context.Context, secret string) (Actor, error) {
	ctx = withSight(ctx)
	if strings.HasPrefix(secret, tokenPrefix) {
		return m.actorOfToken(ctx, secret)
	}
	if len(secret) != secretLength {
		return Actor{}, ErrNotFound
	}
	s, err := get[*Session](ctx, m, ID(string(KindSession)+"_"+hashed(secret)))
	if err != nil {
		return Actor{}, err
	}
	u, err := get[*User](ctx, m, s.User)
	if err != nil {
		return Actor{}, err
	}
	now := m.clock()
	if !s.holds(u, now) {
		return Actor{}, ErrNotFound
	}
	if now.Sub(s.LastSeenAt) > seenEvery {
		// Who is not written down as seen is seen the next time.
		_, _ = update(ctx, m, MayBeginSession, s.ID, 0, func(s *Session) error {
			s.LastSeenAt = now
			s.mark(unmarked, "")
			return nil
		})
	}
	return m.actor(ctx, u, s.ID)
}

const secretLength = 52

// actor is what a user may do now.
func (m *Market) actor(ctx context.Context, u *User, via ID) (Actor, error) {
	if u.IsSuspended || u.IsSample && !m.options.Demo {
		return Actor{}, ErrNotFound
	}
	teams, err := m.teamsOf(ctx, u.ID)
	if err != nil {
		return Actor{}, err
	}
	a := Actor{User: u.ID, Via: via}
	for _, t := range teams {
		p := t.People[t.find(u.ID)]
		if t.Member != "" {
			a.Memberships = append(a.Memberships, Membership{Member: t.Member, Role: MemberRole(p.Role), Since: p.Since})
			continue
		}
		a.Secretariat = SecretariatRole(p.Role)
	}
	if a.Secretariat != "" && !u.HasSecondFactor() {
		s, err := m.Settings(ctx)
		if err != nil {
			return Actor{}, err
		}
		if s.SecretariatNeedsCode {
			a.Secretariat = ""
		}
	}
	return a, nil
}

// A Token lets a program act for a user. Its id is the hash of the secret.
type Token struct {
	Meta     `json:",inline"`
	unlisted `json:"-"`

	User       ID         `json:"user"`
	Name       string     `json:"name"`
	Scope      TokenScope `json:"scope"`
	ExpiresAt  time.Time  `json:"expiresAt"`
	LastUsedAt *time.Time `json:"lastUsedAt,omitempty"` // to some minutes
}

// A TokenScope is what a token is good for.
type TokenScope string

// The scopes of tokens.
const (
	ScopeRead  TokenScope = "READ"  // queries and subscriptions
	ScopeWrite TokenScope = "WRITE" // commands, too, but for those of the account itself
)

// TokenScopes are all of them.
var TokenScopes = []TokenScope{ScopeRead, ScopeWrite}

// KindToken is the kind of Token.
var KindToken = registerRecord("token", func() entity { return new(Token) },
	Index{Equal: []string{"user"}, Sort: "createdAt"}, Index{Sort: "expiresAt"})

// tokenPrefix begins every token, so that programs that look for leaked
// secrets recognise one: "citymarket_", 52 letters and digits, 7 of a checksum.
const tokenPrefix = "citymarket_"

const (
	maxTokens    = 50
	maxTokenLife = 366 * 24 * time.Hour
)

func (*Token) kind() Kind          { return KindToken }
func (t *Token) audience() []Group { return []Group{Group(t.User)} }
func (t *Token) parties() []ID     { return []ID{t.User} }
func (t *Token) refs() []ID        { return []ID{t.User} }

func (t *Token) validate(p *problems) {
	checkString(p, "name", t.Name, 80, true)
	checkOne(p, "scope", t.Scope, TokenScopes)
}

func newTokenSecret() string {
	s := tokenPrefix + newSecret()
	return s + checksum(s)
}

// checksum is the CRC-32 of a token as 7 digits of base 32.
func checksum(s string) string {
	c := strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(s))), 32)
	return strings.Repeat("0", 7-len(c)) + c
}

// AddTokenInput is what AddToken takes.
type AddTokenInput struct {
	Name      string
	Scope     TokenScope
	ExpiresAt time.Time
}

// AddToken makes a token for the viewer. Its secret is returned this once.
func (m *Market) AddToken(ctx context.Context, in AddTokenInput) (*Token, string, error) {
	var p problems
	if now := m.clock(); !in.ExpiresAt.After(now) || in.ExpiresAt.After(now.Add(maxTokenLife)) {
		p.add("expiresAt", "OUT_OF_RANGE", "must lie within the next 366 days")
	}
	user := actorOf(ctx).User
	list, err := m.tokensOf(ctx, user)
	if err != nil {
		return nil, "", err
	}
	if len(list) >= maxTokens {
		p.addf("name", "TOO_MANY", "at most %d tokens: revoke one first", maxTokens)
	}
	if err := p.err(); err != nil {
		return nil, "", err
	}
	secret := newTokenSecret()
	t := &Token{Meta: Meta{ID: ID(string(KindToken) + "_" + hashed(secret))}, User: user, Name: in.Name, Scope: in.Scope, ExpiresAt: in.ExpiresAt}
	if err := create(ctx, m, MayEditAccount, t); err != nil {
		return nil, "", err
	}
	return t, secret, nil
}

func (m *Market) tokensOf(ctx context.Context, user ID) ([]*Token, error) {
	if user == "" {
		return []*Token{}, nil
	}
	return find[*Token](ctx, m, KindToken, Query{
		Where: []Condition{{Field: "user", Op: Eq, Value: user}}, Sort: "createdAt", Descending: true, Limit: 2 * maxTokens})
}

// Tokens are the viewer's, newest first.
func (m *Market) Tokens(ctx context.Context) ([]*Token, error) {
	return m.tokensOf(ctx, actorOf(ctx).User)
}

// RevokeToken ends one of the viewer's tokens.
func (m *Market) RevokeToken(ctx context.Context, id ID) error {
	_, err := update(ctx, m, MayEditAccount, id, 0, func(t *Token) error {
		t.mark("REVOKE", t.Name)
		t.IsDeleted = true
		return nil
	})
	return err
}

func (m *Market) actorOfToken(ctx context.Context, secret string) (Actor, error) {
	if len(secret) != len(tokenPrefix)+secretLength+7 || checksum(secret[:len(secret)-7]) != secret[len(secret)-7:] {
		return Actor{}, ErrNotFound
	}
	t, err := get[*Token](ctx, m, ID(string(KindToken)+"_"+hashed(secret)))
	if err != nil {
		return Actor{}, err
	}
	now := m.clock()
	if !now.Before(t.ExpiresAt) {
		return Actor{}, ErrNotFound
	}
	if t.LastUsedAt == nil || now.Sub(*t.LastUsedAt) > seenEvery {
		_, _ = update(ctx, m, MayBeginSession, t.ID, 0, func(t *Token) error {
			t.LastUsedAt = &now
			t.mark(unmarked, "")
			return nil
		})
	}
	u, err := get[*User](ctx, m, t.User)
	if err != nil {
		return Actor{}, err
	}
	a, err := m.actor(ctx, u, t.ID)
	a.ReadOnly = t.Scope != ScopeWrite
	return a, err
}
