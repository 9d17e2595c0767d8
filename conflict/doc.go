// Package conflict decides what becomes of a change that arrives from another
// node: who owns the row it touches, whether the change counts, and what to
// do when the local database holds something else than the origin's did.
//
// Judgement comes in two steps. Judge looks at the change alone, so every
// node judges it the same way whatever its own rows are: it says whether the
// change counts. Resolve looks at the clash that applying it ran into and
// says what to do about that.
//
// Everything here is pure: no I/O, no clock, no randomness, no logging. The
// rules are written down for people in docs/CONFLICTS.md.
package conflict
