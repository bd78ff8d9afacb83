package marketplace

import (
	"context"
	"time"
)

type throttleLimit struct {
	Burst int
	Every time.Duration
}
type throttle struct{}

func newThrottle() *throttle                                                    { return &throttle{} }
func (*throttle) take(key string, l throttleLimit, now time.Time) time.Duration { return 0 }

type RateLimitedError struct{ Wait time.Duration }

func (e *RateLimitedError) Error() string { return "" }

func hashPassword(ctx context.Context, p string) (string, error) { return p, nil }
func checkPassword(ctx context.Context, hash, p string) (ok, old bool, err error) {
	return hash == p, false, nil
}
func wastePassword(ctx context.Context) error                                 { return nil }
func checkNewPassword(p *problems, path, password string, personal ...string) {}
func newTOTPSecret() string                                                   { return "" }
func totpURI(secret, issuer, account string) string                           { return "" }
func checkTOTP(secret, code string, now time.Time, last int64) (int64, bool)  { return 0, false }
func newRecoveryCodes() (codes, hashes []string)                              { return nil, nil }
func hashRecoveryCode(s string) string                                        { return s }
func network(address string) string                                           { return address }
