// Package events is the node's event bus: what happened, to whoever asked to
// be told. Peers that come and go, requests that fail over, policies that trap:
// the emitter says so once and goes on; console, metrics and log each take it
// from a queue of their own.
//
// It carries small facts by value, no payloads: a prompt or an answer has no
// place here. It is not a way to call another part of the node, and delivery to
// other nodes is not its business. Package node and everything under it may
// import it, and so may the tools that measure it; it imports nothing of this
// module.
//
// # Why not a pool of workers
//
// A common design runs each handler call on a goroutine of its own, bounded by
// a semaphore (50 slots, say), and on the emitter itself when all slots are
// taken. It loses the order of events: a node may end up believing that a peer
// which has left is connected. It allocates for each call, and a slow handler
// stops the emitter, which is as a rule the path of a request. Here each
// subscriber has one goroutine and one bounded queue instead. Events reach a
// subscriber in the order in which they were emitted, a slow subscriber delays
// itself only, and the number of goroutines is the number of subscribers.
//
// The price is that one subscriber's handler calls never overlap. A handler
// that waits for a disk or a peer keeps its own events waiting, and loses the
// oldest when its queue is full; if it can work on several at once it hands
// them to workers of its own, which alone know what may overtake what.
package events
