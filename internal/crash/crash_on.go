//go:build crashpoints

// Package crash names the places where tests kill the process.
package crash

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var points = []Point{AfterReceive, AfterPublish, AfterDurable, MidApply, LargeHalfApplied, AfterCommit, BeforeAcknowledge}

var (
	wanted, after = parse(os.Getenv("PGFED_CRASH_AT"))
	passed        atomic.Int64
)

// parse panics at what would never kill: a test would wait for it in vain.
func parse(setting string) (Point, int64) {
	if setting == "" {
		return "", 0
	}
	name, count, found := strings.Cut(setting, ":")
	n, err := int64(1), error(nil)
	if found {
		n, err = strconv.ParseInt(count, 10, 64)
	}
	if err != nil || n < 1 || !slices.Contains(points, Point(name)) {
		panic(fmt.Sprintf("PGFED_CRASH_AT=%s: want point[:n], n from 1, the point one of %v", setting, points))
	}
	return Point(name), n
}

// At kills the process with SIGKILL when this point is the wanted one and has
// been passed often enough.
func At(point Point) {
	if point == wanted && passed.Add(1) == after {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}
