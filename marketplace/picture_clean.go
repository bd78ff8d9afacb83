package marketplace

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Clean copies a file without what does not belong to what it shows. Of a
// picture only the parts that make it appear are copied (pixels, colours,
// resolution, the frames of an animation, and a JPEG's orientation): not the
// place and time it was taken, the camera, comments, hidden previews, nor
// whatever follows its end, which could be a file of another type. The pixels
// are not coded again, so it loses nothing and takes little memory.
//
// Documents are copied as they are: they name their authors on purpose.
//
// t is what [Inspect] found. A picture that is damaged is an [*InvalidError];
// other errors are those of r, w and ctx. After an error, what was written is
// of no use.
func Clean(ctx context.Context, w io.Writer, r io.ReadSeeker, t FileType) error {
	s := &source{ctx: ctx, r: r}
	if s.rewind() != nil {
		return s.refuse("")
	}
	out := bufio.NewWriterSize(w, 64<<10)
	in := bufio.NewReaderSize(s, 64<<10)
	var err error
	switch t {
	case TypeJPEG:
		err = cleanJPEG(out, in)
	case TypePNG:
		err = cleanPNG(out, in)
	case TypeGIF:
		err = cleanGIF(out, in)
	case TypeWebP:
		err = cleanWebP(out, s)
	default:
		_, err = in.WriteTo(out)
	}
	switch {
	case err == nil:
		err = out.Flush()
	case errors.Is(err, errDamaged) || errors.Is(err, errScans) || s.err != nil:
		return s.refuseJPEG(err)
	}
	if err != nil {
		return fmt.Errorf("marketplace: clean a file: %w", err)
	}
	return nil
}

func cleanJPEG(w *bufio.Writer, r *bufio.Reader) error {
	write := func(marker byte, payload []byte) error {
		_, err := w.Write(append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(payload)+2)), payload...))
		return err
	}
	if _, err := w.Write([]byte{0xff, markerSOI}); err != nil {
		return err
	}
	jfif, exif := false, false
	err := walkJPEG(r, func(marker byte, payload []byte) error {
		switch {
		case marker >= markerSOF0 && marker <= markerSOF2, marker == markerDHT, marker == markerDQT, marker == markerDRI, marker == markerSOS:
			return write(marker, payload)
		case marker == markerAPP0 && bytes.HasPrefix(payload, signJFIF) && len(payload) >= 14 && !jfif:
			jfif = true
			return write(marker, append(bytes.Clone(payload[:12]), 0, 0)) // a preview of no pixels
		case marker == markerAPP1 && bytes.HasPrefix(payload, signExif) && !exif:
			exif = true
			if o := orientationOf(payload[len(signExif):]); o != 1 {
				return write(marker, exifOf(o))
			}
		case marker == markerAPP2 && bytes.HasPrefix(payload, signICC):
			return write(marker, payload)
		case marker == markerAPPE && bytes.HasPrefix(payload, signAdob) && len(payload) >= 12:
			return write(marker, payload[:12]) // how its colours are coded
		}
		return nil
	}, func(b []byte) error {
		_, err := w.Write(b)
		return err
	})
	if err != nil {
		return err
	}
	_, err = w.Write([]byte{0xff, markerEOI})
	return err
}

// cleanChunks are the chunks of PNG that make a picture appear, those of an
// animation included (PNG, third edition, 11).
var cleanChunks = []string{"IHDR", "PLTE", "IDAT", "IEND", "tRNS", "cHRM", "gAMA", "iCCP", "sBIT", "sRGB", "cICP", "mDCV", "cLLI", "bKGD", "pHYs", "acTL", "fcTL", "fdAT"}

func cleanPNG(w *bufio.Writer, r *bufio.Reader) error {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || string(head[:]) != "\x89PNG\r\n\x1a\n" {
		return errDamaged
	}
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	for first := true; ; first = false {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return errDamaged
		}
		length, kind := binary.BigEndian.Uint32(head[:]), string(head[4:])
		if length > 1<<31-1 || first != (kind == "IHDR") {
			return errDamaged
		}
		keep := slices.Contains(cleanChunks, kind)
		if keep {
			if _, err := w.Write(head[:]); err != nil {
				return err
			}
		}
		if err := copyPart(w, r, int64(length)+4, keep); err != nil { // with its checksum
			return err
		}
		if kind == "IEND" {
			return nil
		}
	}
}

// copyPart reads n bytes, and writes them if they are kept.
func copyPart(w io.Writer, r io.Reader, n int64, keep bool) error {
	if !keep {
		w = io.Discard
	}
	copied, err := io.CopyN(w, r, n)
	if err == io.EOF || err == nil && copied != n {
		return errDamaged
	}
	return err
}

