package marketplace

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Poster sends HTTP POST requests to addresses that strangers chose. It is
// safe for concurrent use.
type Poster interface {
	// Post sends one request and returns how it was answered, with whatever
	// status. It reaches public addresses alone, and follows no redirect. An
	// error that wraps ErrPostRefused will not go away by itself; after any
	// other error the receiver may or may not have got the request. Neither
	// holds the path or query of the address, which may be secret.
	Post(ctx context.Context, url string, header map[string]string, body []byte) (PostResult, error)
}

// ErrPostRefused: nothing was sent, because the address is not one that we
// send to.
var ErrPostRefused = errors.New("address refused")

// A PostResult is how a request was answered.
type PostResult struct {
	Status     int           // of HTTP; 200 to 299: accepted; 410: the receiver wants no more
	Body       string        // the first KiB of the answer, as UTF-8
	RetryAfter time.Duration // how long the receiver asks to be left alone; at most a day, 0: it does not ask
	Took       time.Duration // from the call until the answer
}

// Webhooks are signed as Standard Webhooks 1.0.0 has it
// (https://www.standardwebhooks.com), for which there are libraries in many
// languages.
const (
	webhookSecretPrefix = "whsec_"
	webhookSecretSize   = 32        // bytes; the standard allows 24 to 64
	maxWebhookBody      = 256 << 10 // bytes
	maxWebhookSecrets   = 4         // of one webhook at once, while it changes to another
	maxWebhookURL       = 2000      // bytes
)

// newWebhookSecret returns a secret as its receiver keeps it: "whsec_" and 44
// characters.
func newWebhookSecret() string {
	b := make([]byte, webhookSecretSize)
	rand.Read(b)
	return webhookSecretPrefix + base64.StdEncoding.EncodeToString(b)
}

// webhookKey is the key in a secret.
func webhookKey(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, webhookSecretPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errors.New("marketplace: a webhook's secret must be whsec_ and 24 to 64 bytes in base64")
	}
	return key, nil
}

// webhookBody is what a webhook is told, as the standard has it:
//
//	{"type":"proposal.published","timestamp":"2026-03-02T08:30:00Z","data":{"id":"proposal_06d2k3"}}
//
// at is when it happened, the same however often it is sent.
func webhookBody(event string, at time.Time, data any) ([]byte, error) {
	b, err := json.Marshal(struct {
		Type      string    `json:"type"`
		Timestamp time.Time `json:"timestamp"`
		Data      any       `json:"data"`
	}{event, at.UTC(), data})
	if err != nil {
		return nil, fmt.Errorf("marketplace: webhook %s: %w", event, err)
	}
	if len(b) > maxWebhookBody {
		return nil, fmt.Errorf("marketplace: webhook %s: %d bytes: %w", event, len(b), ErrLimit)
	}
	return b, nil
}

var webhookIDPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

// webhookHeader signs what is sent, with each of the secrets that are valid
// now: while a receiver changes to a new one, with both. The id is that of
// what happened, the same however often it is sent, so that the receiver can
// drop what came twice; at is when this try is made. Neither may hold a full
// stop, which separates what is signed.
func webhookHeader(secrets []string, id string, at time.Time, body []byte) (map[string]string, error) {
	if len(secrets) == 0 || len(secrets) > maxWebhookSecrets || !webhookIDPattern.MatchString(id) {
		return nil, errors.New("marketplace: a webhook needs 1 to 4 secrets and an id of letters, digits, hyphens and underscores")
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	signatures := make([]string, len(secrets))
	for i, s := range secrets {
		key, err := webhookKey(s)
		if err != nil {
			return nil, err
		}
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return map[string]string{
		"content-type":      "application/json",
		"webhook-id":        id,
		"webhook-timestamp": stamp,
		"webhook-signature": strings.Join(signatures, " "),
	}, nil
}

// checkWebhookURL reports an address that no Poster would send to.
func checkWebhookURL(p *problems, path, s string, loopback bool) {
	if s == "" {
		p.add(path, "REQUIRED", "must not be empty")
	} else if err := CheckPostURL(s, loopback); err != nil {
		p.add(path, "INVALID", strings.TrimPrefix(err.Error(), ErrPostRefused.Error()+": "))
	}
}

var (
	hostPattern  = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)$`)
	numberLabel  = regexp.MustCompile(`^(0[xX][0-9A-Fa-f]*|[0-9]+)$`)
	closedLabels = map[string]bool{"localhost": true, "local": true, "internal": true, "intranet": true, "lan": true, "home": true, "corp": true, "private": true, "test": true, "invalid": true, "onion": true, "arpa": true}
)

// CheckPostURL says what is wrong with an address that a stranger wants
// requests sent to; the error wraps ErrPostRefused. It must be https, to port
// 443 or one from 1024 on (the others belong to services that are not HTTP,
// such as mail), at a name or a public IP address. What a name leads to is
// found out by whoever connects. With loopback, for development, http and
// this machine's own addresses are allowed as well.
func CheckPostURL(s string, loopback bool) error {
	refuse := func(why string) error { return fmt.Errorf("%w: %s", ErrPostRefused, why) }
	u, err := url.Parse(s)
	if err != nil || len(s) > maxWebhookURL || u.Host == "" || u.Opaque != "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return refuse("must be an address such as https://example.org/hook in ASCII, at most 2000 characters")
	}
	if u.User != nil || strings.Contains(s, "#") {
		return refuse("must not hold a password or a fragment")
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	ip, err := netip.ParseAddr(host)
	isIP := err == nil
	local := host == "localhost" || isIP && ip.Unmap().IsLoopback()
	if loopback && local && (u.Scheme == "http" || u.Scheme == "https") {
		return nil
	}
	if u.Scheme != "https" {
		return refuse("must begin with https://")
	}
	if port := u.Port(); port != "" && port != "443" {
		if n, err := strconv.Atoi(port); err != nil || n < 1024 || n > 65535 {
			return refuse("must have no port, 443, or one from 1024 to 65535")
		}
	}
	if isIP {
		if !IsPublicAddress(ip) {
			return refuse("must lead to a public address")
		}
		return nil
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	switch {
	case closedLabels[last]:
		return refuse("must lead to a public address")
	case len(host) > 253 || !hostPattern.MatchString(host) || numberLabel.MatchString(last):
		return refuse("must name a host such as example.org, in its xn-- form where it has other letters")
	}
	return nil
}

// notPublic are the ranges of the IANA special-purpose address registries that
// do not lead to somebody on the public internet, or lead on to an address of
// the older kind. Of IPv6 only 2000::/3 is public at all.
var notPublic = func() []netip.Prefix {
	var list []netip.Prefix
	for s := range strings.FieldsSeq(`
		0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12
		192.0.0.0/24 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24
		198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
		168.63.129.16/32
		2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20
	`) { // 168.63.129.16 is the metadata service of a large cloud
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}()

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	nat64         = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: the last 32 bits are the IPv4 address
)

// IsPublicAddress says whether an address belongs to somebody on the public
// internet: not to this machine, its network, its cloud's metadata service, a
// group, or a documentation. IPv4 addresses inside IPv6 addresses count as
// what they are; those of tunnels (6to4, Teredo) never as public. A network
// whose NAT64 has a prefix of its own must keep it from its private
// addresses itself.
func IsPublicAddress(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if a.Is6() && nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if !a.IsValid() || a.Is6() && !globalUnicast.Contains(a) {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
