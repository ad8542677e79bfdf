package router

import "sync"

// recent remembers the last ids it was given, up to a number, after which it forgets the oldest.
type recent struct {
	mutex    sync.Mutex
	capacity int
	known    map[string]bool
	order    []string
	next     int
}

func newRecent(capacity int) *recent {
	return &recent{capacity: capacity, known: make(map[string]bool)}
}

// add returns false if the id is remembered already.
func (r *recent) add(id string) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.known[id] {
		return false
	}
	if len(r.order) < r.capacity {
		r.order = append(r.order, id)
	} else {
		delete(r.known, r.order[r.next])
		r.order[r.next] = id
		r.next = (r.next + 1) % r.capacity
	}
	r.known[id] = true
	return true
}

func (r *recent) has(id string) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.known[id]
}
