// Package seed repeats the four benchmarks of the performance report that omx
// started from (event emission, connection pool, resource monitoring, peer
// operations), each in three variants measured in turns in one run:
//
//	naive   what the report calls "before"
//	report  what it calls "after", written from its description
//	omx     the code the node runs: node/events, node/mesh.Pool, node/monitor
//
// Beside the figures of this machine it prints those of the report, and what
// became of them. It measures parts: how a node answers requests is measured by
// other suites. Package bench and the command line may import it.
package seed
