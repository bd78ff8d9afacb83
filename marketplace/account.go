package marketplace

import (
	"context"
	"errors"
)

// errCredentials is the same whatever was wrong, so that nobody learns who
// has an account.
var errCredentials = invalid("password", "CREDENTIALS", "e-mail address or password are not right")

// SignInInput is what SignIn takes.
type SignInInput struct {
	Email    string
	Password string
	Code     *string // of the second factor, or a recovery code
}

// SignIn begins a session for whoever knows the password. Whether there is an
// account cannot be told from the answer, nor from the time that it takes.
func (m *Market) SignIn(ctx context.Context, in SignInInput) (*User, error) {
	email := normalEmail(in.Email)
	if err := m.limit(ctx, limitSignIn, email); err != nil {
		return nil, err
	}
	u, err := m.userByEmail(ctx, email)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	if err != nil || u.Password == "" {
		if err := wastePassword(ctx, in.Password); err != nil {
			return nil, err
		}
		return nil, errCredentials
	}
	ok, outdated, err := isPassword(ctx, u, in.Password)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errCredentials
	}
	if u, err = m.passFactor(ctx, u, in.Code); err != nil {
		return nil, err
	}
	if outdated {
		if hash, err := hashPassword(ctx, in.Password); err == nil {
			// An old hash is as good as before if this fails.
			_, _ = update(withSight(ctx), m, MayRecoverAccount, u.ID, u.Version(), func(u *User) error {
				u.mark(unmarked, "")
				u.Password = hash
				return nil
			})
		}
	}
	return m.entered(ctx, u, "")
}

// isPassword is checkPassword for what anybody may have sent: what is too long
// is wrong, and costs the same.
func isPassword(ctx context.Context, u *User, password string) (ok, outdated bool, err error) {
	ok, outdated, err = checkPassword(ctx, u.Password, password)
	if errors.Is(err, ErrLimit) {
		return false, false, wastePassword(ctx, password)
	}
	return ok, outdated, err
}

// entered begins the session of a user who has shown who they are.
func (m *Market) entered(ctx context.Context, u *User, provider string) (*User, error) {
	if err := m.begin(ctx, u, provider); err != nil {
		return nil, err
	}
	return u, nil
}

// useCode uses up a code of the second factor, or a recovery code.
func (m *Market) useCode(ctx context.Context, id ID, code string) (*User, error) {
	if err := m.limit(ctx, limitCode, string(id)); err != nil {
		return nil, err
	}
	wrong := invalid("code", "CREDENTIALS", "is not right, or was used already")
	return update(withSight(ctx), m, MayRecoverAccount, id, 0, func(u *User) error {
		u.mark(unmarked, "")
		if u.Factor == nil {
			return wrong
		}
		secret, err := m.vault.open(factorPurpose(u.ID), u.Factor.Secret)
		if err != nil {
			return err
		}
		step, ok, err := checkTOTP(secret, code, m.now(), u.Factor.LastStep)
		if err != nil {
			return err
		}
		if ok {
			u.Factor.LastStep = step
			return nil
		}
		left, ok := useRecoveryCode(u.ID, u.Factor.Recovery, code)
		if !ok || !u.Factor.IsConfirmed {
			return wrong
		}
		u.did = Mark{Action: "USE_RECOVERY_CODE", By: u.ID}
		u.Factor.Recovery = left
		return nil
	})
}

func factorPurpose(user ID) string { return "second factor of " + string(user) }

// ownAccount is the viewer's, if they may change it.
func (m *Market) ownAccount(ctx context.Context) (*User, error) {
	u, err := m.ViewerUser(ctx)
	if err != nil {
		return nil, err
	}
	if u == nil {
		return nil, &ForbiddenError{Verb: MayEditAccount.verb}
	}
	return u, MayEditAccount.check(ctx, u)
}

