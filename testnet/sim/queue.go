package sim

import (
	"container/heap"

	"omx/node/catalog"
)

type kind uint8

const (
	arrive kind = iota // a client's request at its entry node
	reach              // a request from its entry node at the node that was picked
	refuse             // that node's refusal, back at the entry node
	wake               // something ends in a node's engine
	first              // the first token at the entry node
	done               // the last token at the entry node
	beat               // a node publishes its record
)

// event is something that happens at a node. Events of one moment happen in the
// order they were planned in.
type event struct {
	at   catalog.Micros
	seq  uint64
	kind kind
	node int32
	req  int32  // request, or -1
	gen  uint32 // of a wake: the engine's plan it belongs to
}

type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(event)) }
func (q *events) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

// queue is the events to come.
type queue struct {
	events events
	seq    uint64
}

func (q *queue) push(e event) {
	q.seq++
	e.seq = q.seq
	heap.Push(&q.events, e)
}

func (q *queue) pop() (event, bool) {
	if len(q.events) == 0 {
		return event{}, false
	}
	return heap.Pop(&q.events).(event), true
}