func cleanGIF(w *bufio.Writer, r *bufio.Reader) error {
	// Signature, size, flags, background, aspect; then a table of colours.
	head := make([]byte, 13)
	if _, err := io.ReadFull(r, head); err != nil {
		return errDamaged
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	if err := copyPart(w, r, colourTable(head[10]), true); err != nil {
		return err
	}
	var control bytes.Buffer // what applies to the next picture
	for pictures := 0; ; {
		kind, err := r.ReadByte()
		if err == io.EOF && pictures > 0 {
			kind = 0x3b // which some programs leave out
		} else if err != nil {
			return errDamaged
		}
		switch kind {
		case 0x00: // some programs put one too many behind a picture
		case 0x3b: // the end
			if pictures == 0 {
				return errDamaged
			}
			return w.WriteByte(kind)
		case 0x2c: // a picture: place, size and flags; colours; width of codes; codes
			pictures++
			if _, err := control.WriteTo(w); err != nil {
				return err
			}
			head := make([]byte, 9)
			if _, err := io.ReadFull(r, head); err != nil {
				return errDamaged
			}
			if _, err := w.Write(append([]byte{kind}, head...)); err != nil {
				return err
			}
			if err := copyPart(w, r, colourTable(head[8])+1, true); err != nil {
				return err
			}
			if err := copyBlocks(w, r); err != nil {
				return err
			}
		case 0x21: // an extension
			if err := cleanExtension(w, &control, r); err != nil {
				return err
			}
		default:
			return errDamaged
		}
	}
}

// cleanExtension keeps the control of the next picture, and how often an
// animation is repeated.
func cleanExtension(w io.Writer, control *bytes.Buffer, r *bufio.Reader) error {
	label, err := r.ReadByte()
	if err != nil {
		return errDamaged
	}
	switch label {
	case 0xf9: // control: 4 bytes and an end
		control.Reset()
		control.Write([]byte{0x21, label})
		if err := copyPart(control, r, 6, true); err != nil {
			return err
		}
		if b := control.Bytes(); b[2] != 4 || b[7] != 0 {
			return errDamaged
		}
		return nil
	case 0x01: // a text instead of a picture
		control.Reset()
	case 0xff: // of an application
		name, err := r.Peek(12)
		if err != nil {
			return errDamaged
		}
		if s := string(name[1:]); name[0] == 11 && (s == "NETSCAPE2.0" || s == "ANIMEXTS1.0") {
			return cleanLoop(w, r)
		}
	}
	return copyBlocks(io.Discard, r)
}

// cleanLoop keeps the block of 3 bytes that says how often to repeat.
func cleanLoop(w io.Writer, r *bufio.Reader) error {
	var ext [16]byte
	if _, err := io.ReadFull(r, ext[:]); err != nil {
		return errDamaged
	}
	if ext[12] != 3 || ext[13] != 1 {
		return errDamaged
	}
	if _, err := w.Write(append(append([]byte{0x21, 0xff}, ext[:]...), 0)); err != nil {
		return err
	}
	return copyBlocks(io.Discard, r)
}

// colourTable is the size of the table that the flags of a GIF announce.
func colourTable(flags byte) int64 {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}

// copyBlocks copies blocks with their lengths up to an empty one.
func copyBlocks(w io.Writer, r *bufio.Reader) error {
	for {
		n, err := r.ReadByte()
		if err != nil {
			return errDamaged
		}
		if _, err := w.Write([]byte{n}); err != nil || n == 0 {
			return err
		}
		if err := copyPart(w, r, int64(n), true); err != nil {
			return err
		}
	}
}

// maxWebPChunks bounds the chunks of a WebP, of which five have a meaning.
const maxWebPChunks = 1000

// cleanWebP reads the file twice, since it begins with its own length.
func cleanWebP(w *bufio.Writer, s *source) error {
	var head [12]byte
	if err := s.readAt(head[:], 0); err != nil || string(head[:4]) != "RIFF" || string(head[8:]) != "WEBP" {
		return errDamaged
	}
	type chunk struct{ at, size int64 } // with its head of 8 bytes and the byte that makes it even
	var keep []chunk
	total, pixels := int64(4), false
	end := 8 + int64(binary.LittleEndian.Uint32(head[4:]))
	for at, n := int64(12), 0; at+8 <= end; n++ {
		var h [8]byte
		if err := s.readAt(h[:], at); err != nil || n == maxWebPChunks {
			return errDamaged
		}
		size := 8 + int64(binary.LittleEndian.Uint32(h[4:]))
		size += size & 1
		if at+size > end {
			return errDamaged
		}
		switch kind := string(h[:4]); kind {
		case "ANIM", "ANMF":
			return errDamaged // not accepted by Inspect
		case "VP8X", "ICCP", "ALPH", "VP8 ", "VP8L":
			if !pixels {
				keep = append(keep, chunk{at, size})
				total += size
			}
			pixels = pixels || kind == "VP8 " || kind == "VP8L"
		}
		at += size
	}
	if !pixels {
		return errDamaged
	}
	binary.LittleEndian.PutUint32(head[4:], uint32(total))
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	for _, c := range keep {
		if _, err := s.Seek(c.at, io.SeekStart); err != nil {
			return err
		}
		var h [9]byte // with the flags of VP8X
		if _, err := io.ReadFull(s, h[:]); err != nil {
			return errDamaged
		}
		if string(h[:4]) == "VP8X" {
			h[8] &^= 0x08 | 0x04 // there is no Exif and no XMP any more
		}
		if _, err := w.Write(h[:]); err != nil {
			return err
		}
		if err := copyPart(w, s, c.size-int64(len(h)), true); err != nil {
			return err
		}
	}
	return nil
}
