package mongostore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"citymarket/marketplace"
)

// Contents lie in GridFS, in the bucket that tools such as mongofiles take by
// default. The first is a content of 1,500,000 bytes, the second an upload
// under way, the third a content that is being removed:
//
//	fs.files:  {_id: "7T2M5GQ3Z4VKJ...", filename: "ba7816bf...", length: 1500000, chunkSize: 1048576, uploadDate: ISODate("2026-03-02T08:30:00Z")}
//	fs.files:  {_id: "MZ6QHB2NDJX4O...", filename: "~MZ6QHB2NDJX4O...", length: 0, chunkSize: 1048576, uploadDate: ...}
//	fs.files:  {_id: "C5K2PLE7WYTRA...", filename: "~~C5K2PLE7WYTRA...", ...}
//	fs.chunks: {_id: "7T2M5GQ3Z4VKJ.../0", files_id: "7T2M5GQ3Z4VKJ...", n: 0, data: BinData(0, ...)}
//
// A file's name is its state, and a unique index of names makes a content
// exist once. The document of an upload is there before its first chunk, and
// that of a removed content until after its last, so every chunk belongs to
// a document, and a sweep need not look for those that do not. One update
// publishes an upload, one condemns it or a content; each names the state
// that it ends, so of two at once one does nothing. The chunks of what is
// published belong to it alone and are never written again.
//
// The driver's own bucket cannot be used for that: it wants the id before the
// upload, publishes under it, cannot seek in a download, and bounds a whole
// up- or download by the time of one call. Ids are strings because the feed's
// change stream, which sees these collections too, takes all ids for strings.
const (
	filesName  = "fs.files"
	chunksName = "fs.chunks"
	// chunkSize is a compromise: a picture of 1 MiB is one round trip, and an
	// upload costs 2 MiB of memory.
	chunkSize = 1 << 20

	uploading = "~"  // before the id: the name of an upload under way
	condemned = "~~" // before the id: the name of what is being removed
	// maxSwept bounds how many abandoned uploads one sweep removes.
	maxSwept = 100
	// maxRivals bounds how often a Put meets a content that comes and goes.
	maxRivals = 5
)

// Files is a [marketplace.Files] in the store's database. It ends with the
// store. Each round trip is bounded as those of the store are.
type Files struct {
	s             *Store
	files, chunks *mongo.Collection
	now           func() time.Time
}

// file is a document of fs.files.
type file struct {
	ID        string    `bson:"_id"`
	Name      string    `bson:"filename"`
	Length    int64     `bson:"length"`
	ChunkSize int64     `bson:"chunkSize"`
	At        time.Time `bson:"uploadDate"`
}

// Files returns the files that lie in the store's database, and makes their
// indexes if they are not there.
func (s *Store) Files(ctx context.Context) (*Files, error) {
	f := &Files{s: s, files: s.db.Collection(filesName), chunks: s.db.Collection(chunksName), now: time.Now}
	caller := ctx
	ctx, end, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	ctx, cancel := context.WithTimeout(ctx, indexTime)
	defer cancel()
	for coll, ix := range map[*mongo.Collection]mongo.IndexModel{
		f.files:  {Keys: bson.D{{Key: "filename", Value: 1}}, Options: options.Index().SetName("filename").SetUnique(true)},
		f.chunks: {Keys: bson.D{{Key: "files_id", Value: 1}, {Key: "n", Value: 1}}, Options: options.Index().SetName("files_id_1_n_1").SetUnique(true)},
	} {
		if _, err := coll.Indexes().CreateOne(ctx, ix); err != nil {
			return nil, s.failed(caller, "indexes of files", err)
		}
	}
	return f, nil
}

func is(field string, value any) bson.D { return bson.D{{Key: field, Value: value}} }

// put now, by the server's clock.
var putNow = bson.E{Key: "$currentDate", Value: bson.D{{Key: "uploadDate", Value: bson.D{{Key: "$type", Value: "date"}}}}}

// A faultOfOurs is no failure of the database: the upload's reader broke, or
// what is stored is not what it should be.
type faultOfOurs struct{ error }

func (e faultOfOurs) Unwrap() error { return e.error }

