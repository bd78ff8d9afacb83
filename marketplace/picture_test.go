package marketplace

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/image/webp"
)

// gradient is an opaque picture that is red at its upper left and blue at its
// lower right.
func gradient(w, h int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			red := uint8(255 * (w + h - x - y) / (w + h))
			m.SetRGBA(x, y, color.RGBA{red, uint8(y), 255 - red, 255})
		}
	}
	return m
}

func encodePNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := png.Encode(&buf, m); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func encodeJPEG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, m, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// encodeGIF makes an animation that is repeated for ever.
func encodeGIF(t testing.TB, frames int) []byte {
	t.Helper()
	g := gif.GIF{}
	for i := range frames {
		m := image.NewPaletted(image.Rect(0, 0, 24, 16), color.Palette{color.RGBA{200, 0, 0, 255}, color.RGBA{0, 0, 200, 255}})
		for j := range m.Pix {
			m.Pix[j] = uint8(i & 1)
		}
		g.Image, g.Delay = append(g.Image, m), append(g.Delay, 10)
	}
	var buf bytes.Buffer
	if err := gif.EncodeAll(&buf, &g); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func pngChunk(kind string, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, kind...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// pngHeader is the beginning of a PNG of 16 bits and four colours.
func pngHeader(w, h int) []byte {
	head := binary.BigEndian.AppendUint32(nil, uint32(w))
	head = binary.BigEndian.AppendUint32(head, uint32(h))
	b := append([]byte("\x89PNG\r\n\x1a\n"), pngChunk("IHDR", append(head, 16, 6, 0, 0, 0))...)
	return append(b, pngChunk("IDAT", []byte("\x78\x9c\x03\x00\x00\x00\x00\x01"))...)
}

func segment(marker byte, payload string) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(payload)+2)), payload...)
}

// insert puts parts into a file at a place.
func insert(b []byte, at int, parts ...[]byte) []byte {
	return bytes.Join([][]byte{b[:at], bytes.Join(parts, nil), b[at:]}, nil)
}

// secret is what no picture may tell when it was cleaned.
const secret = "37.5665N 126.9780E"

// exif is a block with an orientation and a secret behind it.
func exif(orientation int) string { return string(exifOf(orientation)) + secret }

func rgbProfile() string {
	return string(signICC) + "\x01\x01" + strings.Repeat("\x00", 16) + "RGB XYZ " + strings.Repeat("\x00", 100)
}

// withSecrets are pictures of every type with everything that can be said in
// them besides their pixels.
func withSecrets(t testing.TB) map[string][]byte {
	text := pngChunk("tEXt", []byte("Comment\x00"+secret))
	jpg := encodeJPEG(t, gradient(40, 30))
	trailer := []byte("<script>alert('" + secret + "')</script>")
	extension := append([]byte{0x21, 0xfe, byte(len(secret))}, secret+"\x00"...)
	xmp := append([]byte{0x21, 0xff, 11}, "XMP DataXMP"+"\x12"+secret+"\x00"...)
	g := encodeGIF(t, 3)
	first := bytes.Index(g, []byte{0x21, 0xf9}) // the control of the first picture
	return map[string][]byte{
		"PNG": append(insert(encodePNG(t, gradient(40, 30)), 33, text, pngChunk("eXIf", []byte(exif(6)[6:])), pngChunk("zTXt", []byte(secret)),
			pngChunk("iTXt", []byte("XML:com.adobe.xmp\x00"+secret)), pngChunk("tIME", []byte("\x07\xea\x03\x02\x08\x1e\x00")), pngChunk("prVt", []byte(secret))), trailer...),
		"JPEG": append(insert(jpg, 2, segment(0xe0, "JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x01\x06"+secret), segment(0xe0, "JFXX\x00"+secret), segment(0xe1, exif(6)),
			segment(0xe1, "http://ns.adobe.com/xap/1.0/\x00"+secret), segment(0xe2, rgbProfile()), segment(0xe2, "MPF\x00"+secret), segment(0xed, "Photoshop 3.0\x00"+secret),
			segment(0xfe, secret), segment(0xef, secret), []byte(secret)), trailer...),
		"progressive JPEG": append(insert(fixture(t, "progressive.jpg"), 2, segment(0xe1, exif(1))), trailer...),
		"GIF":              append(insert(g, first, extension, xmp), trailer...),
		"WebP":             append(fixture(t, "alpha.webp"), trailer...),
		"lossless WebP":    append(fixture(t, "lossless.webp"), trailer...),
	}
}

