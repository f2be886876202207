// Package node is one running node: it wires the HTTP API, the mesh, the engine
// and the decisions together, and owns their goroutines.
//
// The path of a request is in chat.go; what a peer sends here is in serve.go;
// what this node says of itself is in self.go. Only testnet, bench, doctor and
// cmd may import it.
package node
