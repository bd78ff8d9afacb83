package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"citymarket/marketplace"
)

// A door finds out for whom a request is made: the user of a session, which
// browsers keep as a cookie, or of a token, which programs send as
// "Authorization: Bearer ...", or a visitor.
type door struct {
	market  *marketplace.Market
	log     *slog.Logger
	cookie  string
	secure  bool
	proxies int
}

func newDoor(market *marketplace.Market, c config, log *slog.Logger) *door {
	d := &door{market: market, log: log, cookie: "citymarket", proxies: c.proxies}
	if d.secure = strings.HasPrefix(c.url, "https://"); d.secure {
		// A browser takes such a cookie over TLS only, and from this host only.
		d.cookie = "__Host-citymarket"
	}
	return d
}

// open begins a request for whoever sent it.
func (d *door) open(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept-Language, Authorization, Cookie")
		v := d.viewer(r)
		if r.Method == http.MethodPost {
			v.KeepSession = func(secret string, until time.Time) { d.keep(w, secret, until) }
		}
		secret, isToken := d.secret(r)
		var err error
		if secret != "" {
			v.Actor, err = d.market.Authenticate(marketplace.WithViewer(r.Context(), v), secret)
		}
		switch {
		case err == nil:
		case !errors.Is(err, marketplace.ErrNotFound):
			d.log.Warn("a session or token cannot be looked up", "error", err)
			refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE", marketplace.ErrUnavailable.Error())
			return
		case isToken:
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, "UNAUTHENTICATED", "the token is not good, or not any more")
			return
		default:
			d.keep(w, "", time.Time{}) // a session that has ended
		}
		if r.Header.Get("Accept-Language") == "" && v.Actor.User != "" {
			v.Languages = d.market.LanguagesOf(marketplace.WithViewer(r.Context(), v))
		}
		next.ServeHTTP(w, r.WithContext(marketplace.WithViewer(r.Context(), v)))
	})
}

// authenticate begins requests for the user of a token that comes in the
// first message of a WebSocket, since browsers cannot send it as a header.
func (d *door) authenticate(ctx context.Context, bearer string) (context.Context, error) {
	v := marketplace.ViewerOf(ctx)
	v.KeepSession = nil
	var err error
	v.Actor, err = d.market.Authenticate(marketplace.WithViewer(ctx, v), strings.TrimSpace(bearer))
	return marketplace.WithViewer(ctx, v), err
}

// client tells clients apart by their address; one that has IPv6 has a whole
// network of 64 bits to choose from.
func (d *door) client(r *http.Request) string {
	address := d.address(r)
	return cmp.Or(marketplace.NetworkOf(address), address)
}

// viewer is what a request says of who sends it, but for who they are.
func (d *door) viewer(r *http.Request) marketplace.Viewer {
	return marketplace.Viewer{
		Languages: marketplace.AcceptedLanguages(r.Header.Get("Accept-Language")),
		Address:   d.address(r),
		Agent:     r.UserAgent(),
	}
}

// address is the client's network address. Each trusted proxy in front of the
// server adds one to X-Forwarded-For, so what lies before those was written
// by the client and may be anything.
func (d *door) address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if d.proxies == 0 {
		return host
	}
	chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if n := len(chain) - d.proxies; n >= 0 {
		if ip := net.ParseIP(strings.TrimSpace(chain[n])); ip != nil {
			return ip.String()
		}
	}
	return host
}

// secret is what the request proves its user with, and whether that is a token.
func (d *door) secret(r *http.Request) (secret string, isToken bool) {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token), true
	}
	if c, err := r.Cookie(d.cookie); err == nil {
		return c.Value, false
	}
	return "", false
}

// keep makes the client keep the secret of a session, or forget it.
func (d *door) keep(w http.ResponseWriter, secret string, until time.Time) {
	c := &http.Cookie{Name: d.cookie, Value: secret, Path: "/", HttpOnly: true, Secure: d.secure, SameSite: http.SameSiteLaxMode, Expires: until}
	if secret == "" {
		c.MaxAge, c.Expires = -1, time.Time{}
	}
	replaceCookie(w, c)
}

// replaceCookie sets a cookie in an answer. Of several commands in one request
// the last one counts.
func replaceCookie(w http.ResponseWriter, c *http.Cookie) {
	var others []string
	for _, set := range w.Header().Values("Set-Cookie") {
		if !strings.HasPrefix(set, c.Name+"=") {
			others = append(others, set)
		}
	}
	w.Header().Del("Set-Cookie")
	for _, set := range append(others, c.String()) {
		w.Header().Add("Set-Cookie", set)
	}
}

// refuse answers in the form of the API's errors.
func refuse(w http.ResponseWriter, status int, code, message string) {
	writeJSON(w, status, map[string]any{"errors": []any{map[string]any{
		"message": message, "extensions": map[string]any{"code": code},
	}}})
}