func clean(t testing.TB, b []byte) []byte {
	t.Helper()
	kind, err := inspect(b)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Clean(t.Context(), &out, bytes.NewReader(b), kind); err != nil {
		t.Fatalf("clean %s: %v", kind, err)
	}
	return out.Bytes()
}

func decodeAny(b []byte) (image.Image, error) {
	return map[FileType]func(io.Reader) (image.Image, error){TypePNG: png.Decode, TypeJPEG: jpeg.Decode, TypeGIF: gif.Decode, TypeWebP: webp.Decode}[pictureType(b)](bytes.NewReader(b))
}

func samePixels(a, b image.Image) bool {
	if a.Bounds() != b.Bounds() {
		return false
	}
	for y := a.Bounds().Min.Y; y < a.Bounds().Max.Y; y++ {
		for x := a.Bounds().Min.X; x < a.Bounds().Max.X; x++ {
			if a, b := color.NRGBA64Model.Convert(a.At(x, y)), color.NRGBA64Model.Convert(b.At(x, y)); a != b {
				return false
			}
		}
	}
	return true
}

// What was cleaned shows the same and tells nothing else.
func TestClean(t *testing.T) {
	t.Parallel()
	for name, b := range withSecrets(t) {
		if !bytes.Contains(b, []byte("37.5665")) && name != "lossless WebP" && name != "progressive JPEG" {
			t.Errorf("%s: the example has no secret", name)
		}
		out := clean(t, b)
		for _, word := range []string{secret, "37.5665", "script", "XMP", "xmp", "Photoshop", "prVt", "JFXX", "MPF", "tIME"} {
			if bytes.Contains(out, []byte(word)) {
				t.Errorf("%s: %q is still there", name, word)
			}
		}
		before, err := decodeAny(b)
		after, err2 := decodeAny(out)
		if err != nil || err2 != nil || !samePixels(before, after) {
			t.Errorf("%s: it does not show the same: %v, %v", name, err, err2)
		}
		if again := clean(t, out); !bytes.Equal(again, out) {
			t.Errorf("%s: cleaned twice it is another", name)
		}
	}
	// Animations go on.
	g, err := gif.DecodeAll(bytes.NewReader(clean(t, withSecrets(t)["GIF"])))
	if err != nil || len(g.Image) != 3 || g.LoopCount != 0 || g.Delay[0] != 10 {
		t.Errorf("the animation: %v, %+v", err, g)
	}
	// A JPEG keeps its colour profile and its orientation, and no more of Exif.
	out := clean(t, withSecrets(t)["JPEG"])
	if !bytes.Contains(out, []byte(rgbProfile())) {
		t.Error("the colour profile is gone")
	}
	if n := bytes.Count(out, []byte("Exif")); n != 1 || !bytes.Contains(out, exifOf(6)) {
		t.Errorf("%d Exif blocks", n)
	}
	if n := bytes.Count(clean(t, withSecrets(t)["progressive JPEG"]), []byte("Exif")); n != 0 {
		t.Error("an Exif block that says nothing")
	}
	for kind, b := range accepted(t) {
		if !kind.IsPicture() && !bytes.Equal(clean(t, b), b) {
			t.Errorf("%s was changed", kind)
		}
	}
}

func thumbnails(t testing.TB, b []byte) []Thumbnail {
	t.Helper()
	list, err := Thumbnails(t.Context(), bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for _, th := range list {
		m, err := decodeAny(th.Data)
		if err != nil || m.Bounds().Dx() != th.Width || m.Bounds().Dy() != th.Height || pictureType(th.Data) != th.Type {
			t.Fatalf("a thumbnail of %d x %d as %s: %v", th.Width, th.Height, th.Type, err)
		}
	}
	return list
}

func TestThumbnailSizes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ picture, small, large image.Point }{
		{image.Pt(2600, 130), image.Pt(320, 16), image.Pt(1280, 64)},
		{image.Pt(1280, 70), image.Pt(320, 18), image.Pt(1280, 70)},
		{image.Pt(1279, 10), image.Pt(320, 3), image.Pt(1279, 10)},
		{image.Pt(800, 60), image.Pt(320, 24), image.Pt(800, 60)},
		{image.Pt(320, 24), image.Pt(320, 24), image.Point{}},
		{image.Pt(1, 1), image.Pt(1, 1), image.Point{}},
		{image.Pt(100, 5000), image.Pt(13, 640), image.Pt(51, 2560)}, // at most twice as high as the width
		{image.Pt(1, 20_000), image.Pt(1, 640), image.Pt(1, 2560)},
		{image.Pt(20_000, 1), image.Pt(320, 1), image.Pt(1280, 1)},
		{image.Pt(10_000, 30), image.Pt(320, 1), image.Pt(1280, 4)},
	} {
		list := thumbnails(t, encodePNG(t, image.NewGray(image.Rectangle{Max: c.picture})))
		want := []image.Point{c.small, c.large}
		if c.large == (image.Point{}) {
			want = want[:1]
		}
		for i, th := range list {
			if len(list) != len(want) || image.Pt(th.Width, th.Height) != want[i] || th.Type != TypeJPEG {
				t.Errorf("%v: thumbnail %d of %d has %d x %d, want %v", c.picture, i, len(list), th.Width, th.Height, want)
			}
		}
	}
}

