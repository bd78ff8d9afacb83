package marketplace

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"runtime"

	"golang.org/x/image/draw"
	"golang.org/x/image/webp"
	"golang.org/x/sync/semaphore"
)

// Limits of pictures.
const (
	MaxPicturePixels = 40_000_000
	MaxPictureSide   = 20_000 // pixels
)

// thumbnailWidths are the widths of thumbnails in pixels: for a list, and for
// a page. A thumbnail is at most twice as high as its width.
var thumbnailWidths = []int{320, 1280}

// thumbnailQuality is that of JPEG thumbnails, from 1 to 100.
const thumbnailQuality = 82

// A Thumbnail is a small copy of a picture.
type Thumbnail struct {
	Width, Height int // pixels
	Data          []byte
	Type          FileType // TypeJPEG, or TypePNG where the picture is transparent
}

// pictureType tells a picture by its first bytes.
func pictureType(head []byte) FileType {
	switch {
	case bytes.HasPrefix(head, []byte("\x89PNG\r\n\x1a\n")):
		return TypePNG
	case bytes.HasPrefix(head, []byte("\xff\xd8\xff")):
		return TypeJPEG
	case bytes.HasPrefix(head, []byte("GIF87a")), bytes.HasPrefix(head, []byte("GIF89a")):
		return TypeGIF
	case len(head) >= 12 && bytes.HasPrefix(head, []byte("RIFF")) && string(head[8:12]) == "WEBP":
		return TypeWebP
	}
	return ""
}

// pictureHeader reads the header of a picture and refuses too many pixels.
func (s *source) pictureHeader(t FileType) (image.Config, error) {
	if s.rewind() != nil {
		return image.Config{}, s.refuse("")
	}
	decode := map[FileType]func(io.Reader) (image.Config, error){
		TypePNG: png.DecodeConfig, TypeJPEG: jpeg.DecodeConfig, TypeGIF: gif.DecodeConfig, TypeWebP: webp.DecodeConfig,
	}[t]
	var c image.Config
	err := guarded(func() (err error) {
		c, err = decode(bufio.NewReader(s))
		return err
	})
	switch {
	case t == TypeWebP && s.isAnimatedWebP():
		return c, s.refuse("is an animated WebP, which must be sent as GIF")
	case err != nil || c.Width < 1 || c.Height < 1:
		return c, s.refuse("is a damaged picture")
	case c.Width > MaxPictureSide || c.Height > MaxPictureSide || c.Width*c.Height > MaxPicturePixels:
		return c, invalid(fileField, "OUT_OF_RANGE", fmt.Sprintf("at most %d megapixels and %d pixels a side, this picture has %d x %d",
			MaxPicturePixels/1_000_000, MaxPictureSide, c.Width, c.Height))
	}
	return c, nil
}

// isAnimatedWebP looks at the flag that says so; there is no decoder for those.
func (s *source) isAnimatedWebP() bool {
	head := make([]byte, 21)
	return s.readAt(head, 0) == nil && string(head[12:16]) == "VP8X" && head[20]&0x02 != 0
}

// guarded calls a decoder. One that panics over a stranger's bytes must not
// end the process.
func guarded(decode func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decoder: %v", p)
		}
	}()
	return decode()
}

// decoding bounds the memory of pictures in this process: two are decoded at
// once, or one that is heavy.
var decoding = semaphore.NewWeighted(decodeSlots)

const (
	decodeSlots = 2
	// heavyPicture is the memory from which a picture counts as heavy, in
	// bytes. A baseline JPEG of 40 megapixels is not (60 to 120 MB), a
	// progressive one is (300 to 600 MB).
	heavyPicture = 192 << 20
)

