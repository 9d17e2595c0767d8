package transport

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/pgfed/pgfed/internal/change"
)

// Wire format 1.
//
//	message   = "PGFB" format:byte crc:uint32be flags:byte body
//	body      = header tables parts records
//	header    = federation:string origin:string history generation:id rules:uvarint writer:id number:uvarint
//	            previous:uvarint (last-previous):uvarint back:uvarint
//	history   = id system:uvarint timeline:uvarint parent:id fork:uvarint start:uvarint
//	string    = length:uvarint bytes
//	id        = 16 bytes
//
// The CRC (Castagnoli) covers everything behind it. The flags' low two bits
// say how the body is compressed; a compressed body is preceded by its plain
// length. Bit 0x04 says that a table of the message is a partition: it came
// after the first readers, and one that does not know a flag refuses the message
// instead of misreading what follows. Tables, parts and records are described in wire_record.go.
//
// The message completes the transactions in (previous, last]. "back" is how
// many messages, this one included, belong to a large transaction that is
// still unfinished behind this message; 0 when none is. A reader that has
// completed everything up to here needs what follows sequence - back.
const (
	formatVersion = 1
	magic         = "PGFB"
	crcAt         = len(magic) + 1
	flagsAt       = crcAt + 4
	bodyAt        = flagsAt + 1

	compressionMask = 0x03
	hasPartitions   = 0x04

	// maxBody bounds what decompression may produce. Writers stay below
	// messageCeiling.
	maxBody = 16 << 20
	// messageCeiling is the largest message we write, whatever the broker takes.
	messageCeiling = 1 << 20
)

type compression byte

const (
	uncompressed   compression = 0
	compressedS2   compression = 1
	compressedZstd compression = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	zstdEncoder = sync.OnceValues(func() (*zstd.Encoder, error) {
		return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	})
	zstdDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
		return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxBody))
	})
)

// header is what every message says of itself.
type header struct {
	Federation string
	Origin     string
	History    change.History
	Generation change.ID
	Rules      uint64
	Writer     change.ID // one publisher's life
	Number     uint64    // counts that publisher's messages, from 1
	Previous   change.LSN
	Last       change.LSN
	Back       uint64
}

func appendHeader(b []byte, h *header) []byte {
	b = appendString(b, h.Federation)
	b = appendString(b, h.Origin)
	b = append(b, h.History.ID[:]...)
	b = binary.AppendUvarint(b, h.History.System)
	b = binary.AppendUvarint(b, uint64(h.History.Timeline))
	b = append(b, h.History.Parent[:]...)
	b = binary.AppendUvarint(b, uint64(h.History.Fork))
	b = binary.AppendUvarint(b, uint64(h.History.Start))
	b = append(b, h.Generation[:]...)
	b = binary.AppendUvarint(b, h.Rules)
	b = append(b, h.Writer[:]...)
	b = binary.AppendUvarint(b, h.Number)
	b = binary.AppendUvarint(b, uint64(h.Previous))
	b = binary.AppendUvarint(b, uint64(h.Last-h.Previous))
	return binary.AppendUvarint(b, h.Back)
}

func (r *parser) header() header {
	var h header
	h.Federation = r.string()
	h.Origin = r.string()
	h.History.ID = r.id()
	h.History.System = r.uvarint()
	h.History.Timeline = r.uint32()
	h.History.Parent = r.id()
	h.History.Fork = change.LSN(r.uvarint())
	h.History.Start = change.LSN(r.uvarint())
	h.Generation = r.id()
	h.Rules = r.uvarint()
	h.Writer = r.id()
	h.Number = r.uvarint()
	h.Previous = change.LSN(r.uvarint())
	h.Last = h.Previous + change.LSN(r.uvarint())
	h.Back = r.uvarint()
	if r.err == nil && h.Last < h.Previous {
		r.fail("its last position lies before its previous one")
	}
	return h
}

// seal puts the envelope around a body. room bytes at the start of b are free
// for it: b[:bodyAt] is overwritten, the body begins at bodyAt. The result may
// share memory with b. flags are those besides the compression.
func seal(b []byte, wanted compression, flags byte) []byte {
	used := uncompressed
	if body := b[bodyAt:]; wanted != uncompressed && len(body) >= 512 {
		if packed := compress(body, wanted); packed != nil && len(packed) < len(b)-len(b)/16 {
			b, used = packed, wanted
		}
	}
	copy(b, magic)
	b[len(magic)] = formatVersion
	b[flagsAt] = byte(used) | flags
	binary.BigEndian.PutUint32(b[crcAt:], crc32.Checksum(b[flagsAt:], castagnoli))
	return b
}

