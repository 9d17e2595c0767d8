//go:build !crashpoints

// Package crash names the places where tests kill the process. In an ordinary
// build At does nothing and the compiler removes it; with the build tag
// "crashpoints" the variable PGFED_CRASH_AT=point[:n] makes the process kill
// itself, as kill -9 would, the n-th time it passes that point.
package crash

// At marks a point.
func At(Point) {}
