package marketplace

// For tests that need an adapter, which cannot be imported from inside.
var (
	NewWebhookSecret = newWebhookSecret
	WebhookBody      = webhookBody
	WebhookHeader    = webhookHeader
)
