package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Bytes is a size: a number, or a number with kB, MB, GB or TB (powers of
// 1024, as Postgres counts).
type Bytes int64

// Duration is a time such as 30s or 10m.
type Duration time.Duration

var byteUnits = []struct {
	name string
	size int64
}{
	{"TB", 1 << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"kB", 1 << 10}, {"B", 1},
}

// ParseBytes reads a size.
func ParseBytes(text string) (Bytes, error) {
	number, factor := strings.TrimSpace(text), int64(1)
	for _, unit := range byteUnits {
		if len(number) >= len(unit.name) && strings.EqualFold(number[len(number)-len(unit.name):], unit.name) {
			number, factor = strings.TrimSpace(number[:len(number)-len(unit.name)]), unit.size
			break
		}
	}
	if whole, err := strconv.ParseInt(number, 10, 64); err == nil {
		if whole > math.MaxInt64/factor || whole < math.MinInt64/factor {
			return 0, fmt.Errorf("%q is too large", text)
		}
		return Bytes(whole * factor), nil
	}
	fraction, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(fraction) || math.Abs(fraction)*float64(factor) >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is not a size; write a number with kB, MB, GB or TB, such as 512MB", text)
	}
	return Bytes(math.Round(fraction * float64(factor))), nil
}

// String gives the size in the largest unit that divides it.
func (b Bytes) String() string {
	for _, unit := range byteUnits[:4] {
		if b != 0 && int64(b)%unit.size == 0 {
			return strconv.FormatInt(int64(b)/unit.size, 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// MarshalText gives the form that ParseBytes reads.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (b *Bytes) UnmarshalText(text []byte) error {
	parsed, err := ParseBytes(string(text))
	if err != nil {
		return err
	}
	*b = parsed
	return nil
}

// ParseDuration reads a time such as 500ms, 30s, 10m or 1h.
func ParseDuration(text string) (Duration, error) {
	d, err := time.ParseDuration(strings.TrimSpace(text))
	if err != nil {
		return 0, fmt.Errorf("%q is not a time; write a number with its unit, such as 500ms, 30s, 10m or 1h", text)
	}
	return Duration(d), nil
}

// String gives the form that ParseDuration reads.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText gives the form that ParseDuration reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}
