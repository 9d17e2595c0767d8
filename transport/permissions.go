package transport

import "github.com/nats-io/nats-server/v2/server"

// InboxPrefix is where a node's replies arrive; a peer may listen there and nowhere else.
func InboxPrefix(node string) string { return "_INBOX_" + node }

// peerPermissions is everything a peer may do at an origin's broker: read the origin's stream through a consumer of its own,
// say how far it got, and hear the origin's heartbeat. Publishing changes, purging, deleting, altering streams and writing
// somebody else's acknowledgement are not on the list and so are refused. peer may be "*" for any.
func peerPermissions(federation, origin, peer string) *server.Permissions {
	var (
		stream   = "PGFED_" + federation + "_" + origin
		subjects = "pgfed." + federation + "." + origin
	)
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			"$JS.API.STREAM.INFO." + stream,
			"$JS.API.STREAM.INFO." + stream + "_ACK",
			"$JS.API.STREAM.MSG.GET." + stream,
			"$JS.API.CONSUMER.CREATE." + stream + ".*",
			"$JS.API.CONSUMER.CREATE." + stream + ".*." + subjects + ".wal",
			"$JS.API.CONSUMER.INFO." + stream + ".*",
			"$JS.API.CONSUMER.MSG.NEXT." + stream + ".*",
			"$JS.API.CONSUMER.DELETE." + stream + ".*",
			subjects + ".ack." + peer,
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{
			subjects + ".heartbeat",
			InboxPrefix(peer) + ".>",
		}},
	}
}
