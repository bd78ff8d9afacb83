package marketplace_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	. "citymarket/marketplace"
	"citymarket/marketplace/httppost"
)

// A receiver is a server over TLS that takes webhooks as the standard says,
// and answers as a test wants.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex
	secrets []string
	answer  func(w http.ResponseWriter, r *http.Request)
	got     []request
}

type request struct {
	id, event, subject string
	ok                 bool // signed with one of the secrets
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		var content struct {
			Type string
			Data struct{ Subject struct{ ID string } }
		}
		_ = json.Unmarshal(body, &content)
		r.mu.Lock()
		got := request{id: q.Header.Get("webhook-id"), event: content.Type, subject: content.Data.Subject.ID}
		for _, secret := range r.secrets {
			key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
			mac := hmac.New(sha256.New, key)
			io.WriteString(mac, got.id+"."+q.Header.Get("webhook-timestamp")+"."+string(body))
			want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
			got.ok = got.ok || slices.Contains(strings.Fields(q.Header.Get("webhook-signature")), want)
		}
		r.got = append(r.got, got)
		answer := r.answer
		r.mu.Unlock()
		if answer != nil {
			answer(w, q)
		}
	}))
	r.Config.ErrorLog = log.New(io.Discard, "", 0)
	r.StartTLS()
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answers(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, strings.Repeat("so it is ", 1000))
	}
}

// take hands over what has come since it was last called.
func (r *receiver) take() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

// webhookWorld is a world whose webhooks may reach the receivers.
func webhookWorld(t testing.TB, receivers ...*receiver) *world {
	pool := x509.NewCertPool()
	for _, r := range receivers {
		pool.AddCert(r.Certificate())
	}
	client := httppost.New(httppost.Config{Loopback: true, RootCAs: pool, Timeout: time.Second})
	t.Cleanup(client.Close)
	return newWorld(t, Options{Key: bytes.Repeat([]byte{7}, KeySize), Poster: client, Loopback: true})
}

