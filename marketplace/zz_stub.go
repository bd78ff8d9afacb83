package marketplace

import "time"

type throttleLimit struct {
	Burst int
	Every time.Duration
}
type throttle struct{}

func newThrottle() *throttle                                                    { return &throttle{} }
func (*throttle) take(key string, l throttleLimit, now time.Time) time.Duration { return 0 }

func newTOTPSecret() string                                                  { return "" }
func totpURI(secret, issuer, account string) string                          { return "" }
func checkTOTP(secret, code string, now time.Time, last int64) (int64, bool) { return 0, false }
func newRecoveryCodes() (codes, hashes []string)                             { return nil, nil }
func hashRecoveryCode(s string) string                                       { return s }
func network(address string) string                                          { return address }