// prove asks the viewer, who is signed in, for their password once more. Who
// has none, since another provider vouches for them, needs none.
func (m *Market) prove(ctx context.Context, path string, password *string) (*User, error) {
	u, err := m.ownAccount(ctx)
	if err != nil {
		return nil, err
	}
	if u.Password == "" {
		return u, nil
	}
	if err := m.limit(ctx, limitSignIn, u.Email); err != nil {
		return nil, err
	}
	switch ok, _, err := isPassword(ctx, u, text(password)); {
	case err != nil:
		return nil, err
	case !ok:
		return nil, invalid(path, "CREDENTIALS", "is not right")
	}
	return u, nil
}

// ChangePasswordInput is what ChangePassword takes.
type ChangePasswordInput struct {
	Current  *string // not needed where there is none yet
	Password string
}

// ChangePassword gives the viewer another password and ends all other sessions.
func (m *Market) ChangePassword(ctx context.Context, in ChangePasswordInput) (*User, error) {
	u, err := m.prove(ctx, "current", in.Current)
	if err != nil {
		return nil, err
	}
	u, err = m.setPassword(ctx, MayEditAccount, u, in.Password, u.Epoch)
	if err != nil {
		return nil, err
	}
	return u, m.renew(ctx, u)
}

func (m *Market) setPassword(ctx context.Context, may Permission, u *User, password string, epoch int) (*User, error) {
	var p problems
	checkNewPassword(&p, "password", password, u.Email, u.Name)
	if err := p.err(); err != nil {
		return nil, err
	}
	hash, err := hashPassword(ctx, password)
	if err != nil {
		return nil, err
	}
	return update(withSight(ctx), m, may, u.ID, 0, func(u *User) error {
		if u.Epoch != epoch {
			return invalid("link", "EXPIRED", "is not good any more: the account was changed in the meantime")
		}
		u.did = Mark{Action: "CHANGE_PASSWORD", By: u.ID}
		u.Password = hash
		u.Epoch++
		return nil
	})
}

// RequestReset sends a link for a new password to an address, if somebody has
// an account with it. The answer and what is stored are the same if nobody does.
func (m *Market) RequestReset(ctx context.Context, email string) error {
	email = normalEmail(email)
	var p problems
	if checkEmail(&p, "email", email); p.err() != nil {
		return p.err()
	}
	if err := m.limit(ctx, limitReset, email); err != nil {
		return err
	}
	t := &Ticket{Purpose: TicketReset, State: TicketOpen, Email: email, ExpiresAt: m.clock().Add(resetLife), Languages: ViewerOf(ctx).Languages, Posting: due(m.clock())}
	u, err := m.userByEmail(ctx, email)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if err == nil && !u.IsSuspended {
		t.User, t.Epoch, t.Languages = u.ID, u.Epoch, u.Languages
	}
	return create(withSight(ctx), m, MayRecoverAccount, t)
}

// ResetPasswordInput is what ResetPassword takes.
type ResetPasswordInput struct {
	Link     string
	Password string
}

// ResetPassword gives whoever holds the link that was asked for a new
// password. It ends all sessions and all earlier links.
func (m *Market) ResetPassword(ctx context.Context, in ResetPasswordInput) error {
	t, err := m.redeem(ctx, in.Link, TicketReset)
	if err != nil {
		return err
	}
	u, err := get[*User](withSight(ctx), m, t.User)
	if err != nil {
		return err
	}
	if _, err := m.setPassword(ctx, MayRecoverAccount, u, in.Password, t.Epoch); err != nil {
		return err
	}
	return m.spend(ctx, t)
}

// RequestEmailInput is what RequestEmail takes.
type RequestEmailInput struct {
	Email    string
	Password *string
}

