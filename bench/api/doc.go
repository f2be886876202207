// Package api measures the HTTP API of a node whose engine answers at once: small
// requests beside a bare handler that parses the same body, the node's own share
// of the time to first token, and how many streams it carries in time. Clients and
// node share one process and its processors. Package bench and the command line
// may import it.
package api