// failed gives an error its meaning in the port, as [Store.failed] does.
func (f *Files) failed(caller context.Context, what string, err error) error {
	own := faultOfOurs{}
	switch {
	case errors.As(err, &own) && caller.Err() == nil && f.s.closing.Err() == nil:
		return fmt.Errorf("mongostore: %s: %w", what, own.error)
	case unconfirmed(err):
		return fmt.Errorf("mongostore: %s: %w: %v", what, marketplace.ErrUnavailable, err)
	}
	return f.s.failed(caller, what, err)
}

// one bounds a round trip; the driver's own bound does not count where the
// caller's context has one.
func one(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, opTime)
}

// change updates one document of fs.files and reports whether one met the filter.
func (f *Files) change(ctx context.Context, filter bson.D, update ...bson.E) (bool, error) {
	ctx, cancel := one(ctx)
	defer cancel()
	res, err := f.files.UpdateOne(ctx, filter, bson.D(update))
	return err == nil && res.MatchedCount == 1, err
}

// Put implements [marketplace.Files]. A new content costs two round trips and
// one for each MiB, all of them acknowledged by a majority; one that is there
// costs one if the reader can seek.
func (f *Files) Put(ctx context.Context, r io.Reader, max int64) (hash string, size int64, err error) {
	caller := ctx
	ctx, end, err := f.s.begin(ctx)
	if err != nil {
		return "", 0, err
	}
	defer end()
	ctx, cancel := context.WithTimeout(ctx, marketplace.MaxUploadTime)
	defer cancel()
	hash, size, err = f.put(ctx, r, max)
	if err != nil {
		return "", 0, f.failed(caller, "put a file", err)
	}
	return hash, size, nil
}

func (f *Files) put(ctx context.Context, r io.Reader, max int64) (hash string, size int64, err error) {
	if seeker, ok := r.(io.Seeker); ok {
		if start, err := seeker.Seek(0, io.SeekCurrent); err == nil {
			sum := sha256.New()
			size, err := io.Copy(sum, marketplace.LimitUpload(ctx, r, max))
			if err != nil {
				return "", 0, faultOfOurs{err}
			}
			hash := hex.EncodeToString(sum.Sum(nil))
			if there, err := f.change(ctx, is("filename", hash), putNow); err != nil || there {
				return hash, size, err
			}
			if _, err := seeker.Seek(start, io.SeekStart); err != nil {
				return "", 0, faultOfOurs{err}
			}
		}
	}
	id := rand.Text()
	hash, size, err = f.upload(ctx, id, marketplace.LimitUpload(ctx, r, max))
	if errors.As(err, &faultOfOurs{}) {
		// No chunk is under way, so none comes after the removal. The first
		// error says what is wrong; the sweep tries again.
		_, _ = f.remove(context.WithoutCancel(ctx), is("filename", uploading+id))
	}
	if err != nil {
		return "", 0, err
	}
	for range maxRivals {
		published, err := f.change(ctx, bson.D{{Key: "_id", Value: id}, {Key: "filename", Value: uploading + id}},
			bson.E{Key: "$set", Value: bson.D{{Key: "filename", Value: hash}, {Key: "length", Value: size}}}, putNow)
		switch {
		case published:
			return hash, size, nil
		case err == nil:
			// The driver may have sent it twice, or the sweep was there first.
			if there, err := f.change(ctx, bson.D{{Key: "_id", Value: id}, {Key: "filename", Value: hash}}, putNow); err != nil || there {
				return hash, size, err
			}
			_, _ = f.chunks.DeleteMany(ctx, is("files_id", id)) // those that came after the sweep
			return "", 0, faultOfOurs{errors.New("the upload was swept")}
		case !mongo.IsDuplicateKeyError(err):
			return "", 0, err
		}
		there, err := f.change(ctx, is("filename", hash), putNow)
		if err != nil {
			return "", 0, err
		}
		if there {
			_, _ = f.remove(ctx, is("filename", uploading+id)) // or the sweep does
			return hash, size, nil
		}
	}
	return "", 0, fmt.Errorf("%s comes and goes: %w", hash, marketplace.ErrUnavailable)
}