// near says whether a colour is about another.
func near(a color.Color, r, g, b int) bool {
	x := color.NRGBAModel.Convert(a).(color.NRGBA)
	d := max(int(x.R)-r, r-int(x.R), int(x.G)-g, g-int(x.G), int(x.B)-b, b-int(x.B))
	return d < 40
}

// Whichever side a camera was held on, thumbnails are upright.
func TestThumbnailsAreUpright(t *testing.T) {
	t.Parallel()
	// Upright it is 60 x 40, with a red, a green, a blue and a grey corner.
	corners := map[image.Point]color.RGBA{{0, 0}: {220, 0, 0, 255}, {1, 0}: {0, 220, 0, 255}, {0, 1}: {0, 0, 220, 255}, {1, 1}: {128, 128, 128, 255}}
	upright := image.NewRGBA(image.Rect(0, 0, 60, 40))
	for y := range 40 {
		for x := range 60 {
			upright.SetRGBA(x, y, corners[image.Pt(x/30, y/20)])
		}
	}
	// How the sensor stores it: the place of an upright pixel (Exif 2.32, 4.6.4).
	stored := map[int]func(x, y int) (int, int){
		1: func(x, y int) (int, int) { return x, y },
		2: func(x, y int) (int, int) { return 59 - x, y },
		3: func(x, y int) (int, int) { return 59 - x, 39 - y },
		4: func(x, y int) (int, int) { return x, 39 - y },
		5: func(x, y int) (int, int) { return y, x },
		6: func(x, y int) (int, int) { return y, 59 - x },
		7: func(x, y int) (int, int) { return 39 - y, 59 - x },
		8: func(x, y int) (int, int) { return 39 - y, x },
	}
	for orientation, place := range stored {
		size := image.Rect(0, 0, 60, 40)
		if orientation >= 5 {
			size = image.Rect(0, 0, 40, 60)
		}
		m := image.NewRGBA(size)
		for y := range 40 {
			for x := range 60 {
				sx, sy := place(x, y)
				m.SetRGBA(sx, sy, upright.RGBAAt(x, y))
			}
		}
		b := insert(encodeJPEG(t, m), 2, segment(0xe1, exif(orientation)))
		for what, b := range map[string][]byte{"as sent": b, "cleaned": clean(t, b)} {
			th := thumbnails(t, b)[0]
			if th.Width != 60 || th.Height != 40 || bytes.Contains(th.Data, []byte("Exif")) {
				t.Fatalf("orientation %d, %s: %d x %d", orientation, what, th.Width, th.Height)
			}
			got, _ := decodeAny(th.Data)
			for at, want := range corners {
				if c := got.At(10+at.X*40, 8+at.Y*24); !near(c, int(want.R), int(want.G), int(want.B)) {
					t.Errorf("orientation %d, %s: corner %v is %v, want %v", orientation, what, at, c, want)
				}
			}
		}
	}
}

