package checkpoint_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/pgfed/pgfed/checkpoint"
	"github.com/pgfed/pgfed/internal/change"
)

// A model of a federation around the real Frontier: databases, streams,
// publishers and appliers, each step that others can come between on its own.
// It checks docs/adr/0001-vectors.md:
//
//  1. no transaction is applied before what it had seen;
//  2. from every state that is reached, everything can be delivered;
//  3. a transaction that was published has one vector for ever.
//
// Random steps come from draw, so that rapid can shrink a failure.
type world struct {
	draw  func(n int) int // 0 <= result < n
	stamp func(*checkpoint.Frontier) change.Vector
	nodes []*site
	// vectors are those of complete transactions, as first published.
	vectors  map[string]change.Vector
	restamps bool // streams may be lost: (3) is not promised
	hasty    bool // wrong: a replicator starts while sessions of the one before are committing
	trace    []string
}

// site is one node. Its transactions have the LSNs 1, 2, 3...
type site struct {
	name    string
	history change.ID

	// The database. Everything committed is visible; a local commit flushes
	// all before it; what is not flushed is gone after a crash.
	log                []commit
	committed, flushed map[string]change.LSN
	dying              map[string]change.LSN // COMMITs sent by a replicator that is gone, undecided

	// The replicator; frontier is nil while it is down.
	frontier *checkpoint.Frontier
	applies  map[string]*apply
	sealed   *message
	sent     change.LSN // complete in the stream, as the publisher knows it
	length   int        // of the stream, as the publisher read it together with sent

	// The broker. A message in flight appends itself if the stream has the
	// length that its writer expected.
	stream []message
	flying []flight
}

type commit struct {
	saw   map[string]change.LSN
	large bool // crosses in two pieces
}

// message completes the transactions up to last, or is the first piece of a
// large one.
type message struct {
	from, last change.LSN
	piece      bool
	vector     change.Vector
}

type flight struct {
	message
	expected int
	writer   *checkpoint.Frontier // who is told the outcome, if still there
}

type apply struct {
	last      change.LSN
	committed bool
}

func newWorld(nodes int, draw func(int) int) *world {
	w := &world{draw: draw, stamp: (*checkpoint.Frontier).Begun, vectors: make(map[string]change.Vector)}
	for i := range nodes {
		s := &site{
			name: string(rune('a' + i)), history: id(byte(i + 1)),
			committed: make(map[string]change.LSN), flushed: make(map[string]change.LSN), dying: make(map[string]change.LSN),
		}
		w.nodes = append(w.nodes, s)
	}
	for _, s := range w.nodes {
		w.start(s)
	}
	return w
}

