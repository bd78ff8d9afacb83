// Package smtpmail sends the marketplace's mail: to an SMTP server, or into a
// directory where nobody has one.
//
// One-click unsubscription (RFC 8058) works only for mails with a DKIM
// signature over its headers; signing is the task of the SMTP server.
package smtpmail

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"citymarket/marketplace"
)

// DefaultTimeout is the longest time that one mail takes, from the look-up of
// the server's name on.
const DefaultTimeout = 30 * time.Second

// Config says where mail goes.
type Config struct {
	// URL names the server: smtp://user:password@host:587, or smtps:// for TLS
	// from the first byte. The ports are 587 and 465 where none is given. With
	// smtp:// the server must offer STARTTLS and have a valid certificate,
	// unless the host is this machine: there, TLS is used when it is offered,
	// with whatever certificate, since who can listen there has everything
	// already. Special characters of name and password are percent-encoded.
	URL string
	// From is the sender: "Citymarket <market@example.org>". Its domain also
	// stands in the Message-IDs and in the greeting.
	From string
	// Timeout bounds one mail; DefaultTimeout when it is 0.
	Timeout time.Duration
	// RootCAs are the authorities whose certificates are trusted; nil: the system's.
	RootCAs *x509.CertPool
}

// A Server is a [marketplace.Mailer] that speaks SMTP. Each mail opens a
// connection of its own, which costs some round trips but leaves nothing to
// go stale.
type Server struct {
	from    netmail.Address
	host    string
	timeout time.Duration
	local   bool // the server is this machine
	tls     *tls.Config
	implied bool // TLS from the first byte
	options []mail.Option
	address string
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
}

// New makes a mailer from its configuration. It does not connect, so a server
// that is down does not keep the marketplace from starting. Errors hold no
// part of the URL but its host.
func New(c Config) (*Server, error) {
	from, err := sender(c.From)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("smtpmail: the server must be given as smtp://user:password@host:587 or smtps://user:password@host:465")
	}
	s := &Server{
		from: from, host: u.Hostname(), timeout: cmp.Or(c.Timeout, DefaultTimeout), implied: u.Scheme == "smtps",
		local: isLocal(u.Hostname()),
		tls:   &tls.Config{ServerName: u.Hostname(), RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12},
		dial:  new(net.Dialer).DialContext,
	}
	s.tls.InsecureSkipVerify = s.local && c.RootCAs == nil
	port := cmp.Or(u.Port(), "587")
	if s.implied {
		port = cmp.Or(u.Port(), "465")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return nil, fmt.Errorf("smtpmail: %q is not a port", port)
	}
	s.address = net.JoinHostPort(s.host, port)
	policy := mail.TLSMandatory
	switch {
	case s.implied:
		policy = mail.NoTLS // it has begun already
	case s.local:
		policy = mail.TLSOpportunistic
	}
	s.options = []mail.Option{
		mail.WithTimeout(s.timeout + time.Minute), // of each step; the context ends all of them earlier
		mail.WithTLSConfig(s.tls), mail.WithTLSPolicy(policy), mail.WithHELO(domainOf(from)),
		mail.WithoutNoop(), mail.WithoutRset(), // one mail a connection
	}
	if u.User != nil {
		password, _ := u.User.Password()
		plain, login := mail.SMTPAuthPlain, mail.SMTPAuthLogin
		if s.local {
			plain, login = mail.SMTPAuthPlainNoEnc, mail.SMTPAuthLoginNoEnc
		}
		s.options = append(s.options, mail.WithUsername(u.User.Username()), mail.WithPassword(password),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, plain, login))
	}
	return s, nil
}

// Send implements [marketplace.Mailer]. A server that refuses the sender, the
// recipient or the content with a code from 500 on makes the mail refused;
// one that cannot be reached, refuses to talk to us or does not know our
// password is a matter for its operator, and the mail worth another try.
func (s *Server) Send(ctx context.Context, m marketplace.Mail) error {
	msg, err := message(s.from, m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("the server took longer than %v", s.timeout))
	defer cancel()
	err = s.deliver(ctx, msg, m.To.Address)
	if err != nil && ctx.Err() != nil && !errors.Is(err, marketplace.ErrMailRefused) {
		// What the connection says then is only that it was closed.
		return fmt.Errorf("smtpmail: %s: %w", s.address, context.Cause(ctx))
	}
	return err
}

// deliver sends a message over a connection of its own.
func (s *Server) deliver(ctx context.Context, msg *mail.Msg, to string) error {
	// The library obeys the context only while it dials, and leaves the
	// connection open when the greeting fails.
	var conn net.Conn
	stop := func() bool { return true }
	defer func() {
		if stop(); conn != nil {
			conn.Close()
		}
	}()
	options := append([]mail.Option{mail.WithDialContextFunc(func(dialing context.Context, network, _ string) (net.Conn, error) {
		c, err := s.dial(dialing, network, s.address)
		if err != nil {
			return nil, err
		}
		conn = c
		stop = context.AfterFunc(ctx, func() { c.Close() })
		if s.implied {
			t := tls.Client(c, s.tls)
			return t, t.HandshakeContext(dialing)
		}
		return c, nil
	})}, s.options...)
	if isASCII(to) && isASCII(s.from.Address) {
		// Asked for without need, the extension keeps mail from servers behind
		// this one that do not have it.
		options = append(options, mail.WithoutSMTPUTF8())
	}
	client, err := mail.NewClient(s.host, options...)
	if err != nil {
		return fmt.Errorf("smtpmail: %w", err)
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fmt.Errorf("smtpmail: %s: %s", s.address, shorten(err))
	}
	err = client.SendWithSMTPClient(session, msg)
	if err == nil {
		// A server that accepted the mail has it, however it takes leave.
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		_ = session.Quit()
		return nil
	}
	if isRefusal(err) {
		return fmt.Errorf("smtpmail: %w: %s", marketplace.ErrMailRefused, shorten(err))
	}
	return fmt.Errorf("smtpmail: %s: %s", s.address, shorten(err))
}

// isRefusal says whether an error is the server's last word about this mail.
// The codes about signing in are not: they are about us.
func isRefusal(err error) bool {
	var e *mail.SendError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Reason {
	case mail.ErrSMTPMailFrom, mail.ErrSMTPRcptTo, mail.ErrSMTPData, mail.ErrSMTPDataClose:
		code := e.ErrorCode()
		return code >= 500 && code < 600 && code != 530 && code != 534 && code != 535 && code != 538
	}
	return false
}

// shorten bounds what a server can make us keep. The library's text ends with
// the recipient and the Message-ID, which whoever reads the error has.
func shorten(err error) string {
	s, _, _ := strings.Cut(err.Error(), ", affected ")
	if len(s) > 500 {
		s = s[:500]
	}
	return strings.ToValidUTF8(s, "")
}

// sender reads the configured sender.
func sender(s string) (netmail.Address, error) {
	a, err := netmail.ParseAddress(s)
	if err != nil {
		return netmail.Address{}, errors.New(`smtpmail: the sender must be an address such as "Citymarket <market@example.org>"`)
	}
	probe := marketplace.Mail{ID: "probe", To: *a, Subject: "probe", Text: "probe"}
	if err := probe.Check(); err != nil {
		return netmail.Address{}, fmt.Errorf("smtpmail: the sender %q cannot be used: %w", s, err)
	}
	return *a, nil
}

// isLocal says whether a host is this machine, whatever a name server says.
func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}