// compress returns the body compressed, with room for the envelope in front
// of it, or nil when that did not work.
func compress(body []byte, how compression) []byte {
	prefix := binary.AppendUvarint(make([]byte, bodyAt, bodyAt+binary.MaxVarintLen64), uint64(len(body)))
	switch how {
	case compressedS2:
		packed := make([]byte, len(prefix)+s2.MaxEncodedLen(len(body)))
		copy(packed, prefix)
		return packed[:len(prefix)+len(s2.Encode(packed[len(prefix):], body))]
	case compressedZstd:
		encoder, err := zstdEncoder()
		if err != nil {
			return nil
		}
		return encoder.EncodeAll(body, prefix)
	}
	return nil
}

// unseal checks the envelope and returns the body. It shares memory with data,
// or with scratch when the body was compressed; the scratch to be used next
// time is returned too.
func unseal(data, scratch []byte) (body, newScratch []byte, err error) {
	if len(data) < bodyAt {
		return nil, scratch, corrupt("%d bytes, too short for a message", len(data))
	}
	if string(data[:len(magic)]) != magic {
		return nil, scratch, corrupt("it does not begin as a message does")
	}
	if format := data[len(magic)]; format != formatVersion {
		return nil, scratch, &FormatError{Have: format, Want: formatVersion}
	}
	want, have := binary.BigEndian.Uint32(data[crcAt:]), crc32.Checksum(data[flagsAt:], castagnoli)
	if want != have {
		return nil, scratch, corrupt("its checksum is %08x, it says %08x", have, want)
	}
	if data[flagsAt]&^(compressionMask|hasPartitions) != 0 {
		return nil, scratch, fmt.Errorf("%w: the message has flags %02x, and this version does not know all of them", ErrFormat, data[flagsAt])
	}
	how := compression(data[flagsAt] & compressionMask)
	if how == uncompressed {
		return data[bodyAt:], scratch, nil
	}
	return decompress(data[bodyAt:], how, scratch)
}

func decompress(packed []byte, how compression, scratch []byte) (body, newScratch []byte, err error) {
	size, n := binary.Uvarint(packed)
	if n <= 0 || size > maxBody {
		return nil, scratch, corrupt("an impossible length of the body")
	}
	packed = packed[n:]
	switch how {
	case compressedS2:
		if have, err := s2.DecodedLen(packed); err != nil || uint64(have) != size {
			return nil, scratch, corrupt("a compressed body of another length than it says")
		}
		body, err = s2.Decode(scratch[:cap(scratch)], packed)
	case compressedZstd:
		var decoder *zstd.Decoder
		if decoder, err = zstdDecoder(); err != nil {
			return nil, scratch, err
		}
		body, err = decoder.DecodeAll(packed, scratch[:0])
	default:
		return nil, scratch, corrupt("unknown compression %d", how)
	}
	if err != nil {
		return nil, scratch, corrupt("decompress: %v", err)
	}
	if uint64(len(body)) != size {
		return nil, scratch, corrupt("the body has %d bytes, it says %d", len(body), size)
	}
	if cap(body) > cap(scratch) {
		scratch = body
	}
	return body, scratch, nil
}

// parser takes a message apart. The first mistake sticks: everything read
// after it is zero.
type parser struct {
	b   []byte
	err error
}

func (r *parser) fail(format string, args ...any) {
	if r.err == nil {
		r.err = corrupt(format, args...)
	}
	r.b = nil
}

func (r *parser) byte() byte {
	if len(r.b) < 1 {
		r.fail("it ends too early")
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *parser) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail("it ends inside a number, or the number is too large")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *parser) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail("it ends inside a number, or the number is too large")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *parser) uint32() uint32 {
	v := r.uvarint()
	if v > 1<<32-1 {
		r.fail("a number of 32 bits has the value %d", v)
	}
	return uint32(v)
}

// bytes returns a length-prefixed run of bytes that shares memory with the
// message.
func (r *parser) bytes() []byte {
	return r.take(r.uvarint())
}

func (r *parser) take(size uint64) []byte {
	if size > uint64(len(r.b)) {
		r.fail("%d bytes are announced, %d are left", size, len(r.b))
		return nil
	}
	b := r.b[:size:size]
	r.b = r.b[size:]
	return b
}

func (r *parser) string() string { return string(r.bytes()) }

func (r *parser) id() change.ID {
	var id change.ID
	copy(id[:], r.take(uint64(len(id))))
	return id
}

// count reads how many elements follow, of at least size bytes each, so that
// a forged number cannot make us reserve more than the message justifies.
func (r *parser) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.b)/size) {
		r.fail("%d elements are announced, %d bytes are left", n, len(r.b))
		return 0
	}
	return int(n)
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendBytes(b, run []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(run)))
	return append(b, run...)
}
