package applier

import (
	"container/list"
	"fmt"
	"strconv"
)

// preparedLimit bounds the statements kept prepared at the server. One pipe
// may go beyond it until the next begins.
const preparedLimit = 1000

// statements knows what is prepared in the session, least recently used last.
type statements struct {
	recent  list.List // of *prepared
	byText  map[string]*prepared
	dead    []string // names to deallocate
	counter uint64
}

// prepared is a statement at the server. Statements of one text share it: those of
// an origin's thousand partitions that are written through one root here would
// else each hold a plan over all of its partitions.
type prepared struct {
	text   string // with the parameters' types
	name   string // a new one each time it is sent
	there  bool   // the server has it
	sentIn uint64 // the pipe that has sent it
	place  *list.Element
	gone   bool // forgotten: never used again
}

// use finds what a statement is at the server and moves it to the front.
func (s *statements) use(st *statement) *prepared {
	if st.at == nil || st.at.gone {
		text := fmt.Sprint(st.oids, st.sql)
		if st.at = s.byText[text]; st.at == nil {
			st.at = &prepared{text: text}
			if s.byText == nil {
				s.byText = make(map[string]*prepared)
			}
			s.byText[text] = st.at
			st.at.place = s.recent.PushFront(st.at)
		}
	}
	s.recent.MoveToFront(st.at.place)
	return st.at
}

// rename gives a statement a name that was never used in this session, so that
// a Parse that may or may not have reached the server never collides.
func (s *statements) rename(p *prepared) {
	if p.name != "" {
		s.dead = append(s.dead, p.name)
	}
	s.counter++
	p.name = "pgfed_" + strconv.FormatUint(s.counter, 10)
}

// expired returns the names to deallocate. It is called where no statement is
// in flight.
func (s *statements) expired() []string {
	for s.recent.Len() > preparedLimit {
		s.drop(s.recent.Back().Value.(*prepared))
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

// forget has the statement, and those that share it, prepared anew.
func (s *statements) forget(st *statement) {
	if st != nil && st.at != nil {
		s.drop(st.at)
		st.at = nil
	}
}

func (s *statements) drop(p *prepared) {
	if p.gone {
		return
	}
	p.gone = true
	s.recent.Remove(p.place)
	delete(s.byText, p.text)
	if p.name != "" {
		s.dead = append(s.dead, p.name)
	}
}