func TestThumbnailsShowThePicture(t *testing.T) {
	t.Parallel()
	big := gradient(3900, 150)
	for name, b := range map[string][]byte{"PNG": encodePNG(t, big), "JPEG": encodeJPEG(t, big)} {
		for _, th := range thumbnails(t, b) {
			m, _ := decodeAny(th.Data)
			for _, at := range []image.Point{{1, 1}, {th.Width / 2, 1}, {th.Width - 2, th.Height - 2}} {
				want := big.RGBAAt(at.X*3900/th.Width, at.Y*150/th.Height)
				got := color.RGBAModel.Convert(m.At(at.X, at.Y)).(color.RGBA)
				if !near(got, int(want.R), int(want.G), int(want.B)) {
					t.Errorf("%s at %v: %v, want about %v", name, at, got, want)
				}
			}
		}
	}
	// What is transparent stays so.
	glass := image.NewNRGBA(image.Rect(0, 0, 700, 30))
	for x := range 350 {
		for y := range 30 {
			glass.SetNRGBA(x, y, color.NRGBA{200, 100, 0, 128})
		}
	}
	for _, th := range thumbnails(t, encodePNG(t, glass)) {
		m, _ := decodeAny(th.Data)
		left := color.NRGBAModel.Convert(m.At(th.Width/4, th.Height/2)).(color.NRGBA)
		_, _, _, right := m.At(th.Width*3/4, th.Height/2).RGBA()
		if th.Type != TypePNG || !near(left, 200, 100, 0) || left.A < 126 || left.A > 130 || right != 0 {
			t.Errorf("%d wide: %s, %v and alpha %d", th.Width, th.Type, left, right)
		}
	}
	// Of an animation it is the first frame.
	m, _ := decodeAny(thumbnails(t, encodeGIF(t, 2))[0].Data)
	if !near(m.At(12, 8), 200, 0, 0) {
		t.Errorf("the first frame is %v", m.At(12, 8))
	}
	// A colour profile for RGB goes with the thumbnails, another does not.
	profile := segment(0xe2, rgbProfile())
	jpg := encodeJPEG(t, gradient(400, 300))
	for _, th := range thumbnails(t, insert(jpg, 2, profile)) {
		if !bytes.Contains(th.Data, profile) {
			t.Errorf("%d wide: without the colour profile", th.Width)
		}
	}
	if th := thumbnails(t, insert(jpg, 2, segment(0xe2, strings.Replace(rgbProfile(), "RGB ", "CMYK", 1)))); bytes.Contains(th[0].Data, signICC) {
		t.Error("a colour profile for CMYK is in a picture in RGB")
	}
	for name, b := range withSecrets(t) {
		for _, th := range thumbnails(t, b) {
			if bytes.Contains(th.Data, []byte("37.5665")) || bytes.Contains(th.Data, []byte("Exif")) {
				t.Errorf("%s: a thumbnail tells the secret", name)
			}
		}
	}
}

// manyScans is a progressive JPEG with its last scan n times.
func manyScans(t testing.TB, n int) []byte {
	b := fixture(t, "progressive.jpg")
	last := bytes.LastIndex(b, []byte{0xff, markerSOS})
	end := len(b) - 2
	return bytes.Join([][]byte{b[:last], bytes.Repeat(b[last:end], n), b[end:]}, nil)
}