// Thumbnails returns small copies of a picture, 320 and 1280 pixels wide but
// never wider than the picture itself, the smaller first; one where both would
// be the same. They are upright and hold no metadata but a JPEG's colour
// profile. Of an animation they show the first frame. What is no picture, or
// cannot be decoded, is an [*InvalidError]; other errors are those of r and ctx.
//
// A baseline JPEG of 40 megapixels takes 1.2 s and 120 MB; the worst that are
// allowed take 3.7 s and 650 MB (progressive JPEG, interlaced PNG of 16 bits).
// At most two calls work at once in a process, or one on a heavy picture; the
// others wait.
func Thumbnails(ctx context.Context, r io.ReadSeeker) ([]Thumbnail, error) {
	s := &source{ctx: ctx, r: r}
	head := make([]byte, 12)
	if _, err := s.ReadAt(head, 0); err != nil && err != io.EOF {
		return nil, s.refuse("")
	}
	t := pictureType(head)
	if t == "" {
		return nil, s.refuse("is no picture")
	}
	config, err := s.pictureHeader(t)
	if err != nil {
		return nil, err
	}
	info := jpegInfo{orientation: 1}
	if t == TypeJPEG {
		if info, err = s.jpegInfo(); err != nil {
			return nil, err
		}
	}
	slots := int64(1)
	heavy := memoryOf(t, config, info) > heavyPicture
	if heavy {
		slots = decodeSlots
	}
	if err := decoding.Acquire(ctx, slots); err != nil {
		return nil, fmt.Errorf("marketplace: thumbnails: %w", err)
	}
	defer decoding.Release(slots)
	if heavy {
		// Before the slots are given back, so that what one heavy picture
		// leaves behind does not add to the next one.
		defer runtime.GC()
	}
	base, err := s.base(t, info.orientation)
	if err != nil {
		return nil, err
	}
	return encodeThumbnails(base, info)
}

// pictureSize is how large a picture is when it is upright, in pixels.
func pictureSize(ctx context.Context, r io.ReadSeeker, t FileType) (width, height int, err error) {
	s := &source{ctx: ctx, r: r}
	config, err := s.pictureHeader(t)
	if err != nil || t != TypeJPEG {
		return config.Width, config.Height, err
	}
	info, err := s.jpegInfo()
	if info.orientation >= 5 {
		return config.Height, config.Width, err
	}
	return config.Width, config.Height, err
}

// memoryOf estimates what the decoding of a picture takes, in bytes.
func memoryOf(t FileType, c image.Config, info jpegInfo) int {
	pixels := c.Width * c.Height
	switch {
	case t == TypeJPEG:
		memory := info.samples
		if info.progressive {
			memory += 4 * info.samples // coefficients, which are kept to the end
		}
		if info.converted {
			memory += 4 * pixels
		}
		return memory
	case t == TypeWebP:
		// Lossless ones can hold many tables of prefix codes, 180 MB of them.
		return pixels*8 + 180<<20
	case c.ColorModel == color.NRGBA64Model || c.ColorModel == color.RGBA64Model:
		return pixels * 8
	}
	return pixels * 6 // 4, and half as much again for an interlaced PNG
}

// base decodes a picture and scales it to its largest thumbnail, upright.
func (s *source) base(t FileType, orientation int) (*image.RGBA, error) {
	if s.rewind() != nil {
		return nil, s.refuse("")
	}
	decode := map[FileType]func(io.Reader) (image.Image, error){
		TypePNG: png.Decode, TypeJPEG: jpeg.Decode, TypeGIF: gif.Decode, TypeWebP: webp.Decode,
	}[t]
	var picture image.Image
	err := guarded(func() (err error) {
		picture, err = decode(bufio.NewReaderSize(s, 64<<10))
		return err
	})
	if err != nil {
		return nil, s.refuse("is a damaged picture")
	}
	b := picture.Bounds() // of a GIF those of its first frame
	if b.Empty() {
		return nil, s.refuse("is a damaged picture")
	}
	turned := orientation >= 5
	size := thumbnailSize(b.Size(), turned, thumbnailWidths[len(thumbnailWidths)-1])
	small, err := reduce(s.ctx, picture, max(1, min(b.Dx()/size.X, b.Dy()/size.Y)))
	if err != nil {
		return nil, fmt.Errorf("marketplace: thumbnails: %w", err)
	}
	picture = nil // it may be large, and what follows needs memory, too
	return upright(scale(small, size), orientation), nil
}

// thumbnailSize is the size that a picture is scaled to so that it is at most
// width wide, and at most twice that high, when it is upright.
func thumbnailSize(picture image.Point, turned bool, width int) image.Point {
	w, h := picture.X, picture.Y
	if turned {
		w, h = h, w
	}
	size := image.Pt(w, h)
	if size.X > width {
		size = image.Pt(width, max(1, (h*width+w/2)/w))
	}
	if size.Y > 2*width {
		size = image.Pt(max(1, (w*2*width+h/2)/h), 2*width)
	}
	if turned {
		return image.Pt(size.Y, size.X)
	}
	return size
}

