// Package mongostore keeps documents in MongoDB: it is the [marketplace.Store]
// for production. It needs MongoDB 4.4 or newer, as one node, as a replica set
// or behind mongos (with collections that are not sharded), and a database
// that nobody else writes to.
//
// Each kind is a collection, each document of the marketplace is a document:
//
//	{
//	  _id: "sol_1",                              // Document.ID
//	  rev: 3,                                    // revision, 1 and up; a deletion counts
//	  w3:  BinData(0, "pJ2r0z5wC4mV8dQn"),       // random id of the write that made the latest revision r with r%8 = 3; w0 to w7
//	  at:  Timestamp(1772440200, 7),             // when the server applied it, by its own clock
//	  c:   ["slug:bins", "name:bins that call"], // claims; no field when there are none
//	  v:   {id: "sol_1", slug: "bins", ...}      // the value; see codec.go
//	}
//
// A deleted document stays as a tombstone, which has neither c nor v. Without
// it, its deletion would be missing from the feed and its revisions would
// begin again.
//
// A write is one update command on one document, with the revision in its
// filter. It changes nothing unless that revision is current, and so it can be
// sent again as often as needed: the adapter settles a lost answer itself, by
// the write's id, and says [marketplace.ErrUnknown] only when it runs out of
// time, or when eight others have written by then. Claims are a unique index on the array c, which the server checks in
// the same command.
//
// The feed is a change stream where there are change streams and a poll of
// the field at elsewhere; see feed.go.
package mongostore