// Pictures that are cut off, or say something else than they hold, are
// refused as such, without harm.
func TestDamagedPictures(t *testing.T) {
	t.Parallel()
	damaged := map[string][]byte{
		"a header of 20,000 x 2,000 and nothing else": pngHeader(20_000, 2_000),
		"no picture":     []byte(pdf),
		"41 scans":       manyScans(t, 41),
		"two beginnings": insert(encodeJPEG(t, gradient(9, 9)), 2, []byte{0xff, markerSOI}),
	}
	for name, b := range withSecrets(t) {
		whole := clean(t, b)
		for n := range len(whole) - 1 {
			if n > 60 && n%13 != 0 && n < len(whole)-8 {
				continue
			}
			kind := pictureType(whole[:n])
			if kind == "" {
				continue
			}
			_, err := Thumbnails(t.Context(), bytes.NewReader(whole[:n]))
			if err != nil && !errors.Is(err, ErrInvalid) || err == nil && n < len(whole)-20 && kind != TypeGIF { // of which one frame is enough
				t.Errorf("%s cut at %d of %d: %v", name, n, len(whole), err)
			}
			if err := Clean(t.Context(), io.Discard, bytes.NewReader(whole[:n]), kind); err != nil && !errors.Is(err, ErrInvalid) || err == nil && kind != TypeGIF {
				t.Errorf("%s cut at %d of %d is cleaned: %v", name, n, len(whole), err)
			}
		}
	}
	for name, b := range damaged {
		if _, err := Thumbnails(t.Context(), bytes.NewReader(b)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Clean(t.Context(), io.Discard, bytes.NewReader(damaged["41 scans"]), TypeJPEG); !errors.Is(err, ErrInvalid) {
		t.Errorf("41 scans are cleaned: %v", err)
	}
	for kind := range fileTypes { // of another type than was said
		if err := Clean(t.Context(), io.Discard, strings.NewReader(pdf), kind); kind.IsPicture() != errors.Is(err, ErrInvalid) {
			t.Errorf("a PDF cleaned as %s: %v", kind, err)
		}
	}
}

func TestPicturesEndWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := encodeJPEG(t, gradient(40, 30))
	if _, err := Thumbnails(ctx, bytes.NewReader(b)); !errors.Is(err, context.Canceled) {
		t.Errorf("thumbnails: %v", err)
	}
	if err := Clean(ctx, io.Discard, bytes.NewReader(b), TypeJPEG); !errors.Is(err, context.Canceled) {
		t.Errorf("clean: %v", err)
	}
	broken := errors.New("the disk is gone")
	for after := range len(b) {
		if _, err := Thumbnails(t.Context(), &breaking{Reader: bytes.NewReader(b), left: after, err: broken}); !errors.Is(err, broken) {
			t.Fatalf("thumbnails of a reader that breaks after %d bytes: %v", after, err)
		}
	}
	if err := Clean(t.Context(), brokenWriter{broken}, bytes.NewReader(b), TypeJPEG); !errors.Is(err, broken) || errors.Is(err, ErrInvalid) {
		t.Errorf("clean into a writer that breaks: %v", err)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

// At most two pictures are decoded at once, and a heavy one alone.
func TestDecodingIsBounded(t *testing.T) {
	t.Parallel()
	b := encodePNG(t, image.NewGray(image.Rect(0, 0, 10, 10)))
	heavy := pngHeader(6000, 6000)
	var mu sync.Mutex
	active, light, most := 0, 0, 0
	var wg sync.WaitGroup
	for i := range 9 {
		wg.Go(func() {
			file, weight := b, 1
			if i%3 == 0 {
				file, weight = heavy, 2
			}
			r := &watched{Reader: bytes.NewReader(file)}
			// Its third look at the beginning is the decoder's.
			r.decoding = func() {
				mu.Lock()
				active += weight
				light++
				most = max(most, active)
				mu.Unlock()
				for range 500 {
					runtime.Gosched()
				}
				mu.Lock()
				active -= weight
				mu.Unlock()
			}
			_, _ = Thumbnails(t.Context(), r)
		})
	}
	wg.Wait()
	if most > decodeSlots || light != 9 {
		t.Errorf("%d slots were in use at once, in %d decodings", most, light)
	}
}

type watched struct {
	*bytes.Reader
	begun    int
	decoding func()
}

func (r *watched) Seek(offset int64, whence int) (int64, error) {
	if offset == 0 && whence == io.SeekStart {
		if r.begun++; r.begun == 3 {
			r.decoding()
		}
	}
	return r.Reader.Seek(offset, whence)
}

func addPictures(f *testing.F) {
	for _, b := range withSecrets(f) {
		f.Add(b)
	}
	for _, b := range accepted(f) {
		f.Add(b)
	}
}

func FuzzThumbnails(f *testing.F) {
	addPictures(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &source{ctx: t.Context(), r: bytes.NewReader(b)}
		kind := pictureType(b)
		if kind == "" {
			return
		}
		if c, err := s.pictureHeader(kind); err == nil && c.Width*c.Height > 1<<18 {
			return // larger ones are only slower
		}
		list, err := Thumbnails(t.Context(), bytes.NewReader(b))
		if err != nil && !errors.Is(err, ErrInvalid) || err == nil && len(list) == 0 {
			t.Errorf("%d thumbnails, %v", len(list), err)
		}
	})
}

func FuzzClean(f *testing.F) {
	addPictures(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, err := inspect(b)
		if err != nil || !kind.IsPicture() {
			return
		}
		var out, again bytes.Buffer
		if err := Clean(t.Context(), &out, bytes.NewReader(b), kind); err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Error(err)
			}
			return
		}
		if err := Clean(t.Context(), &again, bytes.NewReader(out.Bytes()), kind); err != nil || !bytes.Equal(out.Bytes(), again.Bytes()) {
			t.Errorf("cleaned twice it is another: %v", err)
		}
		s := &source{ctx: t.Context(), r: bytes.NewReader(b)}
		if c, err := s.pictureHeader(kind); err != nil || c.Width*c.Height > 1<<18 {
			return
		}
		before, err := decodeAny(b)
		if err != nil {
			return
		}
		if after, err := decodeAny(out.Bytes()); err != nil || !samePixels(before, after) {
			t.Errorf("it does not show the same: %v", err)
		}
	})
}

// BenchmarkThumbnails makes those of a JPEG of 40 megapixels, or of the file
// that CITYMARKET_PICTURE names.
func BenchmarkThumbnails(b *testing.B) {
	var data []byte
	if name := os.Getenv("CITYMARKET_PICTURE"); name != "" {
		var err error
		if data, err = os.ReadFile(name); err != nil {
			b.Fatal(err)
		}
	} else {
		data = encodeJPEG(b, gradient(7744, 5165))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Thumbnails(b.Context(), bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
}
