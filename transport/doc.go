// Package transport carries batches of changes from an origin to its peers
// through a JetStream stream at the origin's broker.
//
//	Publisher     packs transactions into messages and appends them to the stream,
//	              each on the condition that the one before it is the last there
//	Subscription  reads them at a peer, from a position, checking every step
//	Broker, Link  the embedded server, and a connection to one
//
// The truth is always the position (history and LSN) that messages carry.
// Sequence numbers of the stream are hints: they are believed within one
// session of a consumer and verified by LSN wherever else they are used.
//
// wire.go and wire_record.go describe the format; testdata/wire holds one
// example of everything, for every version there ever was.
package transport
