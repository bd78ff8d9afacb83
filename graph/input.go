package graph

import "citymarket/marketplace"

// Inputs of commands that take one or two values.
type (
	// IDInput names one thing.
	IDInput struct{ ID marketplace.ID }
	// DeleteInput names what to delete, and the version that was read.
	DeleteInput struct {
		ID      marketplace.ID
		Version *int
	}
	// EmailInput is an e-mail address.
	EmailInput struct{ Email string }
	// LinkInput is what stands behind the # of a one-time link.
	LinkInput struct{ Link string }
	// PasswordInput is the viewer's password once more.
	PasswordInput struct{ Password *string }
	// CodeInput is a code of an authenticator.
	CodeInput struct{ Code string }
)
