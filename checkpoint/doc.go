// Package checkpoint knows how far this node has applied every origin: in the
// database, where progress commits with the rows it stands for (Row, Load,
// Advance), and in memory, where transactions wait for what they had seen
// (Frontier).
//
// docs/adr/0001-vectors.md says why a transaction's vector is what it is.
package checkpoint
