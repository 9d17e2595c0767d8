package applier

import "github.com/pgfed/pgfed/internal/change"

// OIDs of built-in types are the same on every server.
const (
	charOID = 18
	nameOID = 19

	int8OID    = 20
	int4OID    = 23
	float4OID  = 700
	float8OID  = 701
	numericOID = 1700

	varcharOID = 1043

	dateOID        = 1082
	timeOID        = 1083
	timestampOID   = 1114
	timestamptzOID = 1184
	intervalOID    = 1186
	timetzOID      = 1266
)

// loses reports whether a column's type here takes values of the origin's type
// and silently makes others of them: the input functions of these types round
// or cut. Other differences are errors of the database where a value does not
// fit, or harmless.
func loses(origin change.Column, here *targetColumn) bool {
	switch here.shownOID {
	case dateOID, timeOID:
		if origin.TypeOID == timestampOID || origin.TypeOID == timestamptzOID || here.shownOID == timeOID && origin.TypeOID == timetzOID {
			return true
		}
	case float4OID:
		return origin.TypeOID == int4OID || origin.TypeOID == int8OID || origin.TypeOID == float8OID || origin.TypeOID == numericOID
	case float8OID:
		return origin.TypeOID == int8OID || origin.TypeOID == numericOID
	case numericOID:
		return losesDigits(origin, here.typeMod)
	case nameOID, charOID:
		return origin.TypeOID == textOID || origin.TypeOID == varcharOID || origin.TypeOID == bpcharOID
	}
	switch here.shownOID {
	case timestampOID, timestamptzOID, timeOID, timetzOID:
		switch origin.TypeOID {
		case timestampOID, timestamptzOID, timeOID, timetzOID:
			return here.typeMod >= 0 && (origin.TypeMod < 0 || origin.TypeMod > here.typeMod)
		}
	case intervalOID:
		return here.typeMod >= 0 && origin.TypeOID == intervalOID && origin.TypeMod != here.typeMod
	}
	return false
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
