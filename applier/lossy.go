package applier

import (
	"unicode/utf8"

	"github.com/pgfed/pgfed/internal/change"
)

// OIDs of built-in types are the same on every server.
const (
	charOID = 18
	nameOID = 19

	int2OID    = 21
	int8OID    = 20
	int4OID    = 23
	float4OID  = 700
	float8OID  = 701
	numericOID = 1700

	varcharOID = 1043
	moneyOID   = 790

	dateOID        = 1082
	timeOID        = 1083
	timestampOID   = 1114
	timestamptzOID = 1184
	intervalOID    = 1186
	timetzOID      = 1266

	daterangeOID      = 3912
	datemultirangeOID = 4535
)

// elements are the built-in types that take part in the judgement below, by
// their array types.
var elements = map[uint32]uint32{
	1002: charOID, 1003: nameOID, 1009: textOID, 1014: bpcharOID, 1015: varcharOID,
	1005: int2OID, 1007: int4OID, 1016: int8OID, 1021: float4OID, 1022: float8OID, 1231: numericOID,
	1182: dateOID, 1183: timeOID, 1270: timetzOID, 1115: timestampOID, 1185: timestamptzOID, 1187: intervalOID,
}

// instants are the range and multirange types of timestamps.
var instants = map[uint32]bool{3908: true, 3910: true, 4533: true, 4534: true}

// loses reports whether a column's type here takes values of the origin's type
// and silently makes others of them: the input functions of these types round
// or cut. Domains and arrays are what they are made of; of a domain of the
// origin's nothing but its name is known. Other differences are errors of the
// database where a value does not fit, or harmless, or seen by value: changes.
func loses(origin change.Column, here *targetColumn) bool {
	element, isArray := elements[origin.TypeOID]
	if isArray {
		origin.TypeOID = element
	}
	base := here.base
	switch base.oid {
	case dateOID, timeOID:
		if origin.TypeOID == timestampOID || origin.TypeOID == timestamptzOID || base.oid == timeOID && origin.TypeOID == timetzOID {
			return true
		}
	case daterangeOID, datemultirangeOID:
		return instants[origin.TypeOID]
	case float4OID:
		return origin.TypeOID == int4OID || origin.TypeOID == int8OID || origin.TypeOID == float8OID || origin.TypeOID == numericOID
	case float8OID:
		return origin.TypeOID == int8OID || origin.TypeOID == numericOID
	case moneyOID:
		return origin.TypeOID == float4OID || origin.TypeOID == float8OID || origin.TypeOID == numericOID
	case numericOID:
		return losesDigits(origin, base.mod)
	case nameOID, charOID:
		return isText(origin.TypeOID)
	case varcharOID, bpcharOID:
		return isArray && losesBlanks(origin, base)
	}
	switch base.oid {
	case timestampOID, timestamptzOID, timeOID, timetzOID:
		switch origin.TypeOID {
		case timestampOID, timestamptzOID, timeOID, timetzOID:
			return base.mod >= 0 && (origin.TypeMod < 0 || origin.TypeMod > base.mod)
		}
	case intervalOID:
		return base.mod >= 0 && origin.TypeOID == intervalOID && origin.TypeMod != base.mod
	}
	return false
}

func isText(oid uint32) bool { return oid == textOID || oid == varcharOID || oid == bpcharOID }

// losesBlanks: character(n) pads, and both types of limited length cut blanks
// without a word. To character(n) itself blanks do not count.
func losesBlanks(origin change.Column, here baseType) bool {
	switch {
	case !isText(origin.TypeOID) || here.mod < 0:
		return false
	case here.oid == bpcharOID:
		return origin.TypeOID != bpcharOID
	}
	return origin.TypeMod < 0 || origin.TypeMod > here.mod
}

// watch tells which columns' values must be looked at one by one: their types
// here leave most values as they are, but not all.
func (p *plan) watch() {
	for i, at := range p.columns {
		if at < 0 {
			continue
		}
		base, origin := p.target.columns[at].base, p.source.Columns[i]
		same := origin.TypeOID == base.oid && (base.mod < 0 || origin.TypeMod >= 0 && origin.TypeMod <= base.mod)
		limited := base.oid == varcharOID && base.mod >= 0 || base.oid == bpcharOID && base.mod >= 0 && origin.TypeOID != bpcharOID
		if !base.array && limited && !same {
			p.watched = append(p.watched, i)
		}
	}
}

// intact complains of a value that its column's type here would change without
// a word.
func (p *plan) intact(img *image) error {
	for _, i := range p.watched {
		c := &p.target.columns[p.columns[i]]
		if i < len(img.new) && img.new[i].Kind == change.Text && c.base.changes(img.new[i].Bytes) {
			return lasting(CodeColumnType, p.source.String(), "give the column the type it has at its origin; applying resumes by itself",
				"a type here would pad or cut a value without a word: column %s (%s here)", c.name, c.typeName)
		}
	}
	return nil
}

// changes reports whether the type pads a value, or cuts it and does not say
// so: what is too long for another reason than blanks is an error.
func (b baseType) changes(value []byte) bool {
	length, limit := utf8.RuneCount(value), int(b.mod)-4
	return b.oid == bpcharOID && length < limit || length > limit && value[len(value)-1] == ' '
}

// looksAlike reports whether a value has the same text here as at its origin.
// Between built-in types it need not: 1.5 is 1.5000 as a numeric(10,4). Other
// types are taken to be the same by their names.
func looksAlike(origin change.Column, here *targetColumn) bool {
	const firstUserOID = 16384
	switch {
	case origin.TypeOID >= firstUserOID || here.typeOID >= firstUserOID:
		return true
	case origin.TypeOID != here.typeOID:
		return false
	}
	return origin.TypeMod == here.typeMod || here.base.oid != numericOID && here.base.oid != bpcharOID
}

// losesDigits: a numeric of limited scale rounds what has more digits.
func losesDigits(origin change.Column, typeMod int32) bool {
	if typeMod < 4 {
		return false
	}
	switch origin.TypeOID {
	case float4OID, float8OID:
		return true
	case numericOID:
		return origin.TypeMod < 4 || scale(origin.TypeMod) > scale(typeMod)
	}
	return scale(typeMod) < 0
}

// scale reads a numeric's type modifier: 11 bits, signed.
func scale(typeMod int32) int32 { return (typeMod-4)&0x7ff ^ 1024 - 1024 }
