// Package ferrettest runs the storage suite against mongostore on FerretDB 1,
// which speaks MongoDB's protocol from an implementation of its own, here
// embedded and on SQLite. That is a second opinion on plain commands.
//
// It is a module of its own, so that FerretDB's dependencies are not those of
// the project:
//
//	cd marketplace/mongostore/ferrettest && go test ./...
package ferrettest
