package marketplace

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// Markers of JPEG (ITU-T T.81, table B.1).
const (
	markerSOF0 = 0xc0
	markerSOF2 = 0xc2 // progressive
	markerDHT  = 0xc4
	markerRST0 = 0xd0
	markerRST7 = 0xd7
	markerSOI  = 0xd8
	markerEOI  = 0xd9
	markerSOS  = 0xda
	markerDQT  = 0xdb
	markerDRI  = 0xdd
	markerAPP0 = 0xe0
	markerAPP1 = 0xe1
	markerAPP2 = 0xe2
	markerAPPE = 0xee
)

// maxScans bounds the scans of a JPEG. Encoders make some ten. Each costs the
// decoder a pass over the whole picture, 90 ms at 40 megapixels, and 10 MiB
// could ask for 170,000.
const maxScans = 40

var (
	signJFIF = []byte("JFIF\x00")
	signExif = []byte("Exif\x00\x00")
	signICC  = []byte("ICC_PROFILE\x00")
	signAdob = []byte("Adobe")
)

var errScans = errors.New("too many scans")

// walkJPEG reads a JPEG to its end mark, whatever follows that. It gives
// segment each segment with its payload, and data the coded pixels, which are
// behind those of a scan, in pieces. Bytes between segments, which mean
// nothing, it gives to nobody.
func walkJPEG(r *bufio.Reader, segment func(marker byte, payload []byte) error, data func([]byte) error) error {
	var start [2]byte
	if _, err := io.ReadFull(r, start[:]); err != nil || start != [2]byte{0xff, markerSOI} {
		return errDamaged
	}
	payload := make([]byte, 0, 1<<16)
	scans := 0
	marker, err := nextMarker(r)
	for ; err == nil; marker, err = nextMarker(r) {
		switch {
		case marker == markerEOI:
			if scans == 0 {
				return errDamaged
			}
			return nil
		case marker == markerSOI:
			return errDamaged
		case marker == 0x01, marker >= markerRST0 && marker <= markerRST7:
			continue // they have no payload, and no meaning here
		}
		var length [2]byte
		if _, err := io.ReadFull(r, length[:]); err != nil {
			return errDamaged
		}
		n := int(binary.BigEndian.Uint16(length[:])) - 2
		if n < 0 {
			return errDamaged
		}
		payload = payload[:n]
		if _, err := io.ReadFull(r, payload); err != nil {
			return errDamaged
		}
		if marker == markerSOS {
			if scans++; scans > maxScans {
				return errScans
			}
		}
		if err := segment(marker, payload); err != nil {
			return err
		}
		if marker == markerSOS {
			if err := walkScan(r, data); err != nil {
				return err
			}
		}
	}
	return err
}

// nextMarker skips to the next marker.
func nextMarker(r *bufio.Reader) (byte, error) {
	last := byte(0)
	for {
		b, err := r.ReadByte()
		if err != nil {
			return 0, errDamaged
		}
		if last == 0xff && b != 0xff && b != 0 {
			return b, nil
		}
		last = b
	}
}

// walkScan reads coded pixels, in which 0xff is followed by zero or the number
// of a restart, up to the next marker.
func walkScan(r *bufio.Reader, data func([]byte) error) error {
	for {
		piece, err := r.ReadSlice(0xff)
		if err != nil && err != bufio.ErrBufferFull {
			return errDamaged
		}
		if err == nil {
			if err := r.UnreadByte(); err != nil {
				return errDamaged
			}
			piece = piece[:len(piece)-1]
		}
		if len(piece) > 0 {
			if err := data(piece); err != nil {
				return err
			}
		}
		if err != nil {
			continue
		}
		next, err := r.Peek(2)
		if err != nil {
			return errDamaged
		}
		switch {
		case next[1] == 0 || next[1] >= markerRST0 && next[1] <= markerRST7:
			if err := data(next); err != nil {
				return err
			}
			if _, err := r.Discard(2); err != nil {
				return errDamaged
			}
		case next[1] == 0xff: // a byte that fills
			if _, err := r.Discard(1); err != nil {
				return errDamaged
			}
		default:
			return nil
		}
	}
}

// jpegInfo is what thumbnails need to know of a JPEG besides its pixels.
type jpegInfo struct {
	orientation int    // of Exif, 1 to 8; 1 where none is given
	profile     []byte // the segment of a colour profile for RGB; empty for none or one in several segments
	samples     int    // of all its components
	progressive bool
	converted   bool // the decoder makes a second picture, of 4 bytes a pixel
}

