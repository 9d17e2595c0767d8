package preflight

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pgfed/pgfed/internal/catalog"
)

func (c *check) serverSettings(ctx context.Context) error {
	var err error
	c.settings, err = catalog.Settings(ctx, c.q, "wal_level", "max_replication_slots", "max_wal_senders", "max_slot_wal_keep_size",
		"wal_sender_timeout", "synchronous_standby_names", "fsync", "full_page_writes", "track_commit_timestamp", "synchronized_standby_slots", "logical_decoding_work_mem",
		"max_active_replication_origins", "idle_replication_slot_timeout", "server_encoding")
	if err != nil {
		return err
	}
	var standby bool
	if err := c.q.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&standby); err != nil {
		return fmt.Errorf("ask whether the server is a standby: %w", err)
	}
	if standby {
		c.fail("standby", "server", "this server is a standby", "point --postgres at the primary, such as the operator's read-write service")
	}
	if level := c.settings["wal_level"].Value; level == "logical" {
		c.ok("wal_level", "wal_level", "logical")
	} else {
		c.fail("wal_level", "wal_level", "wal_level is "+level+", so nothing can be captured", "set wal_level = logical and restart the server")
	}
	if c.settings["fsync"].Value == "off" {
		c.fail("fsync", "fsync", "fsync is off: after a crash the database forgets what it acknowledged to its peers", "set fsync = on")
	}
	if c.settings["server_encoding"].Value == "SQL_ASCII" {
		c.warn("encoding", "server_encoding", "the database has no encoding (SQL_ASCII): text that is no UTF-8 cannot be sent, and capture stops at it for good",
			"move to a database with an encoding, best UTF8, or make sure that all of its text is UTF-8")
	}
	c.slotLimits()
	c.senderTimeout()
	return nil
}

// slotLimits: two settings invalidate slots behind everybody's back (H11).
func (c *check) slotLimits() {
	retain := int64(c.Federation.Slot.Retain)
	keep, _ := strconv.ParseInt(c.settings["max_slot_wal_keep_size"].Value, 10, 64) // MB; -1 for no limit
	switch {
	case keep < 0:
		c.ok("slot_wal_limit", "max_slot_wal_keep_size", "no limit")
	case keep<<20 <= retain:
		c.fail("slot_wal_limit", "max_slot_wal_keep_size",
			fmt.Sprintf("%d MB is not above slot.retain (%s): the server would invalidate the slot in ordinary operation", keep, c.Federation.Slot.Retain),
			"raise max_slot_wal_keep_size to several times slot.retain, or set it to -1 and watch the disk")
	default:
		c.warn("slot_wal_limit", "max_slot_wal_keep_size",
			fmt.Sprintf("the server invalidates the slot when it holds more than %d MB, which a long broker outage can reach; the node must then start afresh", keep),
			"set it to -1 and alert on disk space, or accept the limit")
	}
	name := c.server.IdleSlotTimeout()
	if name == "" {
		return
	}
	timeout := c.settings[name]
	if timeout.Value == "0" || timeout.Value == "" {
		c.ok("idle_slot_timeout", name, "off")
		return
	}
	c.warn("idle_slot_timeout", name,
		fmt.Sprintf("the server invalidates the slot when the replicator is stopped for %s%s; the node must then start afresh", timeout.Value, timeout.Unit),
		"set "+name+" = 0, or keep it well above the longest stop of the replicator")
}

func (c *check) senderTimeout() {
	milliseconds, _ := strconv.Atoi(c.settings["wal_sender_timeout"].Value)
	if timeout := time.Duration(milliseconds) * time.Millisecond; timeout > 0 && timeout < 5*time.Second {
		c.warn("wal_sender_timeout", "wal_sender_timeout", fmt.Sprintf("%s is short: a busy network ends the capture connection again and again", timeout),
			"set wal_sender_timeout to 10s or more")
	} else {
		c.ok("wal_sender_timeout", "wal_sender_timeout", "%s", timeout)
	}
}

