package marketplace

import (
	"context"
	"time"
)

// SetClock makes a marketplace live at another time.
func (m *Market) SetClock(now func() time.Time) { m.now = now }

// PlaceUser adds a user who cannot sign in, so that no password is hashed.
func (m *Market) PlaceUser(ctx context.Context, u *User) error {
	return create(ctx, m, MayPlaceUser, u)
}

// ForgetTries gives everybody all tries back, where the clock was set back.
func (m *Market) ForgetTries() { m.throttle = newThrottle(maxThrottled) }
