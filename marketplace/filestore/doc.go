// Package filestore keeps contents as files in a directory: it is the
// [marketplace.Files] that goes with the embedded store.
//
//	files/
//	  0a/ ... ff/                    // 256 directories, made at the first start
//	    0a4d55a8d778e5022fab70...    // a content, under its SHA-256; its time is that of the last Put
//	  tmp/
//	    IJZ3MVUJQD7F6J4R2VQHAB5TYK   // an upload under way, or of a process that crashed
//	  lock                           // held for moments, by whoever publishes or deletes
//
// A content is written to tmp, synced, and renamed to its place, whose
// directory is synced; so it is there whole or not at all. Nothing else may
// write into the directory. Backups may copy it at any time, without tmp.
package filestore