// upload writes the document of an upload and its chunks.
func (f *Files) upload(ctx context.Context, id string, r io.Reader) (hash string, size int64, err error) {
	// An upsert, since only an update lets the server say what time it is.
	begun, cancel := one(ctx)
	defer cancel()
	_, err = f.files.UpdateOne(begun, is("_id", id), bson.D{{Key: "$set", Value: bson.D{{Key: "filename", Value: uploading + id},
		{Key: "length", Value: int64(0)}, {Key: "chunkSize", Value: int64(chunkSize)}}}, putNow}, options.UpdateOne().SetUpsert(true))
	if err != nil {
		return "", 0, err
	}
	sum := sha256.New()
	buf := make([]byte, chunkSize)
	for n := 0; ; n++ {
		k, readErr := fill(r, buf)
		if readErr != nil && readErr != io.EOF {
			return "", 0, faultOfOurs{readErr}
		}
		if k > 0 {
			sum.Write(buf[:k])
			size += int64(k)
			if err := f.write(ctx, id, n, buf[:k]); err != nil {
				return "", 0, err
			}
		}
		if readErr != nil {
			return hex.EncodeToString(sum.Sum(nil)), size, nil
		}
	}
}

// fill reads until the buffer is full. [io.ReadFull] would not tell the end of
// an upload from one that was cut off, for which readers say ErrUnexpectedEOF.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = r.Read(buf[n:])
		n += k
	}
	return n, err
}

func (f *Files) write(ctx context.Context, id string, n int, data []byte) error {
	ctx, cancel := one(ctx)
	defer cancel()
	_, err := f.chunks.InsertOne(ctx, bson.D{{Key: "_id", Value: fmt.Sprintf("%s/%d", id, n)}, {Key: "files_id", Value: id},
		{Key: "n", Value: int32(n)}, {Key: "data", Value: bson.Binary{Data: data}}})
	return err
}

// remove condemns the file that meets the filter and removes it. It reports
// false when none does. Whatever ends it early, the sweep takes over.
func (f *Files) remove(ctx context.Context, filter bson.D) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*opTime)
	defer cancel()
	var d file
	err := f.files.FindOne(ctx, filter, options.FindOne().SetProjection(is("_id", 1))).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	// Condemned again, it keeps its name.
	found, err := f.change(ctx, append(slices.Clone(filter), bson.E{Key: "_id", Value: d.ID}),
		bson.E{Key: "$set", Value: is("filename", condemned+d.ID)})
	if err != nil || !found {
		return false, err
	}
	if _, err := f.chunks.DeleteMany(ctx, is("files_id", d.ID)); err != nil {
		return false, err
	}
	_, err = f.files.DeleteOne(ctx, bson.D{{Key: "_id", Value: d.ID}, {Key: "filename", Value: condemned + d.ID}})
	return true, err
}

// Delete implements [marketplace.Files]. It costs four round trips.
func (f *Files) Delete(ctx context.Context, hash string, before time.Time) error {
	caller := ctx
	ctx, end, err := f.s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if !marketplace.IsFileHash(hash) {
		return nil
	}
	filter := is("filename", hash)
	if !before.IsZero() {
		filter = append(filter, bson.E{Key: "uploadDate", Value: is("$lt", bson.NewDateTimeFromTime(before))})
	}
	if _, err := f.remove(ctx, filter); err != nil {
		return f.failed(caller, "delete the file "+hash, err)
	}
	return nil
}

// List implements [marketplace.Files]. A page costs one round trip.
func (f *Files) List(ctx context.Context, after string, limit int) ([]marketplace.StoredFile, error) {
	if err := marketplace.CheckFileList(limit); err != nil {
		return nil, fmt.Errorf("mongostore: list files: %w", err)
	}
	caller := ctx
	ctx, end, err := f.s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if after == "" {
		if err := f.sweep(ctx); err != nil {
			return nil, f.failed(caller, "sweep files", err)
		}
	}
	list := []marketplace.StoredFile{}
	if after >= uploading {
		return list, nil
	}
	docs, err := f.find(ctx, bson.D{{Key: "filename", Value: bson.D{{Key: "$gt", Value: after}, {Key: "$lt", Value: uploading}}}}, limit)
	if err != nil {
		return nil, f.failed(caller, "list files", err)
	}
	for _, d := range docs {
		list = append(list, marketplace.StoredFile{Hash: d.Name, Size: d.Length, At: d.At.UTC()})
	}
	return list, nil
}

