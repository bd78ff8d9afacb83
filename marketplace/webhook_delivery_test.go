package marketplace_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	. "citymarket/marketplace"
	"citymarket/marketplace/httppost"
)

// A receiver that does what the standard tells receivers to do accepts what
// is sent to it, with the old secret or the new one, and nothing else.
func TestReceiverVerifies(t *testing.T) {
	t.Parallel()
	secrets := []string{NewWebhookSecret(), NewWebhookSecret()}
	known := "" // the one secret that the receiver has
	receiver := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(known, "whsec_"))
		mac := hmac.New(sha256.New, key)
		io.WriteString(mac, r.Header.Get("webhook-id")+"."+r.Header.Get("webhook-timestamp")+"."+string(body))
		at, err := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64)
		if age := time.Since(time.Unix(at, 0)); err != nil || age > 5*time.Minute || age < -5*time.Minute {
			http.Error(w, "not now", http.StatusBadRequest)
			return
		}
		for s := range strings.SplitSeq(r.Header.Get("webhook-signature"), " ") {
			text, ok := strings.CutPrefix(s, "v1,")
			if signature, err := base64.StdEncoding.DecodeString(text); ok && err == nil && hmac.Equal(signature, mac.Sum(nil)) {
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		http.Error(w, "wrong signature", http.StatusUnauthorized)
	}))
	defer receiver.Close()
	pool := x509.NewCertPool()
	pool.AddCert(receiver.Certificate())
	client := httppost.New(httppost.Config{Loopback: true, RootCAs: pool})
	defer client.Close()
	body, err := WebhookBody("meeting.accepted", time.Now(), map[string]string{"id": "meeting_06d2k3"})
	must(t, err)
	header, err := WebhookHeader(secrets, "event_06d2k3", time.Now(), body)
	must(t, err)
	for name, c := range map[string]struct {
		secret string
		body   string
		status int
	}{
		"new secret":     {secrets[0], string(body), 204},
		"old secret":     {secrets[1], string(body), 204},
		"another secret": {NewWebhookSecret(), string(body), 401},
		"changed body":   {secrets[0], string(body) + " ", 401},
	} {
		known = c.secret
		got, err := client.Post(t.Context(), receiver.URL, header, []byte(c.body))
		if err != nil || got.Status != c.status {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
}