// reduce averages squares of k by k pixels. CatmullRom alone would need 32
// bytes for each row of the picture and column of the thumbnail, 340 MB at 40
// megapixels, and be slower. Up to k-1 columns and rows at the edges, less
// than a pixel of the result, are left out.
func reduce(ctx context.Context, picture image.Image, k int) (*image.RGBA, error) {
	b := picture.Bounds()
	kx, ky := min(k, b.Dx()), min(k, b.Dy())
	out := image.NewRGBA(image.Rect(0, 0, b.Dx()/kx, b.Dy()/ky))
	strip := image.NewRGBA(image.Rect(0, 0, out.Rect.Dx()*kx, ky))
	area := uint32(kx * ky)
	for y := range out.Rect.Dy() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		draw.Draw(strip, strip.Rect, picture, image.Pt(b.Min.X, b.Min.Y+y*ky), draw.Src)
		row := out.Pix[y*out.Stride:]
		if area == 1 {
			copy(row, strip.Pix)
			continue
		}
		for x := range out.Rect.Dx() {
			var r, g, b, a uint32
			for j := range ky {
				p := strip.Pix[j*strip.Stride+x*kx*4:][:kx*4]
				for i := 0; i+3 < len(p); i += 4 {
					r += uint32(p[i])
					g += uint32(p[i+1])
					b += uint32(p[i+2])
					a += uint32(p[i+3])
				}
			}
			p := row[x*4:][:4]
			p[0], p[1], p[2], p[3] = byte((r+area/2)/area), byte((g+area/2)/area), byte((b+area/2)/area), byte((a+area/2)/area)
		}
	}
	return out, nil
}

func scale(src *image.RGBA, size image.Point) *image.RGBA {
	if src.Rect.Size() == size {
		return src
	}
	out := image.NewRGBA(image.Rectangle{Max: size})
	draw.CatmullRom.Scale(out, out.Rect, src, src.Rect, draw.Src, nil)
	return out
}

// upright turns a picture by its orientation in Exif: 1 is upright, 2 to 4
// are mirrored and upside down, 5 to 8 lie on a side (Exif 2.32, 4.6.4).
func upright(src *image.RGBA, orientation int) *image.RGBA {
	if orientation < 2 || orientation > 8 {
		return src
	}
	w, h := src.Rect.Dx(), src.Rect.Dy()
	if orientation >= 5 {
		w, h = h, w
	}
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			sx, sy := x, y
			switch orientation {
			case 2:
				sx = w - 1 - x
			case 3:
				sx, sy = w-1-x, h-1-y
			case 4:
				sy = h - 1 - y
			case 5:
				sx, sy = y, x
			case 6:
				sx, sy = y, w-1-x
			case 7:
				sx, sy = h-1-y, w-1-x
			case 8:
				sx, sy = h-1-y, x
			}
			copy(out.Pix[out.PixOffset(x, y):][:4], src.Pix[src.PixOffset(sx, sy):][:4])
		}
	}
	return out
}

func encodeThumbnails(base *image.RGBA, info jpegInfo) ([]Thumbnail, error) {
	var list []Thumbnail
	opaque := base.Opaque()
	for _, width := range thumbnailWidths {
		size := thumbnailSize(base.Rect.Size(), false, width)
		if n := len(list); n > 0 && list[n-1].Width == size.X && list[n-1].Height == size.Y {
			continue
		}
		small := scale(base, size)
		t := Thumbnail{Width: size.X, Height: size.Y, Type: TypePNG}
		var buf bytes.Buffer
		var err error
		if opaque {
			t.Type = TypeJPEG
			err = jpeg.Encode(&buf, small, &jpeg.Options{Quality: thumbnailQuality})
		} else {
			err = png.Encode(&buf, small)
		}
		if err != nil {
			return nil, fmt.Errorf("marketplace: encode a thumbnail: %w", err)
		}
		t.Data = buf.Bytes()
		if opaque {
			t.Data = withProfile(t.Data, info.profile)
		}
		list = append(list, t)
	}
	return list, nil
}

// withProfile puts the segment of a colour profile behind the first two bytes
// of a JPEG. Without it the colours of most telephones' pictures would fade.
func withProfile(data, profile []byte) []byte {
	if len(profile) == 0 {
		return data
	}
	out := make([]byte, 0, len(data)+len(profile)+4)
	out = append(out, data[:2]...)
	out = append(out, 0xff, markerAPP2)
	out = binary.BigEndian.AppendUint16(out, uint16(len(profile)+2))
	out = append(out, profile...)
	return append(out, data[2:]...)
}

// errDamaged says that a picture does not have the form of its type.
var errDamaged = errors.New("damaged")