func (w *world) say(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

func (s *site) at(lsn change.LSN) change.Position {
	return change.Position{History: s.history, LSN: lsn}
}

// start: a new replicator takes every replication origin, which waits for the
// old sessions to end, reads the frontier, and then the tail of its stream.
func (w *world) start(s *site) {
	if !w.hasty {
		w.decide(s)
	}
	s.frontier = checkpoint.NewFrontier(s.name)
	s.applies = make(map[string]*apply)
	for _, o := range w.nodes {
		if o != s {
			s.frontier.Learn(o.name, change.History{ID: o.history})
			s.frontier.Set(o.name, o.at(s.committed[o.name]))
		}
	}
	s.readTail()
	w.say("%s starts at %v", s.name, s.committed)
}

// decide ends the sessions of replicators that are gone.
func (w *world) decide(s *site) {
	for _, o := range w.nodes {
		if last, found := s.dying[o.name]; found && w.draw(2) == 0 && last > s.committed[o.name] {
			s.committed[o.name] = last
			w.say("%s commits %s:%d after all", s.name, o.name, last)
		}
	}
	clear(s.dying)
}

// readTail: what is complete in the stream, and how long it is, in one read.
func (s *site) readTail() {
	s.sealed, s.sent, s.length = nil, 0, len(s.stream)
	for _, m := range s.stream {
		if !m.piece {
			s.sent = m.last
		}
	}
}

// kill: memory is lost; an open apply transaction rolls back or, when its
// COMMIT was under way, is decided later by the server alone.
func (w *world) kill(s *site) {
	for _, o := range w.nodes {
		if a := s.applies[o.name]; a != nil && !a.committed {
			s.dying[o.name] = a.last
		}
	}
	s.frontier, s.applies, s.sealed = nil, nil, nil
	w.say("%s is killed", s.name)
}

// crash of the database: unflushed commits are undone, sessions are lost, the
// replicator lives and reads the frontier again.
func (w *world) crash(s *site) {
	s.committed = maps.Clone(s.flushed)
	clear(s.dying)
	clear(s.applies)
	w.say("%s's database crashes back to %v", s.name, s.committed)
	for _, o := range w.nodes {
		if s.frontier != nil && o != s {
			s.frontier.Set(o.name, o.at(s.committed[o.name]))
		}
	}
}

// write: a local transaction that sees all there is.
func (w *world) write(s *site) {
	s.flushed = maps.Clone(s.committed)
	s.log = append(s.log, commit{saw: maps.Clone(s.committed), large: w.draw(4) == 0})
	w.say("%s commits %d having seen %v", s.name, len(s.log), s.committed)
}

// seal closes the next batch: one or two transactions, or a piece.
func (w *world) seal(s *site) bool {
	if s.frontier == nil || s.sealed != nil || int(s.sent) == len(s.log) {
		return false
	}
	next := s.sent + 1
	m := message{from: next, last: next, piece: s.log[next-1].large}
	if !m.piece && int(next) < len(s.log) && !s.log[next].large && w.draw(2) == 0 {
		m.last++
	}
	m.vector = w.stamp(s.frontier)
	s.sealed = &m
	w.say("%s seals %d-%d piece=%v seen %v", s.name, m.from, m.last, m.piece, m.vector)
	return w.send(s)
}

func (w *world) send(s *site) bool {
	s.flying = append(s.flying, flight{*s.sealed, s.length, s.frontier})
	return true
}

// land: a message reaches the broker, or is lost on the way.
func (w *world) land(s *site, lost bool) (bool, error) {
	if len(s.flying) == 0 {
		return false, nil
	}
	i := w.draw(len(s.flying))
	f := s.flying[i]
	s.flying = append(s.flying[:i:i], s.flying[i+1:]...)
	accepted := !lost && f.expected == len(s.stream)
	if accepted {
		s.stream = append(s.stream, f.message)
		if err := w.checkVectors(s, f.message); err != nil {
			return true, err
		}
	}
	w.say("%s's message %d-%d piece=%v lands: %v", s.name, f.from, f.last, f.piece, accepted)
	if f.writer != s.frontier || s.frontier == nil {
		return true, nil // nobody is there to be told
	}
	if accepted && f.piece { // the second piece carries the vector of the first
		s.length++
		s.sealed = &message{from: f.from, last: f.last, vector: f.vector}
		return w.send(s), nil
	}
	s.readTail() // refused; or acknowledged, which says the same
	return true, nil
}

func (w *world) checkVectors(s *site, m message) error {
	for lsn := m.from; lsn <= m.last && !m.piece; lsn++ {
		name := fmt.Sprintf("%s:%d", s.name, lsn)
		if first, again := w.vectors[name]; again && !w.restamps && !first.Equal(m.vector) {
			return fmt.Errorf("%s is published with two vectors: %v and %v", name, first, m.vector)
		}
		w.vectors[name] = m.vector
	}
	return nil
}

// receive finds the next complete message that site s has not applied of o.
func (s *site) receive(o *site) (message, bool) {
	for _, m := range o.stream {
		if !m.piece && m.last > s.committed[o.name] {
			return m, true
		}
	}
	return message{}, false
}

// begin opens an apply transaction and notes the intent to commit it; with
// anyway it does not wait for what was seen (max_wait is over).
func (w *world) begin(s, o *site, anyway bool) bool {
	if s == o || s.frontier == nil || s.applies[o.name] != nil {
		return false
	}
	m, found := s.receive(o)
	if !found || !anyway && len(s.frontier.Covers(m.vector, o.name)) > 0 {
		return false
	}
	s.frontier.NoteBegun(o.name, o.at(m.last))
	s.applies[o.name] = &apply{last: m.last}
	w.say("%s begins %s:%d", s.name, o.name, m.last)
	return true
}

// commit makes an apply transaction visible; the applier does not know yet.
func (w *world) commit(s, o *site, anyway bool) (bool, error) {
	a := s.applies[o.name]
	if a == nil || a.committed {
		return false, nil
	}
	for lsn := s.committed[o.name] + 1; lsn <= a.last; lsn++ {
		for origin, seen := range o.log[lsn-1].saw {
			if origin != s.name && s.committed[origin] < seen && !anyway {
				return true, fmt.Errorf("%s applies %s:%d, which had seen %s:%d, at %s:%d", s.name, o.name, lsn, origin, seen, origin, s.committed[origin])
			}
		}
	}
	s.committed[o.name] = a.last
	a.committed = true
	w.say("%s commits %s:%d", s.name, o.name, a.last)
	return true, nil
}

// reply: the applier learns that its transaction committed.
func (w *world) reply(s, o *site) bool {
	a := s.applies[o.name]
	if a == nil || !a.committed {
		return false
	}
	s.frontier.Advance(o.name, o.at(a.last))
	delete(s.applies, o.name)
	return true
}

// lose rolls a stream back to an older copy, or to nothing.
func (w *world) lose(s *site) {
	s.stream = s.stream[:w.draw(len(s.stream)+1)]
	s.flying = nil
	s.readTail()
	w.say("%s's stream falls back to %d", s.name, s.sent)
}

// step takes one random step; it may do nothing.
func (w *world) step() error {
	s, o := w.nodes[w.draw(len(w.nodes))], w.nodes[w.draw(len(w.nodes))]
	var err error
	switch k := w.draw(40); {
	case k < 6:
		w.write(s)
	case k < 12:
		w.seal(s)
	case k < 18:
		_, err = w.land(s, w.draw(8) == 0)
	case k < 25:
		w.begin(s, o, false)
	case k < 32:
		_, err = w.commit(s, o, false)
	case k < 37:
		w.reply(s, o)
	case k == 37:
		if s.frontier != nil {
			w.kill(s)
		}
	case k == 38:
		w.crash(s)
	case k == 39 && w.restamps:
		w.lose(s)
	case k == 39:
		w.decide(s)
	}
	if s.frontier == nil && w.draw(4) == 0 {
		w.start(s)
	}
	return err
}

// drain lets everything work and delivers what can be delivered. It returns
// how often a wait had to be given up, which anyway allows.
func (w *world) drain(anyway bool) (gaveUp int, err error) {
	for _, s := range w.nodes {
		if s.frontier == nil {
			w.start(s)
		}
	}
	for {
		moved, err := w.deliver(false)
		if err != nil {
			return gaveUp, err
		}
		if !moved && anyway {
			if moved, err = w.deliver(true); moved {
				gaveUp++
			}
		}
		if err != nil || !moved {
			return gaveUp, err
		}
	}
}

// deliver takes every step forward once; with anyway the first apply that
// waits goes on without, and nothing else.
func (w *world) deliver(anyway bool) (moved bool, err error) {
	for _, s := range w.nodes {
		for len(s.flying) > 0 {
			moved = true
			if _, err := w.land(s, false); err != nil {
				return moved, err
			}
		}
		moved = w.seal(s) || moved
		for _, o := range w.nodes {
			moved = w.begin(s, o, anyway) || moved
			committed, err := w.commit(s, o, anyway || w.restamps)
			if err != nil {
				return moved, err
			}
			moved = w.reply(s, o) || committed || moved
			if moved && anyway {
				return moved, nil
			}
		}
	}
	return moved, nil
}

// delivered reports what is missing where; nil when nothing is.
func (w *world) delivered() error {
	for _, s := range w.nodes {
		for _, o := range w.nodes {
			if got := s.committed[o.name]; s != o && int(got) != len(o.log) {
				return fmt.Errorf("%s is stuck at %s:%d of %d", s.name, o.name, got, len(o.log))
			}
		}
	}
	return nil
}

// run is one random life of a federation.
func (w *world) run(steps int) error {
	for range steps {
		if err := w.step(); err != nil {
			return err
		}
	}
	if _, err := w.drain(false); err != nil {
		return err
	}
	return w.delivered()
}

func TestVectorsKeepCausalityAndNeverBlock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rapid.IntRange(2, 4).Draw(t, "nodes"), func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "") })
		if err := w.run(rapid.IntRange(1, 200).Draw(t, "steps")); err != nil {
			for _, line := range w.trace {
				t.Log(line)
			}
			t.Fatal(err)
		}
	})
}