func (w *world) hook(r *receiver, events ...string) *Webhook {
	w.t.Helper()
	hook, secret, err := w.CreateWebhook(as(ada), CreateWebhookInput{Member: "company_acme", URL: r.URL + "/hook?token=0815", Events: events})
	if err != nil {
		w.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets = []string{secret}
	return hook
}

func (w *world) draft(n int) {
	w.t.Helper()
	if err := w.AddSolution(as(ada), w.solution(fmt.Sprintf("s%d", n), "Pump", SolutionDraft)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) log(hook *Webhook) []*Delivery {
	w.t.Helper()
	page, err := w.DeliveriesOf(as(ada), hook, nil, Slice{First: new(100)})
	if err != nil {
		w.t.Fatal(err)
	}
	return page.Nodes()
}

// What happens is told once, signed, in its order, to who wants it.
func TestWebhooksTellWhatHappens(t *testing.T) {
	t.Parallel()
	all, some := newReceiver(t), newReceiver(t)
	w := webhookWorld(t, all, some)
	w.draft(0)
	w.catchUp()
	w.now.Add(int64(2 * time.Hour)) // what was before is not told
	w.hook(all, "solution.*")
	w.hook(some, "*.SUBMIT", "team.JOIN")
	for n := 1; n < 6; n++ {
		w.draft(n)
		w.now.Add(int64(time.Second))
	}
	_, err := w.MoveSolution(as(ada), MoveSolutionInput{ID: "solution_s3", Move: "SUBMIT"})
	must(t, err)
	w.catchUp()
	w.restart()
	w.pass(time.Hour)
	var told []string
	ids := map[string]bool{}
	for _, q := range all.take() {
		if !q.ok || ids[q.id] {
			t.Errorf("%+v", q)
		}
		ids[q.id] = true
		told = append(told, q.event+" "+q.subject)
	}
	if got, want := strings.Join(told, ", "), "solution.ADD solution_s1, solution.ADD solution_s2, solution.ADD solution_s3, solution.ADD solution_s4, solution.ADD solution_s5, solution.SUBMIT solution_s3"; got != want {
		t.Errorf("told %s", got)
	}
	if got := some.take(); len(got) != 1 || got[0].event != "solution.SUBMIT" || ids[got[0].id] {
		t.Errorf("told %+v", got)
	}
}

// What does not arrive is sent again after growing pauses with the same id,
// and given up after all of them.
func TestWebhooksAreSentAgain(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := webhookWorld(t, r)
	hook := w.hook(r, "solution.*")
	w.catchUp()
	r.answers(503)
	w.draft(1)
	w.catchUp()
	tries := r.take()
	for _, pause := range []time.Duration{5 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour} {
		w.pass(pause * 6 / 10)
		if early := r.take(); len(early) > 0 {
			t.Errorf("again before %v", pause)
		}
		w.pass(pause*7/10 + 2*time.Second)
		tries = append(tries, r.take()...)
	}
	if len(tries) != 9 || slices.ContainsFunc(tries, func(q request) bool { return q.id != tries[0].id || !q.ok }) {
		t.Errorf("%d tries: %+v", len(tries), tries)
	}
	d := w.log(hook)[0]
	if last := d.Attempts[len(d.Attempts)-1]; d.State != DeliveryFailed || len(d.Attempts) != 9 || d.NextAt != nil || last.Status != 503 || len(last.Excerpt) > 1024 || !strings.HasPrefix(last.Excerpt, "so it is") {
		t.Errorf("%s after %d attempts, next %v", d.State, len(d.Attempts), d.NextAt)
	}
	r.answers(204)
	_, err := w.ResendDelivery(as(ada), d.ID)
	must(t, err)
	w.pass(0)
	if got := r.take(); len(got) != 1 || got[0].id != tries[0].id {
		t.Errorf("resent %+v", got)
	}
	if d := w.log(hook)[0]; d.State != DeliveryDone {
		t.Errorf("%+v", d)
	}
	if hook, err = w.Webhook(as(ada), hook.ID); err != nil || hook.FailingSince != nil {
		t.Errorf("failing since %v: %v", hook.FailingSince, err)
	}
	w.pass(31 * 24 * time.Hour)
	if n := len(w.log(hook)); n != 0 {
		t.Errorf("%d deliveries after a month", n)
	}
}

// Redirects are not followed; 410 pauses at once, five days of failures in
// the end, and the owners are told of both.
func TestWebhooksThatArePaused(t *testing.T) {
	t.Parallel()
	elsewhere, r := newReceiver(t), newReceiver(t)
	w := webhookWorld(t, r, elsewhere)
	hook := w.hook(r, "solution.*")
	r.answer = func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, elsewhere.URL, http.StatusTemporaryRedirect)
	}
	stops := func() (out []string) {
		page, err := w.Notifications(as(ada), nil, Slice{})
		must(t, err)
		for _, n := range page.Nodes() {
			if n.Kind == NotifyWebhook && n.Subject == hook.ID {
				out = append(out, n.Note)
			}
		}
		return out
	}
	for day := range 7 {
		w.draft(day)
		w.pass(24 * time.Hour)
	}
	if got := elsewhere.take(); len(got) > 0 {
		t.Errorf("a redirect was followed: %+v", got)
	}
	got, err := w.Webhook(as(ada), hook.ID)
	if err != nil || !got.IsPaused() || *got.PauseReason() != PausedFailing {
		t.Errorf("%+v %v", got, err)
	}
	if told := stops(); len(told) != 1 || told[0] != "FAILING" {
		t.Errorf("owners were told %v", told)
	}
	r.answers(410)
	_, err = w.EditWebhook(as(ada), EditWebhookInput{ID: hook.ID, IsPaused: new(false)})
	must(t, err)
	r.take()
	w.draft(10)
	w.draft(11)
	w.pass(time.Minute)
	w.draft(12)
	w.pass(time.Hour)
	if got := r.take(); len(got) != 1 {
		t.Errorf("after 410: %+v", got)
	}
	if told := stops(); len(told) != 2 || told[0] != "GONE" {
		t.Errorf("owners were told %v", told)
	}
	// A test is sent all the same.
	r.answers(200)
	_, err = w.PingWebhook(as(ada), hook.ID)
	must(t, err)
	w.pass(0)
	if got := r.take(); len(got) != 1 || got[0].event != "webhook.PING" || !got[0].ok {
		t.Errorf("a test: %+v", got)
	}
}

// A receiver that hangs costs others no more than one time-out, and its own
// backlog is tried one by one.
func TestASlowReceiverHoldsUpNobody(t *testing.T) {
	t.Parallel()
	slow, fast := newReceiver(t), newReceiver(t)
	w := webhookWorld(t, slow, fast)
	hang := make(chan struct{})
	defer close(hang)
	slow.answer = func(_ http.ResponseWriter, q *http.Request) {
		select {
		case <-hang:
		case <-q.Context().Done():
		}
	}
	hook := w.hook(slow, "solution.*")
	w.hook(fast, "solution.*")
	for n := range 20 {
		w.draft(n)
	}
	begun := time.Now()
	w.catchUp()
	if took := time.Since(begun); took > 15*time.Second { // one time-out of a second, not twenty
		t.Errorf("it took %v", took)
	}
	if n := len(slow.take()); n != 1 {
		t.Errorf("%d requests to the slow receiver", n)
	}
	if n := len(fast.take()); n != 20 {
		t.Errorf("%d requests to the fast receiver", n)
	}
	failed := slices.DeleteFunc(w.log(hook), func(d *Delivery) bool { return len(d.Attempts) == 0 })
	if len(failed) != 1 || failed[0].Attempts[0].Error == "" || strings.Contains(failed[0].Attempts[0].Error, "0815") {
		t.Errorf("%+v", failed)
	}
}

