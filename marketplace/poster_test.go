package marketplace

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// The vector of the Standard Webhooks libraries.
func TestWebhookSignature(t *testing.T) {
	t.Parallel()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	const signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	at, body := time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)
	h, err := webhookHeader([]string{secret}, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, body)
	if err != nil {
		t.Fatal(err)
	}
	if h["webhook-signature"] != signature || h["webhook-id"] != "msg_p5jXN8AQM9LWM0D4loKWxJek" || h["webhook-timestamp"] != "1614265330" {
		t.Error(h)
	}
	// While secrets change, both sign.
	next := newWebhookSecret()
	h, err = webhookHeader([]string{next, secret}, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, body)
	if err != nil {
		t.Fatal(err)
	}
	if s := strings.Split(h["webhook-signature"], " "); len(s) != 2 || s[1] != signature || s[0] == signature || !strings.HasPrefix(s[0], "v1,") {
		t.Error(h)
	}
	if next == newWebhookSecret() {
		t.Error("the same secret twice")
	}
}

func TestWebhookThatIsNotSigned(t *testing.T) {
	t.Parallel()
	good := newWebhookSecret()
	for name, c := range map[string]struct {
		secrets []string
		id      string
	}{
		"no secret":           {nil, "a"},
		"too many":            {[]string{good, good, good, good, good}, "a"},
		"a full stop":         {[]string{good}, "a.1"},
		"a line":              {[]string{good}, "a\nb"},
		"no id":               {[]string{good}, ""},
		"no prefix":           {[]string{strings.TrimPrefix(good, "whsec_")}, "a"},
		"a short secret":      {[]string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLQ=="}, "a"},
		"one bad of two":      {[]string{good, "whsec_!"}, "a"},
		"a secret that is ''": {[]string{""}, "a"},
	} {
		if h, err := webhookHeader(c.secrets, c.id, time.Unix(0, 0), nil); err == nil || strings.Contains(err.Error(), "whsec_M") {
			t.Errorf("%s: %v %v", name, h, err)
		}
	}
}

func TestWebhookBody(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 17, 30, 0, 0, time.FixedZone("KST", 9*3600))
	b, err := webhookBody("proposal.published", at, map[string]string{"id": "proposal_06d2k3"})
	if err != nil || string(b) != `{"type":"proposal.published","timestamp":"2026-03-02T08:30:00Z","data":{"id":"proposal_06d2k3"}}` {
		t.Errorf("%s %v", b, err)
	}
	if _, err := webhookBody("a", at, strings.Repeat("x", maxWebhookBody)); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
	if _, err := webhookBody("a", at, func() {}); err == nil {
		t.Error("a function was sent")
	}
	if !json.Valid(b) {
		t.Error("not JSON")
	}
}

func TestWebhookURLs(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{ // what of it may be used: always, only in development, never
		"https://example.org":                              "always",
		"https://example.org/":                             "always",
		"HTTPS://Example.ORG:443/hook?token=a%20b":         "always",
		"https://hooks.example.org:8443/a":                 "always",
		"https://xn--fsqu00a.xn--55qx5d/":                  "always",
		"https://example.org./":                            "always",
		"https://8.8.8.8/":                                 "always",
		"https://[2a00:1450:4001:800::200e]/":              "always",
		"http://localhost:3000/hook":                       "development",
		"https://localhost/":                               "development",
		"http://127.0.0.1:8080/":                           "development",
		"http://[::1]:8080/":                               "development",
		"https://[::ffff:127.0.0.1]/":                      "development",
		"http://example.org/":                              "never",
		"":                                                 "never",
		"example.org/hook":                                 "never",
		"//example.org/hook":                               "never",
		"https:example.org":                                "never",
		"https://":                                         "never",
		"https:///hook":                                    "never",
		"ftp://example.org/":                               "never",
		"file:///etc/passwd":                               "never",
		"gopher://localhost/":                              "never",
		"https://user:secret@example.org/":                 "never",
		"https://example.org@127.0.0.1/":                   "never",
		"https://example.org/#a":                           "never",
		"https://example.org:22/":                          "never",
		"https://example.org:25/":                          "never",
		"https://example.org:80/":                          "never",
		"https://example.org:0/":                           "never",
		"https://example.org:65536/":                       "never",
		"https://example.org:x/":                           "never",
		"https://intranet/":                                "never",
		"https://db.internal/":                             "never",
		"https://printer.local/":                           "never",
		"https://a.localhost/":                             "never",
		"https://10.0.0.1/":                                "never",
		"https://169.254.169.254/latest":                   "never",
		"https://[fe80::1%25eth0]/":                        "never",
		"https://[fd00:ec2::254]/":                         "never",
		"https://0/":                                       "never",
		"https://2130706433/":                              "never",
		"https://0x7f.1/":                                  "never",
		"https://127.1/":                                   "never",
		"https://017700000001/":                            "never",
		"https://0x7f.0.0.0x1/":                            "never",
		"https://exa mple.org/":                            "never",
		"https://example.org/\r\nX-A: b":                   "never",
		"https://例子.公司/":                                   "never",
		"https://-a.example.org/":                          "never",
		"https://a..example.org/":                          "never",
		"https://example.org/" + strings.Repeat("a", 2000): "never",
	} {
		var p, dev problems
		checkWebhookURL(&p, "url", s, false)
		checkWebhookURL(&dev, "url", s, true)
		got := "never"
		if p.err() == nil {
			got = "always"
		} else if dev.err() == nil {
			got = "development"
		}
		if got != want {
			t.Errorf("%q: %s, want %s: %v", s, got, want, p.err())
		}
		for _, e := range p.list {
			if e.Path != "url" || e.Code == "" || !strings.HasPrefix(e.Message, "must ") {
				t.Errorf("%q: %+v", s, e)
			}
		}
		if p.err() == nil && dev.err() != nil {
			t.Errorf("%q: development is stricter", s)
		}
	}
}

func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]bool{
		"1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 172.15.255.255 172.32.0.0 192.0.1.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255": true,
		"2606:4700::1111 2a00:1450:4001:800::200e 2001:200::1 2003::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8":                                                                                                true,
		"0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.192":                          false,
		"192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16":                                      false,
		":: ::1 fe80::1 fe80::1%eth0 febf::1 fec0::1 fc00::1 fd00:ec2::254 ff02::1 100::1 5f00::1 4000::1 2001:db8::1 3fff::1":                                                                        false,
		"::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::7f00:1 64:ff9b::127.0.0.1 64:ff9b::169.254.169.254 64:ff9b::10.0.0.1 64:ff9b:1::8.8.8.8":                                           false,
		"2002:7f00:1:: 2002:a00:1::1 2002:808:808::1 2001:0:7f00:1:: 2001:2::1 2001:10::1 2001:20::1":                                                                                                 false,
	} {
		for s := range strings.FieldsSeq(list) {
			if a := netip.MustParseAddr(s); IsPublicAddress(a) != want {
				t.Errorf("%s: public is %v", s, !want)
			}
		}
	}
	if IsPublicAddress(netip.Addr{}) {
		t.Error("no address is public")
	}
}