// RequestEmail sends a link to the address that the viewer wants to have.
func (m *Market) RequestEmail(ctx context.Context, in RequestEmailInput) error {
	u, err := m.prove(ctx, "password", in.Password)
	if err != nil {
		return err
	}
	if err := m.limit(ctx, limitReset, string(u.ID)); err != nil {
		return err
	}
	t := &Ticket{Purpose: TicketEmail, State: TicketOpen, Email: normalEmail(in.Email), ExpiresAt: m.clock().Add(resetLife),
		Languages: u.Languages, User: u.ID, Epoch: u.Epoch, Posting: due(m.clock())}
	t.mark("REQUEST_EMAIL", t.Email)
	return create(withSight(ctx), m, MayRecoverAccount, t)
}

// ConfirmEmail gives the user who asked for it the address to which the link was sent.
func (m *Market) ConfirmEmail(ctx context.Context, link string) error {
	t, err := m.redeem(ctx, link, TicketEmail)
	if err != nil {
		return err
	}
	u, err := update(withSight(ctx), m, MayRecoverAccount, t.User, 0, func(u *User) error {
		if u.Epoch != t.Epoch {
			return invalid("link", "EXPIRED", "is not good any more: the account was changed in the meantime")
		}
		u.did = Mark{Action: "CHANGE_EMAIL", By: u.ID, Note: u.Email + " to " + t.Email}
		u.Email = t.Email
		u.Epoch++
		return nil
	})
	if err != nil {
		return err
	}
	if actorOf(ctx).User == u.ID {
		if err := m.renew(ctx, u); err != nil {
			return err
		}
	}
	return m.spend(ctx, t)
}

// A NewFactor is what an authenticator needs. It is shown once.
type NewFactor struct {
	Secret string // base32
	URI    string // otpauth://, for a QR code
}

// SetUpFactor makes the secret of a second factor. It counts once a code has
// confirmed it.
func (m *Market) SetUpFactor(ctx context.Context, password *string) (*NewFactor, error) {
	u, err := m.prove(ctx, "password", password)
	if err != nil {
		return nil, err
	}
	secret := newTOTPSecret()
	sealed, err := m.vault.seal(factorPurpose(u.ID), secret)
	if err != nil {
		return nil, err
	}
	_, err = update(ctx, m, MayEditAccount, u.ID, 0, func(u *User) error {
		if u.HasSecondFactor() {
			return invalid("password", "INVALID", "there is a second factor already: remove it first")
		}
		u.mark("SET_UP_FACTOR", "")
		u.Factor = &Factor{Secret: sealed}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &NewFactor{Secret: secret, URI: totpURI("Citymarket", u.Email, secret)}, nil
}

// ConfirmFactor turns the second factor on by a first code, and returns
// recovery codes, of which each can be used once in place of a code.
func (m *Market) ConfirmFactor(ctx context.Context, code string) ([]string, error) {
	u, err := m.ownAccount(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := m.useCode(ctx, u.ID, code); err != nil {
		return nil, err
	}
	codes, hashes := newRecoveryCodes(u.ID)
	_, err = update(ctx, m, MayEditAccount, u.ID, 0, func(u *User) error {
		if u.Factor == nil {
			return invalid("code", "INVALID", "there is nothing to confirm")
		}
		u.mark("TURN_ON_FACTOR", "")
		u.Factor.IsConfirmed, u.Factor.Recovery = true, hashes
		return nil
	})
	return codes, err
}

// RemoveFactorInput is what RemoveFactor takes.
type RemoveFactorInput struct {
	Password *string
	Code     string
}

// RemoveFactor turns the second factor off.
func (m *Market) RemoveFactor(ctx context.Context, in RemoveFactorInput) (*User, error) {
	u, err := m.prove(ctx, "password", in.Password)
	if err != nil {
		return nil, err
	}
	if _, err := m.useCode(ctx, u.ID, in.Code); err != nil {
		return nil, err
	}
	return update(ctx, m, MayEditAccount, u.ID, 0, func(u *User) error {
		u.mark("TURN_OFF_FACTOR", "")
		u.Factor = nil
		return nil
	})
}