// jpegInfo reads a whole JPEG. It refuses what is cut off and what has too
// many scans.
func (s *source) jpegInfo() (jpegInfo, error) {
	info := jpegInfo{orientation: 1}
	exif, colours, profiles := false, 0, 0
	if s.rewind() != nil {
		return info, s.refuse("")
	}
	err := walkJPEG(bufio.NewReaderSize(s, 64<<10), func(marker byte, payload []byte) error {
		switch {
		case marker >= markerSOF0 && marker <= markerSOF2:
			info.progressive = marker == markerSOF2
			info.samples, colours = samplesOf(payload)
			info.converted = info.converted || colours == 4 || colours == 3 && payload[6] == 'R'
		case marker == markerAPPE && bytes.HasPrefix(payload, signAdob) && len(payload) >= 12:
			info.converted = info.converted || payload[11] == 0
		case marker == markerAPP1 && bytes.HasPrefix(payload, signExif) && !exif:
			exif = true
			info.orientation = orientationOf(payload[len(signExif):])
		case marker == markerAPP2 && bytes.HasPrefix(payload, signICC):
			// Sign, number, count; then the profile, whose bytes 16 to 19
			// name its colours (ICC.1:2022, 7.2).
			if profiles++; len(payload) >= len(signICC)+2+20 && string(payload[len(signICC)+2+16:][:4]) == "RGB " {
				info.profile = bytes.Clone(payload)
			}
		}
		return nil
	}, func([]byte) error { return nil })
	if err != nil {
		return info, s.refuseJPEG(err)
	}
	if profiles != 1 || colours != 3 {
		info.profile = nil
	}
	return info, nil
}

func (s *source) refuseJPEG(err error) error {
	if err == errScans {
		return s.refuse("is a picture of more than 40 scans")
	}
	return s.refuse("is a damaged picture")
}

// samplesOf counts the samples of a frame as the decoder keeps them, and its
// components.
func samplesOf(frame []byte) (samples, components int) {
	if len(frame) < 6 {
		return 0, 0
	}
	h, w, n := int(binary.BigEndian.Uint16(frame[1:])), int(binary.BigEndian.Uint16(frame[3:])), int(frame[5])
	if len(frame) < 6+3*n {
		return 0, 0
	}
	sum, maxH, maxV := 0, 1, 1
	for i := range n {
		f := frame[6+3*i+1]
		sum += int(f>>4) * int(f&15)
		maxH, maxV = max(maxH, int(f>>4)), max(maxV, int(f&15))
	}
	return (w/(8*maxH) + 1) * (h/(8*maxV) + 1) * 64 * sum, n
}

// orientationOf reads the orientation from the first directory of an Exif
// block, which has the form of a TIFF file; 1 where there is none.
func orientationOf(b []byte) int {
	var order binary.ByteOrder = binary.BigEndian
	switch {
	case len(b) < 8:
		return 1
	case string(b[:4]) == "II*\x00":
		order = binary.LittleEndian
	case string(b[:4]) != "MM\x00*":
		return 1
	}
	at := int64(order.Uint32(b[4:]))
	if at+2 > int64(len(b)) {
		return 1
	}
	n := int(order.Uint16(b[at:]))
	b = b[at+2:]
	for i := 0; i < n && len(b) >= 12; i, b = i+1, b[12:] {
		// Tag, type (3: 16 bits), count, value.
		if order.Uint16(b) == 0x0112 && order.Uint16(b[2:]) == 3 {
			if o := int(order.Uint16(b[8:])); o >= 1 && o <= 8 {
				return o
			}
			return 1
		}
	}
	return 1
}

// exifOf is an Exif block that says nothing but the orientation.
func exifOf(orientation int) []byte {
	b := append(bytes.Clone(signExif), "MM\x00*"...)
	b = binary.BigEndian.AppendUint32(b, 8)      // the directory begins here
	b = binary.BigEndian.AppendUint16(b, 1)      // entries
	b = binary.BigEndian.AppendUint16(b, 0x0112) // orientation
	b = binary.BigEndian.AppendUint16(b, 3)      // 16 bits
	b = binary.BigEndian.AppendUint32(b, 1)      // one value
	b = binary.BigEndian.AppendUint16(b, uint16(orientation))
	return append(b, 0, 0, 0, 0, 0, 0) // the rest of the value, no further directory
}
