package transport

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
)

// InboxPrefix is where a node's replies arrive; a peer may listen there and nowhere else.
func InboxPrefix(node string) string { return "_INBOX_" + node }

// rights is everything a peer may do at an origin's broker: read the origin's stream through a consumer of its own, say how
// far it got, and hear the origin's heartbeat. Publishing changes, purging, deleting or altering streams and writing
// somebody else's acknowledgement are not in it.
type rights struct {
	Requests   []string // answered once
	Pulls      []string // answered by many messages
	Heartbeats []string // listened to
}

// peerRights are the rights of one peer, "*" for any.
func peerRights(federation, origin, peer string) rights {
	var (
		stream   = "PGFED_" + federation + "_" + origin
		subjects = "pgfed." + federation + "." + origin
	)
	return rights{
		Requests: []string{
			"$JS.API.STREAM.INFO." + stream,
			"$JS.API.STREAM.INFO." + stream + "_ACK",
			"$JS.API.STREAM.MSG.GET." + stream,
			"$JS.API.CONSUMER.CREATE." + stream + ".*",
			"$JS.API.CONSUMER.CREATE." + stream + ".*." + subjects + ".wal",
			"$JS.API.CONSUMER.INFO." + stream + ".*",
			"$JS.API.CONSUMER.DELETE." + stream + ".*",
			subjects + ".ack." + peer,
		},
		Pulls:      []string{"$JS.API.CONSUMER.MSG.NEXT." + stream + ".*"},
		Heartbeats: []string{subjects + ".heartbeat"},
	}
}

// permissions is the rights as an allow-list for the connection, with the inboxes where answers arrive.
func (r rights) permissions(inbox string) *server.Permissions {
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: slices.Concat(r.Requests, r.Pulls)},
		Subscribe: &server.SubjectPermission{Allow: append(slices.Clone(r.Heartbeats), inbox)},
	}
}

// ownerAccount holds the streams. Each peer has an account of its own and reaches only its rights in the owner's. Allow-lists
// alone do not hold: the server answers a request wherever the request says, so a peer that may ask for anything could have
// the answer stored as a change or as another peer's acknowledgement. Between accounts an answer stays with who asked.
const ownerAccount = "pgfed"

type (
	accountConfig struct {
		JetStream string         `json:"jetstream,omitempty"`
		Exports   []exportConfig `json:"exports,omitempty"`
		Imports   []importConfig `json:"imports,omitempty"`
	}
	exportConfig struct {
		Service  string `json:"service,omitempty"`
		Stream   string `json:"stream,omitempty"`
		Response string `json:"response,omitempty"`
	}
	importConfig struct {
		Service *importedSubject `json:"service,omitempty"`
		Stream  *importedSubject `json:"stream,omitempty"`
	}
	importedSubject struct {
		Account string `json:"account"`
		Subject string `json:"subject"`
	}
)

// access is who may log in at a broker, and as what.
type access struct {
	owner     string            // public key of the owner, in this process only
	peers     map[string]string // node -> public key
	anonymous string            // key that stands for whoever gives none, empty: nobody may
}

// options gives everyone an account. Accounts with imports can be described to the server only in its own configuration language.
func (a access) options(federation, origin string) (*server.Options, error) {
	all := peerRights(federation, origin, "*")
	accounts := map[string]accountConfig{ownerAccount: {JetStream: "enabled", Exports: all.exports()}}
	for peer := range a.peers {
		accounts[accountOf(peer)] = accountConfig{Imports: peerRights(federation, origin, peer).imports()}
	}
	if a.anonymous != "" {
		accounts[accountOf("")] = accountConfig{Imports: all.imports()}
	}
	config, err := json.Marshal(map[string]any{"accounts": accounts})
	if err != nil {
		return nil, fmt.Errorf("describe accounts: %w", err)
	}
	options := &server.Options{}
	if err := options.ProcessConfigString(string(config)); err != nil {
		return nil, fmt.Errorf("configure accounts: %w", err)
	}
	byName := map[string]*server.Account{}
	for _, account := range options.Accounts {
		byName[account.Name] = account
	}

	options.Nkeys = append(options.Nkeys, &server.NkeyUser{
		Nkey:                   a.owner,
		Account:                byName[ownerAccount],
		AllowedConnectionTypes: map[string]struct{}{jwt.ConnectionTypeInProcess: {}},
	})
	for _, peer := range slices.Sorted(maps.Keys(a.peers)) {
		options.Nkeys = append(options.Nkeys, &server.NkeyUser{
			Nkey:        a.peers[peer],
			Account:     byName[accountOf(peer)],
			Permissions: peerRights(federation, origin, peer).permissions(InboxPrefix(peer) + ".>"),
		})
	}
	if a.anonymous != "" {
		// The names of their inboxes are not known; what they could hear besides is in the account, and that is what they may hear.
		options.Nkeys = append(options.Nkeys, &server.NkeyUser{Nkey: a.anonymous, Account: byName[accountOf("")], Permissions: all.permissions(">")})
		options.NoAuthUser = a.anonymous
	}
	return options, nil
}

func accountOf(peer string) string { return "peer_" + peer }

// accountInfo is in the accounts, not in the allow-lists: an account without it gets the whole JetStream API from the server,
// which then answers each request a second time, with "not enabled for account".
const accountInfo = "$JS.API.INFO"

func (r rights) exports() []exportConfig {
	list := []exportConfig{{Service: accountInfo}}
	for _, subject := range r.Requests {
		list = append(list, exportConfig{Service: subject})
	}
	for _, subject := range r.Pulls {
		list = append(list, exportConfig{Service: subject, Response: "stream"})
	}
	for _, subject := range r.Heartbeats {
		list = append(list, exportConfig{Stream: subject})
	}
	return list
}

func (r rights) imports() []importConfig {
	list := []importConfig{{Service: &importedSubject{ownerAccount, accountInfo}}}
	for _, subject := range slices.Concat(r.Requests, r.Pulls) {
		list = append(list, importConfig{Service: &importedSubject{ownerAccount, subject}})
	}
	for _, subject := range r.Heartbeats {
		list = append(list, importConfig{Stream: &importedSubject{ownerAccount, subject}})
	}
	return list
}