// The model finds what is wrong with rules that are nearly right.
func TestTheModelSeesThroughWrongRules(t *testing.T) {
	last := make(map[*checkpoint.Frontier]change.Vector)
	for _, c := range []struct {
		about string
		hasty bool
		stamp func(*checkpoint.Frontier) change.Vector
		want  string
	}{
		{"nothing", false, func(*checkpoint.Frontier) change.Vector { return nil }, "which had seen"},
		{"applied instead of begun: a commit is visible before its reply", false, (*checkpoint.Frontier).Snapshot, "which had seen"},
		{"the frontier read before old sessions have ended", true, (*checkpoint.Frontier).Begun, "which had seen"},
		{"begun, but as of the batch before", false, func(f *checkpoint.Frontier) change.Vector {
			v := last[f]
			last[f] = f.Begun()
			return v
		}, "which had seen"},
		{"more than was received", false, func(f *checkpoint.Frontier) change.Vector {
			v := f.Begun()
			for origin, p := range v {
				p.LSN++
				v[origin] = p
			}
			return v
		}, "is stuck at"},
	} {
		t.Run(c.about, func(t *testing.T) {
			for seed := range uint64(3000) {
				random := rand.New(rand.NewPCG(seed, 1))
				w := newWorld(3, random.IntN)
				w.stamp, w.hasty = c.stamp, c.hasty
				if err := w.run(200); err != nil {
					require.ErrorContains(t, err, c.want)
					return
				}
			}
			t.Fatal("the model found nothing")
		})
	}
}

