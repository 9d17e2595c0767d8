// Package change is the vocabulary of pgfed: positions, vectors, tables,
// tuples, changes and batches. Every other package speaks it and it imports
// none of them. The words are those of docs/ARCHITECTURE.md.
//
// Nothing here does I/O. Values are plain; slices returned by decoding share
// memory with their input, and the comment of each function says so.
package change