func (f *Files) find(ctx context.Context, filter bson.D, limit int) ([]file, error) {
	ctx, cancel := one(ctx)
	defer cancel()
	cursor, err := f.files.Find(ctx, filter, options.Find().SetSort(is("filename", 1)).SetLimit(int64(limit)).SetBatchSize(int32(limit)))
	if err != nil {
		return nil, err
	}
	var docs []file
	err = cursor.All(ctx, &docs)
	return docs, err
}

// sweep removes uploads that were abandoned, and ends removals that were.
func (f *Files) sweep(ctx context.Context) error {
	old := bson.NewDateTimeFromTime(f.now().Add(-marketplace.AbandonedAfter))
	docs, err := f.find(ctx, bson.D{{Key: "filename", Value: is("$gte", uploading)}, {Key: "uploadDate", Value: is("$lt", old)}}, maxSwept)
	if err != nil {
		return err
	}
	for _, d := range docs {
		if !strings.HasSuffix(d.Name, uploading+d.ID) {
			continue // somebody else's
		}
		if _, err := f.remove(ctx, is("filename", d.Name)); err != nil {
			return err
		}
	}
	return nil
}

// Open implements [marketplace.Files]. It costs one round trip, and reading
// one for each MiB that is read from.
func (f *Files) Open(ctx context.Context, hash string) (marketplace.FileContent, error) {
	caller := ctx
	ctx, end, err := f.s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	var d file
	err = mongo.ErrNoDocuments
	if marketplace.IsFileHash(hash) {
		ctx, cancel := one(ctx)
		defer cancel()
		err = f.files.FindOne(ctx, is("filename", hash)).Decode(&d)
	}
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, fmt.Errorf("mongostore: file %q: %w", hash, marketplace.ErrNotFound)
	}
	if err == nil && (d.ChunkSize < 1 || d.Length < 0) {
		err = faultOfOurs{fmt.Errorf("damaged: %d bytes in chunks of %d", d.Length, d.ChunkSize)}
	}
	if err != nil {
		return nil, f.failed(caller, "open the file "+hash, err)
	}
	return &content{ctx: caller, f: f, file: d, loaded: -1}, nil
}

// content reads a file chunk by chunk, and holds one of them.
type content struct {
	ctx    context.Context
	f      *Files
	file   file
	at     int64
	loaded int64 // number of the chunk in chunk; -1: none
	chunk  []byte
}

func (c *content) Size() int64 { return c.file.Length }

func (c *content) Close() error {
	c.chunk, c.loaded = nil, -1
	return nil
}

func (c *content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += c.at
	case io.SeekEnd:
		offset += c.file.Length
	default:
		return 0, fmt.Errorf("mongostore: seek from %d", whence)
	}
	if offset < 0 {
		return 0, fmt.Errorf("mongostore: seek to %d", offset)
	}
	c.at = offset
	return offset, nil
}

func (c *content) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, fmt.Errorf("mongostore: read the file %s: %w", c.file.Name, err)
	}
	if c.at >= c.file.Length {
		return 0, io.EOF
	}
	if n := c.at / c.file.ChunkSize; n != c.loaded {
		if err := c.load(n); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.chunk[c.at-c.loaded*c.file.ChunkSize:])
	c.at += int64(n)
	return n, nil
}

func (c *content) load(n int64) error {
	ctx, end, err := c.f.s.begin(c.ctx)
	if err != nil {
		return err
	}
	defer end()
	ctx, cancel := one(ctx)
	defer cancel()
	var d struct{ Data []byte }
	err = c.f.chunks.FindOne(ctx, bson.D{{Key: "files_id", Value: c.file.ID}, {Key: "n", Value: int32(n)}}, options.FindOne().SetProjection(is("data", 1))).Decode(&d)
	want := min(c.file.ChunkSize, c.file.Length-n*c.file.ChunkSize)
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		err = faultOfOurs{fmt.Errorf("deleted meanwhile: %w", marketplace.ErrNotFound)}
	case err == nil && int64(len(d.Data)) != want:
		err = faultOfOurs{fmt.Errorf("damaged: chunk %d has %d bytes, not %d", n, len(d.Data), want)}
	}
	if err != nil {
		return c.f.failed(c.ctx, "read the file "+c.file.Name, err)
	}
	c.loaded, c.chunk = n, d.Data
	return nil
}