// capacity checks that slots, senders and origins are left for this node.
func (c *check) capacity(ctx context.Context) error {
	var slots, senders, origins, ourSlot, ourSender, ourOrigins int
	err := c.q.QueryRow(ctx, `SELECT (SELECT count(*) FROM pg_replication_slots),
	       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender'),
	       (SELECT count(*) FROM pg_replication_origin),
	       (SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1),
	       (SELECT count(*) FROM pg_stat_activity a JOIN pg_replication_slots s ON s.active_pid = a.pid WHERE s.slot_name = $1),
	       (SELECT count(*) FROM pg_replication_origin WHERE roname = ANY($2))`,
		c.Federation.SlotName(c.Node), c.peerOrigins()).Scan(&slots, &senders, &origins, &ourSlot, &ourSender, &ourOrigins)
	if err != nil {
		return fmt.Errorf("count slots, senders and origins: %w", err)
	}
	c.room("slots", "max_replication_slots", slots-ourSlot, 1)
	c.room("senders", "max_wal_senders", senders-ourSender, 1)
	c.room("origins", c.server.OriginCapacity(), origins-ourOrigins, len(c.peerOrigins()))

	_, foreign, err := catalog.Origins(ctx, c.q, "pgfed_")
	if err != nil {
		return err
	}
	switch {
	case len(foreign) > 0 && !c.Federation.NativeSubscriptions():
		c.fail("foreign_origins", strings.Join(foreign, ", "), "something else applies changes to this database, and capture.native_subscriptions: false drops them all",
			"set capture.native_subscriptions: true, or remove the subscription")
	case len(foreign) > 0:
		c.ok("foreign_origins", strings.Join(foreign, ", "), "what they apply here is sent to the peers")
	}
	return nil
}

func (c *check) peerOrigins() []string {
	var names []string
	for _, peer := range c.Federation.PeersOf(c.Node) {
		names = append(names, c.Federation.OriginName(peer))
	}
	return names
}

// room compares a limit with what others use and what this node needs.
func (c *check) room(code, setting string, used, needed int) {
	limit, err := strconv.Atoi(c.settings[setting].Value)
	switch {
	case err != nil:
		c.fail(code, setting, "the server does not tell its limit", "run preflight as a role that may read settings")
	case limit-used < needed:
		c.fail(code, setting, fmt.Sprintf("%d allowed, %d used by others, %d needed here", limit, used, needed),
			fmt.Sprintf("set %s to %d or more and restart the server", setting, used+needed+2))
	default:
		c.ok(code, setting, "%d allowed, %d used by others, %d needed here", limit, used, needed)
	}
}

// standbys: nothing may be published that a standby which may be promoted
// does not have.
func (c *check) standbys(ctx context.Context) error {
	wanted := c.Federation.Nodes[c.Node].Standbys
	if len(wanted) == 0 {
		return nil
	}
	synchronized := c.settings["synchronized_standby_slots"].Value
	if c.server.Failover() {
		if synchronized == "" {
			c.fail("standby_slots", "synchronized_standby_slots", "is empty although nodes."+c.Node+".standbys names standbys: a promotion could forget what peers already have",
				"set synchronized_standby_slots to the standbys' physical slots")
		} else {
			c.ok("standby_slots", "synchronized_standby_slots", "%s", synchronized)
		}
	}
	for _, name := range wanted {
		var state string
		err := c.q.QueryRow(ctx, "SELECT coalesce((SELECT coalesce(state, 'unknown') FROM pg_stat_replication WHERE application_name = $1 LIMIT 1), '')", name).Scan(&state)
		switch {
		case err != nil:
			return fmt.Errorf("read pg_stat_replication: %w", err)
		case state == "":
			c.warn("standby_absent", name, "this standby is not connected; nothing is published while it is away", "start it, or remove it from nodes."+c.Node+".standbys")
		default:
			c.ok("standby", name, "%s", state)
		}
	}
	return nil
}