// Both secrets sign for a day after a change; neither stands in the database.
func TestSecretsOfWebhooks(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := webhookWorld(t, r)
	hook := w.hook(r, "solution.*")
	old := r.secrets[0]
	_, fresh, err := w.RotateWebhookSecret(as(ada), hook.ID)
	must(t, err)
	if fresh == old {
		t.Fatal("the same secret")
	}
	for i, c := range []struct {
		secret string
		wait   time.Duration
		ok     bool
	}{{old, 0, true}, {fresh, 0, true}, {old, 23 * time.Hour, true}, {old, 2 * time.Hour, false}, {fresh, 0, true}} {
		w.pass(c.wait)
		r.take()
		r.mu.Lock()
		r.secrets = []string{c.secret}
		r.mu.Unlock()
		w.draft(i)
		w.pass(0)
		if got := r.take(); len(got) != 1 || got[0].ok != c.ok {
			t.Errorf("%d: %+v", i, got)
		}
	}
	for _, secret := range []string{old, fresh} {
		raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		inFiles(t, w.path, false, []byte(strings.TrimPrefix(secret, "whsec_")), raw)
	}
	inFiles(t, w.path, true, []byte(hook.ID)) // the files are those of the database
}

// inFiles says whether one of some bytes stands in a database.
func inFiles(t *testing.T, path string, want bool, parts ...[]byte) {
	t.Helper()
	files, err := filepath.Glob(path + "*")
	must(t, err)
	found := false
	for _, name := range files {
		b, err := os.ReadFile(name)
		must(t, err)
		for _, p := range parts {
			found = found || bytes.Contains(b, p)
		}
	}
	if found != want {
		t.Errorf("found in %v: %v", files, found)
	}
}

// Only owners see and manage webhooks, to good addresses, for events that
// there are, and not without end.
func TestWhoMayHaveWebhooks(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := webhookWorld(t, r)
	hook := w.hook(r, "solution.*")
	w.draft(1)
	w.pass(0)
	d := w.log(hook)[0]
	for name, ctx := range map[string]context.Context{"an editor": as(acme), "another user": as(kim), "the secretariat": as(secretariat), "a visitor": as(visitor)} {
		if _, _, err := w.CreateWebhook(ctx, CreateWebhookInput{Member: "company_acme", URL: r.URL, Events: []string{"*.*"}}); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s adds one: %v", name, err)
		}
		if list, err := w.Webhooks(ctx, "company_acme"); err != nil || len(list) > 0 {
			t.Errorf("%s sees %v %v", name, list, err)
		}
		_, rotate := w.EditWebhook(ctx, EditWebhookInput{ID: hook.ID, Events: []string{"*.*"}})
		_, ping := w.PingWebhook(ctx, hook.ID)
		_, resend := w.ResendDelivery(ctx, d.ID)
		_, node := w.Node(ctx, d.ID)
		for _, err := range []error{rotate, ping, resend, node, w.DeleteWebhook(ctx, hook.ID, nil)} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, in := range []CreateWebhookInput{
		{URL: "https://10.0.0.1/", Events: []string{"*.*"}},
		{URL: "https://169.254.169.254/latest", Events: []string{"*.*"}},
		{URL: "http://example.org/", Events: []string{"*.*"}},
		{URL: r.URL},
		{URL: r.URL, Events: []string{"solution"}},
		{URL: r.URL, Events: []string{"submarine.ADD"}},
		{URL: r.URL, Events: []string{"delivery.*"}},
		{URL: r.URL, Events: slices.Repeat([]string{"*.*"}, 51)},
	} {
		in.Member = "company_acme"
		if _, _, err := w.CreateWebhook(as(ada), in); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", in, err)
		}
	}
	for range 9 {
		w.hook(r, "solution.*")
	}
	if _, _, err := w.CreateWebhook(as(ada), CreateWebhookInput{Member: "company_acme", URL: r.URL, Events: []string{"*.*"}}); !errors.Is(err, ErrInvalid) {
		t.Errorf("the 11th: %v", err)
	}
	must(t, w.DeleteWebhook(as(ada), hook.ID, nil))
	w.pass(0)
	r.take()
	w.draft(2)
	w.pass(0)
	if n := len(r.take()); n != 9 {
		t.Errorf("%d requests to 9 webhooks", n)
	}
}

// Whichever operation of the store fails, a delivery is made once and arrives;
// the receiver may see it twice, by the same id.
func TestDeliveriesAreMadeExactlyOnce(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]bool{"before": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t)
			w := webhookWorld(t, r)
			hook := w.hook(r, "solution.*")
			w.catchUp()
			for n := 1; ; n += KillEvery() {
				w.draft(n)
				w.store.arm(n, after)
				w.finish(0)
				w.finish(time.Minute)
				reached := w.store.disarm()
				w.catchUp()
				ids := map[string]bool{}
				for _, q := range r.take() {
					ids[q.id] = true
				}
				made := slices.DeleteFunc(w.log(hook), func(d *Delivery) bool { return !strings.Contains(d.Body, fmt.Sprintf(`"solution_s%d"`, n)) })
				if len(ids) != 1 || len(made) != 1 || made[0].State != DeliveryDone || !ids[string(made[0].ID)] {
					t.Fatalf("operation %d failed: %d ids arrived, %d deliveries", n, len(ids), len(made))
				}
				if !reached {
					return
				}
			}
		})
	}
}