// When a broker loses its storage, transactions that others have applied get
// new vectors, and waits can go in a circle. This is the smallest one.
func TestALostStreamCanMakeACircleOfWaits(t *testing.T) {
	w := newWorld(3, func(n int) int { return n - 1 })
	w.restamps = true
	east, west, central := w.nodes[0], w.nodes[1], w.nodes[2]
	cross := func(to, from *site) {
		w.seal(from)
		for len(from.flying) > 0 {
			_, err := w.land(from, false)
			require.NoError(t, err)
		}
		require.True(t, w.begin(to, from, false))
		_, err := w.commit(to, from, false)
		require.NoError(t, err)
		require.True(t, w.reply(to, from))
	}
	w.write(east)
	cross(west, east)
	w.write(west) // has seen east's
	cross(east, west)
	east.stream = nil // central has received nothing yet
	east.readTail()

	_, err := w.drain(false)
	require.NoError(t, err)
	require.EqualError(t, w.delivered(), "c is stuck at a:0 of 1")
	first, _ := central.receive(east)
	second, _ := central.receive(west)
	require.Equal(t, []string{west.name}, central.frontier.Covers(first.vector, east.name))
	require.Equal(t, []string{east.name}, central.frontier.Covers(second.vector, west.name))

	// max_wait: one wait given up is enough.
	gaveUp, err := w.drain(true)
	require.NoError(t, err)
	require.NoError(t, w.delivered())
	require.Equal(t, 1, gaveUp)
}

// Whatever streams are lost, with max_wait everything arrives.
func TestLostStreamsBlockNobodyForEver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rapid.IntRange(2, 4).Draw(t, "nodes"), func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "") })
		w.restamps = true
		var err error
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			if err = w.step(); err != nil {
				break
			}
		}
		if err == nil {
			_, err = w.drain(true)
		}
		if err == nil {
			err = w.delivered()
		}
		if err != nil {
			for _, line := range w.trace {
				t.Log(line)
			}
			t.Fatal(err)
		}
	})
}
