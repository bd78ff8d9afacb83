package smtpmail

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// A fake is an SMTP server on the loopback interface that keeps what it is
// sent. A reply that is set for a command is given instead of the usual one.
type fake struct {
	net.Listener
	cert     tls.Certificate
	implied  bool              // TLS from the first byte
	starttls bool              // offer STARTTLS
	login    string            // "user:password" that must be given
	replies  map[string]string // by command: "RCPT": "550 no such user"; "hang": stop answering; "close": hang up

	mu       sync.Mutex
	sessions []*session
}

// A session is what one connection said.
type session struct {
	greeting, from, to, data string
	secure, signedIn, ended  bool
}

func (f *fake) start(t *testing.T) *fake {
	t.Helper()
	var err error
	if f.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var conns []net.Conn
	wg.Go(func() {
		for {
			c, err := f.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			conns = append(conns, c)
			f.mu.Unlock()
			wg.Go(func() { f.serve(c) })
		}
	})
	t.Cleanup(func() {
		f.Close()
		f.mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		f.mu.Unlock()
		wg.Wait()
	})
	return f
}

// heard returns the sessions so far.
func (f *fake) heard() []session {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []session
	for _, s := range f.sessions {
		out = append(out, *s)
	}
	return out
}

func (f *fake) serve(conn net.Conn) {
	defer conn.Close()
	s := &session{}
	f.mu.Lock()
	f.sessions = append(f.sessions, s)
	f.mu.Unlock()
	note := func(change func()) {
		f.mu.Lock()
		defer f.mu.Unlock()
		change()
	}
	if f.implied {
		conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{f.cert}})
		note(func() { s.secure = true })
	}
	in := bufio.NewReader(conn)
	// say gives the reply that is set for a command, else the usual one; it
	// is false when the conversation is over.
	say := func(command, usual string) bool {
		reply, set := f.replies[command]
		switch {
		case reply == "hang":
			in.ReadByte() // until the other side has enough
			return false
		case reply == "close":
			conn.Close()
			return false
		case !set:
			reply = usual
		}
		fmt.Fprint(conn, strings.ReplaceAll(reply, "\n", "\r\n")+"\r\n")
		return !set || reply[0] == '2' || reply[0] == '3'
	}
	line := func() string {
		l, _ := in.ReadString('\n')
		return strings.TrimRight(l, "\r\n")
	}
	say("", "220 fake ESMTP")
	for {
		l := line()
		command, rest, _ := strings.Cut(l, " ")
		switch command {
		case "":
			return
		case "EHLO":
			note(func() { s.greeting = rest })
			reply := "250-fake"
			if f.starttls && !s.secure {
				reply += "\n250-STARTTLS"
			}
			if f.login != "" && (s.secure || !f.starttls) {
				reply += "\n250-AUTH PLAIN LOGIN"
			}
			say("EHLO", reply+"\n250-SMTPUTF8\n250 8BITMIME")
		case "STARTTLS":
			if say("STARTTLS", "220 go on") {
				conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{f.cert}})
				in = bufio.NewReader(conn)
				note(func() { s.secure = true })
			}
		case "AUTH":
			_, response, _ := strings.Cut(rest, " ")
			b, _ := base64.StdEncoding.DecodeString(response)
			if "\x00"+strings.Replace(f.login, ":", "\x00", 1) == string(b) {
				note(func() { s.signedIn = true })
				say("AUTH", "235 welcome")
			} else {
				say("AUTH", "535 5.7.8 wrong")
			}
		case "MAIL":
			if say("MAIL", "250 ok") {
				note(func() { s.from = rest })
			}
		case "RCPT":
			if say("RCPT", "250 ok") {
				note(func() { s.to += rest })
			}
		case "DATA":
			if !say("DATA", "354 go on") {
				continue
			}
			var b strings.Builder
			for l = line(); l != "."; l = line() {
				b.WriteString(strings.TrimPrefix(l, ".") + "\r\n")
			}
			if say("end", "250 queued") {
				note(func() { s.data = b.String() })
			}
		case "QUIT":
			note(func() { s.ended = true })
			say("QUIT", "221 bye")
			return
		default:
			say(command, "250 ok")
		}
	}
}

// certificate makes a certificate for a host, signed by itself, and the pool
// of those who trust it.
func certificate(t *testing.T, host string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
