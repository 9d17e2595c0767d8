// Package replicator joins the parts into the service that runs at each site:
// one pipeline from the local database's slot to the node's stream (outbound),
// and one from each peer's stream to the local database (inbound).
//
// The story of one life with the database is told in life.go, that of one
// change outwards in outbound.go and inwards in inbound.go.
package replicator
