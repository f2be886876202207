// Package sim is the testnet tier of events: a fleet that exists in arithmetic
// only, whose nodes take their decisions with the same code and the same policy
// modules as a live node.
//
// A run is a function of its scenario and its policies. There is one goroutine,
// no wall clock and no shared source of randomness: every draw comes from a
// stream of the scenario's seed, one stream per purpose, and delays of the
// network are drawn by request, so that two policies meet the same requests,
// the same fleet and the same weather. The same seed gives the same fingerprint,
// from the same program on the same kind of processor: once the fleet and the
// requests are drawn, all arithmetic is in integers, but their drawing is not,
// and processors round differently.
//
// What is a model and no measurement: device speeds are published figures of
// others (each names its source), batching is one curve per device, prefill
// stalls decoding for as long as it lasts, and nodes do not fail, lie, throttle
// or load models. The time a policy itself takes is not charged.
//
// It imports node/catalog, node/decide and policies/abi; bench imports it.
package sim
