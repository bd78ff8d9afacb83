package graph

import (
	"errors"

	"citymarket/marketplace"
)

// A Payload is what a command answers with: what it changed, and what is
// wrong with its input. In the API the result has the name of what it is.
type Payload[T any] struct {
	Result T
	Errors []marketplace.UserError
}

// payload puts what a person can mend into the payload of a command; other
// errors are errors of the operation. Where somebody else was faster, the
// result is what is there now.
func payload[T any](result T, err error) (*Payload[T], error) {
	if err == nil {
		return &Payload[T]{Result: result, Errors: []marketplace.UserError{}}, nil
	}
	p := &Payload[T]{}
	if conflict, ok := errors.AsType[*marketplace.ConflictError](err); ok {
		p.Result, _ = any(conflict.Current).(T)
		p.Errors = []marketplace.UserError{{Path: "version", Code: "CONFLICT", Message: conflict.Error()}}
		return p, nil
	}
	if invalid, ok := errors.AsType[*marketplace.InvalidError](err); ok {
		p.Errors = invalid.Errors
		return p, nil
	}
	return nil, err
}

// done is payload for a command that gives nothing back.
func done(err error) (*Payload[bool], error) { return payload(err == nil, err) }

// deleted is payload for a command that deletes what has this id.
func deleted(id marketplace.ID, err error) (*Payload[*marketplace.ID], error) {
	return payload(&id, err)
}

// A NewToken is a token with its secret, which is shown once.
type NewToken struct {
	Token  *marketplace.Token
	Secret *string
	Errors []marketplace.UserError
}

// newToken is payload for a command that makes a token.
func newToken(t *marketplace.Token, secret string, err error) (*NewToken, error) {
	p, err := payload(t, err)
	if err != nil {
		return nil, err
	}
	token := &NewToken{Token: p.Result, Errors: p.Errors}
	if secret != "" {
		token.Secret = &secret
	}
	return token, nil
}

// A NewWebhook is a webhook with a new secret, which is shown once.
type NewWebhook struct {
	Webhook *marketplace.Webhook
	Secret  *string
	Errors  []marketplace.UserError
}

// newWebhook is payload for a command that makes a secret of a webhook.
func newWebhook(w *marketplace.Webhook, secret string, err error) (*NewWebhook, error) {
	p, err := payload(w, err)
	if err != nil {
		return nil, err
	}
	n := &NewWebhook{Webhook: p.Result, Errors: p.Errors}
	if secret != "" {
		n.Secret = &secret
	}
	return n, nil
}

// A NewCalendarFeed is the feed of a user with its address, which is shown once.
type NewCalendarFeed struct {
	CalendarFeed *marketplace.CalendarFeed
	URL          string
	Errors       []marketplace.UserError
}

// newCalendarFeed is payload for the command that makes an address.
func newCalendarFeed(f *marketplace.CalendarFeed, url string, err error) (*NewCalendarFeed, error) {
	p, err := payload(f, err)
	if err != nil {
		return nil, err
	}
	return &NewCalendarFeed{CalendarFeed: p.Result, URL: url, Errors: p.Errors}, nil
}

// Names of the payloads in the API.
type (
	SolutionPayload     = Payload[*marketplace.Solution]
	ProposalPayload     = Payload[*marketplace.Proposal]
	CityPayload         = Payload[*marketplace.City]
	CompanyPayload      = Payload[*marketplace.Company]
	InstitutionPayload  = Payload[*marketplace.Institution]
	TopicPayload        = Payload[*marketplace.Topic]
	TranslatePayload    = Payload[marketplace.Node]
	SettingsPayload     = Payload[*marketplace.Settings]
	AccountPayload      = Payload[*marketplace.User]
	TeamPayload         = Payload[*marketplace.Team]
	InvitationPayload   = Payload[*marketplace.Ticket]
	FactorPayload       = Payload[*marketplace.NewFactor]
	RecoveryPayload     = Payload[[]string]
	AvailabilityPayload = Payload[*marketplace.Availability]
	SavedSearchPayload  = Payload[*marketplace.SavedSearch]
	WebhookPayload      = Payload[*marketplace.Webhook]
	DeliveryPayload     = Payload[*marketplace.Delivery]
	OfferPayload        = Payload[*marketplace.Offer]
	MessagePayload      = Payload[*marketplace.Message]
	EventPayload        = Payload[*marketplace.Event]
	RegistrationPayload = Payload[*marketplace.Registration]
	WishListPayload     = Payload[*marketplace.WishList]
	PairingPayload      = Payload[*marketplace.Pairing]
	MeetingPayload      = Payload[*marketplace.Meeting]
	RunPayload          = Payload[*marketplace.Run]
	DraftPayload        = Payload[*marketplace.Draft]
	PublicationPayload  = Payload[*marketplace.Publication]
	ReportPayload       = Payload[*marketplace.Report]
	StancePayload       = Payload[*marketplace.Stance]
	DonePayload         = Payload[bool]
	DeletePayload       = Payload[*marketplace.ID]
	UnreadPayload       = Payload[*marketplace.Unread]
)
