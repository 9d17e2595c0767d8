package applier

import (
	"container/list"
	"strconv"
)

// preparedLimit bounds the statements kept prepared at the server. One pipe
// may go beyond it until the next begins.
const preparedLimit = 1000

// statements knows what is prepared in the session, least recently used last.
type statements struct {
	recent  list.List // of *statement
	dead    []string  // names to deallocate
	counter uint64
}

// use moves a statement to the front.
func (s *statements) use(st *statement) {
	if st.place == nil {
		st.place = s.recent.PushFront(st)
		return
	}
	s.recent.MoveToFront(st.place)
}

// rename gives a statement a name that was never used in this session, so that
// a Parse that may or may not have reached the server never collides.
func (s *statements) rename(st *statement) {
	if st.name != "" {
		s.dead = append(s.dead, st.name)
	}
	s.counter++
	st.name = "pgfed_" + strconv.FormatUint(s.counter, 10)
}

// expired returns the names to deallocate. It is called where no statement is
// in flight.
func (s *statements) expired() []string {
	for s.recent.Len() > preparedLimit {
		s.forget(s.recent.Back().Value.(*statement))
	}
	names := s.dead
	s.dead = nil
	return names
}

// discard forgets every statement of a plan.
func (s *statements) discard(p *plan) {
	s.forget(p.insert)
	s.forget(p.confirm)
	s.forget(p.hold)
	s.forget(p.stillGenerated)
	for _, st := range p.variants {
		s.forget(st)
	}
}

func (s *statements) forget(st *statement) {
	if st == nil {
		return
	}
	if st.place != nil {
		s.recent.Remove(st.place)
		st.place = nil
	}
	if st.name != "" {
		s.dead = append(s.dead, st.name)
	}
	st.name, st.prepared, st.sentIn = "", false, 0
}
